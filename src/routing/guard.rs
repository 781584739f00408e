//! Guards of a route: what a strategy's choice may not exceed.
//!
//! They look at what a request is expected to cost and how long it is expected to take, before anybody
//! is asked. What is not known does not exceed anything: a model whose price nobody told passes the cost
//! guard, and the candidates' figures say so. They choose who is asked first; whoever is needed when that
//! one fails stands in whatever it costs, since an answer is worth more than none.

use std::time::Duration;

use crate::domain::event::ChosenReason;
use crate::domain::model::ModelId;
use crate::domain::quantity::PicoUsd;
use crate::domain::standing::Room;

use super::strategy::{Candidate, Role};

/// What a route's choice may not exceed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guards {
    /// How much a request may be expected to cost.
    pub cost: Option<CostCap>,
    /// How long an answer may be expected to take: where the choice takes longer, the candidate that takes
    /// the least is asked.
    pub time: Option<Duration>,
}

/// How much a request may be expected to cost, and who is asked instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostCap {
    /// How much.
    pub limit: CostLimit,
    /// Who is asked where the choice would cost more.
    pub budget_model: ModelId,
}

/// How much a request may be expected to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostLimit {
    /// All of it.
    PerRequest(PicoUsd),
    /// A thousand tokens of prompt and answer together.
    PerThousandTokens(PicoUsd),
}

impl Guards {
    /// Whether there is anything to guard.
    pub const fn is_none(&self) -> bool {
        self.cost.is_none() && self.time.is_none()
    }

    /// Who is asked where this candidate would be asked first, and why it is another one, if it is.
    ///
    /// It depends on the candidate alone and on nothing that chance said, so that it can be told how
    /// probable its result was. Money has the last word: the time guard speaks first.
    pub fn redirect(&self, first: usize, candidates: &[Candidate<'_>]) -> Redirected {
        let mut redirected = Redirected {
            first,
            reason: None,
        };
        if let Some(at_most) = self.time
            && let Some(faster) = faster(at_most, first, candidates)
        {
            redirected = Redirected {
                first: faster,
                reason: Some(ChosenReason::TimeGuard),
            };
        }
        if let Some(guard) = self.cost
            && let Some(budget) = guard.cheaper(redirected.first, candidates)
        {
            redirected = Redirected {
                first: budget,
                reason: Some(ChosenReason::CostGuard),
            };
        }
        redirected
    }
}

/// Who is asked first after the guards have spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirected {
    /// The candidate's position.
    pub first: usize,
    /// The guard that put it there; none, if the choice stands.
    pub reason: Option<ChosenReason>,
}

/// The candidate that takes the least time, where this one takes too long.
fn faster(at_most: Duration, first: usize, candidates: &[Candidate<'_>]) -> Option<usize> {
    let time = |idx: usize| candidates.get(idx).and_then(|it| it.weighed.time);
    if time(first)? <= at_most {
        return None;
    }
    let is_free = |it: &Candidate<'_>| it.role != Role::Budget && it.standing.room == Room::Free;
    let known = (0..candidates.len()).filter(|idx| is_free(&candidates[*idx]));
    let known = known.filter(|idx| time(*idx).is_some());
    let fastest = known.min_by_key(|idx| time(*idx))?;
    (time(fastest)? < time(first)?).then_some(fastest)
}

impl CostCap {
    /// The budget model, where this candidate costs too much.
    fn cheaper(self, first: usize, candidates: &[Candidate<'_>]) -> Option<usize> {
        let candidate = candidates.get(first)?;
        let cost = candidate.weighed.cost?;
        let allowed = match self.limit {
            CostLimit::PerRequest(limit) => limit,
            CostLimit::PerThousandTokens(limit) => {
                limit.scaled(candidate.weighed.tokens? / 1_000.0)
            }
        };
        if cost <= allowed {
            return None;
        }
        let is_budget =
            |it: &Candidate<'_>| it.id == self.budget_model && it.standing.room == Room::Free;
        let budget = candidates.iter().position(is_budget)?;
        (budget != first).then_some(budget)
    }
}

#[cfg(test)]
mod tests;
