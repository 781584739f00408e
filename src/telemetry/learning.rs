//! What is counted of the centroids: which are in force, what people say of them, and how far the
//! traffic has drifted from the rows that they were trained on.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::centroids::CentroidSet;
use crate::centroids::drift::live::{Figures, Live};
use crate::domain::feedback::{Feedback, Judgement};
use crate::domain::name::IntentName;
use crate::domain::record::Intent;

type FloatGauge = Gauge<f64, AtomicU64>;

/// What is counted of the centroids.
#[derive(Default)]
pub(super) struct Learning {
    swaps: Family<SwapLabels, Counter>,
    centroids: Family<CentroidLabels, Gauge>,
    feedback: Family<FeedbackLabels, Counter>,
    drift: Mutex<Live>,
    psi: Family<DriftLabels, FloatGauge>,
    sample: Family<IntentLabels, Gauge>,
    bound: Family<IntentLabels, FloatGauge>,
    out_of_scope: FloatGauge,
    out_of_scope_expected: FloatGauge,
}

/// What came of an attempt to put other centroids in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapResult {
    /// They are.
    Swapped,
    /// They could not be used, and the old ones stay.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwapLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CentroidLabels {
    digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeedbackLabels {
    outcome: &'static str,
    known: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    intent: String,
    measure: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IntentLabels {
    intent: String,
}

impl Learning {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "centroids_swaps",
            "Attempts to put other centroids in force, and what came of them",
            self.swaps.clone(),
        );
        registry.register(
            "centroids_info",
            "The centroids in force",
            self.centroids.clone(),
        );
        registry.register(
            "feedback",
            "Feedback on requests, by what it says of the intent",
            self.feedback.clone(),
        );
        registry.register(
            "intent_drift_psi",
            "How far the last prompts of an intent are from its training rows: the population stability index",
            self.psi.clone(),
        );
        registry.register(
            "intent_drift_sample",
            "Prompts that the drift of an intent rests on",
            self.sample.clone(),
        );
        registry.register(
            "intent_drift_bound",
            "What the drift of an intent must exceed to be more than chance does with so few rows",
            self.bound.clone(),
        );
        registry.register(
            "out_of_scope_share",
            "Share of the last prompts that were out of scope",
            self.out_of_scope.clone(),
        );
        registry.register(
            "out_of_scope_share_expected",
            "Share of training prompts in scope that were rejected while held out",
            self.out_of_scope_expected.clone(),
        );
    }

    pub(super) fn count_swap(&self, result: SwapResult) {
        let result = match result {
            SwapResult::Swapped => "swapped",
            SwapResult::Refused => "refused",
        };
        self.swaps.get_or_create(&SwapLabels { result }).inc();
    }

    pub(super) fn observe_feedback(&self, feedback: &Feedback) {
        let outcome = match (feedback.outcome, &feedback.intent) {
            (Some(Judgement::Right), _) => "right",
            (Some(Judgement::Wrong), _) => "wrong",
            (None, Some(_)) => "intent",
            (None, None) => "comment",
        };
        let known = if feedback.known { "true" } else { "false" };
        let labels = FeedbackLabels { outcome, known };
        self.feedback.get_or_create(&labels).inc();
    }

    /// Begins anew against other centroids.
    pub(super) fn expect(&self, centroids: &CentroidSet, digest: &str) {
        let live = Live::against(centroids.manifest());
        *self.drift.lock().unwrap_or_else(PoisonError::into_inner) = live;
        self.psi.clear();
        self.sample.clear();
        self.bound.clear();
        let expected = centroids.manifest().metrics.rejected_in_scope.value;
        self.out_of_scope_expected.set(expected);
        self.centroids.clear();
        let digest = digest.to_owned();
        self.centroids
            .get_or_create(&CentroidLabels { digest })
            .set(1);
    }

    pub(super) fn observe(&self, intent: &Intent) {
        let mut drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        drift.count(intent);
    }

    pub(super) fn drift_of(&self, intent: &IntentName) -> Option<Figures> {
        let drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        drift.of(intent)
    }

    /// Sets the gauges of drift to what was counted.
    pub(super) fn tell(&self) {
        let drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        for (intent, figures) in drift.all() {
            let intent = intent.to_string();
            let psi = figures.psi;
            for (measure, value) in [
                ("score", psi.score),
                ("margin", psi.margin),
                ("similarity", psi.similarity),
            ] {
                let labels = DriftLabels {
                    intent: intent.clone(),
                    measure,
                };
                self.psi.get_or_create(&labels).set(value);
            }
            let n = i64::try_from(figures.n).unwrap_or(i64::MAX);
            let labels = IntentLabels { intent };
            self.sample.get_or_create(&labels).set(n);
            self.bound.get_or_create(&labels).set(figures.bound);
        }
        if let Some(share) = drift.out_of_scope_share() {
            self.out_of_scope.set(share);
        }
    }
}
