//! How well scores part two kinds of rows, and whether one score parts them better than another over
//! the same rows: the method of DeLong, DeLong and Clarke-Pearson (1988), exact and without chance.

use crate::centroids::as_f64;

/// What each row adds to the area under the ROC curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Areas {
    /// For each row in scope, the share of rows out of scope that it stands above; a tie is a half.
    of_in: Vec<f64>,
    /// For each row out of scope, the share of rows in scope that stand above it.
    of_out: Vec<f64>,
}

impl Areas {
    /// `None` without rows of both kinds.
    pub(super) fn of(in_scope: &[f32], out_of_scope: &[f32]) -> Option<Self> {
        if in_scope.is_empty() || out_of_scope.is_empty() {
            return None;
        }
        let above: Vec<f64> = shares_below(out_of_scope, in_scope);
        Some(Self {
            of_in: shares_below(in_scope, out_of_scope),
            of_out: above.into_iter().map(|below| 1.0 - below).collect(),
        })
    }

    /// The chance that a row in scope stands above one out of scope.
    pub(super) fn auroc(&self) -> f64 {
        self.of_in.iter().sum::<f64>() / as_f64(self.of_in.len())
    }

    /// The standard error of the difference to another score's area over the same rows.
    pub(super) fn difference_standard_error(&self, other: &Self) -> f64 {
        (variance_of_mean(&self.of_in, &other.of_in)
            + variance_of_mean(&self.of_out, &other.of_out))
        .sqrt()
    }
}

/// For each value, the share of the others that lie below it; a tie is a half.
fn shares_below(values: &[f32], others: &[f32]) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_by(f32::total_cmp);
    let n = as_f64(sorted.len());
    let share = |value: &f32| {
        let below = sorted.partition_point(|other| other < value);
        let not_above = sorted.partition_point(|other| other <= value);
        (as_f64(below) + as_f64(not_above)) / (2.0 * n)
    };
    values.iter().map(share).collect()
}

/// The variance of the mean of row-by-row differences.
fn variance_of_mean(left: &[f64], right: &[f64]) -> f64 {
    let n = as_f64(left.len());
    if n < 2.0 {
        return f64::INFINITY;
    }
    let differences = || left.iter().zip(right).map(|(a, b)| a - b);
    let mean = differences().sum::<f64>() / n;
    let squares: f64 = differences().map(|it| (it - mean).powi(2)).sum();
    squares / (n - 1.0) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        let areas = Areas::of(&[0.9, 0.8, 0.7, 0.1], &[0.75, 0.3, 0.05]).unwrap();
        assert!((areas.auroc() - 9.0 / 12.0).abs() < 1e-12);
        assert!((Areas::of(&[0.5], &[0.5]).unwrap().auroc() - 0.5).abs() < 1e-12);
        assert_eq!(Areas::of(&[], &[0.5]), None);
    }

    #[test]
    fn a_score_does_not_differ_from_itself() {
        let areas = Areas::of(&[0.9, 0.8, 0.1], &[0.7, 0.3]).unwrap();
        assert!(areas.difference_standard_error(&areas).abs() < 1e-12);
    }

    #[test]
    fn the_error_of_a_difference_is_what_the_rows_spread() {
        // Rows in scope: 1 and 0.5 against 1 and 1 of the rows out of scope; those: 1 and 0.5 against 1, 1.
        let one = Areas::of(&[0.9, 0.5], &[0.6, 0.1]).unwrap();
        let other = Areas::of(&[0.9, 0.8], &[0.6, 0.1]).unwrap();
        // Differences 0 and 0.5 in both kinds: variance 0.125, of the mean 0.0625, twice.
        assert!((one.difference_standard_error(&other) - 0.125_f64.sqrt()).abs() < 1e-12);
    }
}
