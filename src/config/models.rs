//! The models that can be asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::overrides::System;
use crate::config::value::{Period, SecretRef};
use crate::domain::name::{DataClass, ProviderName, RegionName};
use crate::health::load;
use crate::provider::simulated::Script;

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who serves it: a name under `providers`.
    pub provider: ProviderName,
    /// What the provider calls it. Its name here, if it is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// List price. Without one, the catalogue's counts; where that has none, costs are `unknown`.
    #[serde(default)]
    pub price: Option<Price>,
    /// Tokens that prompt and answer may have together; the catalogue's, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub context: Option<u64>,
    /// Tokens that the answer may have; the catalogue's, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub output_max: Option<u64>,
    /// Everything that it can do beside writing text; the catalogue's, if it is left out.
    #[serde(default)]
    pub abilities: Option<Vec<AbilityName>>,
    /// Everywhere that it may process data, for the policy's `regions`.
    #[serde(default)]
    pub regions: Vec<RegionName>,
    /// The kinds of data that it is cleared for, for the policy's `data`.
    #[serde(default)]
    pub data: Vec<DataClass>,
    /// How many tokens it makes of a text for each that is estimated: about four characters of English.
    /// 1, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 10.0))]
    pub tokenizer_factor: Option<f64>,
    /// The entry of the catalogue that tells what is left out here: `VENDOR/MODEL`, or `none`. Unless
    /// told, it is looked for by the vendor whose own address the provider has, and by `name`; a model
    /// of any other server has no entry.
    #[serde(default)]
    pub catalogue: Option<String>,
    /// How long it may take before another model is asked.
    #[serde(default)]
    pub timeout: Timeout,
    /// How much it is given to do. A model that is full is not asked: a stand-in is, or the caller gets 503
    /// with the code `targets_full`.
    #[serde(default)]
    pub limits: Limits,
    /// A system prompt of your own, in every request to this model: a text that goes before the caller's
    /// own, or one that says `{{system}}` where the caller's own is to stand. Another entry with the same
    /// `name` may have another, or none.
    #[serde(default)]
    pub system: Option<System>,
    /// Fields that every request to this model has, by their names in OpenAI's chat completions, whatever
    /// the caller gave: `temperature`, `max_tokens`, `reasoning_effort`, `stop`, `seed`, or a server's own.
    /// `null` takes out what the caller gave. For a provider of another format they are translated as a
    /// caller's own are.
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Headers that every call of this model carries, over all others of the same names; their values are
    /// secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// How a simulated model behaves.
    #[serde(default)]
    pub script: Option<Script>,
}

/// A list price, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt's tokens.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub input: f64,
    /// Of the answer's tokens.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub output: f64,
    /// Of the prompt's tokens that the provider had in its cache; `input`, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub cached_read: Option<f64>,
    /// Of the prompt's tokens that the provider put into its cache; `input`, if it is left out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub cache_write: Option<f64>,
}

/// What a model can do beside writing text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbilityName {
    /// Call tools.
    Tools,
    /// Read images.
    Images,
    /// Keep to a JSON Schema that the request gives.
    JsonSchema,
    /// Think before it answers.
    Reasoning,
}

/// How long a model may take before another one is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// For the first piece of a streamed answer; 30s unless told otherwise.
    pub first_token: Option<Period>,
    /// For each further piece; 15s unless told otherwise.
    pub between_tokens: Option<Period>,
    /// For an answer in one piece; 90s unless told otherwise.
    pub whole: Option<Period>,
}

/// How much a model is given to do; no limit, where nothing is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Calls at a time. A streamed answer counts until it has ended.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Calls in any minute.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers in any minute. What a call will use is estimated when it begins, by
    /// the length of the prompt and of the model's answers so far, and corrected when it has ended.
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<u64>,
}

impl Limits {
    /// The limits, as the engine wants them.
    pub(super) const fn load(self) -> load::Limits {
        load::Limits {
            concurrency: self.concurrency,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }
    }
}
