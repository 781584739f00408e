//! How much prompts ask of a model.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::artefacts::{Fitting, read_levels};
use crate::config::{Config, Loaded, Problem};
use crate::engine::complexity;

/// How much prompts ask of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Complexity {
    /// Which centroids tell the level of a prompt, `simple`, `moderate` or `hard`: `none`, so that it is
    /// not known; `embedded`, those in the binary; or the path of a folder that `semroute train` wrote
    /// of rows with these three labels, relative to the config's own. They are read once, at the start.
    pub levels: Levels,
}

/// Which centroids tell the level of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Levels {
    /// None.
    None(NoLevels),
    /// Those of this name.
    Named(String),
}

/// None.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoLevels {
    /// None.
    None,
}

impl Default for Levels {
    /// The shipped ones are told from length on prompts of our own only, so nobody gets them unasked.
    fn default() -> Self {
        Self::None(NoLevels::None)
    }
}

/// Where the levels lie, if the configuration wants to know. `None` may have put its reason among the
/// problems.
pub(super) fn read(
    loaded: &Loaded,
    fitting: &Fitting,
    problems: &mut Vec<Problem>,
) -> Option<complexity::Complexity> {
    let Levels::Named(name) = &loaded.config.complexity.levels else {
        return None;
    };
    let set = read_levels(name, &loaded.folder, fitting);
    let levels = set.and_then(|set| {
        complexity::Complexity::over(set).map_err(|problem| format!("{name} {problem}"))
    });
    levels
        .map_err(|problem| problems.push(Problem::new("complexity.levels", problem)))
        .ok()
}

/// Rules that look at levels which nobody finds out: they never hold.
pub(super) fn warnings(config: &Config) -> Vec<Problem> {
    if config.complexity.levels != Levels::default() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (name, assistant) in &config.assistants {
        for (idx, route) in assistant.routes.iter().enumerate() {
            if route
                .when
                .as_ref()
                .is_some_and(|it| it.complexity.is_some())
            {
                warnings.push(Problem::new(
                    format!("assistants.{name}.routes[{idx}].when.complexity"),
                    "complexity.levels is none, so this never holds; write \
                     `complexity: { levels: embedded }`",
                ));
            }
        }
    }
    warnings
}
