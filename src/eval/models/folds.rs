//! Rows dealt to folds.
//!
//! Rows with the same text, but for case and spaces, go to the same fold: a router that saw the
//! answers to a prompt must not be judged by that prompt.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// So many parts: a fifth is judged by what the other four taught.
pub(super) const FOLDS: usize = 5;

/// In place of a fold: no row is judged, so all of them teach.
pub(super) const NOBODY: usize = FOLDS;

/// Which fold each row is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folds {
    of_row: Vec<usize>,
}

impl Folds {
    /// Deals rows by their texts, seeded.
    pub(super) fn deal<'t>(texts: impl Iterator<Item = &'t str>, seed: u64) -> Self {
        let mut same: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut n_rows = 0;
        for text in texts {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            same.entry(words.join(" ")).or_default().push(n_rows);
            n_rows += 1;
        }
        let mut groups: Vec<Vec<usize>> = same.into_values().collect();
        groups.shuffle(&mut StdRng::seed_from_u64(seed));
        let mut of_row = vec![0; n_rows];
        for (turn, group) in groups.into_iter().enumerate() {
            for row in group {
                of_row[row] = turn % FOLDS;
            }
        }
        Self { of_row }
    }

    /// The fold of a row.
    pub(super) fn of(&self, row: usize) -> usize {
        self.of_row[row]
    }

    /// The rows that are judged in a fold.
    pub(super) fn judged(&self, fold: usize) -> Vec<usize> {
        self.rows(|of_row| of_row == fold)
    }

    /// The rows that teach for a fold.
    pub(super) fn training(&self, fold: usize) -> Vec<usize> {
        self.rows(|of_row| of_row != fold)
    }

    fn rows(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let rows = 0..self.of_row.len();
        rows.filter(|row| is_wanted(self.of_row[*row])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_on_both_sides_and_each_is_judged_once() {
        let texts: Vec<String> = (0..53).map(|row| format!("prompt {row}")).collect();
        let folds = Folds::deal(texts.iter().map(String::as_str), 4);
        let mut n_judged = vec![0; texts.len()];
        for fold in 0..FOLDS {
            let (judged, training) = (folds.judged(fold), folds.training(fold));
            assert!(judged.iter().all(|row| !training.contains(row)));
            assert_eq!(judged.len() + training.len(), texts.len());
            for row in judged {
                n_judged[row] += 1;
            }
        }
        assert_eq!(n_judged, vec![1; texts.len()]);
    }

    #[test]
    fn the_same_prompt_in_other_spacing_stays_on_one_side() {
        let mut texts: Vec<String> = (0..40).map(|row| format!("Prompt  {row} ")).collect();
        texts.extend((0..40).map(|row| format!("prompt {row}")));
        let folds = Folds::deal(texts.iter().map(String::as_str), 1);
        assert!((0..40).all(|row| folds.of(row) == folds.of(row + 40)));
    }

    #[test]
    fn another_seed_deals_otherwise_and_the_same_one_alike() {
        let texts: Vec<String> = (0..60).map(|row| row.to_string()).collect();
        let deal = |seed| Folds::deal(texts.iter().map(String::as_str), seed);
        assert_eq!(deal(1), deal(1));
        assert_ne!(deal(1), deal(2));
    }
}
