//! Which intents are found and which are mistaken for which.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use serde::Serialize;

use crate::domain::name::IntentName;
use crate::eval::bootstrap::{Chance, Figure};
use crate::eval::outcome::Example;
use crate::eval::{as_f64, share};

/// How many confusions a report lists: past the first dozen or so they are single rows.
const CONFUSIONS_MAX: usize = 15;

/// Rows that are shown of a confusion.
const EXAMPLES_MAX: usize = 3;

/// A row of a known intent: its label and the intent found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) expected: &'a IntentName,
    pub(super) found: &'a IntentName,
    pub(super) row: &'a Example,
}

impl Pair<'_> {
    pub(super) fn is_right(&self) -> bool {
        self.expected == self.found
    }
}

/// What accuracy has to be compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Controls {
    /// Always naming the intent that most of these rows have.
    pub majority: Majority,
    /// The same predictions against labels in random order, the mean over many orders.
    pub shuffled: Shuffled,
}

/// The control that looks at no prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Majority {
    /// The intent that it always names.
    pub intent: IntentName,
    /// How often that is right.
    pub accuracy: f64,
}

/// The control whose labels say nothing of the prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shuffled {
    /// The mean accuracy.
    pub accuracy: f64,
    /// Over how many orders.
    pub n_permutations: usize,
}

/// One intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntentFigures {
    /// Its name.
    pub name: IntentName,
    /// How many rows have it as their label.
    pub n: usize,
    /// How many rows were put there.
    pub n_found: usize,
    /// The share of those that belong there; unknown if there are none.
    pub precision: Option<f64>,
    /// The share of its rows that were put there; unknown if it has none.
    pub recall: Option<f64>,
}

/// One intent mistaken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The label.
    pub expected: IntentName,
    /// What was found instead.
    pub found: IntentName,
    /// In how many rows.
    pub n: usize,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// Both controls; `None` without a row.
pub(super) fn controls(pairs: &[Pair<'_>], chance: Chance) -> Option<Controls> {
    let mut counts: BTreeMap<&IntentName, usize> = BTreeMap::new();
    for pair in pairs {
        *counts.entry(pair.expected).or_default() += 1;
    }
    // The first of equals, by name.
    let (intent, n) = counts.into_iter().rev().max_by_key(|(_, n)| *n)?;
    let majority = Majority {
        intent: intent.clone(),
        accuracy: share(n, pairs.len()),
    };
    Some(Controls {
        majority,
        shuffled: shuffled(pairs, chance),
    })
}

fn shuffled(pairs: &[Pair<'_>], chance: Chance) -> Shuffled {
    let mut generator = chance.generator(Figure::Shuffle);
    let mut labels: Vec<&IntentName> = pairs.iter().map(|pair| pair.expected).collect();
    let mut n_right = 0;
    for _ in 0..chance.n_permutations {
        labels.shuffle(&mut generator);
        n_right += pairs
            .iter()
            .zip(&labels)
            .filter(|(pair, label)| pair.found == **label)
            .count();
    }
    let n_compared = as_f64(pairs.len()) * as_f64(chance.n_permutations);
    let accuracy = if 0.0 < n_compared {
        as_f64(n_right) / n_compared
    } else {
        0.0
    };
    Shuffled {
        accuracy,
        n_permutations: chance.n_permutations,
    }
}

/// Precision and recall of every intent that is a label or was found, by name.
pub(super) fn by_intent(pairs: &[Pair<'_>]) -> Vec<IntentFigures> {
    let mut counts: BTreeMap<&IntentName, Counts> = BTreeMap::new();
    for pair in pairs {
        counts.entry(pair.expected).or_default().n += 1;
        counts.entry(pair.found).or_default().n_found += 1;
        if pair.is_right() {
            counts.entry(pair.expected).or_default().n_right += 1;
        }
    }
    let of = |n_right, n| (0 < n).then(|| share(n_right, n));
    let figures = |(name, counts): (&IntentName, Counts)| IntentFigures {
        name: name.clone(),
        n: counts.n,
        n_found: counts.n_found,
        precision: of(counts.n_right, counts.n_found),
        recall: of(counts.n_right, counts.n),
    };
    counts.into_iter().map(figures).collect()
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n: usize,
    n_found: usize,
    n_right: usize,
}

/// The commonest mistakes first, equals by name.
pub(super) fn confusions(pairs: &[Pair<'_>]) -> Vec<Confusion> {
    let mut rows: BTreeMap<(&IntentName, &IntentName), Vec<&Example>> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| !pair.is_right()) {
        let confused = rows.entry((pair.expected, pair.found)).or_default();
        confused.push(pair.row);
    }
    let mut sorted: Vec<Confusion> = rows
        .into_iter()
        .map(|((expected, found), rows)| Confusion {
            expected: expected.clone(),
            found: found.clone(),
            n: rows.len(),
            examples: rows.into_iter().take(EXAMPLES_MAX).cloned().collect(),
        })
        .collect();
    sorted.sort_by_key(|confusion| std::cmp::Reverse(confusion.n));
    sorted.truncate(CONFUSIONS_MAX);
    sorted
}
