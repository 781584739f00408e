//! From scores to probabilities: one temperature for all intents (Guo et al. 2017), found on rows
//! that were held out, so that of the prompts classified with probability 0.8, eight in ten are
//! classified rightly.

use ndarray::Array2;
use rayon::prelude::*;

use crate::centroids::as_f64;

/// Temperatures between which the best is sought, as natural logarithms: cosines need about 0.04,
/// logits about 1.
const LOG_RANGE: (f64, f64) = (-9.0, 7.0);

/// Halvings of that range; 40 leave 1e-11 of it.
const HALVINGS: usize = 40;

/// Bins of the expected calibration error, as the literature has them.
const BINS: usize = 15;

/// A temperature and what it makes of held-out scores.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    pub(super) temperature: f32,
    /// The negative logarithm of the label's probability, of each row.
    pub(super) losses: Vec<f64>,
}

impl Calibration {
    /// The mean of the losses.
    pub(super) fn log_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / as_f64(self.losses.len().max(1))
    }
}

/// The temperature at which the labels are most probable. The loss is convex in its inverse, so the
/// place where its slope turns is the lowest point.
pub(super) fn calibrate(scores: &Array2<f32>, classes: &[usize]) -> Calibration {
    let (mut low, mut high) = LOG_RANGE;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        // Positive where a higher inverse temperature, thus a lower temperature, would lose.
        let slopes = at(scores, classes, (-middle).exp());
        if 0.0 < slopes.iter().map(|row| row.slope).sum::<f64>() {
            low = middle;
        } else {
            high = middle;
        }
    }
    let log_temperature = f64::midpoint(low, high);
    #[expect(clippy::cast_possible_truncation, reason = "between 1e-4 and 1e4")]
    let temperature = log_temperature.exp() as f32;
    Calibration {
        temperature,
        losses: at(scores, classes, (-log_temperature).exp())
            .into_iter()
            .map(|row| row.loss)
            .collect(),
    }
}

/// The loss of a row at an inverse temperature, and its slope there.
#[derive(Debug, Clone, Copy)]
struct Loss {
    loss: f64,
    slope: f64,
}

fn at(scores: &Array2<f32>, classes: &[usize], inverse: f64) -> Vec<Loss> {
    #[expect(clippy::cast_possible_truncation, reason = "between 1e-4 and 1e4")]
    let factor = inverse as f32;
    let of_row = |row: usize| {
        let own = scores.row(row);
        let most = own.fold(f32::MIN, |most, score| most.max(*score));
        let (mut sum, mut weighted) = (0.0_f64, 0.0_f64);
        for score in own {
            let odds = f64::from(((score - most) * factor).exp());
            sum += odds;
            weighted += odds * f64::from(score - most);
        }
        let at_label = f64::from(own[classes[row]] - most);
        Loss {
            loss: sum.ln() - inverse * at_label,
            slope: weighted / sum - at_label,
        }
    };
    // In the order of the rows, so that no sum depends on threads.
    (0..classes.len()).into_par_iter().map(of_row).collect()
}

/// How far the probability of the nearest intent is from how often it is right, over bins of equal
/// width, weighted by their rows (Naeini et al. 2015).
pub(super) fn expected_calibration_error(judged: &[(f32, bool)]) -> f64 {
    let mut bins = [(0_usize, 0.0_f64, 0_usize); BINS];
    for (probability, is_right) in judged {
        let place = f64::from(*probability) * as_f64(BINS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a probability is 0 to 1"
        )]
        let bin = &mut bins[(place as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += f64::from(*probability);
        bin.2 += usize::from(*is_right);
    }
    let gaps = bins
        .iter()
        .map(|(_, probability, n_right)| (probability - as_f64(*n_right)).abs());
    gaps.sum::<f64>() / as_f64(judged.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two intents, of which three in four are where the score says.
    fn three_in_four(gap: f32) -> (Array2<f32>, Vec<usize>) {
        let scores =
            Array2::from_shape_fn((400, 2), |(_, class)| if class == 0 { gap } else { 0.0 });
        let classes = (0..400).map(|row| usize::from(row % 4 == 0)).collect();
        (scores, classes)
    }

    #[test]
    fn the_temperature_makes_probabilities_of_frequencies() {
        let (scores, classes) = three_in_four(0.05);
        let found = calibrate(&scores, &classes);
        // Odds of three to one: exp(gap / temperature) = 3.
        assert!(
            (found.temperature - 0.05 / 3.0_f32.ln()).abs() < 1e-5,
            "{found:?}"
        );
        let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        assert!((found.log_loss() - entropy).abs() < 1e-6);
    }

    #[test]
    fn the_temperature_follows_the_unit_of_scores() {
        let [small, large] = [0.05, 5.0].map(|gap| {
            let (scores, classes) = three_in_four(gap);
            calibrate(&scores, &classes).temperature
        });
        assert!((large / small - 100.0).abs() < 0.01);
    }

    #[test]
    fn the_calibration_error_is_the_gap_between_said_and_seen() {
        let honest: Vec<(f32, bool)> = (0..10).map(|row| (0.9, row != 0)).collect();
        assert!(expected_calibration_error(&honest) < 1e-6);
        let boastful: Vec<(f32, bool)> = (0..10).map(|row| (0.9, row < 5)).collect();
        assert!((expected_calibration_error(&boastful) - 0.4).abs() < 1e-6);
    }
}
