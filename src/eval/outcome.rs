//! One row: what it is and what was found.

use serde::Serialize;

use crate::domain::name::IntentName;
use crate::domain::record::Intent;

/// A labelled row and where the classifier put it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What its label says.
    pub expected: Expected,
    /// What was found.
    pub found: Intent,
    /// The row, for people.
    pub row: Example,
}

/// A row as people recognise it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Where it stands.
    pub place: String,
    /// Its prompt, shortened.
    pub text: String,
}

impl Outcome {
    /// Whether the row was dealt with as its label wants: accepted with the right intent, or rejected
    /// for being out of scope.
    pub fn is_served_rightly(&self) -> bool {
        match &self.expected {
            Expected::Intent(intent) => !self.found.out_of_scope && self.found.name == *intent,
            Expected::OutOfScope => self.found.out_of_scope,
        }
    }
}

/// What a label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The row is of this intent.
    Intent(IntentName),
    /// The row is of none.
    OutOfScope,
}
