//! What an artefact says of itself: `manifest.json`, the half of it that people read.
//!
//! Readers ignore fields that they do not know, so a later version may add some; `format_version`
//! rises only when an old reader would misread the vectors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::centroids::as_f64;
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;

/// The version of the format that is written here, and the newest that can be read.
pub const FORMAT_VERSION: u32 = 2;

/// Everything about a set but its vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format_version: u32,
    /// What the set is called.
    pub name: String,
    /// How the prototypes were made.
    pub rule: Rule,
    /// The rules that were tried, and what each reached.
    pub candidates: Vec<Candidate>,
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
    /// What scores are divided by before they become probabilities.
    pub temperature: f32,
    /// How prompts out of scope are told.
    pub scope: Scope,
    /// What was measured at training time.
    pub metrics: Metrics,
}

/// How prototypes are made from rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// One an intent: the mean of its rows, compared by cosine.
    Centroid,
    /// Class means under the covariance that the classes share.
    Whitened {
        /// The share of a sphere in it, which the rows decided; unknown before they did.
        shrinkage: Option<f64>,
    },
    /// A weight vector and a bias an intent: multinomial logistic regression.
    Logistic {
        /// The inverse strength of the ridge penalty.
        c: f64,
    },
    /// Several means an intent, compared by cosine.
    KMeans {
        /// How many, at most.
        k: usize,
    },
    /// Every row, compared by cosine.
    Nearest,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Centroid => f.write_str("centroid"),
            Self::Whitened { .. } => f.write_str("whitened"),
            Self::Logistic { c } => write!(f, "logistic, C = {c:.3}"),
            Self::KMeans { k } => write!(f, "k-means, k = {k}"),
            Self::Nearest => f.write_str("nearest neighbour"),
        }
    }
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
    /// [`Rows::digest`](crate::centroids::rows::Rows::digest) of the rows, in their order.
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
    /// How many describe an intent: steps of 5%, which also cut a distribution into tenths.
    pub const N: usize = 21;

    /// How many describe scope, where the lowest few percent matter: steps of a half percent.
    pub const N_FINE: usize = 201;

    /// [`Self::N`] quantiles of values in any order. `None` of nothing.
    pub fn of(values: Vec<f32>) -> Option<Self> {
        Self::in_steps(values, Self::N)
    }

    /// [`Self::N_FINE`] quantiles of values in any order. `None` of nothing.
    pub fn fine(values: Vec<f32>) -> Option<Self> {
        Self::in_steps(values, Self::N_FINE)
    }

    fn in_steps(mut values: Vec<f32>, n: usize) -> Option<Self> {
        values.sort_by(f32::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |step: usize| values[(2 * step * last + n - 1) / (2 * (n - 1))];
        Some(Self((0..n).map(at).collect()))
    }

    /// The value that such a share of the distribution stays below.
    pub fn at(&self, share: Ratio) -> f32 {
        let last = as_f64(self.0.len().saturating_sub(1));
        let place = share.get() * last;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is a position"
        )]
        let below = place as usize;
        #[expect(clippy::cast_possible_truncation, reason = "a rest below 1")]
        let rest = (place - as_f64(below)) as f32;
        match (self.0.get(below), self.0.get(below + 1)) {
            (Some(low), Some(high)) => low + rest * (high - low),
            (Some(low), None) => *low,
            _ => f32::MIN,
        }
    }

    /// The share of the distribution below a value.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share needs no more than 32 bits"
    )]
    pub fn share_below(&self, value: f32) -> f32 {
        let n_below = self.0.partition_point(|quantile| *quantile < value);
        let Some(last) = self.0.len().checked_sub(1) else {
            return 0.0;
        };
        if n_below == 0 {
            return 0.0;
        }
        if last < n_below {
            return 1.0;
        }
        let (low, high) = (self.0[n_below - 1], self.0[n_below]);
        let rest = if low < high {
            (value - low) / (high - low)
        } else {
            0.0
        };
        ((as_f64(n_below - 1) + f64::from(rest)) / as_f64(last)) as f32
    }
}

/// The file of vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorsEntry {
    /// Its SHA-256, in hexadecimal digits.
    pub digest: String,
}

/// How prompts out of scope are told from those in scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Which score tells them.
    pub rule: ScopeRule,
    /// Below it a prompt is out of scope.
    pub threshold: f32,
    /// How the threshold was found.
    pub how: ThresholdRule,
    /// The share of rows in scope that it may reject, at most.
    pub in_scope_loss_max: Ratio,
    /// What rows in scope scored while they were held out.
    pub held_out: Quantiles,
    /// The scores that were tried; empty without rows out of scope.
    pub candidates: Vec<ScopeCandidate>,
}

/// A score that tells scope; more is clearer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScopeRule {
    /// The score of the nearest intent.
    Score,
    /// The free energy: the logarithm of the summed odds of all intents.
    Energy,
    /// The cosine with the nearest mean. It costs a product an intent.
    Cosine,
    /// The score of the nearest intent beside one learned direction. It costs one product.
    Direction {
        /// What the score is multiplied by.
        gain: f32,
        /// What is added.
        bias: f32,
    },
}

impl fmt::Display for ScopeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Score => "score",
            Self::Energy => "energy",
            Self::Cosine => "cosine",
            Self::Direction { .. } => "direction",
        })
    }
}

/// A rule that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The rule.
    pub rule: Rule,
    /// The share of held-out rows whose nearest intent is the right one.
    pub accuracy: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// How far it is behind the best.
    pub behind: f64,
    /// The standard error of that, row by row.
    pub behind_standard_error: f64,
    /// The mean negative logarithm of the label's probability, calibrated.
    pub log_loss: f64,
    /// How far that is above the most accurate rule's.
    pub log_loss_behind: f64,
    /// The standard error of that, row by row.
    pub log_loss_behind_standard_error: f64,
    /// Whether the fit came to its end.
    pub converged: bool,
}

/// A score of scope that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScopeCandidate {
    /// The score.
    pub rule: ScopeRule,
    /// The chance that a held-out row in scope scores above one out of scope.
    pub auroc: f64,
    /// The share of rows out of scope that get in when 95% of those in scope do.
    pub fpr_at_95_tpr: f64,
    /// How far its AUROC is behind the best.
    pub behind: f64,
    /// The standard error of that (DeLong and others 1988).
    pub behind_standard_error: f64,
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
    /// The expected calibration error of the probabilities, in 15 bins.
    pub ece: f64,
    /// The mean negative logarithm of the label's probability.
    pub log_loss: f64,
    /// The share of held-out rows that the threshold rejects.
    pub rejected_in_scope: Share,
    /// The share of out-of-scope rows that it rejects; they also chose it.
    pub rejected_out_of_scope: Option<Share>,
    /// How well the scope score tells held-out rows from out-of-scope rows: 0.5 is chance, 1 is
    /// perfect.
    pub oos_auroc: Option<f64>,
    /// The share of out-of-scope rows that get in when 95% of the held-out rows do.
    pub oos_fpr_at_95_tpr: Option<f64>,
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
    fn a_quantile_and_the_share_below_it_agree() {
        let values = (0_u16..=1000).map(f32::from).collect();
        let quantiles = Quantiles::fine(values).unwrap();
        let share = |value| Ratio::try_from(value).unwrap();
        assert!((quantiles.at(share(0.25)) - 250.0).abs() < 1e-3);
        assert!((quantiles.at(share(0.0512)) - 51.2).abs() < 1e-3);
        assert!((quantiles.share_below(51.2) - 0.0512).abs() < 1e-6);
        assert_eq!(
            (quantiles.share_below(-1.0), quantiles.share_below(2e3)),
            (0.0, 1.0)
        );
    }

    #[test]
    fn equal_values_are_a_step() {
        let quantiles = Quantiles::of(vec![3.0; 9]).unwrap();
        assert_eq!(
            (quantiles.share_below(3.0), quantiles.share_below(3.1)),
            (0.0, 1.0)
        );
        assert_eq!(Quantiles::of(Vec::new()), None);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        let share = Share::of_counts(0, 0);
        assert_eq!((share.low, share.high, share.n), (0.0, 1.0, 0));
    }
}
