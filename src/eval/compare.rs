//! Whether one set is better than another on the same rows.
//!
//! Both sets are right on most rows together, so only the rows where they differ speak. McNemar's
//! exact test asks whether those fall to one side more than a fair coin would let them, the bootstrap
//! says by how much. The whole can hide a part: an intent that is ruined among a hundred costs the
//! total one point. So each intent is tested too, corrected for their number (Holm 1979).

mod mcnemar;

use std::collections::BTreeMap;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::domain::name::IntentName;
use crate::eval::bootstrap::{Chance, Estimate, Figure, around};
use crate::eval::outcome::{Example, Expected, Outcome};
use crate::eval::{as_f64, share};

use mcnemar::p_value;

/// How rare a difference must be by chance alone before it counts.
const SIGNIFICANCE: f64 = 0.05;

/// Rows that are shown of an intent that lost.
const EXAMPLES_MAX: usize = 10;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether the new set may take the place of the old.
    pub verdict: Verdict,
    /// Over rows in scope: whether the nearest intent is the right one.
    pub accuracy: Paired,
    /// Over all rows: whether they are accepted with the right intent, or rejected for being out of
    /// scope.
    pub served: Paired,
    /// The intents whose rows are placed rightly less often, significantly.
    pub losses: Vec<Loss>,
}

/// Whether a new set may take the place of an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is significantly better, and nowhere significantly worse.
    Better,
    /// Chance could make the difference.
    NoDifference,
    /// It is significantly worse, on the whole or at an intent.
    Worse,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::NoDifference => "no significant difference",
            Self::Worse => "worse",
        })
    }
}

/// Two sets over the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// The share of rows that the old set has right.
    pub old: f64,
    /// The share that the new one has.
    pub new: f64,
    /// New less old, with its interval.
    pub difference: Estimate,
    /// Rows that only the old set has right.
    pub only_old: usize,
    /// Rows that only the new set has right.
    pub only_new: usize,
    /// McNemar's exact test, two-sided.
    pub p_value: f64,
}

/// An intent that the new set places worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loss {
    /// The intent.
    pub intent: IntentName,
    /// Its rows.
    pub n: usize,
    /// The share of them that the old set has right.
    pub old: f64,
    /// The share that the new one has.
    pub new: f64,
    /// McNemar's exact test, corrected for the number of intents.
    pub p_value: f64,
    /// Rows that only the old set has right.
    pub rows: Vec<LostRow>,
}

/// A row that the old set had right and the new one has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostRow {
    /// The row.
    #[serde(flatten)]
    pub row: Example,
    /// Where the new set puts it.
    pub found: IntentName,
}

/// Why two sets cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No row at all.
    #[error("there are no rows to compare on: give a file of labelled prompts")]
    NoRows,
    /// The outcomes are of different rows.
    #[error("the old set was asked about {old} rows and the new one about {new}")]
    Mismatched {
        /// Rows of the old set.
        old: usize,
        /// Rows of the new set.
        new: usize,
    },
}

/// Compares two sets by what each made of the same rows, in the same order.
pub fn compare(old: &[Outcome], new: &[Outcome], chance: Chance) -> Result<Comparison, Error> {
    if old.len() != new.len() {
        return Err(Error::Mismatched {
            old: old.len(),
            new: new.len(),
        });
    }
    let pairs: Vec<Both<'_>> = old
        .iter()
        .zip(new)
        .map(|(old, new)| Both { old, new })
        .collect();
    let in_scope: Vec<Both<'_>> = pairs.iter().copied().filter(Both::is_in_scope).collect();
    let by = |of: &[Both<'_>], right: fn(&Outcome) -> bool| {
        let sides = of.iter().map(|both| both.sides(right));
        paired(&sides.collect::<Vec<_>>(), chance)
    };
    let served = by(&pairs, Outcome::is_served_rightly).ok_or(Error::NoRows)?;
    // Without a row in scope, serving is all there is to compare.
    let accuracy = by(&in_scope, is_right).unwrap_or(served);
    let losses = losses(&in_scope);
    Ok(Comparison {
        verdict: verdict(&[accuracy, served], &losses),
        accuracy,
        served,
        losses,
    })
}

fn verdict(measures: &[Paired], losses: &[Loss]) -> Verdict {
    let significant = |paired: &&Paired| paired.p_value < SIGNIFICANCE;
    let mut telling = measures.iter().filter(significant);
    let is_worse = |paired: &Paired| paired.only_new < paired.only_old;
    if !losses.is_empty() || telling.clone().any(is_worse) {
        Verdict::Worse
    } else if telling.next().is_some() {
        Verdict::Better
    } else {
        Verdict::NoDifference
    }
}

/// A row as both sets saw it.
#[derive(Clone, Copy)]
struct Both<'a> {
    old: &'a Outcome,
    new: &'a Outcome,
}

impl Both<'_> {
    fn is_in_scope(&self) -> bool {
        matches!(self.old.expected, Expected::Intent(_))
    }

    fn sides(&self, right: fn(&Outcome) -> bool) -> Sides {
        Sides {
            old: right(self.old),
            new: right(self.new),
        }
    }
}

/// Whether each set has a row right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sides {
    old: bool,
    new: bool,
}

impl Sides {
    fn difference(self) -> f64 {
        f64::from(u8::from(self.new)) - f64::from(u8::from(self.old))
    }
}

/// Whether the nearest intent is the label, whatever the threshold says.
fn is_right(outcome: &Outcome) -> bool {
    matches!(&outcome.expected, Expected::Intent(intent) if *intent == outcome.found.name)
}

/// Compares by whether the old one and the new one have each row right. `None` without a row.
pub(super) fn paired_by(rows: &[(bool, bool)], chance: Chance) -> Option<Paired> {
    let sides = rows.iter().map(|(old, new)| Sides {
        old: *old,
        new: *new,
    });
    paired(&sides.collect::<Vec<_>>(), chance)
}

/// `None` without a row.
fn paired(rows: &[Sides], chance: Chance) -> Option<Paired> {
    if rows.is_empty() {
        return None;
    }
    let n = rows.len();
    let count = |holds: fn(&Sides) -> bool| rows.iter().filter(|row| holds(row)).count();
    let only_old = count(|row| row.old && !row.new);
    let only_new = count(|row| row.new && !row.old);
    let mut generator = chance.generator(Figure::Difference);
    let draws = (0..chance.n_resamples)
        .map(|_| {
            let drawn = (0..n).map(|_| rows[generator.random_range(0..n)].difference());
            drawn.sum::<f64>() / as_f64(n)
        })
        .collect();
    let difference = rows.iter().map(|row| row.difference()).sum::<f64>() / as_f64(n);
    Some(Paired {
        old: share(count(|row| row.old), n),
        new: share(count(|row| row.new), n),
        difference: around(difference, draws, n),
        only_old,
        only_new,
        p_value: p_value(only_old, only_new),
    })
}

/// The intents that lost significantly, the surest first.
fn losses(rows: &[Both<'_>]) -> Vec<Loss> {
    let mut by_intent: BTreeMap<&IntentName, Vec<Both<'_>>> = BTreeMap::new();
    for both in rows {
        if let Expected::Intent(intent) = &both.old.expected {
            by_intent.entry(intent).or_default().push(*both);
        }
    }
    let mut tested: Vec<Loss> = by_intent
        .into_iter()
        .map(|(intent, rows)| loss(intent, &rows))
        .collect();
    tested.sort_by(|left, right| left.p_value.total_cmp(&right.p_value));
    // Holm: the smallest is multiplied by the number of tests, the next by one less, and none may come
    // out below the one before it.
    let n_tests = tested.len();
    let mut floor = 0.0_f64;
    for (rank, loss) in tested.iter_mut().enumerate() {
        floor = (loss.p_value * as_f64(n_tests - rank)).min(1.0).max(floor);
        loss.p_value = floor;
    }
    tested.retain(|loss| loss.p_value < SIGNIFICANCE && loss.new < loss.old);
    tested
}

fn loss(intent: &IntentName, rows: &[Both<'_>]) -> Loss {
    let sides: Vec<Sides> = rows.iter().map(|both| both.sides(is_right)).collect();
    let count = |holds: fn(&Sides) -> bool| sides.iter().filter(|row| holds(row)).count();
    let lost = rows
        .iter()
        .zip(&sides)
        .filter(|(_, row)| row.old && !row.new);
    Loss {
        intent: intent.clone(),
        n: rows.len(),
        old: share(count(|row| row.old), rows.len()),
        new: share(count(|row| row.new), rows.len()),
        p_value: p_value(
            count(|row| row.old && !row.new),
            count(|row| row.new && !row.old),
        ),
        rows: lost
            .take(EXAMPLES_MAX)
            .map(|(both, _)| LostRow {
                row: both.new.row.clone(),
                found: both.new.found.name.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
