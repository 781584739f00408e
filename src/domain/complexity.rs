//! How much a prompt asks of a model.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

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

    /// Checks that names are those of the three levels, none missing and none besides.
    pub fn check<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), String> {
        let names: BTreeSet<&str> = names.collect();
        if names == Self::ALL.map(Self::as_str).into() {
            return Ok(());
        }
        let names: Vec<&str> = names.into_iter().collect();
        Err(format!(
            "holds {}; the levels must be exactly simple, moderate and hard, so train it from rows \
             with these labels",
            names.join(", ")
        ))
    }
}

/// Where a prompt lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rating {
    /// The level.
    pub level: Level,
    /// The calibrated probability that it is this one, 0 to 1.
    pub score: f32,
}

impl FromStr for Level {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == name);
        named.ok_or_else(|| format!("{name:?} is no level; they are simple, moderate and hard"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_as_it_is_written() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        assert!("Hard".parse::<Level>().is_err());
    }

    #[test]
    fn other_names_than_the_three_are_told_with_the_remedy() {
        assert_eq!(
            Level::check(["hard", "simple", "moderate"].into_iter()),
            Ok(())
        );
        for names in [
            vec!["hard", "simple"],
            vec!["easy", "hard", "moderate", "simple"],
            vec![],
        ] {
            let problem = Level::check(names.into_iter()).unwrap_err();
            assert!(
                problem.contains("exactly simple, moderate and hard"),
                "{problem}"
            );
        }
    }
}
