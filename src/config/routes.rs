//! From the routes that an operator writes to those that the engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cascade::OnLimit;
use crate::config::assistants::{self, Assistant};
use crate::config::problem::Problem;
use crate::config::resolve::Names;
use crate::config::{Config, teams, when};
use crate::domain::model::{ModelId, Tier};
use crate::domain::name::{AssistantName, ModelName, RouteName};
use crate::engine::plan::{self, ANY_NAME, Route, Verify};
use crate::routing::strategy::Strategy;
use crate::routing::{Guards, Rule, Way};

mod strategy;

use strategy::Naming;

/// The assistants by name, and their aliases.
pub(super) struct Resolved {
    pub(super) assistants: BTreeMap<AssistantName, plan::Assistant>,
    pub(super) aliases: BTreeMap<String, AssistantName>,
}

/// All assistants.
pub(super) fn resolve(config: &Config, names: &Names<'_>, problems: &mut Vec<Problem>) -> Resolved {
    if config.assistants.is_empty() {
        let message =
            "there is no assistant; callers put its name in `model`, so there must be one";
        problems.push(Problem::new("assistants", message));
    }
    let mut assistants = BTreeMap::new();
    for (name, assistant) in &config.assistants {
        let path = format!("assistants.{name}.teams");
        let teams = teams::teams_of(assistant, &config.teams, &path, problems);
        let routes = routes(name, assistant, names, problems);
        assistants.insert(name.clone(), plan::Assistant { teams, routes });
    }
    Resolved {
        assistants,
        aliases: aliases(config, problems),
    }
}

/// The other names of all assistants: none stands for two, or for an assistant of that name.
fn aliases(config: &Config, problems: &mut Vec<Problem>) -> BTreeMap<String, AssistantName> {
    let mut aliases: BTreeMap<String, AssistantName> = BTreeMap::new();
    for (name, assistant) in &config.assistants {
        for (position, alias) in assistant.aliases.iter().enumerate() {
            let path = format!("assistants.{name}.aliases[{position}]");
            if config.assistants.contains_key(alias.as_str()) {
                let message = format!("an assistant is called \"{alias}\"; leave the alias out");
                problems.push(Problem::new(path, message));
            } else if let Some(other) = aliases.get(alias) {
                let message = format!("\"{alias}\" stands for the assistant \"{other}\" already");
                problems.push(Problem::new(path, message));
            } else if alias != ANY_NAME && alias.contains('*') {
                let message = format!(
                    "{alias:?} is no name; `*` by itself stands for every name that there is not"
                );
                problems.push(Problem::new(path, message));
            } else {
                aliases.insert(alias.clone(), name.clone());
            }
        }
    }
    aliases
}

fn routes(
    name: &AssistantName,
    assistant: &Assistant,
    names: &Names<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Route> {
    let path = format!("assistants.{name}.routes");
    let n_routes = assistant.routes.len();
    if n_routes == 0 {
        let message = "there is no route; write at least one, without `when`";
        problems.push(Problem::new(&path, message));
    }
    let mut seen: BTreeSet<&RouteName> = BTreeSet::new();
    let mut routes = Vec::new();
    for (position, given) in assistant.routes.iter().enumerate() {
        let path = format!("{path}[{position}]");
        if !seen.insert(&given.name) {
            let message = format!("another route is called \"{}\" as well", given.name);
            problems.push(Problem::new(format!("{path}.name"), message));
        }
        let is_last = position + 1 == n_routes;
        check_place(given, is_last, &path, problems);
        let mut reading = Reading {
            given,
            names,
            path: &path,
            problems,
        };
        let label = format!("{name}/{}", given.name);
        routes.extend(reading.route(label.into()));
    }
    routes
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

struct Reading<'a> {
    given: &'a assistants::Route,
    names: &'a Names<'a>,
    path: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn route(&mut self, label: Arc<str>) -> Option<Route> {
        let given = self.given;
        let when = given.when.as_ref();
        let rule = when.map_or_else(Rule::default, |when| {
            let path = format!("{}.when", self.path);
            when::rule(when, &self.names.rules, &path, self.problems)
        });
        let way = self.way()?;
        let cascade = given.cascade.as_ref();
        Some(Route {
            name: given.name.clone(),
            label,
            rule,
            way,
            verify: cascade.map_or(Verify::Nothing, verify),
            on_limit: match cascade.map(|cascade| cascade.on_limit) {
                Some(assistants::OnLimit::BestDraft) => OnLimit::BestDraft,
                Some(assistants::OnLimit::Error) | None => OnLimit::Error,
            },
            time_max: cascade
                .and_then(|cascade| cascade.limits.time)
                .map(crate::config::value::Period::get),
        })
    }

    /// How the route answers: by the one key that says so.
    fn way(&mut self) -> Option<Way> {
        let given = self.given;
        let ways = given.ways();
        match ways.as_slice() {
            [_] => {}
            [] => {
                let message = format!(
                    "does not say who answers; write one of {}",
                    assistants::WAYS.map(|way| format!("`{way}`")).join(", ")
                );
                self.problems.push(Problem::new(self.path, message));
                return None;
            }
            several => {
                let several: Vec<String> = several.iter().map(|way| format!("`{way}`")).collect();
                let message = format!("has {}; keep one", several.join(" and "));
                self.problems.push(Problem::new(self.path, message));
                return None;
            }
        }
        let failover = self.models("failover", &given.failover);
        if let Some(cascade) = &given.cascade {
            if given.guards.is_some() {
                let path = format!("{}.guards", self.path);
                let message = "a cascade has `limits` of its own; leave the guards out";
                self.problems.push(Problem::new(path, message));
            }
            return Some(Way::Cascade(self.tiers(cascade, failover)));
        }
        let mut naming = Naming {
            names: self.names,
            path: self.path,
            problems: self.problems,
        };
        let guards = given.guards.as_ref();
        let guards = guards.map_or_else(Guards::default, |it| naming.guards(it));
        let (of, strategy) = match &given.to {
            Some(to) => {
                let target = naming.model("to", to)?;
                (vec![target], Strategy::Pinned)
            }
            None => naming.strategy(given)?,
        };
        naming.without_effect(given, (&of, &failover), &guards);
        Some(Way::Single {
            of,
            strategy,
            failover,
            guards,
        })
    }

    fn models(&mut self, key: &str, names: &[ModelName]) -> Vec<ModelId> {
        let mut naming = Naming {
            names: self.names,
            path: self.path,
            problems: self.problems,
        };
        naming.models(key, names)
    }

    /// The last tier has the route's stand-ins; those before it have the next tier.
    fn tiers(&mut self, cascade: &assistants::Cascade, stand_ins: Vec<ModelId>) -> Vec<Tier> {
        let targets = self.models("cascade.tiers", &cascade.tiers);
        let mut tiers: Vec<Tier> = targets
            .into_iter()
            .map(|target| Tier {
                target,
                stand_ins: Vec::new(),
            })
            .collect();
        if let Some(last) = tiers.last_mut() {
            last.stand_ins = stand_ins;
        }
        tiers
    }
}

fn verify(cascade: &assistants::Cascade) -> Verify {
    match cascade.verify.first() {
        Some(assistants::Verify::JsonSchema(assistants::SchemaSource::Request)) => {
            Verify::RequestSchema
        }
        None => Verify::Nothing,
    }
}
