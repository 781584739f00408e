//! The interval of a mean score.
//!
//! Wilson's score interval (Wilson 1927; compared with others by Brown, Cai and `DasGupta` 2001). For
//! answers that are right or wrong it covers the true share about as often as it says, also of few
//! answers and near 0 and 1, where the mean plus or minus two standard errors does not. Scores
//! between 0 and 1 vary by less: no variable on 0 to 1 with the mean p has a variance above p(1 − p)
//! (Bhatia and Davis 2000). So the same interval is too wide for them and never too narrow. A
//! bootstrap or Student's interval would be of no width where all of three answers have the same
//! score, and the lower bound is what models are compared by.

use crate::domain::quality::Quality;

/// How probable it is that an interval holds the true mean.
pub const CONFIDENCE: f64 = 0.95;

/// So many standard errors to each side make that confidence, for a normal distribution.
const STANDARD_ERRORS: f64 = 1.959_963_984_540_054;

/// The mean of so many scores, and its interval. `None` of none.
pub fn quality(sum: f64, n: u64) -> Option<Quality> {
    if n == 0 {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of rows stay far below 2^53"
    )]
    let size = n as f64;
    let mean = (sum / size).clamp(0.0, 1.0);
    let interval = Interval::around(mean, size);
    Some(Quality {
        mean,
        n,
        low: interval.low,
        high: interval.high,
    })
}

/// The lower bound of a mean of so many scores.
pub(super) fn lower_bound(mean: f64, n: f64) -> f64 {
    Interval::around(mean, n).low
}

struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    fn around(mean: f64, n: f64) -> Self {
        let square = STANDARD_ERRORS * STANDARD_ERRORS;
        let middle = (mean + square / (2.0 * n)) / (1.0 + square / n);
        let spread = (mean * (1.0 - mean) / n + square / (4.0 * n * n))
            .max(0.0)
            .sqrt();
        let half = STANDARD_ERRORS / (1.0 + square / n) * spread;
        Self {
            low: (middle - half).clamp(0.0, mean),
            high: (middle + half).clamp(mean, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn it_is_what_wilson_gives() {
        // Eight of ten: 0.490 to 0.943 in every table of the interval.
        let found = quality(8.0, 10).unwrap();
        assert!((found.low - 0.4902).abs() < 1e-4, "{found:?}");
        assert!((found.high - 0.9433).abs() < 1e-4, "{found:?}");
        assert_eq!(quality(0.0, 0), None);
    }

    /// How often the interval of twenty scores holds the mean that they were drawn with.
    fn coverage(mean: f64, draw: impl Fn(&mut StdRng) -> f64) -> f64 {
        let mut chance = StdRng::seed_from_u64(5);
        let holds = (0..4_000).filter(|_| {
            let sum = (0..20).map(|_| draw(&mut chance)).sum();
            quality(sum, 20).is_some_and(|it| it.low <= mean && mean <= it.high)
        });
        f64::from(u32::try_from(holds.count()).unwrap()) / 4_000.0
    }

    #[test]
    fn it_covers_as_often_as_it_says_for_right_or_wrong() {
        for mean in [0.1, 0.5, 0.85] {
            let covered = coverage(mean, |chance| f64::from(chance.random_bool(mean)));
            assert!((0.92..=0.985).contains(&covered), "{mean}: {covered}");
        }
    }

    #[test]
    fn it_covers_more_often_than_it_says_for_scores_between() {
        let covered = coverage(0.5, |chance| chance.random_range(0.0..1.0));
        assert!(0.95 <= covered, "{covered}");
    }

    proptest! {
        #[test]
        fn it_holds_the_mean_and_more_answers_make_it_narrower(sum in 0.0..=50.0_f64, n in 50_u64..5_000) {
            let few = quality(sum, n).unwrap();
            prop_assert!(0.0 <= few.low && few.low <= few.mean && few.mean <= few.high && few.high <= 1.0);
            let many = quality(sum * 4.0, n * 4).unwrap();
            prop_assert!(many.high - many.low < few.high - few.low + 1e-12);
        }
    }
}
