//! One row: what it is and what was found.

use crate::domain::name::IntentName;
use crate::domain::record::Intent;

/// A labelled row and where the classifier put it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What its label says.
    pub expected: Expected,
    /// What was found.
    pub found: Intent,
}

/// What a label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The row is of this intent.
    Intent(IntentName),
    /// The row is of none.
    OutOfScope,
}
