//! The highest weighted sum of cost, speed and quality.
//!
//! Each part lies between 0 and 1: how cheap and how fast a candidate is against the best of those at
//! hand (half, where it is twice as dear or slow), and the lower bound of its quality. So a weight means
//! the same on every route, and no unit has to be chosen.

use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::quantity::{PicoUsd, Ratio};

use super::probe::{self, Sorted};
use super::{Choice, Field, SAMPLES_MIN, by};

/// Choice by score.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// How much each part counts.
    pub weights: Weights,
    /// The share of requests that goes to models without fresh samples, while there are such and speed
    /// counts.
    pub probe: Ratio,
}

/// How much each part counts; only their ratios matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of being cheap.
    pub cost: f64,
    /// Of being fast.
    pub latency: f64,
    /// Of being good.
    pub quality: f64,
}

impl Score {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        self.weigh(field);
        let weighed = |idx: usize| &field.candidates[idx].weighed;
        let usable = |idx: &usize| matches!(weighed(*idx).out, None | Some(Out::NoSamples));
        let open: Vec<usize> = field.open().filter(usable).collect();
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|idx| weighed(**idx).out.is_none());
        let least = |value: &dyn Fn(usize) -> Option<f64>| {
            let values = known.iter().filter_map(|idx| value(*idx));
            values.fold(f64::INFINITY, f64::min)
        };
        let cost = |idx: usize| weighed(idx).cost.map(PicoUsd::as_usd);
        let time = |idx: usize| weighed(idx).time.map(|it| it.as_secs_f64());
        let (cost_min, time_min) = (least(&cost), least(&time));
        let Weights {
            cost: w_cost,
            latency: w_latency,
            quality: w_quality,
        } = self.weights;
        let sum = w_cost + w_latency + w_quality;
        let score = |idx: usize| {
            let cheap = w_cost * part(cost_min, cost(idx));
            let fast = w_latency * part(time_min, time(idx));
            let good = w_quality * weighed(idx).quality_low.unwrap_or_default();
            (cheap + fast + good) / sum
        };
        let scores: Vec<(usize, f64)> = known.iter().map(|idx| (*idx, score(*idx))).collect();
        for (idx, score) in scores {
            field.candidates[idx].weighed.score = Some(score);
        }
        let known = by(known, |idx| {
            -field.candidates[idx].weighed.score.unwrap_or_default()
        });
        let sorted = Sorted { known, unknown };
        probe::share(sorted, ChosenReason::Score, self.probe, field.chance())
    }

    /// Notes the parts of each candidate, and which of those that count are not known.
    fn weigh(&self, field: &mut Field<'_>) {
        let (table, intent) = (field.quality, field.intent);
        for candidate in &mut field.candidates {
            if 0.0 < self.weights.cost && candidate.weighed.cost.is_none() {
                candidate.rule_out(Out::PriceUnknown);
            }
            if 0.0 < self.weights.quality {
                let quality = candidate.quality(table, intent);
                candidate.weighed.quality_low = quality.map(|it| it.low);
                if quality.is_none() {
                    candidate.rule_out(Out::QualityUnknown);
                }
            }
            if 0.0 < self.weights.latency {
                let n = candidate.standing.long.n;
                candidate.weighed.samples = Some(n);
                if n < SAMPLES_MIN || candidate.weighed.time.is_none() {
                    candidate.rule_out(Out::NoSamples);
                }
            }
        }
    }
}

/// How near a value comes to the least: 1 for the least itself, half for twice as much.
fn part(least: f64, value: Option<f64>) -> f64 {
    match value {
        None => 0.0,
        Some(value) if value <= 0.0 => 1.0,
        Some(value) => least.min(value) / value,
    }
}
