//! `POST /v1/messages`, and providers that speak the same format.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Reply, Server};

fn call(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": text }] })
}

/// The events of a stream, each by its name and its data.
fn events(reply: &Reply) -> Vec<(String, Value)> {
    let events = reply.text.split("\n\n").filter_map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = serde_json::from_str(field("data: ")?).unwrap();
        Some((field("event: ").unwrap_or_default().to_owned(), data))
    });
    events.collect()
}

/// An error in Anthropic's shape: its status and type.
fn error(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    assert_eq!(body["type"], "error", "{}", reply.text);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(!message.is_empty());
    let kind = body["error"]["type"].as_str().unwrap().to_owned();
    (reply.status, kind)
}

#[tokio::test]
async fn a_simulated_model_answers_in_the_words_of_the_format() {
    let server = Server::start(None).await;
    let prompt = "hi there! how's your day going?";
    let body = call("assistant", prompt).to_string();
    let reply = server.post("/v1/messages", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("x-semroute-target"), "small");
    assert_eq!(reply.header("request-id"), reply.header("x-request-id"));
    let message = reply.json();
    assert_eq!(message["type"], "message");
    assert_eq!(message["role"], "assistant");
    assert_eq!(message["stop_reason"], "end_turn");
    let id = format!("msg_{}", reply.header("request-id"));
    assert_eq!(message["id"], id);
    let text = message["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("simulated"), "{text}");
    assert!(0 < message["usage"]["output_tokens"].as_u64().unwrap());

    let mut body = call("assistant", prompt);
    body["stream"] = true.into();
    let reply = server.post("/v1/messages", body.to_string()).await;
    let events = events(&reply);
    for (name, data) in &events {
        assert_eq!(data["type"], name.as_str());
    }
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["message_start", "content_block_start"]);
    let last = names.len() - 3;
    assert_eq!(
        names[last..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let said: String = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str())
        .collect();
    assert_eq!(said, text);
    assert!(reply.text.contains(": {\"semroute\":"), "{}", reply.text);
}

#[tokio::test]
async fn a_schema_of_this_format_is_what_drafts_are_checked_against() {
    let server = Server::start(None).await;
    let mut body = call(
        "assistant",
        "Extract the name and the email address from this signature: Anna Meier, Head of Sales, anna@example.org",
    );
    body["output_config"] = json!({ "format": { "type": "json_schema", "schema": {
        "type": "object",
        "properties": { "name": { "type": "string" }, "age": { "type": "number" } },
        "required": ["name", "age"],
        "additionalProperties": false,
    }}});
    let reply = server.post("/v1/messages", body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("x-semroute-verdict"), "json_schema:passed");
    let text = reply.json()["content"][0]["text"].clone();
    let answer: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert!(answer["age"].is_number() && answer["name"].is_string());
}

#[tokio::test]
async fn every_error_has_the_shape_of_the_format() {
    let server = Server::start(None).await;
    for (body, status, kind, says) in [
        ("{".to_owned(), 400, "invalid_request_error", "not JSON"),
        (
            json!({ "model": "assistant", "messages": [] }).to_string(),
            400,
            "invalid_request_error",
            "max_tokens",
        ),
        (
            json!({ "model": "assistant", "max_tokens": 1, "messages": [{ "role": "user" }] })
                .to_string(),
            400,
            "invalid_request_error",
            "messages[0].content",
        ),
        (
            call("nobody", "hi").to_string(),
            404,
            "not_found_error",
            "nobody",
        ),
        (
            "x".repeat(semroute::gateway::BODY_BYTES_MAX + 1),
            413,
            "request_too_large",
            "bytes",
        ),
    ] {
        let reply = server.post("/v1/messages", body).await;
        assert_eq!(error(&reply), (status, kind.to_owned()), "{}", reply.text);
        let body = reply.json();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        assert_eq!(body["request_id"], reply.header("request-id"));
    }
    let reply = server.post("/v1/messages/batches", "{}").await;
    assert_eq!(error(&reply), (404, "not_found_error".to_owned()));
    let reply = server.get("/v1/messages").await;
    assert_eq!(error(&reply), (405, "invalid_request_error".to_owned()));
    let reply = server.post("/v1/messagesque", "{}").await;
    assert_eq!(reply.json()["error"]["code"], "no_such_path");
}

/// What an upstream was asked.
type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A server that answers messages with this status and text.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn upstream(status: u16, text: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        let body = serde_json::from_slice(&body).unwrap();
        noted.lock().unwrap().push((headers, body));
        let body = Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(text)]));
        (StatusCode::from_u16(status).unwrap(), body)
    };
    let router = Router::new().route("/v1/messages", post(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn config(first: SocketAddr, second: SocketAddr) -> String {
    format!(
        "providers:\n  one: {{ kind: anthropic, base_url: \"http://{first}/v1\" }}\n  two: {{ kind: anthropic, base_url: \"http://{second}/v1\" }}\n\
         models:\n  a: {{ provider: one, name: claude-sonnet-4-6, price: {{ input: 1, output: 2 }} }}\n  b: {{ provider: two }}\n\
         assistants:\n  assistant:\n    routes:\n      - {{ name: only, to: a, failover: [b] }}\n"
    )
}

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Oui"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5},"new_field":{"kept":1.50}}"#;

#[tokio::test]
async fn what_stays_in_the_format_travels_as_it_came_with_the_headers_that_belong_to_it() {
    let (address, seen) = upstream(200, ANSWER).await;
    let server = Server::start(Some(&config(address, address))).await;
    let mut body = call("assistant", "hi");
    body["context_management"] = json!({ "edits": [] });
    let request = server.client.post(server.url("/v1/messages"));
    let response = request
        .header("anthropic-version", "2024-01-01")
        .header("anthropic-beta", "one-2026-01-01")
        .header("anthropic-beta", "two-2026-01-01")
        .header("x-api-key", "the caller's own")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-semroute-cost-usd"], "0.00002");
    assert!(!response.headers().contains_key("x-semroute-dropped"));
    assert_eq!(response.text().await.unwrap(), ANSWER);

    let (headers, asked) = seen.lock().unwrap().remove(0);
    body["model"] = "claude-sonnet-4-6".into();
    assert_eq!(asked, body);
    assert_eq!(headers["anthropic-version"], "2024-01-01");
    assert_eq!(headers["anthropic-beta"], "one-2026-01-01,two-2026-01-01");
    assert!(
        !headers.contains_key("x-api-key"),
        "it is not ours to pass on"
    );
}

#[tokio::test]
async fn a_caller_of_another_format_is_understood_and_told_what_was_not_said() {
    let (address, seen) = upstream(200, ANSWER).await;
    let server = Server::start(Some(&config(address, address))).await;
    let body = json!({
        "model": "assistant", "seed": 7, "reasoning_effort": "low",
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }],
    });
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Oui");
    assert_eq!(reply.header("x-semroute-dropped"), "seed");
    let (headers, asked) = seen.lock().unwrap().remove(0);
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    let expected = json!({
        "model": "claude-sonnet-4-6", "max_tokens": 32_000, "system": "Be brief.",
        "messages": [{ "role": "user", "content": "hi" }],
        "thinking": { "type": "adaptive" }, "output_config": { "effort": "low" },
    });
    assert_eq!(asked, expected);

    let body =
        json!({ "model": "assistant", "n": 2, "messages": [{ "role": "user", "content": "hi" }] });
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    assert_eq!(reply.json()["error"]["param"], "n");
    assert_eq!(reply.json()["error"]["code"], "unsupported_by_provider");
}

#[tokio::test]
async fn a_refusal_comes_back_in_its_own_words_or_in_those_of_the_callers_format() {
    const REFUSAL: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"},"request_id":"req_1"}"#;
    let (address, _) = upstream(400, REFUSAL).await;
    let server = Server::start(Some(&config(address, address))).await;
    let reply = server
        .post("/v1/messages", call("assistant", "hi").to_string())
        .await;
    assert_eq!((reply.status, reply.text.as_str()), (400, REFUSAL));
    assert_eq!(reply.header("x-semroute-attempts"), "1");
    let reply = server.chat("hi").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["message"], "prompt is too long");
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_provider_without_room_or_credit_is_failed_over() {
    const OVERLOADED: &str =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    const BROKE: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#;
    for (status, text) in [(529, OVERLOADED), (400, BROKE)] {
        let (down, _) = upstream(status, text).await;
        let (up, _) = upstream(200, ANSWER).await;
        let server = Server::start(Some(&config(down, up))).await;
        let reply = server
            .post("/v1/messages", call("assistant", "hi").to_string())
            .await;
        assert_eq!(reply.text, ANSWER);
        assert_eq!(reply.header("x-semroute-target"), "b");
        assert_eq!(reply.header("x-semroute-failovers"), "1");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_and_no_end() {
    const CUT: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"He\"}}\n\n",
    );
    let (address, _) = upstream(200, CUT).await;
    let server = Server::start(Some(&config(address, address))).await;
    let mut body = call("assistant", "hi");
    body["stream"] = true.into();
    let reply = server.post("/v1/messages", body.to_string()).await;
    let events = events(&reply);
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "error");
    assert_eq!(last["error"]["type"], "api_error");
    assert_eq!(last["request_id"], reply.header("request-id"));
    assert!(!reply.text.contains("message_stop"));
}
