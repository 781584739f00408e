//! Routing: which way through an assistant a prompt takes, and which model is asked first. Pure: what
//! the encoder, the clock and the counters found comes in as an argument, a decision comes out, and the
//! same arguments always give the same decision.
//!
//! In this order, and read in it: [`policy`] removes the models that a request may not reach; the first
//! of the [`rules`] that holds names the route; the route's [`strategy`] puts its models in order; its
//! [`guard`]s put another one first where the choice would cost or take too much. The last route of an
//! assistant holds for everything, so there is always a decision, or an error that says what removed the
//! last model.

pub mod chance;
pub mod decide;
pub mod expectation;
pub mod facts;
pub mod guard;
pub mod lint;
pub mod policy;
pub mod rules;
pub mod strategy;

pub use decide::{Decision, Knowledge, Ladder, NoCandidate, Way, choose};
pub use facts::{Asked, Facts, IntentSignal, Subject, Texts, Understanding};
pub use guard::Guards;
pub use policy::Policy;
pub use rules::{Matched, Rule, first_match};
pub use strategy::Strategy;

#[cfg(test)]
mod fixtures;
