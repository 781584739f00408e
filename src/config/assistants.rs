//! Assistants and their routes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::strategies::{Cheapest, Fastest, Guards, Priority, Score, Weighted};
use crate::config::teams;
use crate::config::value::{OneOrMany, Period};
use crate::config::when::When;
use crate::domain::name::{ModelName, RouteName, TeamName};

/// A virtual model: callers put its name in `model`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assistant {
    /// The teams whose callers may ask for it: one, or a list; `all` of them, unless told otherwise. For
    /// everyone else there is no such assistant.
    #[serde(default = "teams::all")]
    pub teams: OneOrMany<TeamName>,
    /// Other names that callers may put in `model` for it: those of models that they asked for before,
    /// say. `*` stands for every name that there is not.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The routes. The first whose `when` matches is taken; the last has no `when` and takes
    /// everything else: what is out of scope, and what could not be embedded.
    pub routes: Vec<Route>,
}

/// One way through an assistant. One of `to`, `weighted`, `priority`, `fastest`, `cheapest`, `score` and
/// `cascade` says who answers.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What it is called in headers, records and metrics.
    pub name: RouteName,
    /// When it is taken; always, if this is left out.
    #[serde(default)]
    pub when: Option<When>,
    /// The model that answers.
    #[serde(default)]
    pub to: Option<ModelName>,
    /// By chance, with weights: a canary, an A/B test.
    #[serde(default)]
    pub weighted: Option<Weighted>,
    /// The first in order that keeps to a time per output token.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// The fastest over the last 20 minutes.
    #[serde(default)]
    pub fastest: Option<Fastest>,
    /// The cheapest that is measured to be good enough.
    #[serde(default)]
    pub cheapest: Option<Cheapest>,
    /// The highest worth: quality, less what cost and time are worth in quality.
    #[serde(default)]
    pub score: Option<Score>,
    /// What the first choice may not exceed.
    #[serde(default)]
    pub guards: Option<Guards>,
    /// Models that are asked, in order, when the one before could not answer. The other models of a
    /// strategy stand in before these.
    #[serde(default)]
    pub failover: Vec<ModelName>,
    /// Ask the cheap model first, check its draft, and escalate only if it fails.
    #[serde(default)]
    pub cascade: Option<Cascade>,
}

/// The keys that say who answers.
pub(super) const WAYS: [&str; 7] = [
    "to", "weighted", "priority", "fastest", "cheapest", "score", "cascade",
];

impl Route {
    /// Those of them that it has.
    pub(super) fn ways(&self) -> Vec<&'static str> {
        let has = [
            self.to.is_some(),
            self.weighted.is_some(),
            self.priority.is_some(),
            self.fastest.is_some(),
            self.cheapest.is_some(),
            self.score.is_some(),
            self.cascade.is_some(),
        ];
        let ways = WAYS.into_iter().zip(has).filter(|(_, has)| *has);
        ways.map(|(way, _)| way).collect()
    }
}

/// Ask the cheap model first, check its draft, and escalate only if it fails.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    /// The models, cheapest first.
    #[schemars(length(min = 1))]
    pub tiers: Vec<ModelName>,
    /// What a draft must pass. Requests that it does not apply to are answered by the first tier.
    #[schemars(length(min = 1))]
    pub verify: Vec<Verify>,
    /// How far the cascade may go.
    #[serde(default)]
    pub limits: Limits,
    /// What happens when the last tier's draft failed as well: `error`, or `best_draft`, which
    /// answers it and marks it as rejected.
    #[serde(default)]
    pub on_limit: OnLimit,
}

/// A check that drafts must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// The draft must be JSON that satisfies a schema: `request` is the one in the request's own
    /// `response_format`.
    JsonSchema(SchemaSource),
}

/// Where a schema comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaSource {
    /// The request's own `response_format`.
    Request,
}

/// How far a cascade may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// No model is asked once this much time has passed; `server.request_timeout`, if it is left out.
    pub time: Option<Period>,
}

/// What happens when every draft failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// The caller gets an error.
    #[default]
    Error,
    /// The caller gets the last draft, marked as rejected.
    BestDraft,
}
