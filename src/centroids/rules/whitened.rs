//! Class means under the covariance that the classes share (linear discriminant analysis with equal
//! priors, also called the nearest mean by Mahalanobis distance).
//!
//! Directions in which rows of one intent spread anyway count little, so that what tells intents
//! apart counts more. With fewer rows than dimensions the covariance cannot be inverted; it is
//! shrunk towards a sphere by the share that Ledoit and Wolf (2004) derive from the rows themselves,
//! so there is nothing to tune.

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::centroids::as_f64;
use crate::centroids::classify::Prototypes;
use crate::centroids::sample::{Block, Sample};
use crate::vector::Vectors;

/// A fit.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::centroids) struct Whitened {
    /// What a request is scored with.
    pub(in crate::centroids) prototypes: Prototypes,
    /// The share of the sphere in the covariance.
    pub(in crate::centroids) shrinkage: f64,
}

/// `None` if the rows do not spread at all.
pub(in crate::centroids) fn fit(sample: &Sample<'_>) -> Option<Whitened> {
    let means = means(sample);
    let spread = Spread::around(&means, sample);
    let (covariance, shrinkage) = spread.shrunk()?;
    let factor = cholesky(covariance)?;
    let dimensions = sample.dimensions();
    let mut weights = Vec::with_capacity(means.len());
    let mut bias = Vec::with_capacity(means.nrows());
    for mean in means.outer_iter() {
        let mean: Vec<f64> = mean.iter().map(|value| f64::from(*value)).collect();
        let direction = solve(&factor, &mean);
        let half_square: f64 = mean.iter().zip(&direction).map(|(a, b)| a * b).sum();
        weights.extend(direction.into_iter().map(narrow));
        bias.push(narrow(-0.5 * half_square));
    }
    let weights = Vectors::from_flat(dimensions, weights)?;
    Some(Whitened {
        prototypes: Prototypes::linear(weights, bias)?,
        shrinkage,
    })
}

/// The plain mean of each class; one without rows keeps zeros.
fn means(sample: &Sample<'_>) -> Array2<f32> {
    let mut sums = Array2::<f64>::zeros((sample.n_classes(), sample.dimensions()));
    for block in sample.blocks() {
        for (row, class) in block.rows.outer_iter().zip(block.classes) {
            let mut sum = sums.row_mut(*class);
            sum.zip_mut_with(&row, |total, value| *total += f64::from(*value));
        }
    }
    for (mut sum, count) in sums.outer_iter_mut().zip(sample.counts()) {
        sum /= as_f64(count.max(1));
    }
    sums.mapv(narrow)
}

/// How rows lie around the means of their classes.
struct Spread {
    /// The sum of the products of each row with itself.
    products: Array2<f64>,
    /// The sum of each row's squared length, squared.
    fourth_powers: f64,
    n_rows: usize,
}

impl Spread {
    fn around(means: &Array2<f32>, sample: &Sample<'_>) -> Self {
        let dimensions = sample.dimensions();
        let mut spread = Self {
            products: Array2::zeros((dimensions, dimensions)),
            fourth_powers: 0.0,
            n_rows: sample.len(),
        };
        let parts: Vec<(Array2<f32>, f64)> = sample
            .blocks()
            .par_iter()
            .map(|block| part(block, means))
            .collect();
        for (products, fourth_powers) in parts {
            spread
                .products
                .zip_mut_with(&products, |total, part| *total += f64::from(*part));
            spread.fourth_powers += fourth_powers;
        }
        spread
    }

    /// The covariance and the share of a sphere in it: Ledoit and Wolf's estimate, for rows whose
    /// means are known.
    fn shrunk(mut self) -> Option<(Array2<f64>, f64)> {
        let n = as_f64(self.n_rows);
        let dimensions = as_f64(self.products.nrows());
        self.products /= n;
        let size = self.products.diag().sum() / dimensions;
        let squares: f64 = self.products.iter().map(|value| value * value).sum();
        let distance = squares - dimensions * size * size;
        let error = (self.fourth_powers / n - squares) / n;
        if !(0.0 < size && size.is_finite()) {
            return None;
        }
        let shrinkage = if 0.0 < distance {
            (error / distance).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let mut covariance = self.products * (1.0 - shrinkage);
        covariance
            .diag_mut()
            .mapv_inplace(|value| value + shrinkage * size);
        Some((covariance, shrinkage))
    }
}

fn part(block: &Block<'_>, means: &Array2<f32>) -> (Array2<f32>, f64) {
    let mut rest = block.rows.to_owned();
    for (mut row, class) in rest.outer_iter_mut().zip(block.classes) {
        row -= &means.row(*class);
    }
    let lengths = rest.map_axis(Axis(1), |row| f64::from(row.dot(&row)));
    let fourth_powers = lengths.iter().map(|square| square * square).sum();
    (rest.t().dot(&rest), fourth_powers)
}

/// The lower triangle whose product with its transpose is the matrix; `None` unless it is positive
/// definite.
fn cholesky(mut matrix: Array2<f64>) -> Option<Array2<f64>> {
    let n = matrix.nrows();
    for column in 0..n {
        for row in column..n {
            let (upper, lower) = (matrix.row(column), matrix.row(row));
            let known: f64 = (0..column).map(|k| lower[k] * upper[k]).sum();
            let rest = matrix[[row, column]] - known;
            matrix[[row, column]] = if row == column {
                if rest <= 0.0 {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / matrix[[column, column]]
            };
        }
    }
    Some(matrix)
}

/// What the factored matrix maps to the given vector.
fn solve(factor: &Array2<f64>, vector: &[f64]) -> Vec<f64> {
    let n = vector.len();
    let mut solution = vector.to_vec();
    for row in 0..n {
        let known: f64 = (0..row).map(|k| factor[[row, k]] * solution[k]).sum();
        solution[row] = (solution[row] - known) / factor[[row, row]];
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| factor[[k, row]] * solution[k]).sum();
        solution[row] = (solution[row] - known) / factor[[row, row]];
    }
    solution
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "32 bits are what artefacts are made of"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::centroids::sample::Dealt;

    #[test]
    fn a_factored_matrix_is_solved() {
        let factor = cholesky(array![[4.0, 2.0], [2.0, 3.0]]).unwrap();
        let solution = solve(&factor, &[8.0, 7.0]);
        assert!((solution[0] - 1.25).abs() < 1e-12 && (solution[1] - 1.5).abs() < 1e-12);
        assert_eq!(cholesky(array![[1.0, 2.0], [2.0, 1.0]]), None);
    }

    #[test]
    fn directions_in_which_all_classes_spread_count_little() {
        // Two classes apart by 0.2 in y, each spread widely along x, one a little further to the right.
        let row = |place: u16, lift: f32, shift: f32| {
            let along = f32::from(place * 7 % 20) / 10.0 - 1.0;
            [along + shift, lift + f32::from(place % 3) / 100.0]
        };
        let upper = (0..40).flat_map(|place| row(place, 0.2, 0.1));
        let lower = (0..40).flat_map(|place| row(place, 0.0, -0.1));
        let rows = Vectors::from_flat(2, upper.chain(lower).collect()).unwrap();
        let classes: Vec<usize> = (0..80).map(|row| row / 40).collect();
        let dealt = Dealt::new(&rows, &classes, 2, 1);
        let fitted = fit(&dealt.all()).unwrap();
        assert!((0.0..0.3).contains(&fitted.shrinkage), "{fitted:?}");
        // To the right and low, where the nearest plain mean is the upper one.
        let scores = fitted.prototypes.scores(&[0.9, 0.01]);
        assert!(scores[0] < scores[1]);
        let scores = fitted.prototypes.scores(&[-0.9, 0.21]);
        assert!(scores[1] < scores[0]);
    }

    #[test]
    fn rows_that_do_not_spread_give_no_covariance() {
        let rows = Vectors::from_flat(2, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]).unwrap();
        let dealt = Dealt::new(&rows, &[0, 0, 1, 1], 2, 1);
        assert_eq!(fit(&dealt.all()), None);
    }
}
