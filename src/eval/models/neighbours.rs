//! The nearest rows of each row.

use rayon::prelude::*;

use crate::eval::models::folds::Folds;
use crate::vector::{Vectors, scores};

/// Neighbours that are kept of a row: when two of five folds are set aside, well over the most that
/// are asked for remain.
const KEPT_MAX: usize = 480;

/// How many neighbours are tried.
pub(super) const COUNTS: [usize; 6] = [5, 10, 20, 40, 80, 160];

/// The nearest rows of each row, outside of its own fold, nearest first.
#[derive(Debug)]
pub(super) struct Neighbours(Vec<Vec<u32>>);

impl Neighbours {
    /// Compares every row with every other.
    pub(super) fn find(vectors: &Vectors, folds: &Folds) -> Self {
        let found = (0..vectors.len()).into_par_iter().map(|row| {
            let Some(vector) = vectors.row(row) else {
                return Vec::new();
            };
            let cosines = scores(vectors, vector);
            let mut others: Vec<u32> = (0_u32..)
                .zip(&cosines)
                .map(|(other, _)| other)
                .filter(|other| folds.of(*other as usize) != folds.of(row))
                .collect();
            let nearer = |left: &u32, right: &u32| {
                let cosine = |row: &u32| cosines[*row as usize];
                cosine(right).total_cmp(&cosine(left)).then(left.cmp(right))
            };
            if KEPT_MAX < others.len() {
                others.select_nth_unstable_by(KEPT_MAX, nearer);
                others.truncate(KEPT_MAX);
            }
            others.sort_by(nearer);
            others
        });
        Self(found.collect())
    }

    /// The nearest rows of a row.
    pub(super) fn of(&self, row: usize) -> impl Iterator<Item = usize> {
        self.0[row].iter().map(|other| *other as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_none_is_of_the_same_fold() {
        let rows = vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8, 0.0, 1.0];
        let vectors = Vectors::from_flat(2, rows).unwrap();
        let folds = Folds::deal(["a", "b", "c", "A"].into_iter(), 1);
        let near = Neighbours::find(&vectors, &folds);
        assert_eq!(
            near.of(0).collect::<Vec<_>>(),
            [1, 2],
            "the fourth has its text"
        );
        assert_eq!(near.of(2).collect::<Vec<_>>(), [1, 3, 0]);
    }
}
