//! Embedded rows as the rules of training read them: sorted by fold, so that leaving a fold out
//! leaves two unbroken spans and copies nothing.
//!
//! A rule never sees which rows were left out, and none can tell a sample of all rows from one that
//! misses a fold. Everything is walked in blocks of a fixed size and summed in their order, so a
//! result does not depend on how many threads took part.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::vector::Vectors;

/// The rows that are multiplied at once: enough for a matrix product to run at full speed, few
/// enough that its scores over some hundred intents stay in the cache.
const BLOCK_ROWS: usize = 1024;

/// Rows with the class of each, sorted by fold.
#[derive(Debug, Clone)]
pub(super) struct Dealt {
    rows: Array2<f32>,
    classes: Vec<usize>,
    n_classes: usize,
    /// Where each row stood before.
    origin: Vec<usize>,
    /// Where each fold begins, and at last where the last one ends.
    bounds: Vec<usize>,
}

/// Some of the rows, to learn from or to judge by.
#[derive(Debug, Clone)]
pub(super) struct Sample<'a> {
    dealt: &'a Dealt,
    /// Two, of which one may be empty.
    spans: [Range<usize>; 2],
}

/// Neighbouring rows of a sample.
#[derive(Debug, Clone)]
pub(super) struct Block<'a> {
    /// One unit vector a row.
    pub(super) rows: ArrayView2<'a, f32>,
    /// The class of each.
    pub(super) classes: &'a [usize],
    /// Where the first of them stands among the dealt rows.
    pub(super) start: usize,
}

impl Dealt {
    /// Deals the rows of each class, shuffled, to the folds in turn. Each class begins at another
    /// fold, so that the folds stay equally large; two rows of a class never share a fold unless every
    /// fold has one, so no fold holds them all.
    pub(super) fn new(rows: &Vectors, classes: &[usize], n_folds: usize, seed: u64) -> Self {
        let n_classes = classes.iter().max().map_or(0, |last| last + 1);
        let mut members = vec![Vec::new(); n_classes];
        for (row, class) in classes.iter().enumerate() {
            members[*class].push(row);
        }
        let mut chance = StdRng::seed_from_u64(seed);
        let mut folds = vec![Vec::new(); n_folds];
        for (class, mut own) in members.into_iter().enumerate() {
            own.shuffle(&mut chance);
            for (turn, row) in own.into_iter().enumerate() {
                folds[(class + turn) % n_folds].push(row);
            }
        }
        let mut bounds = vec![0];
        for fold in &folds {
            bounds.push(bounds.last().copied().unwrap_or_default() + fold.len());
        }
        let origin = folds.concat();
        let mut sorted = Array2::zeros((origin.len(), rows.dimensions()));
        for (mut to, from) in sorted.rows_mut().into_iter().zip(&origin) {
            for (value, original) in to.iter_mut().zip(rows.row(*from).unwrap_or_default()) {
                *value = *original;
            }
        }
        Self {
            rows: sorted,
            classes: origin.iter().map(|row| classes[*row]).collect(),
            n_classes,
            origin,
            bounds,
        }
    }

    /// How many folds there are.
    pub(super) fn n_folds(&self) -> usize {
        self.bounds.len() - 1
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    /// The class of each row.
    pub(super) fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// Where each row stood before it was dealt.
    pub(super) fn origin(&self) -> &[usize] {
        &self.origin
    }

    /// Every row.
    pub(super) fn all(&self) -> Sample<'_> {
        self.spans([0..self.len(), 0..0])
    }

    /// The rows of one fold.
    pub(super) fn fold(&self, fold: usize) -> Sample<'_> {
        self.spans([self.bounds[fold]..self.bounds[fold + 1], 0..0])
    }

    /// The rows of all other folds.
    pub(super) fn without(&self, fold: usize) -> Sample<'_> {
        self.spans([0..self.bounds[fold], self.bounds[fold + 1]..self.len()])
    }

    fn spans(&self, spans: [Range<usize>; 2]) -> Sample<'_> {
        Sample { dealt: self, spans }
    }
}

impl<'a> Sample<'a> {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.spans.iter().map(ExactSizeIterator::len).sum()
    }

    /// The length of a row.
    pub(super) fn dimensions(&self) -> usize {
        self.dealt.rows.ncols()
    }

    /// How many classes there are, those that lost their rows to another fold included.
    pub(super) fn n_classes(&self) -> usize {
        self.dealt.n_classes
    }

    /// How many rows each class has.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes()];
        for block in self.blocks() {
            for class in block.classes {
                counts[*class] += 1;
            }
        }
        counts
    }

    /// The rows of each class, in order.
    pub(super) fn members(&self) -> Vec<Vec<&'a [f32]>> {
        let mut members = vec![Vec::new(); self.n_classes()];
        for block in self.blocks() {
            for (row, class) in (block.start..).zip(block.classes) {
                // A row of a matrix in row order is one piece.
                members[*class].extend(self.dealt.rows.row(row).to_slice());
            }
        }
        members
    }

    /// All rows, block after block.
    pub(super) fn blocks(&self) -> Vec<Block<'a>> {
        let dealt = self.dealt;
        let block = |start: usize, end: usize| Block {
            rows: dealt.rows.slice(s![start..end, ..]),
            classes: &dealt.classes[start..end],
            start,
        };
        self.spans
            .iter()
            .flat_map(|span| {
                let (last, starts) = (span.end, span.clone().step_by(BLOCK_ROWS));
                starts.map(move |start| block(start, last.min(start + BLOCK_ROWS)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(classes: &[usize], n_folds: usize) -> Dealt {
        let rows = (0_u16..).take(classes.len()).map(f32::from).collect();
        Dealt::new(&Vectors::from_flat(1, rows).unwrap(), classes, n_folds, 7)
    }

    #[test]
    fn every_row_is_in_exactly_one_fold_and_keeps_its_class() {
        let classes = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2];
        let dealt = dealt(&classes, 3);
        let mut seen = Vec::new();
        for fold in 0..dealt.n_folds() {
            assert_eq!(dealt.fold(fold).len() + dealt.without(fold).len(), 10);
            for block in dealt.fold(fold).blocks() {
                for (row, class) in block.rows.outer_iter().zip(block.classes) {
                    seen.push((row[0], *class));
                }
            }
        }
        seen.sort_by(|left, right| left.0.total_cmp(&right.0));
        let expected: Vec<(f32, usize)> = (0_u16..).map(f32::from).zip(classes).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn no_fold_holds_all_rows_of_a_class() {
        let classes: Vec<usize> = (0..20).flat_map(|class| [class, class]).collect();
        let dealt = dealt(&classes, 5);
        for fold in 0..5 {
            assert!(dealt.without(fold).counts().iter().all(|count| 0 < *count));
        }
    }

    #[test]
    fn the_seed_decides_who_is_held_out_together() {
        let classes = vec![0; 40];
        let rows = Vectors::from_flat(1, vec![1.0; 40]).unwrap();
        let origin = |seed| Dealt::new(&rows, &classes, 4, seed).origin().to_vec();
        assert_eq!(origin(1), origin(1));
        assert_ne!(origin(1), origin(2));
    }

    #[test]
    fn blocks_cover_a_sample_across_the_gap() {
        let classes = vec![0; 3 * BLOCK_ROWS];
        let dealt = dealt(&classes, 2);
        let sample = dealt.without(0);
        let covered: usize = sample
            .blocks()
            .iter()
            .map(|block| block.classes.len())
            .sum();
        assert_eq!(
            (covered, sample.len()),
            (3 * BLOCK_ROWS / 2, 3 * BLOCK_ROWS / 2)
        );
    }

    proptest::proptest! {
        #[test]
        fn folds_part_every_class_evenly(
            seed: u64,
            counts in proptest::collection::vec(2_usize..20, 2..5),
            n_folds in 2_usize..8,
        ) {
            let classes: Vec<usize> =
                counts.iter().enumerate().flat_map(|(class, n)| vec![class; *n]).collect();
            let rows = Vectors::from_flat(1, vec![1.0; classes.len()]).unwrap();
            let dealt = Dealt::new(&rows, &classes, n_folds, seed);
            let in_fold: Vec<Vec<usize>> = (0..n_folds).map(|fold| dealt.fold(fold).counts()).collect();
            for (class, n_rows) in counts.iter().enumerate() {
                let sizes: Vec<usize> = in_fold.iter().map(|counts| counts[class]).collect();
                let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                proptest::prop_assert!(most - least <= 1 && most < n_rows, "{sizes:?}");
            }
        }
    }
}
