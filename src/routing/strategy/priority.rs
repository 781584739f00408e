//! The first in order that keeps to a time per output token, over the last 3 minutes.
//!
//! A target that is too slow is passed over until it is known to be fast enough again. Once nobody asks
//! it, its samples grow old and it is unknown: then it gets a small share, not all of the traffic at
//! once, until fresh samples say how it does.

use std::time::Duration;

use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::quantity::Ratio;

use super::probe::{self, Sorted};
use super::{Choice, Field, SAMPLES_MIN, by};

/// Choice in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Priority {
    /// The longest median time per output token; none, if it is left out.
    pub tpot_max: Option<Duration>,
    /// The share of requests that goes to models without fresh samples, while one before the choice has
    /// none.
    pub probe: Ratio,
}

impl Priority {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        let Some(tpot_max) = self.tpot_max else {
            let order: Vec<usize> = field.open().collect();
            return (!order.is_empty()).then(|| Choice::certain(order, ChosenReason::Priority));
        };
        for candidate in field.choices() {
            let pace = candidate.standing.short.tpot;
            candidate.weighed.samples = Some(pace.map_or(0, |it| it.n));
            candidate.weighed.pace = pace.and_then(|it| it.over(SAMPLES_MIN));
            match candidate.weighed.pace {
                None => candidate.rule_out(Out::NoSamples),
                Some(pace) if tpot_max < pace => candidate.rule_out(Out::TooSlow),
                Some(_) => {}
            }
        }
        let pace = |idx: usize| field.candidates[idx].weighed.pace;
        let open: Vec<usize> = field.open().collect();
        let unknown: Vec<usize> = open
            .iter()
            .copied()
            .filter(|it| pace(*it).is_none())
            .collect();
        let keeps = |idx: &usize| pace(*idx).is_some_and(|pace| pace <= tpot_max);
        let fit: Vec<usize> = open.iter().copied().filter(keeps).collect();
        let is_slow = |idx: &usize| pace(*idx).is_some_and(|pace| tpot_max < pace);
        let slow = by(open.iter().copied().filter(is_slow).collect(), pace);
        let Some(&first) = fit.first() else {
            // Nobody is known to be fast enough. Who is not known may be; who is known to be slow is not.
            let reason = match unknown.first() {
                Some(_) => ChosenReason::Priority,
                None => ChosenReason::LeastSlow,
            };
            let order = [unknown, slow].concat();
            return (!order.is_empty()).then(|| Choice::certain(order, reason));
        };
        // One behind the choice would not be chosen, however fast it turned out to be.
        let (before, behind): (Vec<usize>, Vec<usize>) =
            unknown.into_iter().partition(|idx| *idx < first);
        let sorted = Sorted {
            known: fit,
            unknown: before,
        };
        let chance = field.chance();
        let mut choice = probe::share(sorted, ChosenReason::Priority, self.probe, chance)?;
        choice.order.extend(behind);
        choice.order.extend(slow);
        Some(choice)
    }
}
