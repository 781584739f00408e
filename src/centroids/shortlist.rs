//! What intents score where prototypes are many, from products with few of them: those that a sketch
//! puts nearest, and at least one an intent. A look at all products would take half a millisecond at
//! 10,000 rows; this takes a fifth of it, and there is no graph to make.
//!
//! On CLINC150 (10,000 training rows as prototypes, 1,000 others asked) it found the nearest row every
//! time, and for prompts out of scope, which have no near row, 99 times of 100. Every intent has a row
//! looked at, since probabilities come from the scores of all.

use crate::vector::sketch::Sketches;
use crate::vector::{Vectors, dot};

/// Rows from which looking at all of them takes longer than a short list does by more than it matters.
const ROWS_MIN: usize = 4_096;

/// The shortest rows whose signs tell enough. A scan over shorter ones is quick anyway.
const DIMENSIONS_MIN: usize = 256;

/// Rows whose products are computed whatever their intent, at least. With 64, 96 of 100 nearest rows of
/// prompts out of scope were found, with 128 98, with 256 99 at a fifth more time.
const KEPT: u32 = 256;

/// A way to the few rows that count.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shortlist {
    sketches: Sketches,
}

impl Shortlist {
    /// `None` where a scan is as good.
    pub(super) fn over(rows: &Vectors) -> Option<Self> {
        let is_worth_it = ROWS_MIN <= rows.len() && DIMENSIONS_MIN <= rows.dimensions();
        is_worth_it.then(|| Self {
            sketches: Sketches::of(rows),
        })
    }

    /// The highest product with a row of each intent, among the rows that count.
    pub(super) fn scores(&self, rows: &Vectors, n_of_intent: &[usize], query: &[f32]) -> Vec<f32> {
        let differences = self.sketches.differences(query);
        let kept = kept(&differences, self.sketches.bits());
        let mut first = 0;
        let product = |at: usize| rows.row(at).map_or(f32::MIN, |row| dot(row, query));
        n_of_intent
            .iter()
            .map(|n_rows| {
                let own = differences.get(first..first + n_rows).unwrap_or_default();
                let least = own.iter().copied().min().unwrap_or(0);
                let counted = own.iter().zip(first..);
                first += n_rows;
                counted
                    .filter(|(difference, _)| **difference <= kept.max(least))
                    .map(|(_, at)| product(at))
                    .fold(f32::MIN, f32::max)
            })
            .collect()
    }
}

/// The difference that at least so many rows have or stay below as are kept.
fn kept(differences: &[u16], bits: usize) -> u16 {
    /// Counts beside each other: one alone would wait for itself, because most rows differ by about the same.
    const LANES: usize = 4;
    let mut counts = vec![[0_u32; LANES]; bits + 1];
    for (at, difference) in differences.iter().enumerate() {
        if let Some(count) = counts.get_mut(usize::from(*difference)) {
            count[at % LANES] += 1;
        }
    }
    let mut n_kept = 0;
    let reached = counts.iter().zip(0_u16..).find(|(count, _)| {
        n_kept += count.iter().sum::<u32>();
        KEPT <= n_kept
    });
    reached.map_or(u16::MAX, |(_, difference)| difference)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::vector::{normalise, scores};

    const DIMENSIONS: usize = 256;
    const INTENTS: usize = 16;

    /// Rows of intents, each around a direction of its own, one intent after the other.
    fn around_directions(n_rows: usize, seed: u64) -> Vectors {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut directions = StdRng::seed_from_u64(1);
        let mut rows = Vectors::new(DIMENSIONS);
        for _ in 0..INTENTS {
            let direction: Vec<f32> = (0..DIMENSIONS)
                .map(|_| directions.random_range(-1.0..1.0))
                .collect();
            for _ in 0..n_rows / INTENTS {
                let aside = |value: &f32| value + chance.random_range(-1.5..1.5);
                let mut row: Vec<f32> = direction.iter().map(aside).collect();
                normalise(&mut row);
                assert!(rows.push(&row));
            }
        }
        rows
    }

    #[test]
    fn the_nearest_intent_is_found_and_no_score_is_above_the_true_one() {
        let rows = around_directions(ROWS_MIN, 2);
        let n_of_intent = [ROWS_MIN / INTENTS; INTENTS];
        let shortlist = Shortlist::over(&rows).unwrap();
        let asked = around_directions(160, 3);
        let mut n_nearest = 0;
        for query in asked.rows() {
            let found = shortlist.scores(&rows, &n_of_intent, query);
            let all = scores(&rows, query);
            let of_intents = all.chunks_exact(ROWS_MIN / INTENTS);
            let highest = |scores: &[f32]| scores.iter().copied().fold(f32::MIN, f32::max);
            for (found, all) in found.iter().zip(of_intents) {
                assert!(*found <= highest(all) && -1.0 <= *found);
            }
            n_nearest += usize::from(highest(&all) <= highest(&found));
        }
        assert!(155 <= n_nearest, "{n_nearest} of 160");
    }

    #[test]
    fn few_or_short_rows_are_scanned() {
        let few = around_directions(160, 1);
        let short = Vectors::from_flat(2, vec![0.6; ROWS_MIN * 2]).unwrap();
        assert!(Shortlist::over(&few).is_none() && Shortlist::over(&short).is_none());
    }

    #[test]
    fn so_many_rows_are_kept_and_those_as_near_as_the_last() {
        let differences: Vec<u16> = (0..400).map(|row| row / 100).collect();
        assert_eq!(kept(&differences, 10), 2);
        assert_eq!(kept(&differences[..50], 10), u16::MAX, "all of few");
    }
}
