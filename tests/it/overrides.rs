//! What an operator sets differently for one model: what its provider sees of it, and what is told when it
//! cannot be.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use semroute::budget::tokens;
use semroute::config::Environment;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::config::{ROUTES, assembled, told};
use crate::support::Server;

/// What an upstream was asked, in order.
type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A server that answers everything with this text.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn upstream(answer: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        let body = serde_json::from_slice(&body).unwrap();
        noted.lock().unwrap().push((headers, body));
        Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(answer)]))
    };
    let router = Router::new().fallback(handler);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

/// The last thing that an upstream was asked.
fn last(seen: &Seen) -> (HeaderMap, Value) {
    seen.lock().unwrap().pop().unwrap()
}

fn environment() -> Environment {
    Environment::from_lookup(|name| (name == "ORG").then(|| "org-of-the-model".to_owned()))
}

/// Two entries for the same model of a provider of this kind, of which one is asked differently.
fn config(kind: &str, upstream: SocketAddr, overrides: &str) -> String {
    format!(
        "providers:\n  one: {{ kind: {kind}, base_url: \"http://{upstream}/v1\", headers: {{ x-org: env:ORG, x-other: env:ORG }} }}\n\
         models:\n  plain: {{ provider: one, name: real }}\n  other: {{ provider: one, name: real, {overrides} }}\n\
         assistants:\n  plain:\n    routes:\n      - {{ name: only, to: plain }}\n  other:\n    routes:\n      - {{ name: only, to: other }}\n"
    )
}

/// No count of tokens is in it.
const OPENAI_ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"real","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Oui"}}]}"#;
const ANTHROPIC_ANSWER: &str = r#"{"id":"m","type":"message","role":"assistant","model":"real","content":[{"type":"text","text":"Oui"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
const GEMINI_ANSWER: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Oui"}]},"finishReason":"STOP"}]}"#;

fn chat(assistant: &str) -> String {
    json!({ "model": assistant, "temperature": 0.5,
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }] })
    .to_string()
}

const OVERRIDES: &str = "system: Be kind., parameters: { temperature: 0.2501, stop: END }, headers: { x-org: file:tests/it/overrides.secret }";

#[tokio::test]
async fn a_provider_of_every_format_sees_the_system_prompt_the_parameters_and_the_header() {
    for (kind, answer, system, temperature, stop) in [
        (
            "openai",
            OPENAI_ANSWER,
            "/messages/0/content",
            "/temperature",
            "/stop",
        ),
        (
            "anthropic",
            ANTHROPIC_ANSWER,
            "/system",
            "/temperature",
            "/stop_sequences/0",
        ),
        (
            "gemini",
            GEMINI_ANSWER,
            "/systemInstruction/parts/0/text",
            "/generationConfig/temperature",
            "/generationConfig/stopSequences/0",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (address, seen) = upstream(answer).await;
        let secret = folder.path().join("secret");
        fs::write(&secret, "org-of-the-override\n").unwrap();
        let overrides = OVERRIDES.replace(
            "file:tests/it/overrides.secret",
            &format!("{:?}", format!("file:{}", secret.display())),
        );
        let config = config(kind, address, &overrides);
        let server = Server::logging(&config, environment(), folder.path()).await;
        let reply = server.post("/v1/chat/completions", chat("other")).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Oui");
        assert_eq!(reply.header("x-semroute-dropped"), "");
        let (headers, asked) = last(&seen);
        assert_eq!(asked.pointer(system), Some(&json!("Be kind.\n\nBe brief.")));
        assert_eq!(asked.pointer(temperature), Some(&json!(0.2501)), "{asked}");
        assert_eq!(asked.pointer(stop), Some(&json!("END")), "{asked}");
        assert_eq!(headers["x-org"], "org-of-the-override");
        assert_eq!(headers["x-other"], "org-of-the-model");

        server.post("/v1/chat/completions", chat("plain")).await;
        let (headers, asked) = last(&seen);
        assert_eq!(asked.pointer(system), Some(&json!("Be brief.")));
        assert_eq!(asked.pointer(temperature), Some(&json!(0.5)));
        assert_eq!(asked.pointer(stop), None);
        assert_eq!(headers["x-org"], "org-of-the-model");

        the_record_names_what_was_overridden_and_no_value(folder.path());
    }
}

fn the_record_names_what_was_overridden_and_no_value(folder: &Path) {
    let log = fs::read_to_string(folder.join("records.jsonl")).unwrap();
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        records[0]["attempts"][0]["overridden"],
        json!([
            "system",
            "parameters.temperature",
            "parameters.stop",
            "headers.x-org"
        ])
    );
    assert_eq!(records[1]["attempts"][0].get("overridden"), None);
    // Times have three decimals, so none of them is taken for the temperature.
    for value in ["Be kind", "0.2501", "END", "org-of"] {
        assert!(!log.contains(value), "{value}: {log}");
    }
}

#[tokio::test]
async fn a_model_without_overrides_gets_the_callers_body_byte_for_byte() {
    let (address, seen) = upstream(OPENAI_ANSWER).await;
    let config = config("openai", address, "parameters: { seed: 7 }");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::logging(&config, environment(), folder.path()).await;
    let body: Value = serde_json::from_str(&chat("plain")).unwrap();
    server.post("/v1/chat/completions", chat("plain")).await;
    let mut expected = body.clone();
    expected["model"] = "real".into();
    assert_eq!(last(&seen).1, expected);
    server.post("/v1/chat/completions", chat("other")).await;
    expected["seed"] = 7.into();
    assert_eq!(last(&seen).1, expected);
}

#[tokio::test]
async fn a_stream_and_a_caller_of_anthropics_format_are_overridden_alike() {
    let (address, seen) = upstream("data: [DONE]\n\n").await;
    let config = config(
        "openai",
        address,
        "system: { text: New., place: instead }, parameters: { top_k: 5 }",
    );
    let folder = tempfile::tempdir().unwrap();
    let server = Server::logging(&config, environment(), folder.path()).await;
    let body = json!({ "model": "other", "max_tokens": 9, "stream": true, "top_k": 40, "system": "Be brief.",
        "messages": [{ "role": "user", "content": "hi" }] });
    let reply = server.post("/v1/messages", body.to_string()).await;
    assert_eq!(reply.header("x-semroute-dropped"), "");
    let (_, asked) = last(&seen);
    assert_eq!(asked["stream"], true);
    assert_eq!(asked["top_k"], 5);
    let messages =
        json!([{ "role": "system", "content": "New." }, { "role": "user", "content": "hi" }]);
    assert_eq!(asked["messages"], messages);
}

#[tokio::test]
async fn tokens_that_the_provider_does_not_count_are_counted_as_they_were_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = upstream(OPENAI_ANSWER).await;
    for (system, texts) in [
        ("Be kind.", vec!["Be kind.\n\nBe brief.", "hi"]),
        (
            "{ text: Be kind., place: after }",
            vec!["Be brief.\n\nBe kind.", "hi"],
        ),
        ("{ text: Be kind., place: instead }", vec!["Be kind.", "hi"]),
        ("\"<{{system}}>\"", vec!["<Be brief.>", "hi"]),
    ] {
        let place = folder
            .path()
            .join(texts[0].len().to_string())
            .join(system.len().to_string());
        fs::create_dir_all(&place).unwrap();
        let config = config("openai", address, &format!("system: {system}"));
        let server = Server::logging(&config, environment(), &place).await;
        server.post("/v1/chat/completions", chat("other")).await;
        let log = fs::read_to_string(place.join("records.jsonl")).unwrap();
        let record: Value = serde_json::from_str(log.trim()).unwrap();
        let usage = &record["attempts"][0]["usage"];
        assert_eq!(usage["counted_by"], "semroute");
        assert_eq!(
            usage["input_tokens"],
            tokens::count_messages(texts),
            "{system}"
        );
    }
}

#[tokio::test]
async fn embeddings_have_the_headers_of_their_model_and_nothing_else() {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"real","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let (address, seen) = upstream(answer).await;
    let overrides = "system: New., parameters: { seed: 1 }, headers: { x-mine: env:ORG }";
    let config = format!(
        "{}embeddings: [other]\n",
        config("openai", address, overrides)
    );
    // One name cannot be both a model's for embeddings and an assistant's.
    let config = config.replace("  other:\n    routes:", "  elsewhere:\n    routes:");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::logging(&config, environment(), folder.path()).await;
    let body = json!({ "model": "other", "input": "hi" });
    let reply = server.post("/v1/embeddings", body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let (headers, asked) = last(&seen);
    assert_eq!(headers["x-mine"], "org-of-the-model");
    assert_eq!(asked, json!({ "model": "real", "input": "hi" }));
}

/// A configuration of one model of a provider of this kind.
fn one(kind: &str, name: &str, keys: &str) -> String {
    format!(
        "providers:\n  one: {{ kind: {kind}, api_key: env:KEY }}\nmodels:\n  small: {{ provider: one, name: {name}, {keys} }}\n{ROUTES}"
    )
}

#[test]
fn what_is_wrong_with_overrides_is_told_with_its_place() {
    for (keys, problem) in [
        ("system: \" \"", "models.small.system: says nothing"),
        (
            "system: { text: \"\", place: after }",
            "models.small.system.text: says nothing",
        ),
        (
            "system: \"Hi {{sistem}}\"",
            "models.small.system: \"{{sistem}}\" stands for nothing; did you mean \"system\"?",
        ),
        (
            "system: \"{{system}} {{ system }}\"",
            "models.small.system: says {{system}} more than once",
        ),
        (
            "system: { text: \"{{system}}!\", place: after }",
            "models.small.system.place: the text says where",
        ),
        ("system: { text: Hi, place: behind }", "models.small.system"),
        ("system: { txt: Hi }", "models.small.system"),
        (
            "parameters: { model: x }",
            "models.small.parameters.model: semroute itself sets `model`; give the provider's name",
        ),
        (
            "parameters: { messages: [] }",
            "models.small.parameters.messages: semroute itself sets `messages`",
        ),
        (
            "parameters: { stream: true }",
            "models.small.parameters.stream: semroute itself sets `stream`",
        ),
        (
            "parameters: { temperature: hot }",
            "models.small.parameters.temperature: `temperature` is \"hot\"; give a number",
        ),
        (
            "parameters: { tools: [] }",
            "models.small.parameters.tools: `tools` is the caller's to give",
        ),
        (
            "headers: { \"x y\": env:KEY }",
            "models.small.headers: \"x y\" cannot be",
        ),
        ("headers: { x-a: plain }", "models.small.headers"),
        (
            "headers: { x-a: env:NONE }",
            "models.small.headers.x-a: the environment variable NONE is not set",
        ),
    ] {
        told(&one("openai", "real", keys), &[problem]);
    }
}

#[test]
fn what_a_models_format_cannot_say_is_told_before_anybody_asks() {
    for (kind, name, keys, problem) in [
        (
            "anthropic",
            "claude-sonnet-4-5",
            "parameters: { logit_bias: {} }",
            "models.small.parameters.logit_bias: the format of this model's provider has no word",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            "parameters: { seed: 7 }",
            "models.small.parameters.seed: this model cannot be told `seed`",
        ),
        (
            "anthropic",
            "claude-opus-4-7",
            "parameters: { temperature: 0.5 }",
            "models.small.parameters.temperature: this model cannot be told",
        ),
        (
            "gemini",
            "gemini-3.8-flash",
            "parameters: { n: 2 }",
            "models.small.parameters.n: `n` is 2",
        ),
        (
            "simulated",
            "x",
            "parameters: { seed: 7 }",
            "models.small.parameters: a simulated model heeds no parameters",
        ),
        (
            "simulated",
            "x",
            "headers: { x-a: env:KEY }",
            "models.small.headers: a simulated model is sent no headers",
        ),
    ] {
        let text = one(kind, name, keys);
        let text = text.replace("kind: simulated, api_key: env:KEY", "kind: simulated");
        told(&text, &[problem]);
    }
}

#[test]
fn what_it_can_say_is_fine() {
    for (kind, name, keys) in [
        (
            "openai",
            "real",
            "parameters: { logit_bias: {}, min_p: 0.1, n: 2 }",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            "parameters: { temperature: 0.5, reasoning_effort: null }",
        ),
        (
            "gemini",
            "gemini-3.8-flash",
            "parameters: { seed: 7, reasoning_effort: low }",
        ),
    ] {
        assert!(assembled(&one(kind, name, keys)).is_ok(), "{keys}");
    }
}

#[test]
fn override_keys_change_the_target() {
    let overrides = |keys: &str| {
        let assembled = assembled(&one("openai", "real", keys)).unwrap_or_else(|it| panic!("{it}"));
        let target = &assembled.plan.targets[0];
        let names = target.overrides.as_ref().map(|it| it.names().to_vec());
        names.unwrap_or_default()
    };
    assert_eq!(overrides("timeout: {}"), [] as [&str; 0]);
    assert_eq!(overrides("parameters: {}, headers: {}"), [] as [&str; 0]);
    assert_eq!(overrides("system: Hi."), ["system"]);
    assert_eq!(
        overrides("system: { text: Hi., place: before }"),
        ["system"]
    );
    assert_eq!(
        overrides("parameters: { seed: null, top_p: 1 }"),
        ["parameters.seed", "parameters.top_p"]
    );
    assert_eq!(overrides("headers: { x-a: env:KEY }"), ["headers.x-a"]);
}
