//! Rules: when a route, or a policy, applies.
//!
//! A rule is a list of conditions that must all hold; a condition that names several values holds if
//! one of them does. Conditions are looked at from the cheapest to the dearest, so that a rule on a
//! header never has a text read, and none that fails before it comes to the prompt's meaning has the
//! prompt embedded.

use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::RegexSet;

use crate::domain::caller::{KeyLabel, Tenant};
use crate::domain::chat::Need;
use crate::domain::complexity::Level;
use crate::domain::event::RoutedReason;
use crate::domain::name::{IntentName, RegionName, TeamName};
use crate::domain::quantity::Ratio;

use super::facts::{Facts, Hearing, IntentSignal, Understanding};

pub mod language;
pub mod text;

use language::{Language, Writing};

/// When something applies.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// From the cheapest to the dearest.
    conditions: Vec<Condition>,
}

/// One thing that must hold.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The gateway stands in one of these regions.
    Gateway(Vec<RegionName>),
    /// The caller put one of these names into `model`.
    Model(Vec<Arc<str>>),
    /// The path is one of these, or begins with what stands before a final `*`.
    Path(Vec<Arc<str>>),
    /// The host is one of these.
    Host(Vec<Arc<str>>),
    /// The caller is of one of these teams.
    Team(Vec<TeamName>),
    /// The caller's key is one of these.
    Key(Vec<KeyLabel>),
    /// A header has one of these values; any, if none is named.
    Header(Named),
    /// A name in the caller's metadata has one of these values; any, if none is named.
    Metadata(Named),
    /// The request needs a model that can do this, or does not.
    Needs(Want, Need),
    /// The prompt has about so many tokens.
    Tokens(RangeInclusive<u64>),
    /// The person's words hold one of these.
    Text(Patterns),
    /// They are written in one of these scripts.
    Script(Vec<Writing>),
    /// They are written in one of these languages.
    Language(Vec<Language>),
    /// The prompt asks so much of a model.
    Complexity(Vec<Level>),
    /// The prompt is about one of these, at least so probably.
    Intent(Vec<IntentName>, Ratio),
}

/// A name, and the values that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: Arc<str>,
    /// The values; any, if there is none.
    pub values: Vec<Arc<str>>,
}

/// What a request may need of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// To call tools.
    Tools,
    /// To read images.
    Images,
    /// To keep to a JSON Schema.
    Schema,
}

/// What words are searched for.
#[derive(Debug, Clone)]
pub struct Patterns(RegexSet);

impl Patterns {
    /// Texts that match one of these expressions.
    pub const fn of(expressions: RegexSet) -> Self {
        Self(expressions)
    }

    /// The expressions.
    pub fn expressions(&self) -> &[String] {
        self.0.patterns()
    }
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// All that is known of the request agrees with it; the rest is what the prompt means.
    PromptWanted,
}

impl Rule {
    /// A rule of these conditions; without any, it always holds.
    pub fn of(mut conditions: Vec<Condition>) -> Self {
        conditions.sort_by_key(Condition::cost);
        Self { conditions }
    }

    /// Its conditions, from the cheapest to the dearest.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether it holds for everything.
    pub const fn is_always(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether it looks at what the prompt means.
    pub fn looks_at_prompt(&self) -> bool {
        self.conditions.iter().any(Condition::looks_at_prompt)
    }

    /// Whether it looks at how much the prompt asks of a model.
    pub fn looks_at_complexity(&self) -> bool {
        let is_one = |it: &Condition| matches!(it, Condition::Complexity(_));
        self.conditions.iter().any(is_one)
    }

    /// Whether it looks at the host asked.
    pub fn looks_at_host(&self) -> bool {
        let is_one = |it: &Condition| matches!(it, Condition::Host(_));
        self.conditions.iter().any(is_one)
    }

    /// The intents that it names.
    pub fn intents(&self) -> impl Iterator<Item = &IntentName> {
        self.conditions
            .iter()
            .flat_map(|condition| match condition {
                Condition::Intent(intents, _) => intents.as_slice(),
                _ => &[],
            })
    }

    /// The headers that it looks at.
    pub fn headers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Header(named) => Some(&named.name),
                _ => None,
            })
    }

    /// Whether it holds.
    pub fn holds(&self, facts: &Facts<'_>, understanding: &Understanding) -> Held {
        match self.holds_but_for_meaning(facts, Hearing::Now) {
            Held::PromptWanted => self.agrees_with(understanding),
            held => held,
        }
    }

    /// Whether it holds, as far as that does not depend on what the prompt means.
    fn holds_but_for_meaning(&self, facts: &Facts<'_>, hearing: Hearing) -> Held {
        for condition in &self.conditions {
            if condition.looks_at_prompt() {
                return Held::PromptWanted;
            }
            if !condition.is_met_by(facts, hearing) {
                return Held::No;
            }
        }
        Held::Yes
    }

    /// Whether it holds, if all its conditions do that do not look at what the prompt means.
    fn agrees_with(&self, understanding: &Understanding) -> Held {
        let of_meaning = self.conditions.iter().filter(|it| it.looks_at_prompt());
        for condition in of_meaning {
            match condition.agrees_with(understanding) {
                Held::Yes => {}
                other => return other,
            }
        }
        Held::Yes
    }

    /// Whether it holds for all that a request says, if it does not look at what the prompt means. Where
    /// what is said cannot be searched, it may say anything.
    pub fn holds_for_all(&self, facts: &Facts<'_>) -> bool {
        self.holds_but_for_meaning(facts, Hearing::All) == Held::Yes
    }
}

impl Condition {
    /// Where it stands among the others: roughly the time that it takes.
    const fn cost(&self) -> u8 {
        match self {
            Self::Gateway(_) | Self::Team(_) | Self::Key(_) => 0,
            Self::Model(_) | Self::Path(_) | Self::Host(_) => 1,
            Self::Header(_) | Self::Metadata(_) => 2,
            Self::Needs(..) => 3,
            Self::Tokens(_) => 4,
            Self::Text(_) => 5,
            Self::Script(_) => 6,
            Self::Language(_) => 7,
            Self::Complexity(_) | Self::Intent(..) => 8,
        }
    }

    /// What it is called in configurations.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "region",
            Self::Model(_) => "model",
            Self::Path(_) => "path",
            Self::Host(_) => "host",
            Self::Team(_) => "team",
            Self::Key(_) => "key",
            Self::Header(_) => "header",
            Self::Metadata(_) => "metadata",
            Self::Needs(Want::Tools, _) => "tools",
            Self::Needs(Want::Images, _) => "images",
            Self::Needs(Want::Schema, _) => "schema",
            Self::Tokens(_) => "tokens",
            Self::Text(_) => "keyword",
            Self::Script(_) => "script",
            Self::Language(_) => "language",
            Self::Complexity(_) => "complexity",
            Self::Intent(..) => "intent",
        }
    }

    /// Whether it looks at what the prompt means.
    pub const fn looks_at_prompt(&self) -> bool {
        matches!(self, Self::Complexity(_) | Self::Intent(..))
    }

    /// Whether it agrees with what the prompt means. One that does not look at it does.
    fn agrees_with(&self, understanding: &Understanding) -> Held {
        let agrees = match self {
            Self::Intent(..) | Self::Complexity(_)
                if understanding.intent == IntentSignal::NotAsked =>
            {
                return Held::PromptWanted;
            }
            Self::Intent(intents, at_least) => match &understanding.intent {
                IntentSignal::Known { name, probability } => {
                    at_least.get() <= *probability && intents.contains(name)
                }
                _ => false,
            },
            Self::Complexity(levels) => {
                let is_one = |level| levels.contains(&level);
                understanding.complexity.is_some_and(is_one)
            }
            _ => true,
        };
        if agrees { Held::Yes } else { Held::No }
    }

    fn is_met_by(&self, facts: &Facts<'_>, hearing: Hearing) -> bool {
        let asked = facts.asked;
        // A rule of the policy must not be escaped by saying it in a way that cannot be read.
        let unread = hearing == Hearing::All;
        match self {
            Self::Gateway(regions) => facts.region.is_some_and(|it| regions.contains(it)),
            Self::Model(names) => contains(names, asked.model()),
            Self::Path(paths) => paths.iter().any(|it| covers(it, facts.path)),
            Self::Host(hosts) => {
                let host = facts.envelope.host.as_deref();
                host.is_some_and(|host| contains(hosts, host))
            }
            Self::Team(teams) => match facts.tenant {
                Tenant::Team(team) => teams.contains(team),
                Tenant::Anonymous => false,
            },
            Self::Key(keys) => facts.key.is_some_and(|key| keys.contains(key)),
            Self::Header(named) => facts
                .envelope
                .values(&named.name)
                .any(|value| named.admits(value)),
            Self::Metadata(named) => {
                let value = facts.metadata.get(&named.name);
                value.is_some_and(|value| named.admits(value))
            }
            Self::Needs(want, need) => {
                let needs = asked.needs();
                let found = needs.map_or(Need::No, |needs| match want {
                    Want::Tools => needs.tools,
                    Want::Images => needs.images,
                    Want::Schema => needs.schema,
                });
                found == *need
            }
            Self::Tokens(range) => range.contains(&asked.tokens()),
            Self::Text(Patterns(expressions)) => asked
                .said(hearing)
                .map_or(unread, |said| expressions.is_match(said)),
            Self::Script(scripts) => asked.said(hearing).map_or(unread, |said| {
                Writing::of(said).is_some_and(|it| scripts.contains(&it))
            }),
            Self::Language(languages) => match asked.said(hearing) {
                Some(_) => asked
                    .language(hearing)
                    .is_some_and(|it| languages.contains(&it)),
                None => unread,
            },
            Self::Intent(..) | Self::Complexity(_) => false,
        }
    }
}

impl Named {
    fn admits(&self, value: &str) -> bool {
        self.values.is_empty() || contains(&self.values, value)
    }
}

fn contains(values: &[Arc<str>], value: &str) -> bool {
    values.iter().any(|known| **known == *value)
}

/// Whether a path is the one named, or begins as it does up to a final `*`.
pub fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => pattern == path,
    }
}

/// What comes of going through rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// The rule at this position holds.
    Rule {
        /// The position.
        idx: usize,
        /// Why this one.
        reason: RoutedReason,
    },
    /// It cannot be said before the prompt is understood.
    PromptWanted,
}

/// The first rule that holds. `None` only where none holds for everything, which the config refuses.
pub fn first_match<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    facts: &Facts<'_>,
    understanding: &Understanding,
) -> Option<Matched> {
    // Whether the prompt's meaning has had a say: with another one, an earlier rule would have held.
    let mut prompt_counted = false;
    for (idx, rule) in rules.into_iter().enumerate() {
        let held = match rule.holds_but_for_meaning(facts, Hearing::Now) {
            Held::PromptWanted => {
                prompt_counted = true;
                rule.agrees_with(understanding)
            }
            held => held,
        };
        match held {
            Held::No => {}
            Held::PromptWanted => return Some(Matched::PromptWanted),
            Held::Yes => {
                let reason = reason(rule, prompt_counted, &understanding.intent);
                return Some(Matched::Rule { idx, reason });
            }
        }
    }
    None
}

fn reason(rule: &Rule, prompt_counted: bool, intent: &IntentSignal) -> RoutedReason {
    if rule.is_always() && prompt_counted {
        return match intent {
            IntentSignal::Known { .. } => RoutedReason::Default,
            IntentSignal::OutOfScope => RoutedReason::OutOfScope,
            IntentSignal::NoText => RoutedReason::NoText,
            IntentSignal::EncoderSaturated => RoutedReason::EncoderSaturated,
            IntentSignal::EncoderFailed => RoutedReason::EncoderFailed,
            IntentSignal::NotAsked => RoutedReason::Rule,
        };
    }
    match (rule.intents().next(), rule.looks_at_complexity()) {
        (Some(_), _) => RoutedReason::Intent,
        (None, true) => RoutedReason::Complexity,
        (None, false) => RoutedReason::Rule,
    }
}

#[cfg(test)]
mod tests;
