//! How much a prompt asks of a model.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a prompt asks of a model, in three levels.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One step: a fact to recall, a text to reshape.
    Simple,
    /// Several steps that everybody with some training knows how to take.
    Moderate,
    /// Steps that must be found first: proofs, designs, trade-offs, long chains of thought.
    Hard,
}

impl Level {
    /// All of them, from the least.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Moderate, Self::Hard];

    /// How it is written in configurations, records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Moderate => "moderate",
            Self::Hard => "hard",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
