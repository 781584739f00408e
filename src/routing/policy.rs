//! Policy: which models a request may reach at all, before anything is optimised.
//!
//! It comes before the cache, the strategies, escalations and failovers, and all of them see only what
//! it leaves. A rule of it either removes models by what the operator says of them (where they process
//! data, what they are cleared for, what they cost), or does not apply. What is not known of a model
//! is never taken for a yes: a model that names no region is in none.
//!
//! Beside the operator's rules, a model is removed that is known to be unable to do what the request
//! needs. Here silence is no reason: few servers say what their models can do.

use std::sync::Arc;

use crate::domain::chat::Need;
use crate::domain::decision::Removed;
use crate::domain::model::{Ability, Model, ModelId};
use crate::domain::name::{DataClass, ModelName, ProviderName, RegionName};
use crate::domain::quantity::PicoUsd;

use super::facts::Facts;
use super::rules::Rule;

/// Which models a request may reach.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Restriction>,
}

/// One rule, and what it removes where it applies.
#[derive(Debug, Clone)]
pub struct Restriction {
    name: Arc<str>,
    when: Rule,
    /// Why it removes the model at each position, if it does.
    removes: Vec<Option<Arc<str>>>,
}

/// What models must be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allow {
    /// One of these.
    pub models: Vec<ModelName>,
    /// Served by one of these.
    pub providers: Vec<ProviderName>,
    /// Processing data in these regions and nowhere else.
    pub regions: Vec<RegionName>,
    /// Cleared for all of these kinds of data.
    pub data: Vec<DataClass>,
    /// At most so dear, per input and per output token.
    pub price: Option<Ceiling>,
}

/// What models must not be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deny {
    /// None of these.
    pub models: Vec<ModelName>,
    /// Served by none of these.
    pub providers: Vec<ProviderName>,
    /// Processing nothing in any of these regions.
    pub regions: Vec<RegionName>,
}

/// The highest list price, a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Of the prompt, if there is a limit.
    pub input: Option<PicoUsd>,
    /// Of the answer, if there is a limit.
    pub output: Option<PicoUsd>,
}

impl Restriction {
    /// A rule over these models, by their positions.
    pub fn new<'m>(
        name: &str,
        when: Rule,
        (allow, deny): (&Allow, &Deny),
        models: impl IntoIterator<Item = &'m Model>,
    ) -> Self {
        let removes = models.into_iter().map(|model| {
            let why = allow.refuses(model).or_else(|| deny.refuses(model));
            why.map(Arc::from)
        });
        Self {
            name: name.into(),
            when,
            removes: removes.collect(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it applies.
    pub const fn when(&self) -> &Rule {
        &self.when
    }

    /// Whether it removes every model there is.
    pub fn removes_all(&self) -> bool {
        self.removes.iter().all(Option::is_some)
    }
}

impl Allow {
    fn refuses(&self, model: &Model) -> Option<String> {
        let Model { terms, .. } = model;
        if !self.models.is_empty() && !self.models.contains(&model.name) {
            return Some(format!("it is not one of {}", listed(&self.models)));
        }
        if !self.providers.is_empty() && !self.providers.contains(&model.provider) {
            return Some(format!(
                "its provider {} is not one of {}",
                model.provider,
                listed(&self.providers)
            ));
        }
        if !self.regions.is_empty() {
            let allowed = listed(&self.regions);
            if terms.regions.is_empty() {
                return Some(format!("its regions are not known; {allowed} is asked for"));
            }
            let outside = terms.regions.iter().find(|it| !self.regions.contains(it));
            if let Some(region) = outside {
                return Some(format!("its region {region} is not one of {allowed}"));
            }
        }
        if let Some(class) = self.data.iter().find(|it| !terms.data.contains(it)) {
            return Some(format!("it is not cleared for {class}"));
        }
        self.price.and_then(|ceiling| ceiling.refuses(model))
    }
}

impl Deny {
    fn refuses(&self, model: &Model) -> Option<String> {
        if self.models.contains(&model.name) {
            return Some("it is denied by name".to_owned());
        }
        if self.providers.contains(&model.provider) {
            return Some(format!("its provider {} is denied", model.provider));
        }
        if self.regions.is_empty() {
            return None;
        }
        if model.terms.regions.is_empty() {
            let denied = listed(&self.regions);
            return Some(format!("its regions are not known; {denied} is denied"));
        }
        let denied = model.terms.regions.iter();
        let denied = denied.into_iter().find(|it| self.regions.contains(it));
        denied.map(|region| format!("its region {region} is denied"))
    }
}

impl Ceiling {
    fn refuses(self, model: &Model) -> Option<String> {
        let Some(price) = model.price else {
            return Some("its price is not known; there is a ceiling".to_owned());
        };
        let parts = [
            ("input", price.input, self.input),
            ("output", price.output, self.output),
        ];
        parts.into_iter().find_map(|(part, price, ceiling)| {
            let ceiling = ceiling.filter(|ceiling| *ceiling < price)?;
            Some(format!(
                "its {part} price of ${} per million tokens is above ${}",
                price.as_usd_per_million(),
                ceiling.as_usd_per_million()
            ))
        })
    }
}

fn listed<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// A policy's rules that apply to one request.
pub struct InForce<'p> {
    rules: Vec<&'p Restriction>,
}

impl Policy {
    /// A policy of these rules.
    pub const fn of(rules: Vec<Restriction>) -> Self {
        Self { rules }
    }

    /// Its rules.
    pub fn rules(&self) -> &[Restriction] {
        &self.rules
    }

    /// The rules that apply to a request.
    pub fn in_force(&self, facts: &Facts<'_>) -> InForce<'_> {
        let rules = self
            .rules
            .iter()
            .filter(|rule| rule.when.holds_for_all(facts));
        InForce {
            rules: rules.collect(),
        }
    }
}

impl InForce<'_> {
    /// Why a request may not reach a model, if it may not.
    pub fn removal(&self, id: ModelId, model: &Model, facts: &Facts<'_>) -> Option<Removed> {
        let by_rule = self.rules.iter().find_map(|rule| {
            let why = rule.removes.get(id.0)?.as_ref()?;
            Some((Arc::clone(&rule.name), Arc::clone(why)))
        });
        let (by, why) = by_rule.or_else(|| unable(model, facts))?;
        Some(Removed {
            model: model.name.clone(),
            by,
            why,
        })
    }
}

/// What a model is known to be unable to do, of what a request needs. Needs are looked for only where
/// a model lacks something.
fn unable(model: &Model, facts: &Facts<'_>) -> Option<(Arc<str>, Arc<str>)> {
    let abilities = model.abilities;
    let lacks = [abilities.tools, abilities.images, abilities.json_schema].contains(&Ability::No);
    if lacks && let Some(needs) = facts.asked.needs() {
        let wants = [
            (needs.tools, abilities.tools, "it cannot call tools"),
            (needs.images, abilities.images, "it cannot read images"),
            (
                needs.schema,
                abilities.json_schema,
                "it cannot keep to a JSON Schema",
            ),
        ];
        for (need, ability, why) in wants {
            if need == Need::Yes && ability == Ability::No {
                return Some((Removed::ABILITY.into(), why.into()));
            }
        }
    }
    let room = model.limits.context_tokens?;
    let answer = facts.asked.output_tokens_max().unwrap_or(0);
    let with_answer = |prompt| model.terms.tokens(prompt).saturating_add(answer);
    // Most prompts cannot be too long, however their tokens are counted.
    if with_answer(facts.asked.tokens_max()) <= room {
        return None;
    }
    let prompt = model.terms.tokens(facts.asked.tokens());
    (room < prompt.saturating_add(answer)).then(|| {
        let why = match answer {
            0 => format!("the prompt has about {prompt} tokens; its context holds {room}"),
            _ => format!(
                "the prompt has about {prompt} tokens and the answer may have {answer}; its context holds {room}"
            ),
        };
        (Removed::CONTEXT.into(), why.into())
    })
}

#[cfg(test)]
mod tests;
