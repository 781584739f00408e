//! The intents that prompts are sorted into.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::Period;
use crate::domain::quantity::Ratio;

/// The intents that prompts are sorted into.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Intents {
    /// Which centroids: `assistant` (in the binary), or the path of a folder that `semroute train`
    /// wrote, relative to the config's own.
    pub centroids: String,
    /// When a prompt is out of scope: `calibrated`, below the threshold that training found, or the
    /// share of prompts in scope to give up, from 0 (none) to 1 (all): with 0.02, the 2% that belong
    /// least clearly, by the training prompts while they were held out.
    pub out_of_scope: OutOfScope,
    /// How often a running server looks whether the folder has other centroids in force, and takes
    /// them: a length of time such as `1s`, or `never`. Those in the binary never change.
    pub watch: Watch,
}

/// How often a running server looks for other centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Watch {
    /// Each time so long has passed.
    Every(Period),
    /// Never.
    Never(Never),
}

/// Never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Never {
    /// Never.
    Never,
}

/// When a prompt is out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OutOfScope {
    /// Below a p-value: the share of prompts in scope that belong less clearly.
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
            watch: Watch::Every(Period::of(Duration::from_secs(1))),
        }
    }
}
