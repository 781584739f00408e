//! An encoder that has too much to do: the static encoder finds the intent, and everything that tells of
//! it says so.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use semroute::config::load::EMBEDDED;
use semroute::encoder::{Class, queue};
use semroute::engine::Engine;
use semroute::engine::ledger::Ledger;
use serde_json::{Value, json};

use crate::engine::{engine, engine_of, said};
use crate::support::Server;

const CODE: &str = "Write a Python function that sorts a list of dictionaries by two keys";

/// An engine whose queue refuses everything.
fn saturated(config: &str, folder: &Path) -> Arc<Engine> {
    engine_of(config, folder.to_owned(), |queue| queue::Settings {
        depth_max: 0,
        ..queue
    })
}

/// The record that deciding on a prompt leaves, and all that is counted then.
async fn decided(engine: Arc<Engine>, folder: &Path, text: &str) -> (Value, String) {
    let ledger = Ledger::open(&engine, "/v1/route", "request-1".to_owned());
    let request = said("assistant", text);
    let asked = engine.decide(&request, Class::Interactive, ledger);
    let decided = asked.await;
    assert!(decided.outcome.is_ok());
    let metrics = engine.metrics_text();
    drop(engine);
    let lines = fs::read_to_string(folder.join("records.jsonl")).unwrap();
    (serde_json::from_str(lines.trim()).unwrap(), metrics)
}

#[tokio::test]
async fn the_static_encoder_finds_the_intent_and_the_record_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let engine = saturated(EMBEDDED, folder.path());
    let (record, metrics) = decided(engine, folder.path(), CODE).await;
    assert_eq!(record["decision"]["route"], "code", "{record}");
    assert_eq!(record["decision"]["reason"], "intent");
    assert_eq!(record["intent"]["name"], "code");
    assert_eq!(record["intent"]["encoder"], "static");
    assert_eq!(record["encoder"]["name"], "all-MiniLM-L6-v2-static");
    assert_eq!(record["encoder"]["kernel"], "static-int8");
    assert_eq!(record["text"]["windows"], 1);
    assert!(
        metrics.contains("semroute_encoder_saturated_total{then=\"static\"} 1"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("semroute_intent_drift_sample{"),
        "drift is counted of the main encoder only: {metrics}"
    );
}

#[tokio::test]
async fn the_main_encoder_is_not_marked_and_counts_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine("none", folder.path().to_owned(), Duration::from_mins(1));
    let (record, metrics) = decided(engine, folder.path(), CODE).await;
    assert_eq!(record["intent"]["name"], "code");
    assert_eq!(record["intent"]["encoder"], Value::Null);
    assert_eq!(record["encoder"]["name"], "all-MiniLM-L6-v2");
    assert!(!metrics.contains("semroute_encoder_saturated_total{"));
    assert!(metrics.contains("semroute_intent_drift_sample{intent=\"code\"} 1"));
}

#[tokio::test]
async fn without_the_static_encoder_a_prompt_takes_the_last_route() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{EMBEDDED}\nencoder: {{ saturated: default }}\n");
    let engine = saturated(&config, folder.path());
    let (record, metrics) = decided(engine, folder.path(), CODE).await;
    assert_eq!(record["decision"]["reason"], "encoder_saturated");
    assert_eq!(record["intent"], Value::Null);
    assert_eq!(record["encoder"]["name"], "all-MiniLM-L6-v2");
    assert!(
        metrics.contains("semroute_encoder_saturated_total{then=\"default\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_has_no_words_has_none_for_the_static_encoder_either() {
    let folder = tempfile::tempdir().unwrap();
    let engine = saturated(EMBEDDED, folder.path());
    let (record, _) = decided(engine, folder.path(), "\u{200b}").await;
    assert_eq!(record["decision"]["reason"], "no_text", "{record}");
}

#[tokio::test]
async fn answers_say_it_and_vectors_are_not_given_away() {
    let server = Server::saturated().await;
    let answer = server.chat(CODE).await;
    assert_eq!(answer.status, 200);
    let intent = answer.header("x-semroute-intent");
    assert!(
        intent.starts_with("code;score=") && intent.ends_with(";encoder=static"),
        "{intent}"
    );
    let body = json!({ "text": CODE }).to_string();
    let decision = server.post("/v1/route", body).await.json();
    assert_eq!(decision["intent"]["encoder"], "static");
    assert_eq!(decision["route"], "code");
    // Its vectors lie elsewhere than those that callers have stored.
    let body = json!({ "model": "all-MiniLM-L6-v2", "input": CODE }).to_string();
    assert_eq!(server.post("/v1/embeddings", body).await.status, 503);
}
