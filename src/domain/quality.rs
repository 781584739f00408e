//! How good models are at which kind of prompt, as it was measured.
//!
//! A table of intents by models: nobody's opinion, but the mean score of graded answers, with the
//! interval that so few of them leave. A pair that was not measured has no entry, and nothing takes
//! its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::name::{IntentName, ModelName};

/// The version of the file.
pub const QUALITY_VERSION: u32 = 1;

/// What was measured, as its file has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(
    clippy::module_name_repetitions,
    reason = "a table of what, where it is imported"
)]
pub struct QualityTable {
    /// The version of the file's schema.
    pub version: u32,
    /// Digest of the graded answers that it was made from.
    pub data_digest: String,
    /// Digest of the centroids that found their prompts' intents.
    pub centroid_digest: String,
    /// How probable it is that an interval holds the true mean, 0 to 1.
    pub confidence: f64,
    /// Over all prompts, whatever they are about.
    pub overall: BTreeMap<ModelName, Quality>,
    /// By intent.
    pub intents: BTreeMap<IntentName, BTreeMap<ModelName, Quality>>,
}

/// How good one model is at one kind of prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The mean score, 0 to 1.
    pub mean: f64,
    /// Of so many answers.
    pub n: u64,
    /// The lower bound of the mean's interval: what models are compared by.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl QualityTable {
    /// Reads a table, or says why it is none.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if table.version != QUALITY_VERSION {
            return Err(format!(
                "its version is {}, and only {QUALITY_VERSION} is read here",
                table.version
            ));
        }
        let all = table.intents.values().chain([&table.overall]);
        for (model, quality) in all.flatten() {
            let Quality {
                mean, low, high, ..
            } = quality;
            if !(0.0 <= *low && low <= mean && mean <= high && *high <= 1.0) {
                return Err(format!(
                    "of \"{model}\", low {low}, mean {mean} and high {high} are not in order between 0 and 1"
                ));
            }
        }
        Ok(table)
    }

    /// How good a model is at an intent; over all prompts, where the intent is not known. A pair that
    /// was not measured is unknown: what a model does on other prompts does not stand in for it.
    pub fn of(&self, intent: Option<&IntentName>, model: &str) -> Option<Quality> {
        let models = match intent {
            Some(intent) => self.intents.get(intent)?,
            None => &self.overall,
        };
        models.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_was_not_measured_is_unknown_and_not_the_overall_figure() {
        let quality = Quality {
            mean: 0.9,
            n: 40,
            low: 0.8,
            high: 0.95,
        };
        let measured = BTreeMap::from([("small".parse().unwrap(), quality)]);
        let code: IntentName = "code".parse().unwrap();
        let sql: IntentName = "sql".parse().unwrap();
        let table = QualityTable {
            overall: measured.clone(),
            intents: BTreeMap::from([(code.clone(), measured)]),
            ..QualityTable::default()
        };
        assert_eq!(table.of(Some(&code), "small"), Some(quality));
        assert_eq!(table.of(None, "small"), Some(quality));
        assert_eq!(table.of(Some(&sql), "small"), None);
        assert_eq!(table.of(Some(&code), "large"), None);
    }
}
