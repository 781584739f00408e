//! What is different in every call to one model: its system prompt, parameters and headers.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::models::Model;
use crate::config::problem::{Problem, suggestion};
use crate::config::providers::Provider;
use crate::config::{Environment, Loaded};
use crate::provider::caller::Secret;
use crate::provider::overrides::Overrides;
use crate::wire::overrides::{Overrides as BodyOverrides, Parameters, Place, SystemPrompt};

/// What a system prompt may name in double braces.
const PLACEHOLDERS: [&str; 1] = ["system"];

/// A system prompt of your own: a text that goes before the caller's, or a text and its place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum System {
    /// Before the caller's own, unless it says `{{system}}`.
    Text(String),
    /// At a place.
    Placed(PlacedSystem),
}

/// A system prompt and its place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PlacedSystem {
    /// The text. Where it says `{{system}}`, the caller's own system prompt stands, and nothing where the
    /// caller has none.
    pub text: String,
    /// Where it goes by the caller's own: `before` unless told otherwise. A text that says `{{system}}`
    /// has told it.
    #[serde(default)]
    pub place: Option<PlaceName>,
}

/// Where a system prompt goes by the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceName {
    /// Before it.
    Before,
    /// After it.
    After,
    /// In its place: the caller's own is left out.
    Instead,
}

/// A model whose overrides are read.
pub(super) struct Reading<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) environment: Environment,
    pub(super) model: &'a Model,
    /// What the provider calls it.
    pub(super) upstream_name: &'a str,
    /// Where it stands.
    pub(super) path: &'a str,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    /// What is different for the model; nothing, as a rule.
    pub(super) fn overrides(mut self) -> Option<Arc<Overrides>> {
        let body = BodyOverrides {
            system: self.model.system.as_ref().and_then(|it| self.system(it)),
            parameters: self.parameters(),
        };
        let headers = self.headers();
        match Overrides::of(body, &headers) {
            Ok(overrides) => (!overrides.is_empty()).then(|| Arc::new(overrides)),
            Err(error) => {
                self.problem("headers", error.message);
                None
            }
        }
    }

    fn problem(&mut self, field: &str, message: impl Into<String>) {
        let path = format!("{}.{field}", self.path);
        self.problems.push(Problem::new(path, message));
    }

    fn provider(&self) -> Option<&Provider> {
        self.loaded.config.providers.get(&self.model.provider)
    }

    fn is_simulated(&self) -> bool {
        matches!(self.provider(), Some(Provider::Simulated { .. }))
    }

    fn system(&mut self, system: &System) -> Option<SystemPrompt> {
        let (text, place, field) = match system {
            System::Text(text) => (text, None, "system"),
            System::Placed(placed) => (&placed.text, placed.place, "system.text"),
        };
        if text.trim().is_empty() {
            self.problem(field, "says nothing; write a text, or leave it out");
            return None;
        }
        let named = placeholders(text);
        for (_, name) in &named {
            if !PLACEHOLDERS.contains(name) {
                let hint = suggestion(name, PLACEHOLDERS);
                let message = format!("\"{{{{{name}}}}}\" stands for nothing{hint}");
                self.problem(field, message);
                return None;
            }
        }
        match (named.as_slice(), place) {
            ([], place) => Some(SystemPrompt::placed(text, placed(place))),
            ([(marked, _)], None) => {
                let (head, rest) = text.split_once(marked)?;
                Some(SystemPrompt::around(head, rest))
            }
            ([_], Some(_)) => {
                let message = "the text says where the caller's own stands by {{system}}; leave `place` out, or that";
                self.problem("system.place", message);
                None
            }
            (_, _) => {
                self.problem(field, "says {{system}} more than once; keep one of them");
                None
            }
        }
    }

    fn parameters(&mut self) -> Parameters {
        let fields = &self.model.parameters;
        if !fields.is_empty() && self.is_simulated() {
            let message = "a simulated model heeds no parameters; leave them out";
            self.problem("parameters", message);
            return Parameters::default();
        }
        let read = Parameters::read(fields.clone());
        let problems = match &read {
            Ok(parameters) => self
                .provider()
                .and_then(Provider::preset)
                .map(|preset| preset.dialect.untellable(parameters, self.upstream_name))
                .unwrap_or_default(),
            Err(problems) => problems.clone(),
        };
        for problem in problems {
            let field = match problem.param {
                Some(name) => format!("parameters.{name}"),
                None => "parameters".to_owned(),
            };
            self.problem(&field, problem.message);
        }
        read.unwrap_or_default()
    }

    fn headers(&mut self) -> Vec<(String, Secret)> {
        if !self.model.headers.is_empty() && self.is_simulated() {
            self.problem(
                "headers",
                "a simulated model is sent no headers; leave them out",
            );
        }
        let mut headers = Vec::new();
        for (name, reference) in &self.model.headers {
            match self.environment.secret(reference, &self.loaded.folder) {
                Ok(text) => headers.push((name.clone(), Secret::new(&text))),
                Err(message) => self.problem(&format!("headers.{name}"), message),
            }
        }
        headers
    }
}

const fn placed(place: Option<PlaceName>) -> Place {
    match place {
        None | Some(PlaceName::Before) => Place::Before,
        Some(PlaceName::After) => Place::After,
        Some(PlaceName::Instead) => Place::Instead,
    }
}

/// Names in double braces, each with its braces. Braces around anything but a name, such as JSON, are words
/// like others.
fn placeholders(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        let behind = &rest[begin + 2..];
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
        let end = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
        let name = behind[..end].trim();
        if !name.is_empty() && behind[end..].starts_with("}}") {
            found.push((&rest[begin..begin + 2 + end + 2], name));
        }
        // The braces may be three: then the last two are meant.
        rest = &rest[begin + 1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_double_braces_are_placeholders_and_other_braces_are_words() {
        let text = r#"{{system}} {{ system }} {{"a": {"b": 1}}} {{}} {{{user_name}}} {{"#;
        assert_eq!(
            placeholders(text),
            [
                ("{{system}}", "system"),
                ("{{ system }}", "system"),
                ("{{user_name}}", "user_name"),
            ]
        );
    }
}
