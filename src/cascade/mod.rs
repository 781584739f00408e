//! The cascade: ask the cheap model first, check its draft, escalate only on a failed check.
//!
//! It is a state machine that says what to do next (a [`Step`]) and is told what happened (an
//! [`Event`]). It calls nobody and reads no clock, so every path through it is tested without a
//! mock. A route without a cascade is one with a single tier and nothing to check, so that failover
//! is the same code for both.
//!
//! Between tiers a request *escalates* (a draft was bad). Between the targets of one tier, and from
//! a tier that is down to the next one, it *fails over* (a target could not answer).

mod machine;

pub use machine::Cascade;

use crate::domain::event::{FailoverReason, Failure, Fault, Purpose, Verdict};
use crate::domain::model::ModelId;
use crate::domain::quantity::Moment;

/// Whether drafts are checked before they are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checking {
    /// Each draft is held back until it passed.
    Drafts,
    /// There is nothing to check: answers go straight through.
    Nothing,
}

/// What becomes of a request whose last draft failed its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// It is an error.
    Error,
    /// The last draft is answered, marked as rejected.
    BestDraft,
}

/// How far a cascade may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No call starts from here on.
    pub deadline: Moment,
    /// What happens when every tier was asked in vain.
    pub on_limit: OnLimit,
}

/// What the engine does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask this target.
    Call {
        /// Who.
        target: ModelId,
        /// What for.
        purpose: Purpose,
    },
    /// Check the draft that the last call brought.
    Verify,
    /// Give the caller the last draft.
    Answer(Acceptance),
    /// Tell the caller that there is no answer.
    GiveUp(Defeat),
}

/// On what grounds a draft is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// There was nothing to check.
    Unchecked,
    /// It passed its check.
    Passed,
    /// It failed, and the route says to answer it all the same.
    Rejected,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defeat {
    /// Every tier's draft failed its check; this is what was wrong with the last.
    DraftsRejected(Fault),
    /// No target could answer, or the request itself was refused; this is the last failure.
    Upstream(Failure),
    /// The time was over.
    DeadlinePassed,
}

/// What happened since the last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The request begins.
    Begun,
    /// The call brought a draft.
    Drafted,
    /// The check spoke.
    Verified(Verdict),
    /// The call brought no answer.
    Failed(Failure),
}

/// A step, and what led to it where that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// What to do.
    pub step: Step,
    /// An escalation or a failover on the way there.
    pub change: Option<Change>,
}

/// The target changed, for one of two reasons that are never mixed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A draft failed its check.
    Escalated {
        /// Whose draft.
        from: ModelId,
        /// Who is asked now.
        to: ModelId,
        /// What failed.
        verdict: Verdict,
    },
    /// A target could not answer.
    FailedOver {
        /// Who could not.
        from: ModelId,
        /// Who is asked now.
        to: ModelId,
        /// Why.
        reason: FailoverReason,
    },
}

#[cfg(test)]
mod tests;
