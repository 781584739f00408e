//! Configurations: what is wrong with them is told, and every key changes something.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use semroute::config::assemble::{Assembled, over_encoder};
use semroute::config::load::{EMBEDDED, parse};
use semroute::config::watch::Watch;
use semroute::config::{Environment, Problem, Problems};
use semroute::domain::caller::Tenant;
use semroute::engine::access::Access;
use semroute::engine::passages::Selection;
use semroute::engine::plan::PromptPolicy;
use semroute::store::{Output, Rotation};

use crate::support::{NO_ENVIRONMENT, shipped_encoder};

const MODELS: &str = "
providers:
  demo: { kind: simulated }
models:
  small: { provider: demo }
  large: { provider: demo }
";

const ROUTES: &str = "
assistants:
  assistant:
    routes:
      - { name: only, to: small }
";

fn assembled(text: &str) -> Result<Assembled, Problems> {
    let environment = Environment::from_lookup(|name| (name == "KEY").then(|| "secret".to_owned()));
    let loaded = parse(text, PathBuf::from(env!("CARGO_MANIFEST_DIR")))?;
    over_encoder(loaded, shipped_encoder(), environment)
}

fn with(extra: &str) -> Assembled {
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
fn told(text: &str, expected: &[&str]) {
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
        &["routes[0]: has neither `to` nor `cascade`"],
    );
    told(
        &routes(
            "      - { name: a, to: small, cascade: { tiers: [small], verify: [{ json_schema: request }] } }\n",
        ),
        &["routes[0]: has both"],
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
fn server_keys_change_the_server() {
    let assembled = with("server: { listen: 0.0.0.0:9, request_timeout: 7s }\n");
    assert_eq!(assembled.listen().to_string(), "0.0.0.0:9");
    assert_eq!(assembled.plan.request_timeout, Duration::from_secs(7));
}

#[test]
fn encoder_keys_change_the_encoder() {
    for (word, selection) in [
        ("last_user", Selection::LastUser),
        ("weighted", Selection::Weighted),
        ("all", Selection::All),
    ] {
        assert_eq!(
            with(&format!("encoder: {{ text: {word} }}\n"))
                .plan
                .selection,
            selection
        );
    }
    let assembled = with("encoder: { wait: 40ms, windows: 2, threads: 3, remember: 7 }\n");
    assert_eq!(assembled.queue.wait_max, Duration::from_millis(40));
    assert_eq!(assembled.queue.windows_max, 2);
    assert_eq!(assembled.queue.threads, Some(3));
    assert_eq!(assembled.queue.remembered_max, 7);
    assert_eq!(with("encoder: { threads: 0 }\n").queue.threads, None);
    let fixed = assembled
        .static_encoding
        .expect("the shipped encoder has one");
    assert_eq!(fixed.windows_max, 2);
    assert!(assembled.plan.centroids.static_part().is_some());
    let without = with("encoder: { saturated: default }\n");
    assert!(without.static_encoding.is_none());
    assert!(without.plan.centroids.static_part().is_none());
}

#[test]
fn encoder_model_and_device_are_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    for (key, place) in [
        ("model: gpt", "encoder.model: "),
        ("device: tpu", "encoder.device: "),
        ("model: path:nowhere", "encoder: "),
    ] {
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, format!("{MODELS}{ROUTES}encoder: {{ {key} }}\n")).unwrap();
        let found = semroute::config::assemble(Some(&path), NO_ENVIRONMENT);
        let found = found.err().unwrap().to_string();
        assert!(found.contains(place), "{key}: {found}");
    }
}

#[test]
fn the_kernel_is_forced_by_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, format!("{MODELS}{ROUTES}")).unwrap();
    let forced = |lookup| semroute::config::assemble(Some(&path), Environment::from_lookup(lookup));
    let kernel = |lookup| forced(lookup).unwrap().encoder.identity().kernel.clone();
    assert_eq!(
        kernel(|name| (name == "SEMROUTE_KERNEL").then(|| "portable".to_owned())),
        "int8-portable"
    );
    assert_eq!(
        kernel(|name| (name == "SEMROUTE_KERNEL").then(|| "candle".to_owned())),
        "candle-f32"
    );
    let unknown = forced(|name| (name == "SEMROUTE_KERNEL").then(|| "sse9".to_owned()));
    let problem = unknown.err().unwrap().to_string();
    assert!(
        problem.starts_with("SEMROUTE_KERNEL: \"sse9\" is no kernel"),
        "{problem}"
    );
}

#[test]
fn intents_keys_change_what_is_in_scope() {
    let calibrated = with("intents: { out_of_scope: calibrated }\n").plan;
    assert!((calibrated.threshold - calibrated.centroids.threshold()).abs() < f32::EPSILON);
    // The share of prompts in scope that is given up, whatever unit the scope score has.
    let [few, many] = ["0.02", "0.5"].map(|share| {
        let plan = with(&format!("intents: {{ out_of_scope: {share} }}\n")).plan;
        plan.threshold
    });
    assert!(few < many);
    let held_out = &calibrated.centroids.manifest().scope.held_out;
    assert!((held_out.share_below(many) - 0.5).abs() < 0.01);
    told(
        &format!("{MODELS}{ROUTES}intents: {{ out_of_scope: 1.3 }}\n"),
        &["intents.out_of_scope: "],
    );
    told(
        &format!("{MODELS}{ROUTES}intents: {{ centroids: nowhere }}\n"),
        &["intents.centroids: "],
    );
    let folder = with("intents: { centroids: centroids/assistant }\n").plan;
    assert_eq!(folder.centroid_digest, calibrated.centroid_digest);
}

#[test]
fn provider_keys_change_the_provider() {
    let text = format!(
        "providers:\n  one: {{ kind: openai, base_url: \"http://127.0.0.1:1/v1\", api_key: env:KEY, headers: {{ x-org: env:KEY }} }}\nmodels:\n  small: {{ provider: one }}\n{ROUTES}"
    );
    assert!(
        !assembled(&text)
            .unwrap_or_else(|it| panic!("{it}"))
            .plan
            .targets[0]
            .provider
            .is_simulated()
    );
    told(
        &text.replace("http://127", "ftp://127"),
        &["providers.one.base_url: "],
    );
    told(&text.replace("x-org", "x org"), &["providers.one.headers"]);
    told(
        &text.replace("kind: openai", "kind: opnai"),
        &["providers.one"],
    );
    let seeded = MODELS.replace("kind: simulated", "kind: simulated, seed: 7");
    assert!(assembled(&format!("{seeded}{ROUTES}")).is_ok());
}

#[test]
fn model_keys_change_the_model() {
    let text = "
providers:
  demo: { kind: simulated }
models:
  small:
    provider: demo
    name: real-name
    price: { input: 1.5, output: 3 }
    timeout: { first_token: 1s, between_tokens: 2s, whole: 3s }
    script: { first_token_ms: 1, per_token_ms: 2, failure_rate: 0.5, failure_status: 500, style: text }
";
    let assembled = assembled(&format!("{text}{ROUTES}")).unwrap_or_else(|it| panic!("{it}"));
    let target = &assembled.plan.targets[0];
    assert_eq!(target.model.upstream_name, "real-name");
    assert_eq!(
        target
            .model
            .price
            .unwrap()
            .input
            .times(2_000_000)
            .to_string(),
        "3"
    );
    assert_eq!(target.timeouts.first_token, Duration::from_secs(1));
    assert_eq!(target.timeouts.between_tokens, Duration::from_secs(2));
    assert_eq!(target.timeouts.whole, Duration::from_secs(3));
    told(
        &format!("{}{ROUTES}", text.replace("input: 1.5", "input: -1")),
        &["models.small.price.input"],
    );
    told(
        &format!(
            "{}{ROUTES}",
            text.replace("failure_rate: 0.5", "failure_rate: 5")
        ),
        &["failure_rate"],
    );
    let http = text.replace("{ kind: simulated }", "{ kind: openai }");
    told(
        &format!("{http}{ROUTES}"),
        &["models.small.script: only a model of a provider of kind simulated"],
    );
}

#[test]
fn cascade_keys_change_the_cascade() {
    use semroute::cascade::OnLimit;
    use semroute::engine::plan::Verify;
    let text = format!(
        "{MODELS}assistants:\n  assistant:\n    routes:\n      - name: only\n        failover: [small]\n        cascade: {{ tiers: [small, large], verify: [{{ json_schema: request }}], limits: {{ time: 3s }}, on_limit: best_draft }}\n"
    );
    let assembled = assembled(&text).unwrap_or_else(|it| panic!("{it}"));
    let route = assembled
        .plan
        .assistants
        .values()
        .next()
        .unwrap()
        .routes
        .first()
        .unwrap();
    assert_eq!(route.tiers.len(), 2);
    assert_eq!(route.tiers[1].stand_ins.len(), 1);
    assert_eq!(route.verify, Verify::RequestSchema);
    assert_eq!(route.on_limit, OnLimit::BestDraft);
    assert_eq!(route.time_max, Some(Duration::from_secs(3)));
}

/// A configuration with teams, whose keys stand in the environment under their own names.
fn with_teams(teams: &str) -> Result<Assembled, Problems> {
    let environment = Environment::from_lookup(|name| {
        let key = match name {
            "BLANK" => " \t",
            "SHORT" => "fifteen-letters",
            "SPACED" => "sixteen letters!",
            "PADDED" => " padded-0123456789\n",
            "A" | "COPY" => "key-a-0123456789",
            "B" => "key-b-0123456789",
            _ => return None,
        };
        Some(key.to_owned())
    });
    let loaded = parse(&format!("{MODELS}{ROUTES}{teams}"), PathBuf::new())?;
    over_encoder(loaded, shipped_encoder(), environment)
}

#[test]
fn the_keys_of_teams_change_who_may_ask() {
    let held = |teams: &str, key: &str| {
        let plan = with_teams(teams).unwrap_or_else(|it| panic!("{it}")).plan;
        match plan.access {
            Access::Anyone => None,
            Access::KeyHolders(ring) => ring.holder(key.as_bytes()).map(ToString::to_string),
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "key-f-0123456789\n").unwrap();
    let teams = format!(
        "teams: {{ lab: {{ keys: [env:A, \"file:{}\"] }}, clinic: {{ keys: [env:B, env:PADDED] }} }}\n",
        file.display()
    );
    for (key, team) in [
        ("key-a-0123456789", Some("lab")),
        ("key-f-0123456789", Some("lab")),
        ("key-b-0123456789", Some("clinic")),
        ("padded-0123456789", Some("clinic")),
        ("key-c-0123456789", None),
    ] {
        assert_eq!(held(&teams, key).as_deref(), team, "{key}");
    }
    assert_eq!(held("", "key-a-0123456789"), None);
}

#[test]
fn keys_that_cannot_tell_a_team_are_told_and_never_repeated() {
    let found = with_teams(
        "teams: { lab: { keys: [env:A, env:COPY, env:BLANK, env:SHORT, env:SPACED, env:NONE] }, \
         clinic: { keys: [env:A] }, empty: { keys: [] }, all: { keys: [env:B] } }\n",
    );
    let found = found.err().unwrap().to_string();
    for words in [
        "teams.lab.keys[0]: the team \"clinic\" has the same key",
        "teams.lab.keys[1]: the team \"clinic\" has the same key",
        "teams.lab.keys[2]: the key is blank",
        "teams.lab.keys[3]: the key has 15 characters; it must have 16 to 512",
        "teams.lab.keys[4]: the key has characters that a header cannot carry",
        "teams.lab.keys[5]: the environment variable NONE is not set",
        "teams.empty.keys: there is no key",
        "teams.all: the name \"all\" has a meaning of its own",
    ] {
        assert!(found.contains(words), "{words} is not in\n{found}");
    }
    for key in ["key-a", "key-b", "fifteen", "sixteen"] {
        assert!(!found.contains(key), "{key} is told:\n{found}");
    }
    let twice = with_teams("teams: { lab: { keys: [env:A, env:COPY] } }\n");
    let twice = twice.err().unwrap().to_string();
    assert_eq!(
        twice,
        "teams.lab.keys[1]: the team has the same key already; leave one out"
    );
    let pasted = with_teams("teams: { lab: { keys: [key-a-0123456789] } }\n");
    assert_eq!(
        pasted.err().unwrap().to_string(),
        "teams.lab.keys[0]: a secret is not written here: say env:NAME or file:PATH"
    );
}

#[test]
fn a_section_of_teams_that_names_none_does_not_open_the_server() {
    for teams in ["teams: {}\n", "teams:\n"] {
        let problem = with_teams(teams).err().unwrap().to_string();
        assert!(problem.starts_with("teams: "), "{problem}");
    }
}

#[test]
fn the_teams_of_an_assistant_change_who_may_ask_for_it() {
    const TEAMS: &str = "teams: { lab: { keys: [env:A] }, clinic: { keys: [env:B] } }\n";
    let of = |teams: &str| {
        let routes = ROUTES.replace("    routes:", &format!("    teams: {teams}\n    routes:"));
        let environment = Environment::from_lookup(|name| match name {
            "A" => Some("key-a-0123456789".to_owned()),
            _ => Some("key-b-0123456789".to_owned()),
        });
        let loaded = parse(&format!("{MODELS}{routes}{TEAMS}"), PathBuf::new())?;
        over_encoder(loaded, shipped_encoder(), environment)
    };
    let admitted = |teams: &str| {
        let plan = of(teams).unwrap_or_else(|it| panic!("{it}")).plan;
        let tenants = ["lab", "clinic"].map(|name| Tenant::Team(name.parse().unwrap()));
        tenants.map(|tenant| plan.assistants_of(&tenant).count())
    };
    assert_eq!(admitted("all"), [1, 1]);
    assert_eq!(admitted("[all]"), [1, 1]);
    assert_eq!(admitted("lab"), [1, 0]);
    assert_eq!(admitted("[clinic]"), [0, 1]);
    assert_eq!(admitted("[clinic, lab]"), [1, 1]);
    for (teams, problem) in [
        (
            "[lab, clnic]",
            "assistants.assistant.teams[1]: no team is called \"clnic\"; did you mean \"clinic\"?",
        ),
        (
            "labb",
            "assistants.assistant.teams: no team is called \"labb\"; did you mean \"lab\"?",
        ),
        ("[]", "assistants.assistant.teams: names no team"),
        (
            "[all, lab]",
            "assistants.assistant.teams: `all` stands for every team",
        ),
    ] {
        let found = of(teams).err().unwrap().to_string();
        assert!(found.contains(problem), "{found}");
    }
    told(
        &format!(
            "{MODELS}{}",
            ROUTES.replace("    routes:", "    teams: lab\n    routes:")
        ),
        &["assistants.assistant.teams: no team is called \"lab\"; there is none"],
    );
}

#[test]
fn log_keys_change_the_log() {
    let assembled = with("log: { to: [stdout, \"jsonl:./log\"], prompts: hashed }\n");
    assert_eq!(
        assembled.outputs(),
        [Output::Stdout, Output::Folder("./log".into())]
    );
    assert_eq!(assembled.plan.prompts, PromptPolicy::Hashed);
    assert_eq!(
        with("log: { prompts: full }\n").plan.prompts,
        PromptPolicy::Full
    );
    assert!(with("log: { to: [] }\n").outputs().is_empty());
    told(
        &format!("{MODELS}{ROUTES}log: {{ to: [syslog] }}\n"),
        &["log.to[0]"],
    );
    let warned = with("log: { prompts: none }\n").warnings();
    assert!(warned.iter().any(|warning| warning.path == "log.prompts"));
    assert!(with("log: { prompts: full }\n").warnings().is_empty());
    assert_eq!(
        with("log: { rotate: 10MB, keep: 3 }\n").rotation(),
        Rotation {
            bytes: 10_000_000,
            keep: Some(3)
        }
    );
    assert_eq!(with("log: {}\n").rotation().bytes, 256 << 20);
    told(
        &format!("{MODELS}{ROUTES}log: {{ rotate: \"10 parsecs\" }}\n"),
        &["log.rotate"],
    );
}

#[test]
fn centroids_are_watched_unless_they_are_in_the_binary_or_nobody_wants_to() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("centroids/assistant");
    let place = folder.path().join("set");
    std::fs::create_dir(&place).unwrap();
    for name in ["manifest.json", "vectors.safetensors"] {
        std::fs::copy(shipped.join(name), place.join(name)).unwrap();
    }
    let watch = |intents: &str| {
        let assembled = with(&format!("intents: {{ {intents} }}\n"));
        Watch::of(&assembled.loaded, assembled.fitting())
    };
    let centroids = format!("centroids: {:?}", place.display().to_string());
    assert!(
        watch("watch: 2s").is_none(),
        "those in the binary never change"
    );
    assert!(watch(&format!("{centroids}, watch: never")).is_none());
    let mut watched = watch(&format!("{centroids}, watch: 2s")).unwrap();
    assert_eq!(watched.interval(), Duration::from_secs(2));
    assert!(watched.look().is_none(), "nothing has changed");
    // Another length: what is there now is no set, which is told once.
    std::fs::write(place.join("manifest.json"), "{}").unwrap();
    assert!(watched.look().unwrap().centroids.is_err());
    assert!(watched.look().is_none());
    std::fs::copy(shipped.join("manifest.json"), place.join("manifest.json")).unwrap();
    assert!(watched.look().unwrap().centroids.is_ok());
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
