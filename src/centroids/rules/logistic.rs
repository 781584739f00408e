//! Multinomial logistic regression: a weight vector and a bias an intent, fitted so that the
//! probabilities of the labels are highest, with the weights held small (ridge penalty).
//!
//! The objective is the mean loss of the rows plus ‖weights‖² / (2·C·rows), the same as
//! scikit-learn's, so its values of C mean the same here. Logits and gradients are 32-bit matrix
//! products, summed over blocks in 64 bits. Each C starts from the solution of the one before,
//! which is near.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::centroids::as_f64;
use crate::centroids::classify::Prototypes;
use crate::centroids::rules::lbfgs::{Limits, Minimum, Slope, minimise};
use crate::centroids::sample::{Block, Sample};
use crate::vector::Vectors;

/// When a fit has converged. A looser bound stops early and costs up to two points of accuracy on
/// CLINC150.
const LIMITS: Limits = Limits {
    gradient_max: 1e-5,
    n_steps_max: 1_000,
};

/// Blocks whose gradients are held at once before they are summed.
const BLOCKS_AT_ONCE: usize = 16;

/// How strongly rows of an intent count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weighting {
    /// Each row alike, so that a frequent intent counts more.
    #[default]
    Rows,
    /// Each intent alike, however many rows it has.
    Intents,
}

/// The parameters of a fit: an intent after the other, its weights and then its bias.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::centroids) struct Logistic {
    parameters: Vec<f64>,
    n_classes: usize,
    dimensions: usize,
    /// Whether the gradient had vanished when the search ended.
    pub(in crate::centroids) converged: bool,
}

impl Logistic {
    /// Where the first fit starts: every intent alike.
    pub(in crate::centroids) fn zero(n_classes: usize, dimensions: usize) -> Self {
        Self {
            parameters: vec![0.0; n_classes * (dimensions + 1)],
            n_classes,
            dimensions,
            converged: false,
        }
    }

    /// Fits to the rows, starting from these parameters.
    #[must_use]
    pub(in crate::centroids) fn fit(
        self,
        sample: &Sample<'_>,
        c: f64,
        weighting: Weighting,
    ) -> Self {
        let problem = Problem::new(sample, c, weighting);
        let Minimum {
            point,
            gradient_max,
            ..
        } = minimise(self.parameters, LIMITS, &mut |point| problem.slope(point));
        Self {
            parameters: point,
            // Where 32-bit sums end the search, the gradient is within rounding of the bound.
            converged: gradient_max <= 10.0 * LIMITS.gradient_max,
            ..self
        }
    }

    /// The weights and biases as what a request is scored with.
    pub(in crate::centroids) fn prototypes(&self) -> Option<Prototypes> {
        let (weights, bias) = split(&self.parameters, self.n_classes, self.dimensions);
        let (values, _) = weights.into_raw_vec_and_offset();
        Prototypes::linear(Vectors::from_flat(self.dimensions, values)?, bias)
    }
}

/// What is minimised.
struct Problem<'a> {
    blocks: Vec<Block<'a>>,
    /// What a row of each class counts.
    weight_of_class: Vec<f64>,
    n_rows: usize,
    penalty: f64,
    n_classes: usize,
    dimensions: usize,
}

impl<'a> Problem<'a> {
    fn new(sample: &Sample<'a>, c: f64, weighting: Weighting) -> Self {
        let (n_rows, n_classes) = (sample.len(), sample.n_classes());
        let weight = |count: usize| match weighting {
            Weighting::Rows => 1.0,
            Weighting::Intents => as_f64(n_rows) / (as_f64(n_classes) * as_f64(count.max(1))),
        };
        Self {
            blocks: sample.blocks(),
            weight_of_class: sample.counts().into_iter().map(weight).collect(),
            n_rows,
            penalty: 1.0 / (c * as_f64(n_rows)),
            n_classes,
            dimensions: sample.dimensions(),
        }
    }

    fn slope(&self, parameters: &[f64]) -> Slope {
        let (weights, bias) = split(parameters, self.n_classes, self.dimensions);
        let mut slope = Slope {
            value: 0.0,
            gradient: vec![0.0; parameters.len()],
        };
        for blocks in self.blocks.chunks(BLOCKS_AT_ONCE) {
            let parts: Vec<Part> = blocks
                .par_iter()
                .map(|block| self.part(block, &weights, &bias))
                .collect();
            for part in parts {
                part.add_to(&mut slope, self.dimensions);
            }
        }
        let n = as_f64(self.n_rows);
        slope.value /= n;
        for value in &mut slope.gradient {
            *value /= n;
        }
        let stride = self.dimensions + 1;
        let classes = parameters.chunks_exact(stride);
        for (own, gradient) in classes.zip(slope.gradient.chunks_exact_mut(stride)) {
            for (value, slope_of_value) in own[..self.dimensions].iter().zip(gradient) {
                slope.value += 0.5 * self.penalty * value * value;
                *slope_of_value += self.penalty * value;
            }
        }
        slope
    }

    /// Loss and gradient of some rows.
    fn part(&self, block: &Block<'_>, weights: &Array2<f32>, bias: &[f32]) -> Part {
        let mut logits = block.rows.dot(&weights.t());
        let mut loss = 0.0;
        for (mut row, class) in logits.axis_iter_mut(Axis(0)).zip(block.classes) {
            let mut most = f32::MIN;
            for (logit, bias) in row.iter_mut().zip(bias) {
                *logit += bias;
                most = most.max(*logit);
            }
            let at_label = row[*class] - most;
            let mut sum = 0.0;
            for logit in &mut row {
                *logit = (*logit - most).exp();
                sum += *logit;
            }
            let weight = self.weight_of_class[*class];
            loss += weight * f64::from(sum.ln() - at_label);
            #[expect(clippy::cast_possible_truncation, reason = "a weight near 1")]
            let weight = weight as f32;
            row.mapv_inplace(|odds| weight * odds / sum);
            row[*class] -= weight;
        }
        let mut gradient = Array2::zeros((self.n_classes, self.dimensions));
        general_mat_mul(1.0, &logits.t(), &block.rows, 0.0, &mut gradient);
        Part {
            loss,
            gradient,
            bias: logits.sum_axis(Axis(0)).to_vec(),
        }
    }
}

/// What some rows add to the objective.
struct Part {
    loss: f64,
    gradient: Array2<f32>,
    bias: Vec<f32>,
}

impl Part {
    fn add_to(&self, slope: &mut Slope, dimensions: usize) {
        slope.value += self.loss;
        let own = self.gradient.outer_iter().zip(&self.bias);
        for (to, (weights, bias)) in slope.gradient.chunks_exact_mut(dimensions + 1).zip(own) {
            let parts = weights.into_iter().chain(std::iter::once(bias));
            for (total, part) in to.iter_mut().zip(parts) {
                *total += f64::from(*part);
            }
        }
    }
}

/// Parameters as a matrix of weights and a list of biases.
#[expect(
    clippy::cast_possible_truncation,
    reason = "32 bits are what products and artefacts are made of"
)]
fn split(parameters: &[f64], n_classes: usize, dimensions: usize) -> (Array2<f32>, Vec<f32>) {
    let mut weights = Array2::zeros((n_classes, dimensions));
    let mut bias = Vec::with_capacity(n_classes);
    let classes = parameters.chunks_exact(dimensions + 1);
    for (own, mut row) in classes.zip(weights.outer_iter_mut()) {
        for (to, from) in row.iter_mut().zip(own) {
            *to = *from as f32;
        }
        bias.push(own[dimensions] as f32);
    }
    (weights, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::centroids::sample::Dealt;

    /// Ninety rows of the first class and ten of the second, overlapping along the second axis.
    fn lopsided() -> Dealt {
        let row = |place: u16, centre: f32| [1.0, centre + f32::from(place * 7 % 20) / 20.0 - 0.5];
        let many = (0..90).flat_map(|place| row(place, -0.2));
        let few = (0..10).flat_map(|place| row(place, 0.2));
        let rows = Vectors::from_flat(2, many.chain(few).collect()).unwrap();
        let classes: Vec<usize> = (0..100).map(|row| usize::from(90 <= row)).collect();
        Dealt::new(&rows, &classes, 2, 1)
    }

    fn fitted(c: f64, weighting: Weighting) -> Logistic {
        Logistic::zero(2, 2).fit(&lopsided().all(), c, weighting)
    }

    #[test]
    fn a_rare_class_is_heard_where_classes_count_alike() {
        let nearest_between = |weighting| {
            let scores = fitted(10.0, weighting)
                .prototypes()
                .unwrap()
                .scores(&[1.0, 0.15]);
            usize::from(scores[0] < scores[1])
        };
        assert_eq!(nearest_between(Weighting::Rows), 0);
        assert_eq!(nearest_between(Weighting::Intents), 1);
    }

    #[test]
    fn a_stronger_penalty_keeps_the_weights_small() {
        let size = |c| {
            let fitted = fitted(c, Weighting::Rows);
            assert!(fitted.converged);
            let prototypes = fitted.prototypes().unwrap();
            prototypes
                .vectors()
                .as_flat()
                .iter()
                .map(|value| value.abs())
                .sum::<f32>()
        };
        assert!(size(0.01) < size(1.0) && size(1.0) < size(100.0));
    }

    #[test]
    fn fitting_again_from_the_solution_changes_nothing() {
        let once = fitted(3.0, Weighting::Rows);
        let again = once.clone().fit(&lopsided().all(), 3.0, Weighting::Rows);
        assert_eq!(once, again);
    }
}
