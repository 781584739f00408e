//! The intents that prompts are sorted into.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::quantity::Ratio;

/// The intents that prompts are sorted into.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Intents {
    /// Which centroids: `assistant` (in the binary), or the path of a folder that `semroute train`
    /// wrote, relative to the config's own.
    pub centroids: String,
    /// The similarity below which a prompt is out of scope: `calibrated`, as training found it, or
    /// a number from 0 to 1.
    pub out_of_scope: OutOfScope,
}

/// The similarity below which a prompt is out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OutOfScope {
    /// A fixed similarity.
    Fixed(Ratio),
    /// As training found it.
    Calibrated(Calibrated),
}

/// As training found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Calibrated {
    /// As training found it.
    Calibrated,
}

impl Default for Intents {
    fn default() -> Self {
        Self {
            centroids: "assistant".to_owned(),
            out_of_scope: OutOfScope::Calibrated(Calibrated::Calibrated),
        }
    }
}
