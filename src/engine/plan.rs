//! What the engine runs: the configuration with every name resolved to a position, every default
//! filled in and every file read. It is built once and never changed; a new configuration is a new
//! plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::cascade::{OnLimit, Tier};
use crate::centroids::CentroidSet;
use crate::domain::model::{Model, ModelId};
use crate::domain::name::{AssistantName, RouteName};
use crate::engine::passages::Selection;
use crate::provider::{Provider, Timeouts};
use crate::routing::Rule;

/// What the engine runs.
pub struct Plan {
    /// Digest of the configuration that this came from.
    pub digest: String,
    /// Every model; a [`ModelId`] is a position here.
    pub targets: Vec<Target>,
    /// What callers can ask for.
    pub assistants: BTreeMap<AssistantName, Assistant>,
    /// Where intents lie.
    pub centroids: Arc<CentroidSet>,
    /// Digest of the centroids.
    pub centroid_digest: String,
    /// Below this score a prompt is out of scope.
    pub threshold: f32,
    /// What of a conversation is embedded.
    pub selection: Selection,
    /// The longest that a request may take.
    pub request_timeout: Duration,
    /// What of a prompt the record keeps.
    pub prompts: PromptPolicy,
}

/// A model and how to reach it.
pub struct Target {
    /// The model.
    pub model: Model,
    /// Who answers for it.
    pub provider: Arc<dyn Provider>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// A virtual model: routes, tried in order.
pub struct Assistant {
    /// The routes; the last one matches everything.
    pub routes: Vec<Route>,
}

/// One way through an assistant.
pub struct Route {
    /// What the operator calls it.
    pub name: RouteName,
    /// When it applies.
    pub rule: Rule,
    /// Who is asked, in order.
    pub tiers: Vec<Tier>,
    /// What drafts are checked against.
    pub verify: Verify,
    /// What happens when every draft was rejected.
    pub on_limit: OnLimit,
    /// The longest that this route may take, if it is shorter than the request's own limit.
    pub time_max: Option<Duration>,
}

/// What drafts of a route are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing.
    Nothing,
    /// The request's own JSON Schema, if it has one.
    RequestSchema,
}

/// What of a prompt the record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptPolicy {
    /// Nothing.
    None,
    /// A digest, by which equal prompts can be told.
    Hashed,
    /// All of what was embedded; retraining needs it.
    Full,
}

impl Plan {
    /// A model by its position. Positions come from this plan, so there is always one.
    pub fn target(&self, id: ModelId) -> Option<&Target> {
        self.targets.get(id.0)
    }
}
