//! Policy: which models a request may reach at all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Config;
use crate::config::problem::{Problem, suggestion};
use crate::config::resolve::Names;
use crate::config::value::OneOrMany;
use crate::config::when::{self, When};
use crate::domain::model::Model;
use crate::domain::name::{DataClass, ModelName, ProviderName, RegionName};
use crate::domain::quantity::PicoUsd;
use crate::routing::Rule;
use crate::routing::policy::{self, Ceiling, Policy, Restriction};

/// A rule of the policy. It removes models before the cache is asked and before any route, strategy,
/// escalation or failover looks at them. It has `allow`, `deny` or both.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What it is called in records and errors; by its place, `policy[0]`, if it is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// When it applies: to every request, if it is left out. It cannot look at what the prompt means
    /// (`intent`, `complexity`), since policy comes before.
    #[serde(default)]
    pub when: Option<When>,
    /// What models must be; every key that is given counts.
    #[serde(default)]
    pub allow: Option<Allow>,
    /// What models must not be; one key that is met is enough.
    #[serde(default)]
    pub deny: Option<Deny>,
}

/// What models must be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// One of these models.
    pub models: Option<OneOrMany<ModelName>>,
    /// Served by one of these providers.
    pub providers: Option<OneOrMany<ProviderName>>,
    /// Processing data in these regions and nowhere else: every one of the model's `regions` must be
    /// among them. A model that names none is removed.
    pub regions: Option<OneOrMany<RegionName>>,
    /// Cleared for all of these kinds of data: the model's `data`.
    pub data: Option<OneOrMany<DataClass>>,
    /// At most so dear. A model without a known price is removed.
    pub price: Option<PriceCeiling>,
}

/// What models must not be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deny {
    /// Any of these models.
    pub models: Option<OneOrMany<ModelName>>,
    /// Served by any of these providers.
    pub providers: Option<OneOrMany<ProviderName>>,
    /// Processing data in any of these regions. A model that names none is removed.
    pub regions: Option<OneOrMany<RegionName>>,
}

/// The highest list price, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceCeiling {
    /// Of the prompt's tokens; no limit, if it is left out.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub input: Option<f64>,
    /// Of the answer's tokens; no limit, if it is left out.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub output: Option<f64>,
}

/// The policy over these models.
pub(super) fn resolve(
    config: &Config,
    models: &[&Model],
    names: &Names<'_>,
    problems: &mut Vec<Problem>,
) -> Policy {
    let mut seen = BTreeMap::new();
    let rules = config.policy.iter().enumerate().map(|(position, rule)| {
        let path = format!("policy[{position}]");
        let name = rule.name.clone().unwrap_or_else(|| path.clone());
        if let Some(other) = seen.insert(name.clone(), position) {
            let message = format!("policy[{other}] is called \"{name}\" as well");
            problems.push(Problem::new(format!("{path}.name"), message));
        }
        let when = applies(rule.when.as_ref(), names, &format!("{path}.when"), problems);
        if rule.allow.is_none() && rule.deny.is_none() {
            let message =
                "has neither `allow` nor `deny`, so it removes nothing; write one of them";
            problems.push(Problem::new(&path, message));
        }
        let mut reading = Reading {
            config,
            path: &path,
            problems,
        };
        let allow = reading.allow(rule.allow.as_ref());
        let deny = reading.deny(rule.deny.as_ref());
        Restriction::new(&name, when, (&allow, &deny), models.iter().copied())
    });
    Policy::of(rules.collect())
}

fn applies(
    given: Option<&When>,
    names: &Names<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Rule {
    let Some(given) = given else {
        return Rule::default();
    };
    let rule = when::rule(given, &names.rules, path, problems);
    for condition in rule.conditions().iter().filter(|it| it.looks_at_prompt()) {
        let key = condition.key();
        let message = "policy comes before the prompt is understood, so it cannot look at what it means; write a route for it";
        problems.push(Problem::new(format!("{path}.{key}"), message));
    }
    rule
}

struct Reading<'a> {
    config: &'a Config,
    path: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn allow(&mut self, given: Option<&Allow>) -> policy::Allow {
        let Some(given) = given else {
            return policy::Allow::default();
        };
        if *given == Allow::default() {
            self.problem(
                "allow",
                "names nothing; name what models must be, or leave it out",
            );
        }
        policy::Allow {
            models: self.models("allow.models", given.models.as_ref()),
            providers: self.providers("allow.providers", given.providers.as_ref()),
            regions: self.listed("allow.regions", given.regions.as_ref()),
            data: self.listed("allow.data", given.data.as_ref()),
            price: given.price.and_then(|price| self.ceiling(price)),
        }
    }

    fn deny(&mut self, given: Option<&Deny>) -> policy::Deny {
        let Some(given) = given else {
            return policy::Deny::default();
        };
        if *given == Deny::default() {
            self.problem(
                "deny",
                "names nothing; name what models must not be, or leave it out",
            );
        }
        policy::Deny {
            models: self.models("deny.models", given.models.as_ref()),
            providers: self.providers("deny.providers", given.providers.as_ref()),
            regions: self.listed("deny.regions", given.regions.as_ref()),
        }
    }

    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let path = format!("{}.{key}", self.path);
        self.problems.push(Problem::new(path, message));
    }

    /// A list without a value would mean everything, or nothing: nobody can tell which was meant.
    fn listed<T: Clone>(&mut self, key: &str, given: Option<&OneOrMany<T>>) -> Vec<T> {
        let values = given.map_or(&[][..], OneOrMany::as_slice);
        if given.is_some() && values.is_empty() {
            self.problem(key, "names nothing; name a value, or leave it out");
        }
        values.to_vec()
    }

    fn models(&mut self, key: &str, given: Option<&OneOrMany<ModelName>>) -> Vec<ModelName> {
        let names = self.listed(key, given);
        for name in &names {
            if !self.config.models.contains_key(name) {
                let known = self.config.models.keys().map(ModelName::as_str);
                let hint = suggestion(name.as_str(), known);
                self.problem(key, format!("no model is called \"{name}\"{hint}"));
            }
        }
        names
    }

    fn providers(
        &mut self,
        key: &str,
        given: Option<&OneOrMany<ProviderName>>,
    ) -> Vec<ProviderName> {
        let names = self.listed(key, given);
        for name in &names {
            if !self.config.providers.contains_key(name) {
                let known = self.config.providers.keys().map(ProviderName::as_str);
                let hint = suggestion(name.as_str(), known);
                self.problem(key, format!("no provider is called \"{name}\"{hint}"));
            }
        }
        names
    }

    fn ceiling(&mut self, given: PriceCeiling) -> Option<Ceiling> {
        if given == PriceCeiling::default() {
            self.problem(
                "allow.price",
                "has neither `input` nor `output`; write one of them",
            );
            return None;
        }
        let mut price = |key: &str, given: Option<f64>| {
            let given = given?;
            let read = PicoUsd::per_token(given);
            read.map_err(|message| self.problem(&format!("allow.price.{key}"), message))
                .ok()
        };
        Some(Ceiling {
            input: price("input", given.input),
            output: price("output", given.output),
        })
    }
}
