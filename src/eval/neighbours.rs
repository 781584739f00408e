//! How varied the rows of an intent are.
//!
//! Rows made from one template lie close together; a classifier then only has to know the template,
//! and its accuracy says nothing of what people write. The mean cosine of each row with the nearest
//! other row of its intent tells: near 1, the rows repeat each other.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::name::IntentName;
use crate::eval::as_f64;
use crate::vector::{Vectors, dot};

/// The most rows of an intent that are compared with all others of it. The work grows with the
/// square; two thousand rows take a few seconds at most and place the mean to well under 0.01.
const COMPARED_MAX: usize = 2_000;

/// How alike the rows of each intent are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeighbourSimilarity {
    /// The mean over all rows.
    pub mean: f64,
    /// The mean over the rows of each intent, by name.
    pub intents: Vec<IntentSimilarity>,
}

/// How alike the rows of one intent are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntentSimilarity {
    /// The intent.
    pub name: IntentName,
    /// The mean cosine of its rows with their nearest neighbour.
    pub mean: f64,
    /// Over how many rows.
    pub n: usize,
}

/// Measures it over unit vectors and the intent of each. Intents of one row have no neighbours and
/// are left out; `None` if none is left. `progress` hears how many of how many intents are done.
pub fn neighbour_similarity(
    rows: &Vectors,
    intents: &[IntentName],
    progress: &mut dyn FnMut(usize, usize),
) -> Option<NeighbourSimilarity> {
    let mut members: BTreeMap<&IntentName, Vec<&[f32]>> = BTreeMap::new();
    for (row, intent) in rows.rows().zip(intents) {
        members.entry(intent).or_default().push(row);
    }
    let n_intents = members.len();
    let mut found = Vec::with_capacity(n_intents);
    for (done, (name, own)) in members.into_iter().enumerate() {
        found.extend(of_intent(name, &own));
        progress(done + 1, n_intents);
    }
    let n_rows: usize = found.iter().map(|intent| intent.n).sum();
    let sum: f64 = found
        .iter()
        .map(|intent| intent.mean * as_f64(intent.n))
        .sum();
    (0 < n_rows).then(|| NeighbourSimilarity {
        mean: sum / as_f64(n_rows),
        intents: found,
    })
}

/// Compares rows spread evenly over the intent's, all of them where there are few.
fn of_intent(name: &IntentName, own: &[&[f32]]) -> Option<IntentSimilarity> {
    let stride = own.len().div_ceil(COMPARED_MAX).max(1);
    let nearest: Vec<f64> = (0..own.len())
        .step_by(stride)
        .filter_map(|row| nearest_to(row, own))
        .map(f64::from)
        .collect();
    let n = nearest.len();
    let mean = nearest.iter().sum::<f64>() / as_f64(n);
    (0 < n).then(|| IntentSimilarity {
        name: name.clone(),
        mean,
        n,
    })
}

/// The cosine of a row with the nearest other one.
fn nearest_to(row: usize, own: &[&[f32]]) -> Option<f32> {
    let others = own.iter().enumerate().filter(|(other, _)| *other != row);
    others
        .map(|(_, other)| dot(own[row], other))
        .max_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<IntentName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rows_that_repeat_each_other_are_told_from_rows_that_do_not() {
        let rows = Vectors::from_flat(2, vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]).unwrap();
        let intents = names(&["copied", "copied", "varied", "varied"]);
        let found = neighbour_similarity(&rows, &intents, &mut |_, _| {}).unwrap();
        let means: Vec<f64> = found.intents.iter().map(|intent| intent.mean).collect();
        assert_eq!(means, [1.0, 0.0]);
        assert!((found.mean - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_row_is_not_its_own_neighbour() {
        let rows = Vectors::from_flat(2, vec![1.0, 0.0]).unwrap();
        assert_eq!(
            neighbour_similarity(&rows, &names(&["alone"]), &mut |_, _| {}),
            None
        );
    }
}
