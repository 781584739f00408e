//! What the engine runs: the configuration with every name resolved to a position, every default
//! filled in and every file read. It is built once and never changed; a new configuration is a new
//! plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::cascade::OnLimit;
use crate::centroids::CentroidSet;
use crate::domain::caller::Tenant;
use crate::domain::model::{Model, ModelId};
use crate::domain::name::{AssistantName, ModelName, RegionName, RouteName};
use crate::domain::quality::QualityTable;
use crate::domain::quantity::Ratio;
use crate::engine::access::{Access, Teams};
use crate::engine::complexity::Complexity;
use crate::engine::passages::Selection;
use crate::engine::standing::TargetState;
use crate::health::load;
use crate::provider::overrides::Overrides;
use crate::provider::{Provider, Timeouts};
use crate::routing::{Policy, Rule, Way};

/// The alias that stands for every name that there is not.
pub const ANY_NAME: &str = "*";

/// What the engine runs.
#[derive(Clone)]
pub struct Plan {
    /// Digest of the configuration that this came from.
    pub digest: Arc<str>,
    /// Every model; a [`ModelId`] is a position here.
    pub targets: Vec<Target>,
    /// Who may ask at all.
    pub access: Access,
    /// What callers can ask for.
    pub assistants: BTreeMap<AssistantName, Assistant>,
    /// Other names under which callers ask for an assistant; `*` stands for every name that there is not.
    pub aliases: BTreeMap<String, AssistantName>,
    /// Which models a request may reach at all.
    pub policy: Policy,
    /// Where this gateway stands, as rules see it.
    pub region: Option<RegionName>,
    /// How good models are, where that was measured.
    pub quality: Option<Arc<QualityTable>>,
    /// The headers that a rule looks at, in lower case, each once. With none, no request's are read.
    pub headers_wanted: Arc<[Arc<str>]>,
    /// Whether a rule looks at the host asked.
    pub looks_at_host: bool,
    /// The models that may be asked for embeddings, in the operator's order.
    pub embeddings: Vec<ModelId>,
    /// Where intents lie.
    pub centroids: Arc<CentroidSet>,
    /// Digest of the centroids.
    pub centroid_digest: Arc<str>,
    /// What operators call the centroids: their name, and their version if they have one.
    pub centroid_version: String,
    /// Below this scope score a prompt is out of scope.
    pub threshold: f32,
    /// How that is found for centroids that take the place of these.
    pub out_of_scope: OutOfScope,
    /// Where levels of complexity lie, if anybody wants to know.
    pub complexity: Option<Complexity>,
    /// What of a conversation is embedded.
    pub selection: Selection,
    /// The longest that a request may take.
    pub request_timeout: Duration,
    /// What of a prompt the record keeps.
    pub prompts: PromptPolicy,
}

/// When a prompt is out of scope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutOfScope {
    /// Below the threshold that training found.
    Calibrated,
    /// Where fewer than this share of prompts in scope belong less clearly.
    Below(Ratio),
}

impl OutOfScope {
    /// The scope score that it means for a set.
    pub fn threshold(self, centroids: &CentroidSet) -> f32 {
        match self {
            Self::Calibrated => centroids.threshold(),
            Self::Below(p_value) => centroids.threshold_at(p_value),
        }
    }
}

/// A model and how to reach it.
#[derive(Clone)]
pub struct Target {
    /// The model.
    pub model: Model,
    /// Who answers for it.
    pub provider: Arc<dyn Provider>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How much it may be given to do.
    pub load_limits: load::Limits,
    /// How it has done, and what it is doing.
    pub state: Arc<TargetState>,
    /// What is different in every call to it; nothing, as a rule.
    pub overrides: Option<Arc<Overrides>>,
}

/// A virtual model: routes, tried in order.
#[derive(Clone)]
pub struct Assistant {
    /// Who may ask for it.
    pub teams: Teams,
    /// The routes; the last one matches everything.
    pub routes: Vec<Route>,
}

impl Assistant {
    /// When each route applies, in order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.routes.iter().map(|route| &route.rule)
    }
}

/// One way through an assistant.
#[derive(Clone)]
pub struct Route {
    /// What the operator calls it.
    pub name: RouteName,
    /// When it applies.
    pub rule: Rule,
    /// Who is asked, and how they are chosen.
    pub way: Way,
    /// What it is called together with its assistant: no two routes are called the same.
    pub label: Arc<str>,
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
    /// The same plan over other centroids. Fails if a route names an intent that they lack, for it
    /// would silently never be taken again.
    pub fn with_centroids(&self, centroids: CentroidSet, version: String) -> Result<Self, String> {
        let routes = self.assistants.values().flat_map(|it| &it.routes);
        for route in routes {
            let mut intents = route.rule.intents();
            let lacking = intents.find(|intent| !centroids.intents().any(|it| it == *intent));
            if let Some(intent) = lacking {
                return Err(format!(
                    "the route {} names the intent {intent}, which they lack",
                    route.name
                ));
            }
        }
        Ok(Self {
            threshold: self.out_of_scope.threshold(&centroids),
            centroid_digest: centroids
                .digest()
                .map_err(|error| error.to_string())?
                .into(),
            centroid_version: version,
            centroids: Arc::new(centroids),
            ..self.clone()
        })
    }

    /// What a tenant may ask for. To it, there is nothing else.
    pub fn assistants_of<'p>(
        &'p self,
        tenant: &Tenant,
    ) -> impl Iterator<Item = (&'p AssistantName, &'p Assistant)> {
        self.assistants
            .iter()
            .filter(|(_, assistant)| assistant.teams.admit(tenant))
    }

    /// The same plan for somebody who has the configuration itself, as on the command line: no key is
    /// asked for, and every assistant can be.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.access = Access::Anyone;
        for assistant in self.assistants.values_mut() {
            assistant.teams = Teams::All;
        }
        self
    }

    /// The assistant that a caller means by a name: one of that name, or one with such an alias.
    pub fn assistant(&self, asked: &str) -> Option<(&AssistantName, &Assistant)> {
        let own = self.assistants.get_key_value(asked);
        own.or_else(|| {
            let alias = self
                .aliases
                .get(asked)
                .or_else(|| self.aliases.get(ANY_NAME))?;
            self.assistants.get_key_value(alias)
        })
    }

    /// Every model that may be asked for embeddings.
    pub fn embedders(&self) -> impl Iterator<Item = &Target> {
        self.embeddings.iter().filter_map(|id| self.target(*id))
    }

    /// The model of this name, if it may be asked for embeddings.
    pub fn embedder(&self, name: &str) -> Option<(ModelId, &Target)> {
        let embedders = self.embeddings.iter();
        let mut embedders = embedders.filter_map(|id| Some((*id, self.target(*id)?)));
        embedders.find(|(_, target)| target.model.name.as_str() == name)
    }

    /// What is known of how a model does.
    pub fn state_of(&self, model: &ModelName) -> Option<&Arc<TargetState>> {
        let target = self.targets.iter().find(|it| it.model.name == *model)?;
        Some(&target.state)
    }

    /// A model by its position. Positions come from this plan, so there is always one.
    pub fn target(&self, id: ModelId) -> Option<&Target> {
        self.targets.get(id.0)
    }
}
