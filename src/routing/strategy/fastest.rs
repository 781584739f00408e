//! The fastest, over at most the last 20 minutes and 100 answers of each.
//!
//! Two targets that are equally fast differ by chance from one minute to the next. Whoever is in front
//! therefore stays there until another one is faster by a margin: without it, traffic would go to and
//! fro between them, and with it the caches that providers keep of a prompt's beginning.

use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::quantity::Ratio;
use crate::domain::standing::{Measured, Pace};

use super::probe::{self, Sorted};
use super::{Choice, Field, SAMPLES_MIN, by};

/// Choice by speed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fastest {
    /// What is compared.
    pub by: Measure,
    /// How many times as fast another one must be to take the incumbent's place; at least 1.
    pub margin: f64,
    /// The share of requests that goes to models without fresh samples, while there are such.
    pub probe: Ratio,
}

/// A measure of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Median time per output token.
    Tpot,
    /// Median time to the first token.
    Ttft,
    /// 95th percentile of the time from call to end.
    P95,
}

impl Measure {
    const fn of(self, pace: Pace) -> Option<Measured> {
        match self {
            Self::Tpot => pace.tpot,
            Self::Ttft => pace.ttft,
            Self::P95 => pace.p95,
        }
    }
}

impl Fastest {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        for candidate in field.choices() {
            let pace = self.by.of(candidate.standing.long);
            candidate.weighed.samples = Some(pace.map_or(0, |it| it.n));
            candidate.weighed.pace = pace.and_then(|it| it.over(SAMPLES_MIN));
            if candidate.weighed.pace.is_none() {
                candidate.rule_out(Out::NoSamples);
            }
        }
        let pace = |idx: usize| field.candidates[idx].weighed.pace;
        let (known, unknown) = field.open().partition(|idx| pace(*idx).is_some());
        let mut known = by(known, pace);
        let reason = self.keep_incumbent(&mut known, field);
        let sorted = Sorted { known, unknown };
        probe::share(sorted, reason, self.probe, field.chance())
    }

    /// Puts the incumbent in front, if nobody is faster by the margin.
    fn keep_incumbent(&self, known: &mut Vec<usize>, field: &Field<'_>) -> ChosenReason {
        let seconds = |idx: usize| {
            let pace = field.candidates[idx].weighed.pace;
            pace.unwrap_or_default().as_secs_f64()
        };
        let is_incumbent = |idx: &usize| field.incumbent == Some(field.candidates[*idx].id);
        match known.iter().position(is_incumbent) {
            Some(place) if 0 < place => {
                let (incumbent, best) = (known[place], known[0]);
                if seconds(incumbent) <= seconds(best) * self.margin {
                    known.remove(place);
                    known.insert(0, incumbent);
                    return ChosenReason::Incumbent;
                }
                ChosenReason::Fastest
            }
            _ => ChosenReason::Fastest,
        }
    }
}
