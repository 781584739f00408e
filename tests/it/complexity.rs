//! Levels of complexity: who asks for them gets them, and they are more than the length of a prompt.

use std::fs;

use semroute::config::load::EMBEDDED;
use semroute::domain::complexity::Level;
use semroute::encoder::{Class, queue};
use semroute::engine::ledger::Ledger;
use serde_json::Value;

use crate::binary::semroute;
use crate::config::{MODELS, ROUTES, assembled, told, with};
use crate::engine::{engine_of, said};

const PROOF: &str = "Prove that there are infinitely many primes of the form 4k + 1.";

/// By the level of a prompt, and nothing else.
const BY_LEVEL: &str = "
assistants:
  assistant:
    routes:
      - { name: thorough, when: { complexity: hard }, to: large }
      - { name: quick, when: { complexity: [simple, moderate] }, to: small }
      - { name: rest, to: small }
complexity: { levels: embedded }
";

/// The record that deciding on a prompt leaves.
async fn record(
    config: &str,
    text: &str,
    bounds: impl FnOnce(queue::Settings) -> queue::Settings,
) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_of(config, folder.path().to_owned(), bounds);
    let ledger = Ledger::open(&engine, "/v1/route", "request-1".to_owned());
    let request = said("assistant", text);
    let decided = engine.decide(&request, Class::Interactive, ledger).await;
    assert!(decided.outcome.is_ok());
    drop(engine);
    let lines = fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    serde_json::from_str(lines.trim()).unwrap()
}

#[tokio::test]
async fn the_level_is_in_the_record_only_where_it_is_asked_for() {
    let wanted = format!("{EMBEDDED}\ncomplexity: {{ levels: embedded }}\n");
    let hard = record(&wanted, PROOF, |queue| queue).await;
    assert_eq!(hard["complexity"]["level"], "hard", "{hard}");
    let score = hard["complexity"]["score"].as_f64().unwrap();
    assert!(1.0 / 3.0 < score && score <= 1.0, "{score}");
    let simple = record(&wanted, "what's the capital of Peru?", |queue| queue).await;
    assert_eq!(simple["complexity"]["level"], "simple", "{simple}");
    let unasked = record(EMBEDDED, PROOF, |queue| queue).await;
    assert_eq!(unasked.get("complexity"), None, "{unasked}");
}

#[tokio::test]
async fn a_rule_on_levels_sends_a_short_proof_elsewhere_than_a_long_errand() {
    let config = format!("{MODELS}{BY_LEVEL}log: {{ to: [] }}\n");
    let hard = record(&config, PROOF, |queue| queue).await;
    assert_eq!(hard["decision"]["route"], "thorough", "{hard}");
    assert_eq!(hard["decision"]["reason"], "complexity");
    let long = "Please put these names in alphabetical order and leave everything else as it is, I \
                will print them on cards: Tanaka, Albrecht, Moyo, Zielinski, Fraser, Iyer, Olsen.";
    let simple = record(&config, long, |queue| queue).await;
    assert_eq!(simple["decision"]["route"], "quick", "{simple}");
    let off = config.replace("levels: embedded", "levels: none");
    let unknown = record(&off, PROOF, |queue| queue).await;
    assert_eq!(unknown["decision"]["route"], "rest", "{unknown}");
}

#[tokio::test]
async fn while_the_encoder_is_busy_no_level_is_known() {
    let config = format!("{EMBEDDED}\ncomplexity: {{ levels: embedded }}\n");
    let full = |queue| queue::Settings {
        depth_max: 0,
        ..queue
    };
    let record = record(&config, PROOF, full).await;
    assert_eq!(record["intent"]["encoder"], "static", "{record}");
    assert_eq!(record.get("complexity"), None, "{record}");
}

#[test]
fn complexity_keys_change_the_levels() {
    assert!(with("").plan.complexity.is_none());
    assert!(
        with("complexity: { levels: none }\n")
            .plan
            .complexity
            .is_none()
    );
    let vector = {
        let mut vector = vec![0.0_f32; 384];
        vector[7] = 1.0;
        vector
    };
    let rate = |extra: &str| with(extra).plan.complexity.unwrap().rate(&vector).unwrap();
    let shipped = rate("complexity: { levels: embedded }\n");
    assert!(Level::ALL.contains(&shipped.level));
    let folder = rate("complexity: { levels: centroids/complexity }\n");
    assert_eq!(folder, shipped, "the binary holds what the folder holds");
}

#[test]
fn levels_that_are_none_are_told_with_the_remedy() {
    let config = format!("{MODELS}{ROUTES}");
    told(
        &format!("{config}complexity: {{ levels: nowhere }}\n"),
        &["complexity.levels: ", "semroute train LABELS --out FOLDER"],
    );
    told(
        &format!("{config}complexity: {{ levels: centroids/assistant }}\n"),
        &[
            "complexity.levels: centroids/assistant holds advice",
            "exactly simple, moderate and hard",
        ],
    );
    // YAML's own word for false, which is not a name.
    told(
        &format!("{config}complexity: {{ levels: off }}\n"),
        &["complexity.levels: "],
    );
    told(
        &format!("{config}complexity: {{ level: embedded }}\n"),
        &["complexity.level: there is no such key; did you mean \"levels\"?"],
    );
}

#[test]
fn a_rule_on_levels_that_nobody_finds_out_is_a_warning() {
    let warned = |config: &str| {
        let warnings = assembled(config).unwrap_or_else(|problems| panic!("{problems}"));
        let warnings: Vec<String> = warnings
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect();
        warnings.join("\n")
    };
    let on = format!("{MODELS}{BY_LEVEL}");
    let place = "assistants.assistant.routes[0].when.complexity: ";
    assert!(!warned(&on).contains(place), "{}", warned(&on));
    let off = warned(&on.replace("levels: embedded", "levels: none"));
    assert!(
        off.contains(place) && off.contains("levels: embedded"),
        "{off}"
    );
}

const TEST: &str = "evals/complexity/test.jsonl";

#[test]
fn the_shipped_levels_reach_their_baseline_and_beat_length() {
    let output = semroute(&[
        "eval",
        TEST,
        "--centroids",
        "centroids/complexity",
        "--length-from",
        "evals/complexity/train.jsonl",
        "--baseline",
        "evals/baselines/complexity.json",
        "--json",
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figure = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap();
    let least = figure("/accuracy/low");
    assert!(figure("/controls/majority/accuracy") < least);
    assert!(figure("/controls/shuffled/accuracy") < least);
    assert!(figure("/length/accuracy/high") < least);
    assert!(0.0 < figure("/length/comparison/difference/low"));
    assert!(figure("/length/comparison/p_value") < 0.001);
    assert_eq!(report["length"]["rule"][0]["from_chars"], 0);
}

#[test]
fn ranks_are_compared_with_levels_and_with_length() {
    let ranked = |ranks: &str, centroids: &str| {
        semroute(&[
            "eval",
            TEST,
            "--centroids",
            centroids,
            "--ranks",
            ranks,
            "--json",
        ])
    };
    let output = ranked("simple,hard", "centroids/complexity");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["n_rows"], 154, "{report}");
    assert_eq!(report["left_out"], 76);
    let levels = &report["rank_correlation"]["found"];
    let length = &report["rank_correlation"]["length"];
    assert!(0.6 < levels["value"].as_f64().unwrap(), "{report}");
    assert!(
        length["high"].as_f64().unwrap() < levels["low"].as_f64().unwrap(),
        "{report}"
    );
    let other = ranked("simple,hard", "assistant");
    assert_eq!(other.status.code(), Some(2));
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("exactly simple, moderate and hard"), "{said}");
}
