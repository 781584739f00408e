//! How a route chooses among its models.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::{Period, Span};
use crate::domain::name::ModelName;
use crate::domain::quantity::Ratio;

/// By chance, with weights: a canary, an A/B test.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The models, each with its weight. Only the ratios of weights matter.
    #[schemars(length(min = 1))]
    pub of: BTreeMap<ModelName, f64>,
    /// For whom chance speaks once, so that nobody goes to and fro between models.
    #[serde(default)]
    pub sticky: Option<Sticky>,
}

/// For whom chance speaks once.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// For whom: `user` (the person, as the request names her), `conversation` (the header
    /// `X-Semroute-Conversation`), `header: NAME` or `metadata: NAME`. A request that does not say is
    /// chosen for by itself.
    pub by: StickyBy,
    /// How long it holds; for ever, if it is left out. Each user's window begins at another moment, so
    /// that not everybody changes at once.
    #[serde(default, rename = "for")]
    pub window: Option<Span>,
}

/// For whom chance speaks once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StickyBy {
    /// The person, as the request names her: OpenAI's `user` or `safety_identifier`, Anthropic's
    /// `metadata.user_id`.
    User,
    /// The conversation.
    Conversation,
    /// The value of a header.
    Header(String),
    /// The value of a name in the caller's metadata.
    Metadata(String),
}

/// The first in order that keeps to a time per output token.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// The models, the preferred one first.
    #[schemars(length(min = 1))]
    pub of: Vec<ModelName>,
    /// The longest median time per output token over the last 3 minutes; no limit, if it is left out.
    #[serde(default)]
    pub tpot: Option<Period>,
    /// The share of requests that goes to a preferred model of which nothing is known lately, 0 to 1;
    /// 0.05 unless told otherwise.
    #[serde(default)]
    pub probe: Option<Ratio>,
}

/// The fastest over the last 20 minutes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fastest {
    /// The models.
    #[schemars(length(min = 1))]
    pub of: Vec<ModelName>,
    /// What is compared; `tpot`, if it is left out.
    #[serde(default)]
    pub by: Measure,
    /// How many times as fast another model must be to take the place of the one that was the fastest;
    /// 1.2 unless told otherwise.
    #[serde(default)]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub margin: Option<f64>,
    /// The share of requests that goes to models of which nothing is known lately, 0 to 1; 0.05 unless
    /// told otherwise.
    #[serde(default)]
    pub probe: Option<Ratio>,
}

/// A measure of speed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Median time per output token after the first.
    #[default]
    Tpot,
    /// Median time to the first token.
    Ttft,
    /// 95th percentile of the time from call to end.
    P95,
}

/// The cheapest that is measured to be good enough.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cheapest {
    /// The models.
    #[schemars(length(min = 1))]
    pub of: Vec<ModelName>,
    /// The bar: the lower bound of a model's measured quality at the prompt's intent must reach it, 0 to 1.
    /// It needs the table in `quality`. No bar, if it is left out.
    #[serde(default)]
    pub quality: Option<Ratio>,
    /// What the expected cost of a model is multiplied by: discounts, fees.
    #[serde(default)]
    pub multiplier: BTreeMap<ModelName, f64>,
}

/// The highest worth: quality, less what cost and time are worth in quality.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The models.
    #[schemars(length(min = 1))]
    pub of: Vec<ModelName>,
    /// What each part is worth.
    pub weights: Weights,
    /// The share of requests that goes to models of which nothing is known lately, 0 to 1; 0.05 unless
    /// told otherwise.
    #[serde(default)]
    pub probe: Option<Ratio>,
}

/// What each part of a score is worth: the score is `quality` times the measured quality, less `cost` times
/// the dollars and `latency` times the seconds that the request is expected to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Of the lower bound of the measured quality, 0 to 1. It needs the table in `quality`.
    #[schemars(range(min = 0.0))]
    pub quality: f64,
    /// Of a US dollar that the request is expected to cost: with 20 and a `quality` of 1, a cent must buy
    /// 0.2 of quality. `semroute eval models` tells what to write for a quality that is aimed at.
    #[schemars(range(min = 0.0))]
    pub cost: f64,
    /// Of a second that the whole answer is expected to take.
    #[schemars(range(min = 0.0))]
    pub latency: f64,
}

/// What a route's first choice may not exceed, by what a request is expected to cost and to take. What is
/// not known exceeds nothing, and a model that stands in when the first one failed is not guarded against.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guards {
    /// How much a request may be expected to cost.
    pub cost: Option<CostGuard>,
    /// How long an answer may be expected to take. Where the choice takes longer, the fastest of the route's
    /// models and stand-ins is asked.
    pub time: Option<Period>,
}

/// How much a request may be expected to cost: one of the two limits, and who is asked instead.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostGuard {
    /// All of it, in US dollars.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub usd_per_request: Option<f64>,
    /// A thousand tokens of prompt and answer together, in US dollars.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub usd_per_1k_tokens: Option<f64>,
    /// The model that is asked where the choice would cost more.
    pub then: ModelName,
}
