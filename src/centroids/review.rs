//! What in the rows looks wrong and a person should look at: labels that the rest of the data speaks
//! against, intents that cannot be told apart, intents with too little to learn from.
//!
//! Nothing here changes what is trained. A label is doubted by the rule of confident learning
//! (Northcutt, Jiang and Chuang 2021): held out, the row is placed at another intent with at least
//! the probability that rows of that intent have there on average. Intents that are rarely sure are
//! thus held to less than those that always are.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::centroids::as_f64;
use crate::centroids::train::Placed;
use crate::domain::name::IntentName;
use crate::vector::{Vectors, dot};

/// Fewer rows of an intent are warned of: their mean is mostly chance.
const ROWS_WANTED: usize = 5;

/// From so much of their rows on, two intents count as confused with each other.
const CONFUSED_SHARE_MIN: f64 = 0.2;

/// From this cosine of their means on, two intents count as the same in two names.
const MEANS_COSINE_MIN: f32 = 0.95;

/// Past so many times the rows of the smallest intent, the largest is told.
const IMBALANCE_MIN: f64 = 20.0;

/// What a person should look at.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Review {
    /// Rows whose label the rest of the data speaks against, the surest first.
    pub doubted: Vec<Doubt>,
    /// Intents that are hard to tell apart.
    pub alike: Vec<Alike>,
    /// Intents with fewer than five rows.
    pub thin: Vec<Thin>,
    /// How many times the rows of the smallest intent the largest has, if that is many.
    pub imbalance: Option<f64>,
}

/// A label that the rest of the data speaks against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doubt {
    /// The row, from 0, in the order in which it was given.
    pub row: usize,
    /// Its label.
    pub label: IntentName,
    /// Where it would be placed instead.
    pub found: IntentName,
    /// With what probability.
    pub probability: f32,
    /// The probability of its label.
    pub label_probability: f32,
}

/// Two intents that are hard to tell apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alike {
    /// The one.
    pub left: IntentName,
    /// The other.
    pub right: IntentName,
    /// The cosine of their means.
    pub cosine: f32,
    /// The share of their rows that were placed at the other one.
    pub confused: f64,
}

/// An intent with too little to learn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thin {
    /// The intent.
    pub name: IntentName,
    /// Its rows.
    pub n_rows: usize,
}

/// Looks over rows as they were placed while held out.
pub(super) fn review(names: &[IntentName], placed: &[Placed], means: &Vectors) -> Review {
    let mut counts = vec![0; names.len()];
    for row in placed {
        counts[row.class] += 1;
    }
    let (least, most) = (counts.iter().min(), counts.iter().max());
    let ratio = least
        .zip(most)
        .map(|(least, most)| as_f64(*most) / as_f64((*least).max(1)));
    Review {
        doubted: doubted(names, placed, &counts),
        alike: alike(names, placed, &counts, means),
        thin: names
            .iter()
            .zip(&counts)
            .filter(|(_, n_rows)| **n_rows < ROWS_WANTED)
            .map(|(name, n_rows)| Thin {
                name: name.clone(),
                n_rows: *n_rows,
            })
            .collect(),
        imbalance: ratio.filter(|ratio| IMBALANCE_MIN <= *ratio),
    }
}

fn doubted(names: &[IntentName], placed: &[Placed], counts: &[usize]) -> Vec<Doubt> {
    let mut usual = vec![0.0; names.len()];
    for row in placed {
        usual[row.class] += f64::from(row.label_probability) / as_f64(counts[row.class]);
    }
    let mut doubted: Vec<Doubt> = placed
        .iter()
        .enumerate()
        .filter(|(_, row)| row.found != row.class && usual[row.found] <= f64::from(row.probability))
        .map(|(position, row)| Doubt {
            row: position,
            label: names[row.class].clone(),
            found: names[row.found].clone(),
            probability: row.probability,
            label_probability: row.label_probability,
        })
        .collect();
    let lead = |doubt: &Doubt| doubt.probability - doubt.label_probability;
    doubted.sort_by(|left, right| lead(right).total_cmp(&lead(left)));
    doubted
}

fn alike(names: &[IntentName], placed: &[Placed], counts: &[usize], means: &Vectors) -> Vec<Alike> {
    let mut confused: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for row in placed.iter().filter(|row| row.found != row.class) {
        let pair = (row.class.min(row.found), row.class.max(row.found));
        *confused.entry(pair).or_default() += 1;
    }
    let mut alike = Vec::new();
    for left in 0..names.len() {
        for right in left + 1..names.len() {
            let n_confused = confused.get(&(left, right)).copied().unwrap_or_default();
            let share = as_f64(n_confused) / as_f64(counts[left] + counts[right]);
            let cosine = match (means.row(left), means.row(right)) {
                (Some(one), Some(other)) => dot(one, other),
                _ => continue,
            };
            if CONFUSED_SHARE_MIN <= share || MEANS_COSINE_MIN <= cosine {
                alike.push(Alike {
                    left: names[left].clone(),
                    right: names[right].clone(),
                    cosine,
                    confused: share,
                });
            }
        }
    }
    alike.sort_by(|one, other| other.confused.total_cmp(&one.confused));
    alike
}
