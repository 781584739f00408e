//! What an artefact says of itself: `manifest.json`, the half of it that people read.
//!
//! Readers ignore fields that they do not know, so a later version may add some; `format_version`
//! rises only when an old reader would misread the vectors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;

/// The version of the format that is written here, and the newest that can be read.
pub const FORMAT_VERSION: u32 = 1;

/// Everything about a set but its vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format_version: u32,
    /// What the set is called.
    pub name: String,
    /// How the prototypes were made.
    pub rule: Rule,
    /// The encoder whose vectors they are.
    pub encoder: EncoderIdentity,
    /// What they were trained on.
    pub data: DataUsed,
    /// The seed of everything that chance decided: which rows were held out together.
    pub seed: u64,
    /// The intents, in the order of their prototypes.
    pub intents: Vec<IntentEntry>,
    /// The vectors that belong to this manifest.
    pub vectors: VectorsEntry,
    /// Below it a prompt is out of scope.
    pub threshold: Threshold,
    /// What was measured at training time.
    pub metrics: Metrics,
}

/// How prototypes are made from rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// One an intent: the mean of its rows, scaled to length 1.
    Centroid,
}

/// The encoder that made vectors: only vectors of the same one may be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderIdentity {
    /// The model's name.
    pub name: String,
    /// The SHA-256 of its weights, in hexadecimal digits.
    pub digest: String,
    /// The length of its vectors.
    pub dimensions: usize,
}

impl fmt::Display for EncoderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.digest.chars().take(12).collect();
        write!(f, "{} (digest {start}…)", self.name)
    }
}

/// The rows that a set was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataUsed {
    /// [`labels::digest`](crate::centroids::labels::digest) of the rows, in their order.
    pub digest: String,
    /// How many rows with an intent.
    pub n_rows: usize,
    /// How many rows out of scope, which only set the threshold.
    pub n_out_of_scope: usize,
}

/// One intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentEntry {
    /// Its name.
    pub name: IntentName,
    /// How many rows it was trained on.
    pub n_rows: usize,
    /// How many rows of the vectors are its own. The intents' rows follow each other in the order
    /// of the intents.
    pub n_prototypes: usize,
    /// What its rows scored while they were held out: what live traffic is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// How the rows of an intent lay while they were held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Their scores.
    pub score: Quantiles,
    /// How far the second intent was behind.
    pub margin: Quantiles,
    /// Their cosines with the mean of the intent.
    pub similarity: Quantiles,
}

/// A distribution by its quantiles, evenly spaced from the lowest value to the highest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantiles(pub Vec<f32>);

impl Quantiles {
    /// How many there are: steps of 5%, which also cut a distribution into tenths.
    pub const N: usize = 21;

    /// Those of values in any order. `None` of nothing.
    pub fn of(mut values: Vec<f32>) -> Option<Self> {
        values.sort_by(f32::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |step: usize| values[(2 * step * last + Self::N - 1) / (2 * (Self::N - 1))];
        Some(Self((0..Self::N).map(at).collect()))
    }
}

/// The file of vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorsEntry {
    /// Its SHA-256, in hexadecimal digits.
    pub digest: String,
}

/// The score below which a prompt is out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// A cosine similarity.
    pub value: f32,
    /// How it was found.
    pub how: ThresholdRule,
    /// The share of rows in scope that it may reject, at most.
    pub in_scope_loss_max: Ratio,
}

/// How a threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// The best difference between the share of held-out rows that are accepted and the share of
    /// out-of-scope rows that are (Youden's J), among the thresholds that reject few of the former.
    YoudenHeldOutAndOos,
    /// The score that 5% of the held-out rows stay below. No out-of-scope row was seen, so nothing
    /// is known of how many of those get through.
    #[serde(rename = "conformal_5_percent")]
    Conformal5Percent,
}

/// What was measured at training time, on rows that were held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The share of rows whose nearest intent is the right one, cross-validated.
    pub accuracy: Share,
    /// How many parts the rows were cut into for it.
    pub folds: usize,
    /// The accuracy of always naming the largest intent.
    pub majority: f64,
    /// The share of held-out rows that the threshold rejects.
    pub rejected_in_scope: Share,
    /// The share of out-of-scope rows that it rejects; they also chose it.
    pub rejected_out_of_scope: Option<Share>,
    /// How well the score tells held-out rows from out-of-scope rows: 0.5 is chance, 1 is perfect.
    pub oos_auroc: Option<f64>,
    /// The mean cosine of each row with the nearest other row of its intent: near 1, the rows
    /// repeat each other and the accuracy says little.
    pub neighbour_similarity: Option<f64>,
}

/// A share with its 95% interval (Wilson).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Of how many.
    pub n: usize,
}

impl Share {
    /// The share that `part` is of `whole`; of nothing, anything from 0 to 1.
    pub fn of_counts(part: usize, whole: usize) -> Self {
        /// How many standard errors the middle 95% of a normal distribution reach to each side.
        const Z: f64 = 1.959_964;
        if whole == 0 {
            return Self {
                value: 0.0,
                low: 0.0,
                high: 1.0,
                n: 0,
            };
        }
        let (part, n) = (as_f64(part), as_f64(whole));
        let value = part / n;
        let spread = Z * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let middle = value + Z * Z / (2.0 * n);
        Self {
            value,
            low: ((middle - spread) / scale).clamp(0.0, value),
            high: ((middle + spread) / scale).clamp(value, 1.0),
            n: whole,
        }
    }
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows stay far below 2^53"
)]
pub(super) const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_agrees_with_the_published_example() {
        // 81 of 263, the worked example of Newcombe 1998 (method 3): 0.2553 to 0.3662.
        let share = Share::of_counts(81, 263);
        assert!((share.low - 0.2553).abs() < 1e-4 && (share.high - 0.3662).abs() < 1e-4);
    }

    #[test]
    fn ten_right_of_ten_is_not_certainty() {
        let share = Share::of_counts(10, 10);
        assert!(share.low < 0.8 && (share.high - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let share = Share::of_counts(0, 0);
        assert_eq!((share.low, share.high, share.n), (0.0, 1.0, 0));
    }
}
