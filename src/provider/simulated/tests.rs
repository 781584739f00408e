use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::domain::chat::Request;
use crate::domain::event::FailureKind;
use crate::provider::Timeouts;

const SCHEMA: &str =
    r#"{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}"#;

fn request(prompt: &str, response_format: &Value) -> Request {
    let body = json!({ "model": "assistant", "response_format": response_format,
        "messages": [{ "role": "user", "content": prompt }] });
    Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .unwrap()
}

fn prose(prompt: &str) -> Request {
    request(prompt, &Value::Null)
}

fn schema_bound() -> Request {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    request("Where?", &format)
}

fn call(request: &Request) -> Call<'_> {
    Call {
        overrides: None,
        request,
        model: "small-1",
        timeouts: Timeouts::default(),
    }
}

fn scripted(script: Value) -> Simulated {
    Simulated::new(serde_json::from_value(script).unwrap(), 7)
}

async fn ask(model: &Simulated, request: &Request) -> Answer {
    model.call(call(request)).await.unwrap().reply
}

async fn collect(chunks: ChunkStream) -> Vec<Result<Chunk, Failure>> {
    chunks.collect().await
}

fn reason(failure: &Failure) -> FailoverReason {
    match failure.kind {
        FailureKind::Unavailable(reason) => reason,
        other => panic!("the target is at fault, not {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_says_that_it_is_simulated_by_whom_and_what_was_asked() {
    let model = scripted(json!({}));
    assert!(model.is_simulated());
    let long = "one two three four five six seven eight nine ten eleven twelve thirteen";
    let answer = ask(&model, &prose(long)).await;
    assert!(
        answer.text.starts_with("[simulated small-1]"),
        "{}",
        answer.text
    );
    assert!(answer.text.ends_with("eleven twelve …"), "{}", answer.text);
    let usage = answer.usage.unwrap();
    assert_eq!(usage.input_tokens, (long.len() as u64).div_ceil(4));
    assert_eq!(usage.output_tokens, (answer.text.len() as u64).div_ceil(4));
}

#[tokio::test]
async fn a_model_that_follows_the_schema_gives_an_instance_of_it() {
    let model = scripted(json!({ "style": "follows_schema" }));
    let answer = ask(&model, &schema_bound()).await;
    assert_eq!(answer.text, r#"{"city":"simulated"}"#);
    assert!(
        ask(&model, &prose("hi"))
            .await
            .text
            .starts_with("[simulated")
    );
}

#[tokio::test]
async fn a_model_that_breaks_the_schema_just_misses_it_or_answers_in_prose() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let model = scripted(json!({ "style": "breaks_schema" }));
    let answer = ask(&model, &schema_bound()).await;
    let instance: Value = serde_json::from_str(&answer.text).unwrap();
    assert!(!validator.is_valid(&instance), "{instance}");

    let any_object = request("hi", &json!({ "type": "json_object" }));
    assert!(
        ask(&model, &any_object)
            .await
            .text
            .starts_with("[simulated")
    );
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let model = scripted(json!({}));
    let asked = prose("What is a monad, in words that a child would understand?");
    let whole = ask(&model, &asked).await;
    let chunks = collect(model.stream(call(&asked)).await.unwrap().reply).await;
    let chunks: Vec<Chunk> = chunks.into_iter().map(Result::unwrap).collect();
    assert!(5 < chunks.len());
    let text: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(text, whole.text);
    let last = chunks.last().unwrap();
    assert_eq!((&last.finish, last.usage), (&whole.finish, whole.usage));
}

#[tokio::test]
async fn about_the_scripted_share_of_requests_fails_and_always_the_same_ones() {
    let model = scripted(json!({ "failure_rate": 0.3, "failure_status": 500 }));
    let mut n_failed = 0;
    for number in 0..500 {
        let asked = prose(&format!("prompt {number}"));
        let first = model.call(call(&asked)).await;
        assert_eq!(first, model.call(call(&asked)).await);
        assert_eq!(first.is_err(), model.stream(call(&asked)).await.is_err());
        n_failed += u32::from(first.is_err());
    }
    assert!((120..180).contains(&n_failed), "{n_failed}");
}

#[tokio::test]
async fn a_failure_speaks_as_a_provider_would() {
    let model = scripted(json!({ "failure_rate": 1, "failure_status": 429 }));
    let failure = model.call(call(&prose("hi"))).await.unwrap_err();
    assert_eq!(reason(&failure), FailoverReason::Status429);
    assert!(failure.message.contains("simulated"), "{}", failure.message);
    assert_eq!(failure.upstream.unwrap().status, 429);

    let refusing = scripted(json!({ "failure_rate": 1, "failure_status": 400 }));
    let failure = refusing.call(call(&prose("hi"))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
}

#[tokio::test]
async fn time_passes_before_the_first_token_and_for_each_further_one() {
    let model = scripted(json!({ "first_token_ms": 20, "per_token_ms": 1 }));
    let asked = prose("hi");
    let start = Instant::now();
    let answer = ask(&model, &asked).await;
    let n_tokens = answer.usage.unwrap().output_tokens;
    let expected = Duration::from_millis(20 + n_tokens - 1);
    assert!(expected <= start.elapsed(), "{:?}", start.elapsed());

    let start = Instant::now();
    let mut chunks = model.stream(call(&asked)).await.unwrap().reply;
    assert!(Duration::from_millis(20) <= start.elapsed());
    let first = chunks.next().await.unwrap().unwrap();
    assert!(!first.text.is_empty());
    collect(chunks).await;
    assert!(Duration::from_millis(30) <= start.elapsed());
}

#[tokio::test]
async fn a_slow_script_meets_the_same_timeouts_as_a_slow_provider() {
    let soon = Duration::from_millis(5);
    let asked = prose("hi");
    let hasty = Call {
        timeouts: Timeouts {
            first_token: soon,
            between_tokens: soon,
            whole: soon,
        },
        ..call(&asked)
    };
    let silent = scripted(json!({ "first_token_ms": u64::MAX }));
    let failure = silent.call(hasty).await.unwrap_err();
    assert_eq!(reason(&failure), FailoverReason::TimeoutFirstToken);
    let failure = silent.stream(hasty).await.err().unwrap();
    assert_eq!(reason(&failure), FailoverReason::TimeoutFirstToken);

    let halting = scripted(json!({ "per_token_ms": u64::MAX }));
    let items = collect(halting.stream(hasty).await.unwrap().reply).await;
    assert_eq!(items.len(), 2, "nothing follows a failure");
    assert!(items[0].is_ok());
    let failure = items[1].as_ref().unwrap_err();
    assert_eq!(reason(failure), FailoverReason::TimeoutBetweenTokens);
}

#[test]
fn a_script_with_a_wrong_key_or_value_is_refused() {
    for (script, words) in [
        (json!({ "latency": 5 }), "unknown field `latency`"),
        (json!({ "failure_rate": 1.5 }), "1.5 is not between 0 and 1"),
        (json!({ "failure_status": 200 }), "200 is no HTTP error"),
        (json!({ "style": "rhyme" }), "follows_schema"),
    ] {
        let problem = serde_json::from_value::<Script>(script).unwrap_err();
        assert!(problem.to_string().contains(words), "{problem}");
    }
}

#[test]
fn the_schema_of_a_script_accepts_what_a_script_may_say() {
    let schema = schemars::schema_for!(Script).to_value();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let script =
        json!({ "first_token_ms": 5, "failure_rate": 0.5, "failure_status": 503, "style": "text" });
    assert!(validator.is_valid(&script), "{schema:#}");
    assert!(!validator.is_valid(&json!({ "failure_status": 200 })));
    assert!(!validator.is_valid(&json!({ "latency": 5 })));
}
