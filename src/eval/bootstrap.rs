//! Intervals by resampling: rows are drawn anew with replacement, many times, and the middle 95% of
//! what comes out is the interval. The seed is an argument, so the same rows give the same interval.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::eval::{as_f64, share};

/// A figure with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How many rows it rests on.
    pub n: usize,
}

/// What stands for chance in an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    /// The seed of every draw.
    pub seed: u64,
    /// How often rows are drawn anew for an interval.
    pub n_resamples: usize,
    /// How often labels are shuffled for the control.
    pub n_permutations: usize,
}

impl Default for Chance {
    /// A thousand draws place the ends of an interval to about a tenth of its width.
    fn default() -> Self {
        Self {
            seed: 1,
            n_resamples: 1_000,
            n_permutations: 200,
        }
    }
}

impl Chance {
    /// A generator of its own for each figure, so that one more figure changes no other.
    pub(super) fn generator(self, figure: Figure) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_add(figure as u64))
    }
}

/// What chance is needed for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    Accuracy,
    AcceptedAccuracy,
    RejectedInScope,
    RejectedOutOfScope,
    Scope,
    Shuffle,
    Calibration,
    Difference,
    Rank,
    Routing,
    Kinds,
}

/// The interval of a share.
pub(super) fn of_share(
    part: usize,
    whole: usize,
    chance: Chance,
    figure: Figure,
) -> Option<Estimate> {
    if whole == 0 {
        return None;
    }
    let mut generator = chance.generator(figure);
    let mut draw_row = || usize::from(generator.random_range(0..whole) < part);
    let mut draw = || share((0..whole).map(|_| draw_row()).sum(), whole);
    let draws = (0..chance.n_resamples).map(|_| draw()).collect();
    Some(around(share(part, whole), draws, whole))
}

/// The middle 95% of the draws around a value, widened to hold it.
pub(super) fn around(value: f64, mut draws: Vec<f64>, n: usize) -> Estimate {
    draws.sort_by(f64::total_cmp);
    Estimate {
        value,
        low: quantile(&draws, 0.025).unwrap_or(value).min(value),
        high: quantile(&draws, 0.975).unwrap_or(value).max(value),
        n,
    }
}

/// The value below which such a share of sorted values lies.
fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a level from 0 to 1 of an index is an index"
    )]
    let index = (level * as_f64(last)).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quick(seed: u64) -> Chance {
        Chance {
            seed,
            n_resamples: 200,
            n_permutations: 100,
        }
    }

    #[test]
    fn the_interval_of_a_share_is_as_wide_as_theory_says() {
        let estimate = of_share(800, 1_000, Chance::default(), Figure::Accuracy).unwrap();
        // The standard error is √(0.8 · 0.2 / 1000) = 0.0126; 1.96 of them to each side.
        assert!((estimate.low - 0.775).abs() < 0.005 && (estimate.high - 0.825).abs() < 0.005);
    }

    #[test]
    fn of_no_rows_there_is_no_estimate() {
        assert_eq!(of_share(0, 0, Chance::default(), Figure::Accuracy), None);
    }

    #[test]
    fn another_seed_moves_the_interval_and_not_the_value() {
        let one = of_share(7, 20, quick(1), Figure::Accuracy).unwrap();
        assert_eq!(Some(one), of_share(7, 20, quick(1), Figure::Accuracy));
        let values: Vec<f64> = (2..6)
            .filter_map(|seed| of_share(7, 20, quick(seed), Figure::Accuracy))
            .map(|e| e.value)
            .collect();
        assert!(
            values
                .iter()
                .all(|value| (value - one.value).abs() < f64::EPSILON)
        );
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_value_and_stays_a_share(
            whole in 1_usize..60,
            part in 0_usize..60,
            seed: u64,
        ) {
            let part = part.min(whole);
            let estimate = of_share(part, whole, quick(seed), Figure::Accuracy).unwrap();
            prop_assert!(0.0 <= estimate.low && estimate.low <= estimate.value);
            prop_assert!(estimate.value <= estimate.high && estimate.high <= 1.0);
        }
    }
}
