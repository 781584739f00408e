//! The tenths of a distribution, and how far counts in them are from a tenth each.

use rand::rngs::StdRng;

use crate::centroids::as_f64;
use crate::centroids::drift::below;
use crate::centroids::manifest::Quantiles;

/// Quantiles that make one tenth.
const STEPS: usize = 2;

/// Where a distribution is cut, and what each piece holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tenths {
    /// Cuts between neighbouring pieces, rising; equal ones are one, so that a value which many rows
    /// share makes one larger piece.
    cuts: Vec<f32>,
    /// The share of each piece.
    shares: Vec<f64>,
}

impl Tenths {
    pub(super) fn of(quantiles: &Quantiles) -> Self {
        let values = &quantiles.0;
        let last = values.len().saturating_sub(1).max(1);
        let mut cuts: Vec<f32> = values
            .iter()
            .copied()
            .skip(STEPS)
            .step_by(STEPS)
            .take_while(|value| Some(value) != values.last())
            .collect();
        cuts.dedup();
        // What lies below a cut is what comes before the first quantile that reaches it.
        let share_below = |cut: &f32| {
            let first = values.partition_point(|value| value < cut);
            as_f64(first) / as_f64(last)
        };
        let mut ends: Vec<f64> = cuts.iter().map(share_below).collect();
        ends.push(1.0);
        let mut start = 0.0;
        let shares = ends
            .into_iter()
            .map(|end| {
                let share = end - start;
                start = end;
                share
            })
            .collect();
        Self { cuts, shares }
    }

    /// The piece that a value falls into.
    pub(super) fn piece(&self, value: f32) -> usize {
        self.cuts.partition_point(|cut| *cut <= value)
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.shares.len()
    }

    pub(super) fn count(&self, values: impl Iterator<Item = f32>) -> Vec<usize> {
        let mut counts = vec![0; self.len()];
        for value in values {
            counts[self.piece(value)] += 1;
        }
        counts
    }

    /// The population stability index of counts. Half a row is added everywhere, so that an empty piece
    /// is far and not infinitely far.
    pub(super) fn psi(&self, counts: &[usize]) -> f64 {
        let n: usize = counts.iter().sum();
        let total = as_f64(n) + 0.5 * as_f64(self.len());
        let pieces = self.shares.iter().zip(counts);
        pieces
            .map(|(expected, count)| {
                let expected = expected.max(1e-4);
                let found = (as_f64(*count) + 0.5) / total;
                (found - expected) * (found / expected).ln()
            })
            .sum()
    }

    /// So many values drawn from the distribution, as counts.
    pub(super) fn draw(&self, n: usize, chance: &mut StdRng) -> Vec<usize> {
        /// Finer than any share.
        const PARTS: usize = 1_000_000;
        let mut counts = vec![0; self.len()];
        for _ in 0..n {
            let mut left = as_f64(below(PARTS, chance)) / as_f64(PARTS);
            let piece = self.shares.iter().position(|share| {
                left -= share;
                left < 0.0
            });
            counts[piece.unwrap_or(self.len() - 1)] += 1;
        }
        counts
    }

    /// The same pieces with the shares that counts have.
    pub(super) fn like(&self, counts: &[usize]) -> Self {
        let n: usize = counts.iter().sum();
        let total = as_f64(n) + 0.5 * as_f64(self.len());
        Self {
            cuts: self.cuts.clone(),
            shares: counts
                .iter()
                .map(|count| (as_f64(*count) + 0.5) / total)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_distribution_has_ten_equal_pieces() {
        let tenths = Tenths::of(&Quantiles::of((0_u8..=100).map(f32::from).collect()).unwrap());
        assert_eq!(tenths.len(), 10);
        assert!(
            tenths.shares.iter().all(|share| (share - 0.1).abs() < 1e-9),
            "{tenths:?}"
        );
        assert_eq!(
            [-5.0, 9.9, 10.0, 99.0, 500.0].map(|value| tenths.piece(value)),
            [0, 0, 1, 9, 9]
        );
    }

    #[test]
    fn a_value_that_most_rows_share_is_one_piece() {
        let mut values = vec![1.0; 70];
        values.extend((0_u8..30).map(|place| f32::from(place) / 40.0));
        let tenths = Tenths::of(&Quantiles::of(values).unwrap());
        let total: f64 = tenths.shares.iter().sum();
        assert!((total - 1.0).abs() < 1e-9);
        let last = tenths.shares[tenths.piece(1.0)];
        assert!((0.6..0.85).contains(&last), "{tenths:?}");
    }

    #[test]
    fn the_index_is_what_its_formula_says() {
        let tenths = Tenths {
            cuts: vec![0.0],
            shares: vec![0.5, 0.5],
        };
        // (300.5 / 401 − ½) · ln of the ratio, and the same below.
        let (high, low) = (300.5 / 401.0, 100.5 / 401.0);
        let expected = (high - 0.5) * f64::ln(high / 0.5) + (low - 0.5) * f64::ln(low / 0.5);
        assert!((tenths.psi(&[100, 300]) - expected).abs() < 1e-12);
        assert!(tenths.psi(&[200, 200]).abs() < 1e-12);
    }
}
