//! From what the operator wrote to what the engine runs: names become positions, references to
//! secrets become secrets, and every problem is found before the first request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cascade::OnLimit;
use crate::centroids::CentroidSet;
use crate::config::assistants::{self, When};
use crate::config::catalogue::facts;
use crate::config::encoder::Text;
use crate::config::intents::OutOfScope;
use crate::config::log::Prompts;
use crate::config::models;
use crate::config::problem::{Problem, suggestion};
use crate::config::servers::servers;
use crate::config::{Environment, Loaded, embeddings, teams};
use crate::domain::model::{Model, ModelId, Terms, Tier};
use crate::domain::name::{AssistantName, ModelName};
use crate::engine::passages::Selection;
use crate::engine::plan::{self, Assistant, Plan, PromptPolicy, Route, Target, Verify};
use crate::provider::Timeouts;
use crate::routing::Rule;

/// The plan that a configuration describes. Without centroids, everything else is checked and there is
/// no plan.
pub fn resolve(
    loaded: &Loaded,
    environment: Environment,
    centroids: Option<CentroidSet>,
    problems: &mut Vec<Problem>,
) -> Option<Plan> {
    let targets = targets(loaded, environment, problems);
    let names: BTreeMap<&ModelName, ModelId> = loaded
        .config
        .models
        .keys()
        .enumerate()
        .map(|(position, name)| (name, ModelId(position)))
        .collect();
    let intents = centroids
        .as_ref()
        .map(|set| set.intents().map(ToString::to_string).collect());
    let names = Names {
        models: names,
        intents,
    };
    let assistants = assistants(loaded, &names, problems);
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
    let config = &loaded.config;
    Some(Plan {
        digest: loaded.digest.as_str().into(),
        targets,
        access,
        assistants,
        embeddings,
        threshold: scope(config.intents.out_of_scope).threshold(&centroids),
        out_of_scope: scope(config.intents.out_of_scope),
        centroid_version: centroids.manifest().name.clone(),
        centroids: Arc::new(centroids),
        centroid_digest: digest.into(),
        selection: selection(config.encoder.text),
        request_timeout: config.server.request_timeout.get(),
        prompts: match config.log.prompts {
            Prompts::None => PromptPolicy::None,
            Prompts::Hashed => PromptPolicy::Hashed,
            Prompts::Full => PromptPolicy::Full,
        },
    })
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
struct Names<'a> {
    models: BTreeMap<&'a ModelName, ModelId>,
    /// Unknown where the centroids could not be read.
    intents: Option<BTreeSet<String>>,
}

impl Names<'_> {
    fn model(&self, name: &ModelName, path: &str, problems: &mut Vec<Problem>) -> Option<ModelId> {
        model_called(name, &self.models, path, problems)
    }
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

fn targets(loaded: &Loaded, environment: Environment, problems: &mut Vec<Problem>) -> Vec<Target> {
    let servers = servers(loaded, environment, problems);
    let facts = facts(loaded, problems);
    let mut targets = Vec::new();
    for (name, model) in &loaded.config.models {
        let path = format!("models.{name}");
        let Some(server) = servers.get(model.provider.as_str()) else {
            let known = loaded
                .config
                .providers
                .keys()
                .map(super::super::domain::name::ProviderName::as_str);
            let hint = suggestion(model.provider.as_str(), known);
            let message = format!("no provider is called \"{}\"{hint}", model.provider);
            problems.push(Problem::new(format!("{path}.provider"), message));
            continue;
        };
        let known = facts.models.get(name).cloned().unwrap_or_default();
        if let Some(provider) = server.provider(model, &path, problems) {
            targets.push(Target {
                model: Model {
                    name: name.clone(),
                    provider: model.provider.clone(),
                    upstream_name: model.name.clone().unwrap_or_else(|| name.to_string()),
                    price: known.price.value(),
                    limits: known.limits(),
                    abilities: known.abilities.value().unwrap_or_default(),
                    terms: Terms::default(),
                },
                provider,
                timeouts: timeouts(model.timeout),
            });
        }
    }
    targets
}

fn timeouts(timeout: models::Timeout) -> Timeouts {
    let default = Timeouts::default();
    let or = |period: Option<crate::config::value::Period>, default| {
        period.map_or(default, crate::config::value::Period::get)
    };
    Timeouts {
        first_token: or(timeout.first_token, default.first_token),
        between_tokens: or(timeout.between_tokens, default.between_tokens),
        whole: or(timeout.whole, default.whole),
    }
}

fn assistants(
    loaded: &Loaded,
    names: &Names<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<AssistantName, Assistant> {
    let mut assistants = BTreeMap::new();
    if loaded.config.assistants.is_empty() {
        let message =
            "there is no assistant; callers put its name in `model`, so there must be one";
        problems.push(Problem::new("assistants", message));
    }
    for (name, assistant) in &loaded.config.assistants {
        let path = format!("assistants.{name}.teams");
        let teams = teams::teams_of(assistant, &loaded.config.teams, &path, problems);
        let path = format!("assistants.{name}.routes");
        let n_routes = assistant.routes.len();
        if n_routes == 0 {
            problems.push(Problem::new(
                &path,
                "there is no route; write at least one, without `when`",
            ));
        }
        let mut seen = BTreeSet::new();
        let mut routes = Vec::new();
        for (position, route) in assistant.routes.iter().enumerate() {
            let path = format!("{path}[{position}]");
            if !seen.insert(&route.name) {
                let message = format!("another route is called \"{}\" as well", route.name);
                problems.push(Problem::new(format!("{path}.name"), message));
            }
            let is_last = position + 1 == n_routes;
            check_place(route, is_last, &path, problems);
            routes.extend(self::route(route, names, &path, problems));
        }
        assistants.insert(name.clone(), Assistant { teams, routes });
    }
    assistants
}

/// The last route takes everything, and no other does.
fn check_place(route: &assistants::Route, is_last: bool, path: &str, problems: &mut Vec<Problem>) {
    match (&route.when, is_last) {
        (Some(_), true) => problems.push(Problem::new(
            format!("{path}.when"),
            "the last route takes what no other does, so it has no `when`; add one behind it",
        )),
        (None, false) => problems.push(Problem::new(
            path,
            "a route without `when` takes everything, so those behind it are never reached; move it to the end",
        )),
        _ => {}
    }
}

fn route(
    route: &assistants::Route,
    names: &Names<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Route> {
    let rule = rule(route.when.as_ref(), names, path, problems);
    let stand_ins: Vec<ModelId> = route
        .failover
        .iter()
        .enumerate()
        .filter_map(|(position, name)| {
            names.model(name, &format!("{path}.failover[{position}]"), problems)
        })
        .collect();
    match (&route.to, &route.cascade) {
        (Some(to), None) => {
            let target = names.model(to, &format!("{path}.to"), problems)?;
            Some(Route {
                name: route.name.clone(),
                rule,
                tiers: vec![Tier { target, stand_ins }],
                verify: Verify::Nothing,
                on_limit: OnLimit::Error,
                time_max: None,
            })
        }
        (None, Some(cascade)) => Some(Route {
            name: route.name.clone(),
            rule,
            tiers: tiers(cascade, stand_ins, names, path, problems),
            verify: verify(cascade),
            on_limit: match cascade.on_limit {
                assistants::OnLimit::Error => OnLimit::Error,
                assistants::OnLimit::BestDraft => OnLimit::BestDraft,
            },
            time_max: cascade.limits.time.map(crate::config::value::Period::get),
        }),
        (Some(_), Some(_)) => {
            let message = "has both `to` and `cascade`; keep one";
            problems.push(Problem::new(path, message));
            None
        }
        (None, None) => {
            let message = "has neither `to` nor `cascade`; write the model that answers";
            problems.push(Problem::new(path, message));
            None
        }
    }
}

fn rule(when: Option<&When>, names: &Names<'_>, path: &str, problems: &mut Vec<Problem>) -> Rule {
    let Some(when) = when else {
        return Rule::Always;
    };
    let intents = when.intent.as_slice();
    if intents.is_empty() {
        let message = "names no intent, so the route is never taken; name one";
        problems.push(Problem::new(format!("{path}.when.intent"), message));
    }
    if let Some(known) = &names.intents {
        for intent in intents {
            if !known.contains(intent.as_str()) {
                let hint = suggestion(intent.as_str(), known.iter().map(String::as_str));
                let message = format!("the centroids have no intent \"{intent}\"{hint}");
                problems.push(Problem::new(format!("{path}.when.intent"), message));
            }
        }
    }
    Rule::Intents(intents.to_vec())
}

/// The last tier has the route's stand-ins; those before it have the next tier.
fn tiers(
    cascade: &assistants::Cascade,
    stand_ins: Vec<ModelId>,
    names: &Names<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = cascade
        .tiers
        .iter()
        .enumerate()
        .filter_map(|(position, name)| {
            let target =
                names.model(name, &format!("{path}.cascade.tiers[{position}]"), problems)?;
            Some(Tier {
                target,
                stand_ins: Vec::new(),
            })
        })
        .collect();
    if let Some(last) = tiers.last_mut() {
        last.stand_ins = stand_ins;
    }
    tiers
}

fn verify(cascade: &assistants::Cascade) -> Verify {
    match cascade.verify.first() {
        Some(assistants::Verify::JsonSchema(assistants::SchemaSource::Request)) => {
            Verify::RequestSchema
        }
        None => Verify::Nothing,
    }
}
