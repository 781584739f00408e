//! What works, but can hardly be meant: routes that are never taken and rules of the policy that leave
//! nobody.

use std::sync::Arc;

use crate::config::problem::Problem;
use crate::config::{Config, assistants};
use crate::domain::name::AssistantName;
use crate::engine::Plan;
use crate::engine::access::Teams;
use crate::engine::plan::{ANY_NAME, Assistant};
use crate::routing::Rule;
use crate::routing::lint::{Never, never};
use crate::routing::rules::Condition;

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
    }
    for (position, rule) in plan.policy.rules().iter().enumerate() {
        let path = format!("policy[{position}]");
        if rule.removes_all() {
            let message = "removes every model, so each request that it applies to is refused";
            warnings.push(Problem::new(&path, message));
        }
        let why = rule
            .when()
            .conditions()
            .iter()
            .find_map(|it| beyond_reach(it, plan));
        warnings.extend(why.map(|why| Problem::new(format!("{path}.when"), why)));
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
            beyond_reach(condition, plan).or_else(|| of_another(condition, name, given, assistant))
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
fn beyond_reach(condition: &Condition, plan: &Plan) -> Option<String> {
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
                PATHS
                    .iter()
                    .any(|known| crate::routing::rules::covers(path, known))
            };
            let none = !paths.iter().any(is_one);
            none.then(|| format!("assistants are asked at {}", PATHS.join(", ")))
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
