//! Whether probabilities mean what they say: of the prompts classified with probability 0.8, eight in
//! ten should be classified rightly.

use rand::RngExt;
use serde::Serialize;

use crate::eval::as_f64;
use crate::eval::bootstrap::{Chance, Estimate, Figure, around};

/// Bins of equal width, as the literature on calibration has them.
const BINS: usize = 15;

/// A row in scope: how sure its classification was, and whether it was right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) probability: f64,
    pub(super) is_right: bool,
}

/// How far probabilities can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// The expected calibration error: the gap between probability and accuracy, over the bins,
    /// weighted by their rows (Guo et al. 2017).
    pub ece: Estimate,
    /// The mean squared distance of the probability from 1 where it was right and 0 where it was not.
    pub brier: f64,
    /// The bins that hold a row, from the lowest probability up.
    pub bins: Vec<Bin>,
}

/// Rows with nearly the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Where the bin begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its rows.
    pub n: usize,
    /// Their mean probability.
    pub probability: f64,
    /// The share of them that was classified rightly.
    pub accuracy: f64,
}

/// `None` without a row.
pub(super) fn reliability(rows: &[Judged], chance: Chance) -> Option<Reliability> {
    if rows.is_empty() {
        return None;
    }
    let all = Bins::of(rows.iter().copied());
    let mut generator = chance.generator(Figure::Calibration);
    let draws = (0..chance.n_resamples)
        .map(|_| {
            let drawn = (0..rows.len()).map(|_| rows[generator.random_range(0..rows.len())]);
            Bins::of(drawn).error()
        })
        .collect();
    let squares = rows.iter().map(|row| {
        let truth = if row.is_right { 1.0 } else { 0.0 };
        (row.probability - truth).powi(2)
    });
    Some(Reliability {
        ece: around(all.error(), draws, rows.len()),
        brier: squares.sum::<f64>() / as_f64(rows.len()),
        bins: all.bins(),
    })
}

/// Sums over rows, bin by bin.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: usize,
    probability: f64,
    n_right: usize,
}

struct Bins([Sums; BINS]);

impl Bins {
    fn of(rows: impl Iterator<Item = Judged>) -> Self {
        let mut bins = [Sums::default(); BINS];
        for row in rows {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a probability is 0 to 1"
            )]
            let place = (row.probability * as_f64(BINS)) as usize;
            let bin = &mut bins[place.min(BINS - 1)];
            bin.n += 1;
            bin.probability += row.probability;
            bin.n_right += usize::from(row.is_right);
        }
        Self(bins)
    }

    fn error(&self) -> f64 {
        let n: usize = self.0.iter().map(|bin| bin.n).sum();
        let gaps = self
            .0
            .iter()
            .map(|bin| (bin.probability - as_f64(bin.n_right)).abs());
        gaps.sum::<f64>() / as_f64(n.max(1))
    }

    fn bins(&self) -> Vec<Bin> {
        let edge = |place: usize| as_f64(place) / as_f64(BINS);
        let numbered = self.0.iter().enumerate();
        numbered
            .filter(|(_, bin)| 0 < bin.n)
            .map(|(place, bin)| Bin {
                from: edge(place),
                to: edge(place + 1),
                n: bin.n,
                probability: bin.probability / as_f64(bin.n),
                accuracy: as_f64(bin.n_right) / as_f64(bin.n),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(f64, usize, usize)]) -> Vec<Judged> {
        of.iter()
            .flat_map(|(probability, n_right, n_wrong)| {
                let row = |is_right| Judged {
                    probability: *probability,
                    is_right,
                };
                [vec![row(true); *n_right], vec![row(false); *n_wrong]].concat()
            })
            .collect()
    }

    #[test]
    fn the_error_is_the_gap_of_each_bin_weighted_by_its_rows() {
        // 0.9 said and 0.5 seen of ten rows; 0.6 said and 0.6 seen of thirty.
        let found = reliability(&rows(&[(0.9, 5, 5), (0.6, 18, 12)]), Chance::default()).unwrap();
        assert!((found.ece.value - 0.1).abs() < 1e-9, "{found:?}");
        assert!(found.ece.low <= 0.1 && 0.1 <= found.ece.high);
        assert_eq!(found.bins.len(), 2);
        assert_eq!((found.bins[0].n, found.bins[1].n), (30, 10));
        let brier = (18.0 * 0.16 + 12.0 * 0.36 + 5.0 * 0.01 + 5.0 * 0.81) / 40.0;
        assert!((found.brier - brier).abs() < 1e-9);
    }

    #[test]
    fn certainty_has_a_bin_and_nothing_has_none() {
        let found = reliability(&rows(&[(1.0, 3, 0), (0.0, 0, 2)]), Chance::default()).unwrap();
        assert!(found.ece.value.abs() < 1e-12);
        assert_eq!(reliability(&[], Chance::default()), None);
    }
}
