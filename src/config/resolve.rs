//! From what the operator wrote to what the engine runs: names become positions, references to
//! secrets become secrets, and every problem is found before the first request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::centroids::CentroidSet;
use crate::config::encoder::Text;
use crate::config::intents::OutOfScope;
use crate::config::log::Prompts;
use crate::config::problem::{Problem, suggestion};
use crate::config::routes::{self, Resolved};
use crate::config::targets::targets;
use crate::config::when::Known;
use crate::config::{Config, Environment, Loaded, embeddings, policy, teams};
use crate::domain::model::{Model, ModelId};
use crate::domain::name::{AssistantName, IntentName, ModelName, RegionName};
use crate::domain::quality::QualityTable;
use crate::engine::passages::Selection;
use crate::engine::plan::{self, Assistant, Plan, PromptPolicy};
use crate::routing::policy::Restriction;
use crate::routing::{Policy, Rule};

/// The plan that a configuration describes. Without centroids, everything else is checked and there is
/// no plan.
pub fn resolve(
    loaded: &Loaded,
    environment: Environment,
    centroids: Option<CentroidSet>,
    problems: &mut Vec<Problem>,
) -> Option<Plan> {
    let targets = targets(loaded, environment, problems);
    let models: Vec<&Model> = targets.iter().map(|target| &target.model).collect();
    let config = &loaded.config;
    let quality = quality(loaded, problems);
    let names = Names {
        models: config.models.keys().zip((0..).map(ModelId)).collect(),
        rules: Known {
            intents: centroids
                .as_ref()
                .map(|set| set.intents().map(IntentName::as_str).collect()),
            teams: config.teams.iter().flat_map(BTreeMap::keys).collect(),
            keys: keys(config),
        },
        has_quality: config.quality.is_some(),
    };
    let Resolved {
        assistants,
        aliases,
    } = routes::resolve(config, &names, problems);
    let policy = policy::resolve(config, &models, &names, problems);
    let region = region(loaded, environment, problems);
    let embeddings = embeddings::resolve(loaded, &names.models, problems);
    let access = teams::access(loaded, environment, problems);
    let centroids = centroids?;
    let digest = match centroids.digest() {
        Ok(digest) => digest,
        Err(error) => {
            problems.push(Problem::new("intents.centroids", error.to_string()));
            return None;
        }
    };
    if !problems.is_empty() {
        return None;
    }
    let looks_at_host = rules(&assistants, &policy).any(Rule::looks_at_host);
    Some(Plan {
        headers_wanted: headers_wanted(&assistants, &policy),
        looks_at_host,
        digest: loaded.digest.as_str().into(),
        targets,
        access,
        assistants,
        aliases,
        policy,
        region,
        quality,
        embeddings,
        threshold: scope(config.intents.out_of_scope).threshold(&centroids),
        out_of_scope: scope(config.intents.out_of_scope),
        centroid_version: centroids.manifest().name.clone(),
        centroids: Arc::new(centroids),
        centroid_digest: digest.into(),
        // It is read beside this, as it needs the encoder.
        complexity: None,
        selection: selection(config.encoder.text),
        request_timeout: config.server.request_timeout.get(),
        prompts: prompts(config.log.prompts),
    })
}

const fn prompts(prompts: Prompts) -> PromptPolicy {
    match prompts {
        Prompts::None => PromptPolicy::None,
        Prompts::Hashed => PromptPolicy::Hashed,
        Prompts::Full => PromptPolicy::Full,
    }
}

/// The turns that a setting chooses. Training uses the same.
pub const fn selection(text: Text) -> Selection {
    match text {
        Text::LastUser => Selection::LastUser,
        Text::Weighted => Selection::Weighted,
        Text::All => Selection::All,
    }
}

/// What names may be referred to.
pub(super) struct Names<'a> {
    pub(super) models: BTreeMap<&'a ModelName, ModelId>,
    pub(super) rules: Known<'a>,
    /// Whether a table of qualities is named, readable or not.
    pub(super) has_quality: bool,
}

/// Every key of every team, as the configuration calls it.
fn keys(config: &Config) -> Vec<String> {
    let teams = config.teams.iter().flat_map(BTreeMap::values);
    let keys = teams.flat_map(|team| &team.keys);
    keys.map(ToString::to_string).collect()
}

/// Every rule of routes and policy.
fn rules<'a>(
    assistants: &'a BTreeMap<AssistantName, Assistant>,
    policy: &'a Policy,
) -> impl Iterator<Item = &'a Rule> {
    let routes = assistants.values().flat_map(|assistant| &assistant.routes);
    let of_policy = policy.rules().iter().map(Restriction::when);
    routes.map(|route| &route.rule).chain(of_policy)
}

/// The headers that a rule or a sticky choice looks at.
fn headers_wanted(
    assistants: &BTreeMap<AssistantName, Assistant>,
    policy: &Policy,
) -> Arc<[Arc<str>]> {
    let routes = assistants.values().flat_map(|assistant| &assistant.routes);
    let sticky = routes.flat_map(|route| route.way.headers());
    let of_rules = rules(assistants, policy).flat_map(Rule::headers);
    let wanted: BTreeSet<&Arc<str>> = of_rules.chain(sticky).collect();
    wanted.into_iter().map(Arc::clone).collect()
}

/// Where the gateway stands.
fn region(
    loaded: &Loaded,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> Option<RegionName> {
    let given = loaded.config.server.region.as_ref()?;
    let read = match given.strip_prefix("env:") {
        Some(name) => environment
            .get(name)
            .ok_or_else(|| format!("the environment has no variable {name:?}; set it")),
        None => Ok(given.clone()),
    };
    let region = read.and_then(|text| text.trim().parse::<RegionName>());
    region
        .map_err(|message| problems.push(Problem::new("server.region", message)))
        .ok()
}

/// The table of qualities.
fn quality(loaded: &Loaded, problems: &mut Vec<Problem>) -> Option<Arc<QualityTable>> {
    let path = loaded.folder.join(loaded.config.quality.as_ref()?);
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let table = read.and_then(|text| QualityTable::read(&text));
    table
        .map(Arc::new)
        .map_err(|why| {
            let message = format!(
                "{} is no table of qualities: {why}; write one by `semroute eval models`",
                path.display()
            );
            problems.push(Problem::new("quality", message));
        })
        .ok()
}

/// The position of a model, or the problem that there is none of this name.
pub(super) fn model_called(
    name: &ModelName,
    models: &BTreeMap<&ModelName, ModelId>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<ModelId> {
    let id = models.get(name).copied();
    if id.is_none() {
        let known = models.keys().map(|name| name.as_str());
        let hint = suggestion(name.as_str(), known);
        let message = format!("no model is called \"{name}\"{hint}");
        problems.push(Problem::new(path, message));
    }
    id
}

const fn scope(out_of_scope: OutOfScope) -> plan::OutOfScope {
    match out_of_scope {
        OutOfScope::Calibrated(_) => plan::OutOfScope::Calibrated,
        OutOfScope::Fixed(p_value) => plan::OutOfScope::Below(p_value),
    }
}
