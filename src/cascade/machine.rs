//! Every transition of the cascade.

use super::{Acceptance, Change, Checking, Defeat, Event, Limits, OnLimit, Step, Transition};
use crate::domain::event::{FailoverReason, Failure, FailureKind, Purpose, Verdict};
use crate::domain::model::{ModelId, Tier};
use crate::domain::quantity::Moment;

/// One request's way through the tiers.
#[derive(Debug, Clone)]
pub struct Cascade {
    calls: Vec<PlannedCall>,
    next_call_idx: usize,
    checking: Checking,
    limits: Limits,
    reached: Vec<ModelId>,
    has_rejected_draft: bool,
}

/// The tiers laid end to end: who could be asked, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlannedCall {
    tier_idx: usize,
    target: ModelId,
}

impl Cascade {
    /// A cascade that has not begun.
    pub fn new(tiers: &[Tier], checking: Checking, limits: Limits) -> Self {
        let calls = tiers
            .iter()
            .enumerate()
            .flat_map(|(tier_idx, tier)| {
                tier.targets()
                    .map(move |target| PlannedCall { tier_idx, target })
            })
            .collect();
        Self {
            calls,
            next_call_idx: 0,
            checking,
            limits,
            reached: Vec::new(),
            has_rejected_draft: false,
        }
    }

    /// Says what to do next, given what happened.
    pub fn next(&mut self, event: Event, now: Moment) -> Transition {
        match event {
            Event::Begun => self.begin(now),
            Event::Drafted => match self.checking {
                Checking::Drafts => Transition::plain(Step::Verify),
                Checking::Nothing => Transition::plain(Step::Answer(Acceptance::Unchecked)),
            },
            Event::Verified(verdict) => self.judge(verdict, now),
            Event::Failed(failure) => match failure.kind {
                FailureKind::Unavailable(reason) => self.fail_over(failure, reason, now),
                FailureKind::Rejected | FailureKind::Unsayable => {
                    Transition::plain(Step::GiveUp(Defeat::Upstream(failure)))
                }
            },
        }
    }

    fn begin(&mut self, now: Moment) -> Transition {
        let purpose = match self.checking {
            Checking::Drafts => Purpose::Draft,
            Checking::Nothing => Purpose::Answer,
        };
        match self.advance(0, now) {
            Some(target) => Transition::plain(Step::Call { target, purpose }),
            None => Transition::plain(Step::GiveUp(Defeat::DeadlinePassed)),
        }
    }

    fn judge(&mut self, verdict: Verdict, now: Moment) -> Transition {
        let Some(fault) = verdict.fault.clone() else {
            return Transition::plain(Step::Answer(Acceptance::Passed));
        };
        self.has_rejected_draft = true;
        let (from, tier_idx) = self.current();
        match self.advance(tier_idx + 1, now) {
            Some(to) => Transition {
                step: Step::Call {
                    target: to,
                    purpose: Purpose::Escalation,
                },
                change: Some(Change::Escalated { from, to, verdict }),
            },
            None => Transition::plain(match self.limits.on_limit {
                OnLimit::Error => Step::GiveUp(Defeat::DraftsRejected(fault)),
                OnLimit::BestDraft => Step::Answer(Acceptance::Rejected),
            }),
        }
    }

    fn fail_over(&mut self, failure: Failure, reason: FailoverReason, now: Moment) -> Transition {
        let (from, tier_idx) = self.current();
        match self.advance(tier_idx, now) {
            Some(to) => Transition {
                step: Step::Call {
                    target: to,
                    purpose: Purpose::Failover,
                },
                change: Some(Change::FailedOver { from, to, reason }),
            },
            // The stronger tiers are down, but there is a draft, and the route says that it will do.
            None if self.has_rejected_draft && self.limits.on_limit == OnLimit::BestDraft => {
                Transition::plain(Step::Answer(Acceptance::Rejected))
            }
            None if self.is_over(now) => Transition::plain(Step::GiveUp(Defeat::DeadlinePassed)),
            None => Transition::plain(Step::GiveUp(Defeat::Upstream(failure))),
        }
    }

    /// Moves to the next target of at least this tier. A target that was asked before is not asked
    /// again: what it could not do a moment ago, it cannot do now.
    fn advance(&mut self, tier_idx_min: usize, now: Moment) -> Option<ModelId> {
        if self.is_over(now) {
            return None;
        }
        let (idx, call) = self
            .calls
            .iter()
            .enumerate()
            .skip(self.next_call_idx)
            .find(|(_, call)| {
                tier_idx_min <= call.tier_idx && !self.reached.contains(&call.target)
            })?;
        let target = call.target;
        self.next_call_idx = idx + 1;
        self.reached.push(target);
        Some(target)
    }

    /// Who was asked last, and the tier that stands for. Before the first call, the first target.
    fn current(&self) -> (ModelId, usize) {
        let idx = self.next_call_idx.saturating_sub(1);
        self.calls
            .get(idx)
            .map_or((ModelId(0), 0), |call| (call.target, call.tier_idx))
    }

    fn is_over(&self, now: Moment) -> bool {
        self.limits.deadline <= now
    }
}

impl Transition {
    fn plain(step: Step) -> Self {
        Self { step, change: None }
    }
}
