//! Every metric: its name, its unit, its labels.
//!
//! All of them are counted from the finished [`Record`], in one place, so that what Prometheus says
//! and what the log says cannot differ. Labels hold only names that the operator gave and words from
//! closed lists; a user or a prompt never becomes one.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::centroids::CentroidSet;
use crate::centroids::drift::live::Figures;
use crate::domain::event::RoutedReason;
use crate::domain::feedback::Feedback;
use crate::domain::name::IntentName;
use crate::domain::quantity::{Moment, Ratio};
use crate::domain::record::{Cost, Outcome, Record};
use crate::slo::{Hit, Window};
use crate::telemetry::handover::{Counts, Finished, Handover, count_aside};
use crate::telemetry::learning::{Learning, SwapResult};

/// The window of the escalation ratio. An hour shows a provider's changed output format within minutes,
/// and still holds enough requests of a quiet route to mean something.
const ESCALATION_WINDOW: Duration = Duration::from_hours(1);

type Counters<L> = Family<L, Counter>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
type RouteKey = (String, String);

/// Everything that is counted.
pub struct Metrics {
    handover: Handover,
    registry: Registry,
    requests: Counters<RequestLabels>,
    routed: Counters<RoutedLabels>,
    checked: Counters<RouteLabels>,
    escalations: Counters<EscalationLabels>,
    failovers: Counters<FailoverLabels>,
    attempts: Counters<AttemptLabels>,
    cost: Family<TargetLabels, Counter<f64, AtomicU64>>,
    unknown_costs: Counters<TargetLabels>,
    tokens: Counters<TokenLabels>,
    lost_lines: Counter,
    saturated: Counters<SaturationLabels>,
    learning: Learning,
    request_seconds: Histograms<EndpointLabels>,
    stage_seconds: Histograms<StageLabels>,
    batch_windows: Histogram,
    escalation_ratio: Family<RouteLabels, Gauge<f64, AtomicU64>>,
    windows: Mutex<BTreeMap<RouteKey, Window>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    assistant: String,
    outcome: &'static str,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoutedLabels {
    assistant: String,
    route: String,
    intent: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    assistant: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EscalationLabels {
    assistant: String,
    route: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailoverLabels {
    assistant: String,
    route: String,
    target: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    target: String,
    purpose: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    target: String,
    kind: &'static str,
    counted_by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SaturationLabels {
    then: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

/// From 10 µs, a classification, to 80 s, a long answer, each bound twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(1e-5, 2.0, 24))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            handover: Handover::default(),
            registry: Registry::with_prefix("semroute"),
            requests: Family::default(),
            routed: Family::default(),
            checked: Family::default(),
            escalations: Family::default(),
            failovers: Family::default(),
            attempts: Family::default(),
            cost: Family::default(),
            unknown_costs: Family::default(),
            tokens: Family::default(),
            lost_lines: Counter::default(),
            saturated: Family::default(),
            learning: Learning::default(),
            request_seconds: Family::new_with_constructor(seconds),
            stage_seconds: Family::new_with_constructor(seconds),
            batch_windows: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            escalation_ratio: Family::default(),
            windows: Mutex::new(BTreeMap::new()),
        };
        metrics.register_events();
        metrics.register_quantities();
        metrics.learning.register(&mut metrics.registry);
        metrics
    }

    fn register_events(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests that ended, by how they ended and whose fault an error was",
            self.requests.clone(),
        );
        registry.register(
            "routed",
            "Requests that were given a route, and why it was that one",
            self.routed.clone(),
        );
        registry.register(
            "checked",
            "Requests with a draft that was checked: what the escalation ratio is a share of",
            self.checked.clone(),
        );
        registry.register(
            "escalations",
            "Drafts that failed a check, so that a stronger model was asked",
            self.escalations.clone(),
        );
        registry.register(
            "failovers",
            "Targets that could not answer, so that another one was asked",
            self.failovers.clone(),
        );
        registry.register(
            "attempts",
            "Calls to models, and what for",
            self.attempts.clone(),
        );
        registry.register(
            "cost_unknown",
            "Calls whose cost is not known, since the price or the tokens are not",
            self.unknown_costs.clone(),
        );
        registry.register(
            "tokens",
            "Tokens of calls, and who counted; cached_input and cache_write are parts of input, reasoning of output",
            self.tokens.clone(),
        );
        registry.register(
            "log_lost_lines",
            "Records and feedback that the log could not write",
            self.lost_lines.clone(),
        );
        registry.register(
            "encoder_saturated",
            "Prompts for which the encoder had too much to do, and what decided then",
            self.saturated.clone(),
        );
    }

    fn register_quantities(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "cost",
            "What calls cost at list price, where it is known",
            Unit::Other("usd".to_owned()),
            self.cost.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to the end of its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register_with_unit(
            "stage_duration",
            "Time in each stage of a request",
            Unit::Seconds,
            self.stage_seconds.clone(),
        );
        registry.register(
            "encoder_batch_windows",
            "Windows that the encoder worked on together",
            self.batch_windows.clone(),
        );
        registry.register(
            "escalation_ratio",
            "Share of the checked requests of the last hour that escalated",
            self.escalation_ratio.clone(),
        );
    }

    /// Counts a line that the log could not write.
    pub fn count_lost_line(&self) {
        self.lost_lines.inc();
    }

    /// Counts an attempt to put other centroids in force.
    pub fn count_swap(&self, result: SwapResult) {
        self.learning.count_swap(result);
    }

    /// Hears which centroids are in force from now on.
    pub fn expect(&self, centroids: &CentroidSet, digest: &str) {
        self.count_waiting();
        self.learning.expect(centroids, digest);
    }

    /// Counts feedback.
    pub fn observe_feedback(&self, feedback: &Feedback) {
        self.learning.observe_feedback(feedback);
    }

    /// The drift of an intent so far.
    pub fn drift_of(&self, intent: &IntentName) -> Option<Figures> {
        self.count_waiting();
        self.learning.drift_of(intent)
    }

    /// Counts a batch of the encoder.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch holds thousands of windows at most"
    )]
    pub fn observe_batch(&self, n_windows: usize) {
        self.batch_windows.observe(n_windows as f64);
    }

    /// Takes a finished request, to be counted before anybody is told a figure. It waits for nobody,
    /// unless more come than are counted.
    pub fn hand_over(&self, record: Arc<Record>, at: Moment) {
        if let Err(Finished { record, at }) = self.handover.leave(Finished { record, at }) {
            self.count_waiting();
            self.observe(&record, at);
        }
    }

    /// Counts what was handed over on a thread of its own, so that little of it is ever left for those who
    /// ask for figures.
    pub fn count_aside(self: &Arc<Self>) -> std::io::Result<()> {
        count_aside(self)
    }

    /// Counts a finished request.
    fn observe(&self, record: &Record, now: Moment) {
        self.observe_outcome(record);
        self.observe_times(record);
        // What another encoder says cannot be held against the main one's training rows.
        if let Some(intent) = record.intent.as_ref().filter(|it| it.encoder.is_main()) {
            self.learning.observe(intent);
        }
        self.observe_saturation(record);
        for attempt in &record.attempts {
            self.observe_attempt(attempt);
        }
        if let (Some(assistant), Some(decision)) = (&record.assistant, &record.decision) {
            let route = RouteLabels {
                assistant: assistant.to_string(),
                route: decision.route.to_string(),
            };
            self.observe_events(record, &route);
            if !record.verdicts.is_empty() {
                self.observe_check(record, route, now);
            }
        }
    }

    /// Everything counted so far, in the text format that Prometheus scrapes.
    pub fn text(&self, now: Moment) -> String {
        self.count_waiting();
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for ((assistant, route), window) in windows.iter() {
            let labels = RouteLabels {
                assistant: assistant.clone(),
                route: route.clone(),
            };
            match window.ratio(now).map(Ratio::get) {
                Some(ratio) => {
                    self.escalation_ratio.get_or_create(&labels).set(ratio);
                }
                // A rate of nothing is unknown, not zero.
                None => {
                    self.escalation_ratio.remove(&labels);
                }
            }
        }
        self.learning.tell();
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }

    fn observe_saturation(&self, record: &Record) {
        let is_static = record
            .intent
            .as_ref()
            .is_some_and(|it| !it.encoder.is_main());
        let reason = record.decision.as_ref().map(|decision| decision.reason);
        let then = match reason {
            _ if is_static => "static",
            Some(RoutedReason::EncoderSaturated) => "default",
            _ => return,
        };
        self.saturated
            .get_or_create(&SaturationLabels { then })
            .inc();
    }

    fn observe_outcome(&self, record: &Record) {
        let error_type = match &record.outcome {
            Outcome::Failed { error_type, .. } => error_type.as_str(),
            _ => "none",
        };
        let assistant = record.assistant.as_ref();
        let labels = RequestLabels {
            endpoint: record.endpoint,
            assistant: assistant.map_or_else(|| "none".to_owned(), ToString::to_string),
            outcome: record.outcome.as_str(),
            error_type,
        };
        self.requests.get_or_create(&labels).inc();
    }

    fn observe_times(&self, record: &Record) {
        let endpoint = EndpointLabels {
            endpoint: record.endpoint,
        };
        let total = record.timings.total.as_secs_f64();
        self.request_seconds.get_or_create(&endpoint).observe(total);
        let timings = &record.timings;
        for (stage, duration) in [
            ("queue", timings.queue),
            ("encode", timings.encode),
            ("classify", timings.classify),
            ("decide", timings.decide),
            ("verify", timings.verify),
            ("upstream", timings.upstream),
            ("overhead", timings.overhead()),
        ] {
            if Duration::ZERO < duration {
                let stage = StageLabels { stage };
                let seconds = duration.as_secs_f64();
                self.stage_seconds.get_or_create(&stage).observe(seconds);
            }
        }
    }

    fn observe_attempt(&self, attempt: &crate::domain::record::Attempt) {
        let target = attempt.target.to_string();
        let labels = AttemptLabels {
            target: target.clone(),
            purpose: attempt.purpose.as_str(),
        };
        self.attempts.get_or_create(&labels).inc();
        if let Some(usage) = attempt.usage {
            for (kind, n_tokens) in usage.kinds() {
                if 0 < n_tokens {
                    let labels = TokenLabels {
                        target: target.clone(),
                        kind,
                        counted_by: usage.counted_by.as_str(),
                    };
                    self.tokens.get_or_create(&labels).inc_by(n_tokens);
                }
            }
        }
        let labels = TargetLabels { target };
        match attempt.cost_usd {
            Cost::Known(cost) => {
                self.cost.get_or_create(&labels).inc_by(cost.as_usd());
            }
            Cost::Unknown => {
                self.unknown_costs.get_or_create(&labels).inc();
            }
        }
    }

    fn observe_events(&self, record: &Record, at: &RouteLabels) {
        if let Some(decision) = &record.decision {
            let intent = record.intent.as_ref();
            let labels = RoutedLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                intent: intent.map_or_else(|| "none".to_owned(), |intent| intent.name.to_string()),
                reason: decision.reason.as_str(),
            };
            self.routed.get_or_create(&labels).inc();
        }
        for escalation in &record.escalations {
            let labels = EscalationLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                reason: escalation.reason.as_str(),
            };
            self.escalations.get_or_create(&labels).inc();
        }
        for failover in &record.failovers {
            let labels = FailoverLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                target: failover.from.to_string(),
                reason: failover.reason.as_str(),
            };
            self.failovers.get_or_create(&labels).inc();
        }
    }

    fn observe_check(&self, record: &Record, at: RouteLabels, now: Moment) {
        self.checked.get_or_create(&at).inc();
        let hit = if record.escalations.is_empty() {
            Hit::No
        } else {
            Hit::Yes
        };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows
            .entry((at.assistant, at.route))
            .or_insert_with(|| Window::new(ESCALATION_WINDOW))
            .count(hit, now);
    }
}

impl Counts for Metrics {
    fn handover(&self) -> &Handover {
        &self.handover
    }

    fn count_waiting(&self) {
        self.handover
            .take_all(|finished| self.observe(&finished.record, finished.at));
    }
}

#[cfg(test)]
mod tests;
