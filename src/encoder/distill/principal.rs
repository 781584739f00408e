//! The directions in which rows differ most: the eigenvectors of their covariance.
//!
//! Jacobi's method turns one pair of axes after another until no two are correlated. It is slower than
//! what a linear algebra library does and twenty lines long, it always converges for symmetric
//! matrices, and a few hundred dimensions take seconds, once in the life of a model.

/// Past so many rounds through all pairs nothing changes any more; eight to ten are usual.
const SWEEPS_MAX: usize = 40;

/// Correlations below this share of the whole spread are rounding.
const NOTHING: f64 = 1e-14;

/// Principal components, those of the largest spread first.
pub(super) struct Principal {
    /// The mean of the rows.
    pub(super) mean: Vec<f64>,
    /// The variance along each direction.
    pub(super) variances: Vec<f64>,
    /// For each dimension of a row, its part in every direction.
    pub(super) parts: Vec<Vec<f64>>,
}

impl Principal {
    /// The first `kept` components of rows of this width, which lie end to end.
    pub(super) fn of(rows: &[f32], width: usize, kept: usize) -> Self {
        let mean = mean(rows, width);
        let covariance = covariance(rows, &mean);
        let Diagonal { values, axes } = diagonalise(covariance);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|left, right| values[*right].total_cmp(&values[*left]));
        order.truncate(kept);
        let signs: Vec<f64> = order.iter().map(|axis| sign(&axes[*axis])).collect();
        let of_dimension = |dimension: usize| {
            let directions = order.iter().zip(&signs);
            directions
                .map(|(axis, sign)| axes[*axis][dimension] * sign)
                .collect()
        };
        Self {
            mean,
            variances: order.iter().map(|axis| values[*axis].max(0.0)).collect(),
            parts: (0..width).map(of_dimension).collect(),
        }
    }

    /// Where a row lies along each direction, from the mean.
    pub(super) fn project(&self, row: &[f32]) -> Vec<f64> {
        let mut along = vec![0.0; self.variances.len()];
        for ((value, mean), parts) in row.iter().zip(&self.mean).zip(&self.parts) {
            let offset = f64::from(*value) - mean;
            for (sum, part) in along.iter_mut().zip(parts) {
                *sum += offset * part;
            }
        }
        along
    }
}

/// An axis and its opposite are equally good. The largest part shall be positive, so that there is one
/// answer.
fn sign(axis: &[f64]) -> f64 {
    let largest = axis.iter().fold(
        0.0_f64,
        |most, it| if most.abs() < it.abs() { *it } else { most },
    );
    if largest < 0.0 { -1.0 } else { 1.0 }
}

fn mean(rows: &[f32], width: usize) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let n = as_f64(rows.len() / width);
    mean.iter().map(|sum| sum / n).collect()
}

/// The covariance. The half above the diagonal is summed up, and the other is the same.
fn covariance(rows: &[f32], mean: &[f64]) -> Vec<Vec<f64>> {
    let width = mean.len();
    let mut sums = vec![vec![0.0; width]; width];
    for row in rows.chunks_exact(width) {
        let values = row.iter().zip(mean);
        let offsets: Vec<f64> = values.map(|(it, mean)| f64::from(*it) - mean).collect();
        for (place, offset) in offsets.iter().enumerate() {
            let upper = sums[place][place..].iter_mut();
            for (sum, other) in upper.zip(&offsets[place..]) {
                *sum += offset * other;
            }
        }
    }
    let n = as_f64(rows.len() / width);
    let at = |row: usize, column: usize| sums[row.min(column)][row.max(column)] / n;
    (0..width)
        .map(|row| (0..width).map(|column| at(row, column)).collect())
        .collect()
}

/// Eigenvalues, and an eigenvector a row.
struct Diagonal {
    values: Vec<f64>,
    axes: Vec<Vec<f64>>,
}

fn diagonalise(mut matrix: Vec<Vec<f64>>) -> Diagonal {
    let width = matrix.len();
    let mut axes: Vec<Vec<f64>> = (0..width)
        .map(|axis| {
            (0..width)
                .map(|it| f64::from(u8::from(it == axis)))
                .collect()
        })
        .collect();
    let trace: f64 = (0..width).map(|it| matrix[it][it]).sum();
    for _ in 0..SWEEPS_MAX {
        let mut changed = false;
        for low in 0..width {
            for high in low + 1..width {
                if NOTHING * trace < matrix[low][high].abs() {
                    rotate(&mut matrix, &mut axes, low, high);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    Diagonal {
        values: (0..width).map(|it| matrix[it][it]).collect(),
        axes,
    }
}

/// Turns two axes until they are not correlated (Golub and Van Loan, 8.5.2).
fn rotate(matrix: &mut [Vec<f64>], axes: &mut [Vec<f64>], low: usize, high: usize) {
    let slope = (matrix[high][high] - matrix[low][low]) / (2.0 * matrix[low][high]);
    let tangent = slope.signum() / (slope.abs() + (1.0 + slope * slope).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    for row in matrix.iter_mut() {
        let (left, right) = (row[low], row[high]);
        row[low] = cosine * left - sine * right;
        row[high] = sine * left + cosine * right;
    }
    turn(matrix, low, high, [cosine, sine]);
    turn(axes, low, high, [cosine, sine]);
}

/// Turns two rows; `low` lies before `high`.
fn turn(rows: &mut [Vec<f64>], low: usize, high: usize, [cosine, sine]: [f64; 2]) {
    let (before, from_high) = rows.split_at_mut(high);
    for (left, right) in before[low].iter_mut().zip(from_high[0].iter_mut()) {
        let (old_left, old_right) = (*left, *right);
        *left = cosine * old_left - sine * old_right;
        *right = sine * old_left + cosine * old_right;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a vocabulary is far smaller than 2^53"
)]
pub(super) const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_direction_is_the_one_that_the_rows_lie_along() {
        let rows = [1.0, 1.0, 3.0, 3.1, -2.0, -2.1, 0.0, 0.0];
        let found = Principal::of(&rows, 2, 1);
        let [along_x, along_y] = [found.parts[0][0], found.parts[1][0]];
        assert!(
            (along_x - along_y).abs() < 0.05 && 0.69 < along_x,
            "{along_x} {along_y}"
        );
        assert_eq!(found.project(&[0.0, 0.0]).len(), 1);
    }

    #[test]
    fn rows_that_are_all_the_same_have_no_spread() {
        let found = Principal::of(&[2.0, 5.0, 2.0, 5.0], 2, 2);
        assert_eq!(found.variances, [0.0, 0.0]);
        assert_eq!(found.project(&[2.0, 5.0]), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn all_directions_together_lose_nothing(
            rows in proptest::collection::vec(-9.0_f32..9.0, 5 * 12)
        ) {
            let found = Principal::of(&rows, 5, 5);
            for row in rows.chunks_exact(5) {
                let along = found.project(row);
                for (dimension, value) in row.iter().enumerate() {
                    let parts = found.parts[dimension].iter().zip(&along);
                    let again: f64 = parts.map(|(part, along)| part * along).sum();
                    let again = again + found.mean[dimension];
                    prop_assert!((again - f64::from(*value)).abs() < 1e-6);
                }
            }
            prop_assert!(found.variances.is_sorted_by(|left, right| right <= left));
        }
    }
}
