//! When a route is taken, or a rule of the policy applies.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::problem::{Problem, suggestion};
use crate::config::value::OneOrMany;
use crate::domain::caller::KeyLabel;
use crate::domain::chat::Need;
use crate::domain::complexity::Level;
use crate::domain::name::{IntentName, RegionName, TeamName};
use crate::domain::quantity::Ratio;
use crate::routing::Rule;
use crate::routing::rules::language::{Language, Writing};
use crate::routing::rules::{Condition, Named, Patterns, Want, text};

/// When something applies. Everything that is named must hold; where several values are given, one of
/// them is enough.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// What the caller put into `model`: the assistant's name or one of its aliases.
    pub model: Option<OneOrMany<String>>,
    /// Headers by name, and the value that each must have; `*` is any.
    pub header: Option<BTreeMap<String, OneOrMany<String>>>,
    /// The path asked, such as `/v1/messages`; with a final `*`, how it begins.
    pub path: Option<OneOrMany<String>>,
    /// The host asked, without its port; an IPv6 address in brackets.
    pub host: Option<OneOrMany<String>>,
    /// Names in the caller's metadata (the header `X-Semroute-Metadata`), and the value that each must
    /// have; `*` is any.
    pub metadata: Option<BTreeMap<String, OneOrMany<String>>>,
    /// The caller's team.
    pub team: Option<OneOrMany<TeamName>>,
    /// The caller's key, as it stands under `teams.NAME.keys`: `env:NAME` or `file:PATH`.
    pub key: Option<OneOrMany<String>>,
    /// Where this gateway stands: `server.region`.
    pub region: Option<OneOrMany<RegionName>>,
    /// The prompt's intent.
    pub intent: Option<OneOrMany<IntentName>>,
    /// How probable that intent must be at least, 0 to 1; it is out of scope below the threshold of the
    /// centroids anyway.
    pub probability: Option<Ratio>,
    /// Words or phrases that the person's words hold, in whatever case: those that are embedded, as
    /// `encoder.text` has it; of a rule of the policy, every word of every turn.
    pub keyword: Option<OneOrMany<String>>,
    /// Regular expressions that it matches, as the crate `regex` reads them: no look-around, no
    /// back-references, and time linear in the text.
    pub regex: Option<OneOrMany<String>>,
    /// How much the prompt asks of a model.
    pub complexity: Option<OneOrMany<Level>>,
    /// About how many tokens the prompt has, all turns and tools together.
    pub tokens: Option<Tokens>,
    /// Whether the request offers tools.
    pub tools: Option<bool>,
    /// Whether it shows an image.
    pub images: Option<bool>,
    /// Whether its answer must keep to a JSON Schema: `response_format`.
    pub schema: Option<bool>,
    /// The script that most of these words are written in, such as `latin`, `cyrillic` or `han`.
    pub script: Option<OneOrMany<String>>,
    /// The language of these words, by its code of ISO 639: `en`, `de`. Where it cannot be told
    /// reliably, as in a few words, no language holds.
    pub language: Option<OneOrMany<String>>,
}

/// About how many tokens; both ends count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// So many or more.
    pub at_least: Option<u64>,
    /// So many or fewer.
    pub at_most: Option<u64>,
}

/// What a rule may name.
pub(super) struct Known<'a> {
    /// Unknown where the centroids could not be read.
    pub(super) intents: Option<Vec<&'a str>>,
    pub(super) teams: Vec<&'a TeamName>,
    pub(super) keys: Vec<String>,
}

/// Stands for any value.
const ANY: &str = "*";

/// A rule, and what is wrong with it.
pub(super) fn rule(
    when: &When,
    known: &Known<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Rule {
    let mut reading = Reading {
        path,
        problems,
        conditions: Vec::new(),
    };
    reading.of_caller(when, known);
    reading.of_request(when);
    reading.of_words(when);
    reading.of_meaning(when, known);
    reading.maps(when);
    if reading.conditions.is_empty() && *when == When::default() {
        let message = "names nothing, so it would always hold; name a condition, or leave it out";
        problems.push(Problem::new(path, message));
        return Rule::default();
    }
    Rule::of(reading.conditions)
}

struct Reading<'a> {
    path: &'a str,
    problems: &'a mut Vec<Problem>,
    conditions: Vec<Condition>,
}

impl Reading<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let path = format!("{}.{key}", self.path);
        self.problems.push(Problem::new(path, message));
    }

    /// The values of a key, if there are any; a list without one is a problem.
    fn values<T: Clone>(&mut self, key: &str, given: Option<&OneOrMany<T>>) -> Option<Vec<T>> {
        let values = given?.as_slice();
        if values.is_empty() {
            self.problem(key, "names nothing, so it would never hold; name a value");
            return None;
        }
        Some(values.to_vec())
    }

    fn texts(&mut self, key: &str, given: Option<&OneOrMany<String>>) -> Option<Vec<Arc<str>>> {
        let values = self.values(key, given)?;
        Some(values.into_iter().map(Arc::from).collect())
    }

    /// A map without a name holds for everything, which nobody means; and headers are told apart by their
    /// names in whatever case.
    fn maps(&mut self, when: &When) {
        for (key, map) in [("header", &when.header), ("metadata", &when.metadata)] {
            if map.as_ref().is_some_and(BTreeMap::is_empty) {
                self.problem(key, "names nothing, so it would always hold; name one");
            }
        }
        let mut seen = BTreeSet::new();
        for name in when.header.iter().flat_map(BTreeMap::keys) {
            if !seen.insert(name.to_ascii_lowercase()) {
                let message =
                    "the header stands here twice, in another case; give all its values at once";
                self.problem(&format!("header.{name}"), message);
            }
        }
    }

    fn of_caller(&mut self, when: &When, known: &Known<'_>) {
        if let Some(regions) = self.values("region", when.region.as_ref()) {
            self.conditions.push(Condition::Gateway(regions));
        }
        if let Some(teams) = self.values("team", when.team.as_ref()) {
            for team in teams.iter().filter(|team| !known.teams.contains(team)) {
                let names = known.teams.iter().map(|team| team.as_str());
                let hint = suggestion(team.as_str(), names);
                self.problem("team", format!("no team is called \"{team}\"{hint}"));
            }
            self.conditions.push(Condition::Team(teams));
        }
        if let Some(keys) = self.values("key", when.key.as_ref()) {
            for key in keys.iter().filter(|key| !known.keys.contains(key)) {
                let hint = suggestion(key, known.keys.iter().map(String::as_str));
                self.problem("key", format!("no team has a key \"{key}\"{hint}"));
            }
            let keys = keys.iter().map(|key| KeyLabel::new(key)).collect();
            self.conditions.push(Condition::Key(keys));
        }
        for (name, values) in when.metadata.iter().flatten() {
            let key = format!("metadata.{name}");
            if let Some(values) = self.texts(&key, Some(values)) {
                self.conditions
                    .push(Condition::Metadata(named(name, values)));
            }
        }
    }

    fn of_request(&mut self, when: &When) {
        if let Some(names) = self.texts("model", when.model.as_ref()) {
            self.conditions.push(Condition::Model(names));
        }
        if let Some(paths) = self.texts("path", when.path.as_ref()) {
            for path in paths.iter().filter(|path| !path.starts_with('/')) {
                let message =
                    format!("{path:?} does not begin with `/`; write it like /v1/messages");
                self.problem("path", message);
            }
            self.conditions.push(Condition::Path(paths));
        }
        if let Some(hosts) = self.values("host", when.host.as_ref()) {
            let is_more =
                |host: &&String| host.contains('/') || host.contains(':') && !host.starts_with('[');
            for host in hosts.iter().filter(is_more) {
                let message =
                    format!("{host:?} is more than a host; leave out scheme, port and path");
                self.problem("host", message);
            }
            let hosts = hosts.iter().map(|host| host.to_ascii_lowercase().into());
            self.conditions.push(Condition::Host(hosts.collect()));
        }
        for (name, values) in when.header.iter().flatten() {
            let key = format!("header.{name}");
            if !is_header_name(name) {
                self.problem(
                    &key,
                    "cannot be the name of a header; use letters, digits and -",
                );
            }
            if let Some(values) = self.texts(&key, Some(values)) {
                let name = name.to_ascii_lowercase();
                self.conditions
                    .push(Condition::Header(named(&name, values)));
            }
        }
        for (want, given) in [
            (Want::Tools, when.tools),
            (Want::Images, when.images),
            (Want::Schema, when.schema),
        ] {
            let condition = given.map(|is_needed| Condition::Needs(want, Need::from(is_needed)));
            self.conditions.extend(condition);
        }
        if let Some(tokens) = when.tokens {
            match tokens.range() {
                Ok(range) => self.conditions.push(Condition::Tokens(range)),
                Err(message) => self.problem("tokens", message),
            }
        }
    }

    fn of_words(&mut self, when: &When) {
        let keywords = when.keyword.as_ref();
        let blank = |words: &[String]| words.iter().any(|word| word.trim().is_empty());
        if keywords.is_some_and(|words| blank(words.as_slice())) {
            self.problem(
                "keyword",
                "a word is blank, and would be found in every text; leave it out",
            );
        }
        self.patterns("keyword", keywords, text::keywords);
        self.patterns("regex", when.regex.as_ref(), text::expressions);
        if let Some(names) = self.values("script", when.script.as_ref()) {
            let known: Vec<String> = Writing::names().collect();
            let scripts = self.told("script", &names, Writing::of_name, &known);
            self.conditions.push(Condition::Script(scripts));
        }
        if let Some(codes) = self.values("language", when.language.as_ref()) {
            let known: Vec<String> = Language::codes().map(ToOwned::to_owned).collect();
            let languages = self.told("language", &codes, Language::of_code, &known);
            self.conditions.push(Condition::Language(languages));
        }
    }

    fn told<T>(
        &mut self,
        key: &str,
        names: &[String],
        of: impl Fn(&str) -> Option<T>,
        known: &[String],
    ) -> Vec<T> {
        let mut told = Vec::new();
        for name in names {
            if let Some(one) = of(name) {
                told.push(one);
            } else {
                let hint = suggestion(name, known.iter().map(String::as_str));
                self.problem(key, format!("no {key} is called {name:?} here{hint}"));
            }
        }
        told
    }

    fn patterns(
        &mut self,
        key: &str,
        given: Option<&OneOrMany<String>>,
        read: impl Fn(&[String]) -> Result<Patterns, String>,
    ) {
        if let Some(values) = self.values(key, given) {
            match read(&values) {
                Ok(patterns) => self.conditions.push(Condition::Text(patterns)),
                Err(why) => {
                    let message = format!("{} cannot be searched for: {why}", values.join(", "));
                    self.problem(key, message);
                }
            }
        }
    }

    fn of_meaning(&mut self, when: &When, known: &Known<'_>) {
        if let Some(levels) = self.values("complexity", when.complexity.as_ref()) {
            self.conditions.push(Condition::Complexity(levels));
        }
        if let Some(intents) = self.values("intent", when.intent.as_ref()) {
            for intent in &intents {
                if let Some(known) = &known.intents
                    && !known.contains(&intent.as_str())
                {
                    let hint = suggestion(intent.as_str(), known.iter().copied());
                    let message = format!("the centroids have no intent \"{intent}\"{hint}");
                    self.problem("intent", message);
                }
            }
            let at_least = when.probability.unwrap_or_default();
            self.conditions.push(Condition::Intent(intents, at_least));
        } else if when.probability.is_some() && when.intent.is_none() {
            self.problem(
                "probability",
                "is that of an intent, and none is named; name one in `intent`",
            );
        }
    }
}

impl Tokens {
    fn range(self) -> Result<RangeInclusive<u64>, String> {
        match (self.at_least, self.at_most) {
            (None, None) => {
                Err("has neither `at_least` nor `at_most`; write one of them".to_owned())
            }
            (Some(least), Some(most)) if most < least => Err(format!(
                "no prompt has at least {least} and at most {most} tokens; turn them round"
            )),
            (least, most) => Ok(least.unwrap_or(0)..=most.unwrap_or(u64::MAX)),
        }
    }
}

fn named(name: &str, values: Vec<Arc<str>>) -> Named {
    let is_any = values.iter().any(|value| **value == *ANY);
    Named {
        name: name.into(),
        values: if is_any { Vec::new() } else { values },
    }
}

/// Whether a text is a token as HTTP defines it (RFC 9110, 5.6.2).
pub(super) fn is_header_name(text: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_token)
}
