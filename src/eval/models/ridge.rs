//! A linear regression of each model's score and cost on the embedding, with a penalty on the weights
//! (Hoerl and Kennard 1970). The router does not run it; it says what a learned router would add.

use rayon::prelude::*;

use crate::eval::models::folds::FOLDS;
use crate::eval::models::folds::Folds;
use crate::eval::models::grid::{Grid, Point};
use crate::eval::models::teachers::Ground;
use crate::vector::Vectors;

/// Penalties that are tried.
pub(super) const STRENGTHS: [f64; 4] = [0.3, 1.0, 3.0, 10.0];

/// What the regression needs of the rows, fold by fold.
#[derive(Debug)]
pub(super) struct Ridge {
    vectors: Vectors,
    folds: Vec<Moments>,
}

/// Sums over rows: of the products of features, and of features with targets.
#[derive(Debug, Clone)]
struct Moments {
    squares: Vec<f64>,
    products: Vec<f64>,
}

impl Ridge {
    /// Sums up the rows of each fold.
    pub(super) fn new(vectors: &Vectors, grid: &Grid, folds: &Folds) -> Self {
        let moments = (0..FOLDS)
            .into_par_iter()
            .map(|fold| Moments::of(vectors, grid, &folds.judged(fold)));
        Self {
            folds: moments.collect(),
            vectors: vectors.clone(),
        }
    }

    /// The estimates for a judged fold: of every row, model by model.
    pub(super) fn estimates(&self, ground: Ground<'_>, strength: f64, fold: usize) -> Vec<Point> {
        let n_models = ground.grid.models().len();
        let weights: Vec<Vec<f64>> = (0..FOLDS)
            .into_par_iter()
            .map(|unseen| self.weights(&[fold, unseen], strength, 2 * n_models))
            .collect();
        let rows = self.vectors.rows().enumerate();
        rows.flat_map(|(row, vector)| {
            let weights = &weights[ground.folds.of(row)];
            let sums = apply(weights, vector, 2 * n_models);
            let point = |model: usize| Point {
                quality: sums[model],
                cost: sums[n_models + model],
            };
            (0..n_models).map(point).collect::<Vec<_>>()
        })
        .collect()
    }

    /// The weights that all folds but some teach, feature by feature, the bias last.
    fn weights(&self, unseen: &[usize], strength: f64, n_targets: usize) -> Vec<f64> {
        let size = self.vectors.dimensions() + 1;
        let mut squares = vec![0.0; size * size];
        let mut products = vec![0.0; size * n_targets];
        for (_, moments) in self
            .folds
            .iter()
            .enumerate()
            .filter(|(fold, _)| !unseen.contains(fold))
        {
            add(&mut squares, &moments.squares);
            add(&mut products, &moments.products);
        }
        for feature in 0..size - 1 {
            squares[feature * size + feature] += strength;
        }
        // So that a bias of no rows can be solved for, too.
        squares[size * size - 1] += 1e-9;
        solve(&mut squares, &mut products, size);
        products
    }
}

impl Moments {
    fn of(vectors: &Vectors, grid: &Grid, rows: &[usize]) -> Self {
        let size = vectors.dimensions() + 1;
        let n_models = grid.models().len();
        let mut squares = vec![0.0; size * size];
        let mut products = vec![0.0; size * 2 * n_models];
        for row in rows {
            let Some(vector) = vectors.row(*row) else {
                continue;
            };
            let features: Vec<f64> = features(vector).collect();
            let quality = (0..n_models).map(|model| grid.score(*row, model));
            let targets: Vec<f64> = quality
                .chain((0..n_models).map(|model| grid.cost(*row, model)))
                .collect();
            for (feature, value) in features.iter().enumerate() {
                add_scaled(&mut squares[feature * size..][..size], &features, *value);
                let place = feature * targets.len();
                add_scaled(&mut products[place..][..targets.len()], &targets, *value);
            }
        }
        Self { squares, products }
    }
}

fn features(vector: &[f32]) -> impl Iterator<Item = f64> {
    vector.iter().map(|value| f64::from(*value)).chain([1.0])
}

fn apply(weights: &[f64], vector: &[f32], n_targets: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n_targets];
    for (weights, value) in weights.chunks_exact(n_targets).zip(features(vector)) {
        add_scaled(&mut sums, weights, value);
    }
    sums
}

fn add(sum: &mut [f64], other: &[f64]) {
    add_scaled(sum, other, 1.0);
}

fn add_scaled(sum: &mut [f64], other: &[f64], factor: f64) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += factor * other;
    }
}

/// Solves symmetric positive definite equations in place, by Cholesky's decomposition; the right sides
/// lie equation by equation.
fn solve(matrix: &mut [f64], sides: &mut [f64], size: usize) {
    let n_sides = sides.len() / size.max(1);
    for column in 0..size {
        let (above, rest) = matrix.split_at_mut(column * size);
        let own = &mut rest[..size];
        for before in above.chunks_exact(size) {
            let factor = before[column];
            add_scaled(&mut own[column..], &before[column..], -factor);
        }
        let root = own[column].max(f64::MIN_POSITIVE).sqrt();
        for value in &mut own[column..] {
            *value /= root;
        }
    }
    for row in 0..size {
        let (above, rest) = sides.split_at_mut(row * n_sides);
        let own = &mut rest[..n_sides];
        for (before, side) in above.chunks_exact(n_sides).enumerate() {
            add_scaled(own, side, -matrix[before * size + row]);
        }
        for value in own {
            *value /= matrix[row * size + row];
        }
    }
    for row in (0..size).rev() {
        let (upto, below) = sides.split_at_mut((row + 1) * n_sides);
        let own = &mut upto[row * n_sides..];
        for (after, side) in below.chunks_exact(n_sides).enumerate() {
            add_scaled(own, side, -matrix[row * size + row + 1 + after]);
        }
        for value in own {
            *value /= matrix[row * size + row];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let mut matrix = vec![4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0];
        // The matrix times (1, 2, 3) and times (0, 1, 0).
        let mut sides = vec![8.0, 2.0, 15.0, 5.0, 11.0, 1.0];
        solve(&mut matrix, &mut sides, 3);
        let wanted = [1.0, 0.0, 2.0, 1.0, 3.0, 0.0];
        for (found, wanted) in sides.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{sides:?}");
        }
    }
}
