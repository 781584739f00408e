//! Whether a figure rises with labels that have an order, where the labels are not those it was trained
//! on: Spearman's rank correlation, with length beside it, since that rises with many things.

use rand::RngExt;
use serde::Serialize;

use crate::eval::as_f64;
use crate::eval::bootstrap::{Chance, Estimate, Figure, around};

/// A row: its label's place in the order, what was found, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The place of its label, from the least.
    pub rank: usize,
    /// What was found.
    pub found: f64,
    /// Its characters.
    pub chars: usize,
}

/// How well two figures follow the order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlation {
    /// What was found with the labels.
    pub found: Estimate,
    /// The length with the labels.
    pub length: Estimate,
    /// The first less the second, on the same rows.
    pub difference: Estimate,
}

/// The correlations of these rows. `None` where one side is the same in all of them, for then nothing
/// can rise.
pub fn correlate(rows: &[Ranked], chance: Chance) -> Option<Correlation> {
    let (found, length) = both(rows)?;
    let mut generator = chance.generator(Figure::Rank);
    let (mut of_found, mut of_length, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..chance.n_resamples {
        let draw = |_| rows[generator.random_range(0..rows.len())];
        let drawn: Vec<Ranked> = (0..rows.len()).map(draw).collect();
        // A draw of one kind only says nothing.
        if let Some((found, length)) = both(&drawn) {
            of_found.push(found);
            of_length.push(length);
            differences.push(found - length);
        }
    }
    Some(Correlation {
        found: around(found, of_found, rows.len()),
        length: around(length, of_length, rows.len()),
        difference: around(found - length, differences, rows.len()),
    })
}

/// What was found and the length, each with the labels.
fn both(rows: &[Ranked]) -> Option<(f64, f64)> {
    let column = |of: fn(&Ranked) -> f64| ranks(&rows.iter().map(of).collect::<Vec<_>>());
    let labels = column(|row| as_f64(row.rank));
    let found = column(|row| row.found);
    let length = column(|row| as_f64(row.chars));
    Some((pearson(&labels, &found)?, pearson(&labels, &length)?))
}

/// Ranks from 1; equals share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    let mut ranks = vec![0.0; values.len()];
    let mut n_before = 0;
    for equals in order.chunk_by(|left, right| values[*left].total_cmp(&values[*right]).is_eq()) {
        let shared = as_f64(n_before) + f64::midpoint(1.0, as_f64(equals.len()));
        for idx in equals {
            ranks[*idx] = shared;
        }
        n_before += equals.len();
    }
    ranks
}

/// Pearson's correlation; `None` where a side does not vary.
fn pearson(left: &[f64], right: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / as_f64(values.len());
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut both, mut of_left, mut of_right) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        both += left * right;
        of_left += left * left;
        of_right += right * right;
    }
    let varies = 0.0 < of_left && 0.0 < of_right;
    varies.then(|| both / (of_left.sqrt() * of_right.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(usize, f64, usize)]) -> Vec<Ranked> {
        let row = |(rank, found, chars): &(usize, f64, usize)| Ranked {
            rank: *rank,
            found: *found,
            chars: *chars,
        };
        of.iter().map(row).collect()
    }

    #[test]
    fn what_rises_with_the_labels_correlates_fully_however_it_rises() {
        let rows = rows(&[(0, 0.1, 90), (1, 0.2, 50), (2, 0.9, 40), (3, 8.0, 2)]);
        let all = correlate(&rows, Chance::default()).unwrap();
        assert!((all.found.value - 1.0).abs() < 1e-12, "{all:?}");
        assert!((all.length.value + 1.0).abs() < 1e-12, "{all:?}");
        assert!((all.difference.value - 2.0).abs() < 1e-12, "{all:?}");
    }

    #[test]
    fn equals_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // By hand: ranks of the labels 1.5 1.5 3.5 3.5, of what was found 1 2 4 3; the covariance of
        // their deviations is 4, the roots of their squares √4 and √5.
        let rows = rows(&[(0, 1.0, 1), (0, 2.0, 2), (1, 9.0, 3), (1, 5.0, 4)]);
        let value = correlate(&rows, Chance::default()).unwrap().found.value;
        assert!((value - 4.0 / 20_f64.sqrt()).abs() < 1e-12, "{value}");
    }

    #[test]
    fn without_two_labels_there_is_no_correlation() {
        let rows = rows(&[(1, 0.1, 3), (1, 0.4, 9)]);
        assert_eq!(correlate(&rows, Chance::default()), None);
        assert_eq!(correlate(&[], Chance::default()), None);
    }
}
