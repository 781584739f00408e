//! What works, but can hardly be meant: routes that are never taken and rules of the policy that leave
//! nobody.

use std::sync::Arc;

use crate::config::problem::Problem;
use crate::config::{Config, assistants};
use crate::domain::model::ModelId;
use crate::domain::name::{AssistantName, IntentName};
use crate::domain::quality::QualityTable;
use crate::engine::Plan;
use crate::engine::access::Teams;
use crate::engine::plan::{ANY_NAME, Assistant, Route};
use crate::routing::lint::{Never, never};
use crate::routing::rules::Condition;
use crate::routing::{Rule, Way};

/// The paths at which assistants are asked.
const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/route",
    "/v1/route/batch",
];

/// Everything of routes and policy that can hardly be meant.
pub(super) fn of(config: &Config, plan: &Plan) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (name, assistant) in &plan.assistants {
        let path = format!("assistants.{name}.routes");
        warnings.extend(routes(name, assistant, (config, plan), &path));
        for (position, route) in assistant.routes.iter().enumerate() {
            warnings.extend(unmeasured(route, plan, &format!("{path}[{position}]")));
        }
    }
    for (position, rule) in plan.policy.rules().iter().enumerate() {
        let path = format!("policy[{position}]");
        if rule.removes_all() {
            let message = "removes every model, so each request that it applies to is refused";
            warnings.push(Problem::new(&path, message));
        }
        let paths = [&PATHS[..], &["/v1/embeddings"]].concat();
        let conditions = rule.when().conditions();
        let beyond = || {
            conditions
                .iter()
                .find_map(|it| beyond_reach(it, plan, &paths))
        };
        let why = contradicted(rule.when()).or_else(beyond);
        let told = why.map(|why| format!("never applies: {why}"));
        warnings.extend(told.map(|told| Problem::new(format!("{path}.when"), told)));
    }
    warnings
}

fn routes(
    name: &AssistantName,
    assistant: &Assistant,
    (config, plan): (&Config, &Plan),
    path: &str,
) -> Vec<Problem> {
    let rules: Vec<&Rule> = assistant.rules().collect();
    let mut told: Vec<(usize, String)> = never(&rules)
        .into_iter()
        .map(|(idx, why)| (idx, explained(&why, assistant)))
        .collect();
    let given = config.assistants.get(name);
    for (idx, rule) in rules.iter().enumerate() {
        if told.iter().any(|(known, _)| *known == idx) {
            continue;
        }
        let why = rule.conditions().iter().find_map(|condition| {
            beyond_reach(condition, plan, &PATHS)
                .or_else(|| of_another(condition, name, given, assistant))
        });
        told.extend(why.map(|why| (idx, why)));
    }
    told.sort();
    let told = told.into_iter();
    told.map(|(idx, why)| {
        let route = assistant
            .routes
            .get(idx)
            .map_or("", |route| route.name.as_str());
        Problem::new(
            format!("{path}[{idx}].when"),
            format!("the route \"{route}\" is never taken: {why}"),
        )
    })
    .collect()
}

fn contradicted(rule: &Rule) -> Option<String> {
    let (_, why) = never(&[rule]).pop()?;
    match why {
        Never::Contradiction(left, right) => {
            Some(format!("`{left}` and `{right}` exclude each other"))
        }
        Never::Shadowed(_) => None,
    }
}

/// What a route that goes by measured quality cannot know.
fn unmeasured(route: &Route, plan: &Plan, path: &str) -> Vec<Problem> {
    let (Some(table), true) = (&plan.quality, route.way.looks_at_intent()) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    if !table.centroid_digest.is_empty() && *table.centroid_digest != *plan.centroid_digest {
        told.push(
            "the table in `quality` was made with other centroids, so its intents may mean something else; make it again by `semroute eval models`"
                .to_owned(),
        );
    }
    let Way::Single { of, .. } = &route.way else {
        return Vec::new();
    };
    for id in of.iter().filter(|id| !is_measured(table, None, plan, **id)) {
        let name = plan
            .target(*id)
            .map_or("", |target| target.model.name.as_str());
        told.push(format!(
            "the table in `quality` does not have \"{name}\", so it is never chosen"
        ));
    }
    let lacks = |intent: &&IntentName| {
        !of.iter()
            .any(|id| is_measured(table, Some(intent), plan, *id))
    };
    let lacking: Vec<String> = plan
        .centroids
        .intents()
        .filter(lacks)
        .map(ToString::to_string)
        .collect();
    if !lacking.is_empty() && lacking.len() < plan.centroids.intents().len() {
        told.push(format!(
            "none of its models was measured at {}; prompts of these go to `failover`, or are refused",
            lacking.join(", ")
        ));
    }
    told.into_iter()
        .map(|message| Problem::new(path, message))
        .collect()
}

fn is_measured(
    table: &QualityTable,
    intent: Option<&IntentName>,
    plan: &Plan,
    id: ModelId,
) -> bool {
    plan.target(id).is_some_and(|target| {
        let names = [target.model.name.as_str(), &target.model.upstream_name];
        names.iter().any(|name| table.of(intent, name).is_some())
    })
}

fn explained(why: &Never, assistant: &Assistant) -> String {
    match why {
        Never::Shadowed(by) => {
            let names = by.iter().filter_map(|idx| assistant.routes.get(*idx));
            let names: Vec<String> = names.map(|route| format!("\"{}\"", route.name)).collect();
            format!(
                "whenever it would be, {} before it is; put it first, or leave it out",
                names.join(" or ")
            )
        }
        Never::Contradiction(left, right) => {
            format!("`{left}` and `{right}` exclude each other")
        }
    }
}

/// Why a condition holds for no request that comes to this gateway.
fn beyond_reach(condition: &Condition, plan: &Plan, at: &[&str]) -> Option<String> {
    match condition {
        Condition::Gateway(regions) => match &plan.region {
            None => Some("`server.region` does not say where this gateway stands".to_owned()),
            Some(region) if !regions.contains(region) => {
                Some(format!("this gateway stands in {region}"))
            }
            Some(_) => None,
        },
        Condition::Path(paths) => {
            let is_one = |path: &Arc<str>| {
                at.iter()
                    .any(|known| crate::routing::rules::covers(path, known))
            };
            let none = !paths.iter().any(is_one);
            none.then(|| format!("what can be asked is {}", at.join(", ")))
        }
        _ => None,
    }
}

/// Why a condition holds for no request to this assistant.
fn of_another(
    condition: &Condition,
    name: &AssistantName,
    given: Option<&assistants::Assistant>,
    assistant: &Assistant,
) -> Option<String> {
    match (condition, &assistant.teams) {
        (Condition::Model(names), _) => {
            let aliases = given.map_or(&[][..], |given| &given.aliases);
            let is_own = |asked: &Arc<str>| {
                **asked == *name.as_str()
                    || aliases
                        .iter()
                        .any(|alias| *alias == **asked || alias == ANY_NAME)
            };
            (!names.iter().any(is_own)).then(|| {
                "nobody asks for this assistant by that name; add it to `aliases`".to_owned()
            })
        }
        (Condition::Team(teams), Teams::These(admitted)) => {
            let none = !teams.iter().any(|team| admitted.contains(team));
            none.then(|| "no such team may ask for this assistant".to_owned())
        }
        _ => None,
    }
}
