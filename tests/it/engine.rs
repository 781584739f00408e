//! The engine without a socket, on a clock that the test sets.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use semroute::clock::{Clock, ManualClock};
use semroute::config::assemble::over_encoder;
use semroute::config::load::{EMBEDDED, parse};
use semroute::domain::chat::Request;
use semroute::encoder::{Class, EncoderQueue, queue};
use semroute::engine::feedback::Said;
use semroute::engine::ledger::Ledger;
use semroute::engine::{Engine, Parts};
use semroute::store::{Output, RecordLog, Rotation, Settings};
use semroute::telemetry::Metrics;
use semroute::wire::Inbound;
use serde_json::{Value, json};

use crate::support::{NO_ENVIRONMENT, shipped_encoder};

/// An engine that logs into a folder, at half past one minute after the clock began.
pub(crate) fn engine(prompts: &str, folder: PathBuf, wait_max: Duration) -> Arc<Engine> {
    let text = EMBEDDED.replace("prompts: none", &format!("prompts: {prompts}"));
    engine_of(&text, folder, |queue| queue::Settings { wait_max, ..queue })
}

/// The same over a configuration, with the bounds of the encoder's queue changed.
pub(crate) fn engine_of(
    config: &str,
    folder: PathBuf,
    bounds: impl FnOnce(queue::Settings) -> queue::Settings,
) -> Arc<Engine> {
    let clock = Arc::new(ManualClock::default());
    clock.advance(Duration::from_secs(90));
    engine_on(clock, config, folder, bounds)
}

/// The same on a clock that the test goes on to set.
pub(crate) fn engine_on(
    clock: Arc<ManualClock>,
    config: &str,
    folder: PathBuf,
    bounds: impl FnOnce(queue::Settings) -> queue::Settings,
) -> Arc<Engine> {
    let assembled = parse(config, PathBuf::new())
        .and_then(|loaded| over_encoder(loaded, shipped_encoder(), NO_ENVIRONMENT))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let monotonic = Arc::clone(&clock);
    let settings = bounds(assembled.queue);
    Engine::new(Parts {
        seed: 1,
        plan: assembled.plan,
        encoder: EncoderQueue::start(
            shipped_encoder(),
            settings,
            Arc::new(move || monotonic.now().elapsed()),
            Box::new(|_| {}),
        )
        .unwrap(),
        static_encoding: assembled.static_encoding,
        clock,
        metrics: Arc::new(Metrics::new()),
        log: RecordLog::open(&Settings {
            outputs: vec![Output::Folder(folder)],
            rotation: Rotation {
                bytes: u64::MAX,
                keep: None,
            },
            wall: Arc::new(|| Duration::ZERO),
            on_lost: Arc::new(|| {}),
        })
        .unwrap(),
    })
}

/// A request to an assistant that says no more than this.
pub(crate) fn said(assistant: &str, text: &str) -> Request {
    let message = json!({ "role": "user", "content": text });
    let body = json!({ "model": assistant, "messages": [message] });
    let read = Inbound::OpenAi.read_request(body.to_string().as_bytes());
    read.unwrap()
}

/// The one record that deciding on this prompt leaves.
async fn record(prompts: &str, text: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let engine = engine(prompts, path.clone(), Duration::from_mins(1));
    let ledger = Ledger::open(&engine, "/v1/route", "request-1".to_owned());
    let decided = engine
        .decide(&said("assistant", text), Class::Interactive, ledger)
        .await;
    assert!(decided.outcome.is_ok());
    drop(engine);
    let lines = fs::read_to_string(path.join("records.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    serde_json::from_str(lines.trim()).unwrap()
}

#[tokio::test]
async fn a_record_tells_what_was_decided_and_when() {
    let record = record(
        "none",
        "Refactor this function in Go so that it returns early",
    )
    .await;
    assert_eq!(record["version"], 2);
    assert_eq!(record["request_id"], "request-1");
    assert_eq!(record["time"], "1970-01-01T00:01:30.000Z");
    assert_eq!(record["decision"]["route"], "code");
    assert_eq!(record["decision"]["propensity"], 1.0);
    assert_eq!(record["outcome"]["kind"], "decided");
    assert_eq!(record["timings"]["total_ms"], 0.0, "the clock stood still");
    assert_eq!(record["centroid_digest"].as_str().map(str::len), Some(64));
    assert_eq!(record["encoder"]["name"], "all-MiniLM-L6-v2");
    assert_eq!(record["prompt"], Value::Null);
}

#[tokio::test]
async fn a_request_is_served_until_its_ledger_ends_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine("none", folder.path().to_owned(), Duration::from_mins(1));
    let open = |id: &str| Ledger::open(&engine, "/v1/route", id.to_owned());
    let (closed, left, failed) = (open("closed"), open("left"), open("failed"));
    assert_eq!(engine.n_open(), 3);
    closed.close().await;
    assert_eq!(engine.n_open(), 2);
    drop(left);
    assert_eq!(engine.n_open(), 1);
    let closing = failed.close();
    // Nobody waits for the log.
    drop(closing);
    assert_eq!(engine.n_open(), 0);
    let path = folder.path().join("records.jsonl");
    let all_written = async {
        while fs::read_to_string(&path).unwrap().lines().count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(30), all_written);
    assert!(written.await.is_ok(), "each of them has a record");
}

#[tokio::test]
async fn a_record_keeps_as_much_of_the_prompt_as_it_is_told_to() {
    assert_eq!(
        record("full", "good morning").await["prompt"],
        "good morning"
    );
    let hashed = record("hashed", "good morning").await["prompt"].clone();
    assert_eq!(hashed.as_str().map(str::len), Some(64));
    assert_eq!(record("hashed", "good morning").await["prompt"], hashed);
    assert_ne!(record("hashed", "good evening").await["prompt"], hashed);
}

/// A configuration whose only assistant has these routes, and one simulated model.
pub(crate) fn config_of(routes: &str, prompts: &str) -> String {
    format!(
        "
providers: {{ sim: {{ kind: simulated }} }}
models: {{ small: {{ provider: sim, price: {{ input: 1, output: 2 }} }} }}
assistants:
  assistant:
    routes:
{routes}
log: {{ to: [stdout], prompts: {prompts} }}
"
    )
}

/// The record of a conversation that was answered, and how many batches the encoder was given.
async fn answered(routes: &str, prompts: &str) -> (Value, bool) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_of(
        &config_of(routes, prompts),
        folder.path().to_owned(),
        // A queue that refuses everything shows who asks it.
        |queue| queue::Settings {
            depth_max: 0,
            ..queue
        },
    );
    let body =
        br#"{"model":"assistant","messages":[{"role":"user","content":"Refactor this in Go"}]}"#;
    let request = Inbound::OpenAi.read_request(body).unwrap();
    let ledger = Ledger::open(&engine, "/v1/test", "request-1".to_owned());
    assert!(engine.answer(&request, ledger).await.reply.is_ok());
    let asked = engine.metrics_text().contains("encoder_saturated_total{");
    let line = fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    (serde_json::from_str(line.trim()).unwrap(), asked)
}

#[tokio::test]
async fn a_prompt_that_no_rule_looks_at_is_never_embedded() {
    let only = "      - { name: all, to: small }";
    let (record, asked) = answered(only, "none").await;
    assert!(!asked);
    assert_eq!(record["decision"]["reason"], "rule");
    assert_eq!(record["intent"], Value::Null);
    assert_eq!(record["text"], Value::Null);
    assert_eq!(record["prompt"], Value::Null);

    let (record, asked) = answered(only, "full").await;
    assert!(!asked);
    assert_eq!(record["prompt"], "Refactor this in Go");

    let two = "      - { name: code, when: { intent: code }, to: small }\n      - { name: all, to: small }";
    let (record, asked) = answered(two, "none").await;
    assert!(asked);
    assert_ne!(record["decision"]["reason"], "rule");
}

#[tokio::test]
async fn a_request_that_is_dropped_in_the_middle_leaves_a_record_too() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine("none", folder.path().to_owned(), Duration::from_mins(1));
    drop(Ledger::open(&engine, "/v1/route", "gone".to_owned()));
    drop(engine);
    let line = fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(record["outcome"]["kind"], "abandoned");
}

#[tokio::test]
async fn feedback_on_what_another_replica_served_is_kept_and_flagged() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine("none", folder.path().to_owned(), Duration::from_mins(1));
    let ledger = Ledger::open(&engine, "/v1/route", "served-here".to_owned());
    let _ = engine
        .decide(&said("assistant", "hello"), Class::Interactive, ledger)
        .await;
    let said = |id: &str, intent: &str| Said {
        request_id: id.to_owned(),
        intent: Some(intent.parse().unwrap()),
        outcome: None,
        comment: None,
    };
    let here = engine.note(said("served-here", "code")).await.unwrap();
    assert_eq!((here.known, here.intent_known), (true, Some(true)));
    let elsewhere = engine.note(said("another", "brand new")).await.unwrap();
    assert_eq!(
        (elsewhere.known, elsewhere.intent_known),
        (false, Some(false))
    );
    let kept = fs::read_to_string(folder.path().join("feedback.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 2);
    let metrics = engine.metrics_text();
    assert!(
        metrics.contains("semroute_feedback_total{outcome=\"intent\",known=\"false\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("semroute_intent_drift_sample{intent=\"smalltalk\"} 1"),
        "{metrics}"
    );
}
