//! The highest worth: quality, less what cost and time are worth in quality.
//!
//! The weights of cost and time are rates of exchange: how much quality a dollar of the request, or a
//! second of waiting, must buy. A sum of ratios to the best candidate looks handier, but hardly tells a
//! model fifteen times as dear as the cheapest from one sixty times as dear, and measured answers show
//! what that costs (docs/model-quality.md): it does worse than choosing at random, and this does better.

use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::quantity::{PicoUsd, Ratio};

use super::probe::{self, Sorted};
use super::{Choice, Field, by};

/// Choice by score.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// How much each part counts.
    pub weights: Weights,
    /// The share of requests that goes to models without fresh samples, while there are such and speed
    /// counts.
    pub probe: Ratio,
}

/// What each part is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the quality's lower bound, 0 to 1.
    pub quality: f64,
    /// Of a US dollar that the request is expected to cost.
    pub cost: f64,
    /// Of a second that the answer is expected to take.
    pub latency: f64,
}

impl Score {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        self.weigh(field);
        let weighed = |idx: usize| &field.candidates[idx].weighed;
        let usable = |idx: &usize| matches!(weighed(*idx).out, None | Some(Out::NoSamples));
        let open: Vec<usize> = field.open().filter(usable).collect();
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|idx| weighed(**idx).out.is_none());
        let Weights {
            quality,
            cost,
            latency,
        } = self.weights;
        let score = |idx: usize| {
            let candidate = weighed(idx);
            let good = quality * candidate.quality_low.unwrap_or_default();
            let dear = cost * candidate.cost.map_or(0.0, PicoUsd::as_usd);
            let slow = latency * candidate.time.map_or(0.0, |it| it.as_secs_f64());
            good - dear - slow
        };
        // Where nobody's speed is known, the rest still tells them apart.
        let (known, unknown) = if known.is_empty() {
            (unknown, Vec::new())
        } else {
            (known, unknown)
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
        for candidate in field.choices() {
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
                let pace = candidate.standing.long.tpot;
                candidate.weighed.samples = Some(pace.map_or(0, |it| it.n));
                if candidate.weighed.time.is_none() {
                    candidate.rule_out(Out::NoSamples);
                }
            }
        }
    }
}
