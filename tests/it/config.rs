//! Configurations: what is wrong with them is told, all of it at once and with its place.

use std::path::PathBuf;
use std::sync::Arc;

use semroute::config::assemble::{Assembled, over_encoder};
use semroute::config::load::{EMBEDDED, parse};
use semroute::config::{Environment, Problem, Problems};

use crate::support::{NO_ENVIRONMENT, shipped_encoder};

pub(crate) const MODELS: &str = "
providers:
  demo: { kind: simulated }
models:
  small: { provider: demo }
  large: { provider: demo }
";

pub(crate) const ROUTES: &str = "
assistants:
  assistant:
    routes:
      - { name: only, to: small }
";

pub(crate) fn assembled(text: &str) -> Result<Assembled, Problems> {
    let environment = Environment::from_lookup(|name| (name == "KEY").then(|| "secret".to_owned()));
    let loaded = parse(text, PathBuf::from(env!("CARGO_MANIFEST_DIR")))?;
    over_encoder(loaded, shipped_encoder(), environment)
}

pub(crate) fn with(extra: &str) -> Assembled {
    let text = format!("{MODELS}{ROUTES}{extra}");
    assembled(&text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Vec<String> {
    match assembled(text) {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems.iter().map(Problem::to_string).collect(),
    }
}

#[track_caller]
pub(crate) fn told(text: &str, expected: &[&str]) {
    let found = problems(text);
    for words in expected {
        let is_told = found.iter().any(|problem| problem.contains(words));
        assert!(is_told, "{words:?} is not in\n{}", found.join("\n"));
    }
}

#[test]
fn the_embedded_configuration_is_fine() {
    assert_eq!(problems(EMBEDDED), Vec::<String>::new());
}

#[test]
fn every_problem_of_shape_is_told_at_once_with_its_place() {
    told(
        &format!(
            "{MODELS}{ROUTES}sever: {{}}\nserver: {{ lisen: 127.0.0.1:1, request_timeout: 20 }}\nlog: {{ prompts: ful }}\n"
        ),
        &[
            "sever: there is no such key; did you mean \"server\"?",
            "server.lisen: there is no such key; did you mean \"listen\"?",
            "server.request_timeout: ",
            "log.prompts: \"ful\" is not one of ",
        ],
    );
}

#[test]
fn an_unknown_key_deep_inside_is_found() {
    let text = format!(
        "{MODELS}assistants:\n  assistant:\n    routes:\n      - name: a\n        when: {{ intnt: code }}\n        to: small\n      - name: b\n        cascade: {{ tiers: [small], verify: [{{ json_schema: request }}], limit: {{}} }}\n"
    );
    told(
        &text,
        &[
            "assistants.assistant.routes[0].when.intnt: there is no such key; did you mean \"intent\"?",
            "assistants.assistant.routes[1].cascade.limit: there is no such key; did you mean \"limits\"?",
        ],
    );
}

#[test]
fn every_problem_of_names_is_told_at_once_with_its_place() {
    let text = "
providers:
  demo: { kind: simulated }
models:
  small: { provider: dmo }
  large: { provider: demo }
assistants:
  assistant:
    routes:
      - { name: a, when: { intent: cod }, to: huge }
      - { name: a, to: large, failover: [larg] }
";
    told(
        text,
        &[
            "models.small.provider: no provider is called \"dmo\"; did you mean \"demo\"?",
            "routes[0].to: no model is called \"huge\"",
            "routes[0].when.intent: the centroids have no intent \"cod\"; did you mean \"code\"?",
            "routes[1].name: another route is called \"a\" as well",
            "routes[1].failover[0]: no model is called \"larg\"; did you mean \"large\"?",
        ],
    );
}

#[test]
fn a_route_says_one_thing_and_the_last_one_takes_the_rest() {
    let routes = |routes: &str| format!("{MODELS}assistants:\n  assistant:\n    routes:\n{routes}");
    told(
        &routes("      - { name: a }\n"),
        &["routes[0]: does not say who answers; write one of `to`, `weighted`"],
    );
    told(
        &routes(
            "      - { name: a, to: small, cascade: { tiers: [small], verify: [{ json_schema: request }] } }\n",
        ),
        &["routes[0]: has `to` and `cascade`; keep one"],
    );
    told(
        &routes(
            "      - { name: a, to: small }\n      - { name: b, to: large, when: { intent: code } }\n",
        ),
        &[
            "routes[0]: a route without `when`",
            "routes[1].when: the last route",
        ],
    );
    told(
        &format!("{MODELS}assistants: {{ assistant: {{ routes: [] }} }}\n"),
        &["there is no route"],
    );
    told(
        &format!("{MODELS}assistants: {{}}\n"),
        &["there is no assistant"],
    );
}

#[test]
fn a_secret_that_is_not_there_is_told_and_never_repeated() {
    let text = MODELS.replace(
        "{ kind: simulated }",
        "{ kind: openai, api_key: env:NO_SUCH_KEY }",
    );
    told(
        &format!("{text}{ROUTES}"),
        &["providers.demo.api_key: the environment variable NO_SUCH_KEY is not set"],
    );
    let text = MODELS.replace(
        "{ kind: simulated }",
        "{ kind: openai, api_key: sk-abcdef }",
    );
    let found = problems(&format!("{text}{ROUTES}")).join("\n");
    assert!(found.contains("providers.demo"), "{found}");
    assert!(!found.contains("sk-abcdef"), "{found}");
}

#[test]
fn what_is_not_yaml_or_says_a_key_twice_is_refused() {
    told("a: [", &["not YAML"]);
    told(&format!("{MODELS}{ROUTES}log: {{}}\nlog: {{}}\n"), &["log"]);
}

#[test]
fn init_writes_a_configuration_that_is_fine() {
    let keyless = semroute::config::init::draft(NO_ENVIRONMENT);
    assert_eq!(
        problems(&keyless.text),
        Vec::<String>::new(),
        "{}",
        keyless.text
    );
    let two = Environment::from_lookup(|name| {
        ["OPENAI_API_KEY", "GROQ_API_KEY"]
            .contains(&name)
            .then(|| "k".to_owned())
    });
    let draft = semroute::config::init::draft(two);
    assert_eq!(draft.keys, ["OPENAI_API_KEY", "GROQ_API_KEY"]);
    let loaded =
        parse(&draft.text, PathBuf::new()).unwrap_or_else(|it| panic!("{it}\n{}", draft.text));
    let assembled = over_encoder(loaded, Arc::clone(&shipped_encoder()), two);
    assert!(assembled.is_ok_and(|it| it.plan.targets.len() == 4));
    let all = Environment::from_lookup(|_| Some("k".to_owned()));
    let draft = semroute::config::init::draft(all);
    let loaded =
        parse(&draft.text, PathBuf::new()).unwrap_or_else(|it| panic!("{it}\n{}", draft.text));
    let providers = loaded.config.providers.values();
    let vendors = providers.filter_map(semroute::config::providers::Provider::vendor);
    assert_eq!(vendors.count(), draft.keys.len());
    let assembled = over_encoder(loaded, Arc::clone(&shipped_encoder()), all);
    let n_models = 2 * draft.keys.len();
    assert!(assembled.is_ok_and(|it| it.plan.targets.len() == n_models));
}
