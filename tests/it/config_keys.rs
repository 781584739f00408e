//! Every key of a configuration changes something.

use std::path::PathBuf;
use std::time::Duration;

use semroute::config::Environment;
use semroute::config::watch::Watch;
use semroute::engine::passages::Selection;
use semroute::engine::plan::PromptPolicy;
use semroute::store::{Output, Rotation};

use crate::config::{MODELS, ROUTES, assembled, told, with};
use crate::support::NO_ENVIRONMENT;

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
    limits: { concurrency: 4, requests_per_minute: 50, tokens_per_minute: 6000 }
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
    let limits = target.load_limits;
    assert_eq!(limits.concurrency, Some(4));
    assert_eq!(limits.requests_per_minute, Some(50));
    assert_eq!(limits.tokens_per_minute, Some(6_000));
    for (key, value) in [
        ("concurrency", "4"),
        ("requests_per_minute", "50"),
        ("tokens_per_minute", "6000"),
    ] {
        let zero = text.replace(&format!("{key}: {value}"), &format!("{key}: 0"));
        let expected = format!("models.small.limits.{key}: 0 is less than the minimum of 1");
        told(&format!("{zero}{ROUTES}"), &[&expected]);
    }
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
    assert_eq!(route.way.first_choices().len(), 2);
    assert_eq!(route.way.models().len(), 3);
    assert_eq!(route.verify, Verify::RequestSchema);
    assert_eq!(route.on_limit, OnLimit::BestDraft);
    assert_eq!(route.time_max, Some(Duration::from_secs(3)));
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
