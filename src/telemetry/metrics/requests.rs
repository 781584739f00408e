//! What is counted of finished requests.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::event::RoutedReason;
use crate::domain::quantity::{Moment, Ratio};
use crate::domain::record::{Attempt, Cost, Outcome, Record};
use crate::slo::{Hit, Window};

use super::labels::{
    AttemptLabels, ChosenLabels, EndpointLabels, EscalationLabels, FailoverLabels, FullLabels,
    OrNone, RequestLabels, RouteLabels, RoutedLabels, SaturationLabels, StageLabels, TargetLabels,
    TokenLabels,
};
use super::series::{Series, seconds};

/// The window of the escalation ratio. An hour shows a provider's changed output format within minutes,
/// and still holds enough requests of a quiet route to mean something.
const ESCALATION_WINDOW: Duration = Duration::from_hours(1);

type Counters<L> = Series<L, Counter>;

/// What is counted of finished requests.
pub(super) struct Requests {
    ended: Counters<RequestLabels>,
    routed: Counters<RoutedLabels>,
    chosen: Counters<ChosenLabels>,
    checked: Counters<RouteLabels>,
    escalations: Counters<EscalationLabels>,
    failovers: Counters<FailoverLabels>,
    full: Counters<FullLabels>,
    attempts: Counters<AttemptLabels>,
    cost: Series<TargetLabels, Counter<f64, AtomicU64>>,
    unknown_costs: Counters<TargetLabels>,
    tokens: Counters<TokenLabels>,
    saturated: Counters<SaturationLabels>,
    request_seconds: Series<EndpointLabels, Histogram>,
    stage_seconds: Series<StageLabels, Histogram>,
    escalation_ratio: Family<RouteLabels, Gauge<f64, AtomicU64>>,
    windows: BTreeMap<RouteLabels, Window>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            ended: Series::default(),
            routed: Series::default(),
            chosen: Series::default(),
            checked: Series::default(),
            escalations: Series::default(),
            failovers: Series::default(),
            full: Series::default(),
            attempts: Series::default(),
            cost: Series::default(),
            unknown_costs: Series::default(),
            tokens: Series::default(),
            saturated: Series::default(),
            request_seconds: seconds(),
            stage_seconds: seconds(),
            escalation_ratio: Family::default(),
            windows: BTreeMap::new(),
        }
    }
}

impl Requests {
    /// Everything at zero, and told by a registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let requests = Self::default();
        requests.register_events(registry);
        requests.register_quantities(registry);
        requests
    }

    fn register_events(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests that ended, by how they ended and whose fault an error was",
            self.ended.family(),
        );
        registry.register(
            "routed",
            "Requests that were given a route, and why it was that one",
            self.routed.family(),
        );
        registry.register(
            "chosen",
            "Models that a route asked first, and why it was that one",
            self.chosen.family(),
        );
        registry.register(
            "checked",
            "Requests with a draft that was checked: what the escalation ratio is a share of",
            self.checked.family(),
        );
        registry.register(
            "escalations",
            "Drafts that failed a check, so that a stronger model was asked",
            self.escalations.family(),
        );
        registry.register(
            "failovers",
            "Targets that could not answer, so that another one was asked",
            self.failovers.family(),
        );
        registry.register(
            "target_full",
            "Targets that were not asked, since they had as much to do as they may",
            self.full.family(),
        );
        registry.register(
            "attempts",
            "Calls to models, and what for",
            self.attempts.family(),
        );
        registry.register(
            "cost_unknown",
            "Calls whose cost is not known, since the price or the tokens are not",
            self.unknown_costs.family(),
        );
        registry.register(
            "tokens",
            "Tokens of calls, and who counted; cached_input and cache_write are parts of input, reasoning of output",
            self.tokens.family(),
        );
        registry.register(
            "encoder_saturated",
            "Prompts for which the encoder had too much to do, and what decided then",
            self.saturated.family(),
        );
    }

    fn register_quantities(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "cost",
            "What calls cost at list price, where it is known",
            Unit::Other("usd".to_owned()),
            self.cost.family(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to the end of its answer",
            Unit::Seconds,
            self.request_seconds.family(),
        );
        registry.register_with_unit(
            "stage_duration",
            "Time in each stage of a request",
            Unit::Seconds,
            self.stage_seconds.family(),
        );
        registry.register(
            "escalation_ratio",
            "Share of the checked requests of the last hour that escalated",
            self.escalation_ratio.clone(),
        );
    }

    /// Counts a finished request.
    pub(super) fn observe(&mut self, record: &Record, now: Moment) {
        self.observe_outcome(record);
        self.observe_times(record);
        self.observe_saturation(record);
        for attempt in &record.attempts {
            self.observe_attempt(attempt);
        }
        for refusal in &record.refusals {
            let labels = FullLabels {
                target: refusal.target.clone(),
                reason: refusal.reason.as_str(),
            };
            self.full.with(labels).inc();
        }
        if let (Some(assistant), Some(decision)) = (&record.assistant, &record.decision) {
            let route = RouteLabels {
                assistant: assistant.clone(),
                route: decision.route.clone(),
            };
            self.observe_events(record, &route);
            if !record.verdicts.is_empty() {
                self.observe_check(record, route, now);
            }
        }
    }

    /// Brings the ratios up to now.
    pub(super) fn tell(&self, now: Moment) {
        for (labels, window) in &self.windows {
            match window.ratio(now).map(Ratio::get) {
                Some(ratio) => {
                    self.escalation_ratio.get_or_create(labels).set(ratio);
                }
                // A rate of nothing is unknown, not zero.
                None => {
                    self.escalation_ratio.remove(labels);
                }
            }
        }
    }

    fn observe_saturation(&mut self, record: &Record) {
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
        self.saturated.with(SaturationLabels { then }).inc();
    }

    fn observe_outcome(&mut self, record: &Record) {
        let error_type = match &record.outcome {
            Outcome::Failed { error_type, .. } => error_type.as_str(),
            _ => "none",
        };
        let labels = RequestLabels {
            endpoint: record.endpoint,
            assistant: OrNone(record.assistant.clone()),
            outcome: record.outcome.as_str(),
            error_type,
        };
        self.ended.with(labels).inc();
    }

    fn observe_times(&mut self, record: &Record) {
        let endpoint = EndpointLabels {
            endpoint: record.endpoint,
        };
        let total = record.timings.total.as_secs_f64();
        self.request_seconds.with(endpoint).observe(total);
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
                self.stage_seconds.with(stage).observe(seconds);
            }
        }
    }

    fn observe_attempt(&mut self, attempt: &Attempt) {
        let target = &attempt.target;
        let labels = AttemptLabels {
            target: target.clone(),
            purpose: attempt.purpose.as_str(),
        };
        self.attempts.with(labels).inc();
        if let Some(usage) = attempt.usage {
            for (kind, n_tokens) in usage.kinds() {
                if 0 < n_tokens {
                    let labels = TokenLabels {
                        target: target.clone(),
                        kind,
                        counted_by: usage.counted_by.as_str(),
                    };
                    self.tokens.with(labels).inc_by(n_tokens);
                }
            }
        }
        let labels = TargetLabels {
            target: target.clone(),
        };
        match attempt.cost_usd {
            Cost::Known(cost) => {
                self.cost.with(labels).inc_by(cost.as_usd());
            }
            Cost::Unknown => {
                self.unknown_costs.with(labels).inc();
            }
        }
    }

    fn observe_events(&mut self, record: &Record, at: &RouteLabels) {
        if let Some(decision) = &record.decision {
            let intent = record.intent.as_ref();
            let labels = RoutedLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                intent: OrNone(intent.map(|intent| intent.name.clone())),
                reason: decision.reason.as_str(),
            };
            self.routed.with(labels).inc();
            let labels = ChosenLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                target: decision.target.clone(),
                reason: decision.chosen.as_str(),
            };
            self.chosen.with(labels).inc();
        }
        for escalation in &record.escalations {
            let labels = EscalationLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                reason: escalation.reason.as_str(),
            };
            self.escalations.with(labels).inc();
        }
        for failover in &record.failovers {
            let labels = FailoverLabels {
                assistant: at.assistant.clone(),
                route: at.route.clone(),
                target: failover.from.clone(),
                reason: failover.reason.as_str(),
            };
            self.failovers.with(labels).inc();
        }
    }

    fn observe_check(&mut self, record: &Record, at: RouteLabels, now: Moment) {
        self.checked.with(at.clone()).inc();
        let hit = if record.escalations.is_empty() {
            Hit::No
        } else {
            Hit::Yes
        };
        self.windows
            .entry(at)
            .or_insert_with(|| Window::new(ESCALATION_WINDOW))
            .count(hit, now);
    }
}
