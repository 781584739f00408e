//! What comes in wrong: whatever a caller sends gets a status, OpenAI's shape of error and the name of the field, and
//! is counted.

use std::net::SocketAddr;

use axum::routing::post as post_to;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Reply, Server};
use crate::upstream::config;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const GOOD: &str =
    r#"{"model":"assistant","messages":[{"role":"user","content":"hi"}]}"#;

/// A request to the assistant in which one field is replaced or added.
pub(crate) fn with(field: &str, value: &Value) -> String {
    let mut body: Value = serde_json::from_str(GOOD).unwrap();
    body[field] = value.clone();
    body.to_string()
}

/// How many requests the server says that its callers got wrong.
pub(crate) async fn n_refused(server: &Server) -> usize {
    let words = ["outcome=\"failed\"", "error_type=\"caller\""];
    let metrics = server.get("/metrics").await.text;
    metrics
        .lines()
        .filter(|line| line.starts_with("semroute_requests_total"))
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

/// Requests with a value of the wrong type, each with the field's name.
fn wrong_types() -> Vec<(String, &'static str)> {
    let message = |message: Value| with("messages", &json!([message]));
    let content = |content: Value| message(json!({ "role": "user", "content": content }));
    let format = |format: Value| with("response_format", &format);
    vec![
        (with("model", &json!(7)), "model"),
        (with("model", &json!(null)), "model"),
        (with("model", &json!(["assistant"])), "model"),
        (with("model", &json!("  ")), "model"),
        (with("messages", &json!(null)), "messages"),
        (with("messages", &json!("hi")), "messages"),
        (with("messages", &json!({ "role": "user" })), "messages"),
        (with("messages", &json!([])), "messages"),
        (message(json!("hi")), "messages[0]"),
        (message(json!(null)), "messages[0]"),
        (message(json!({ "content": "hi" })), "messages[0].role"),
        (
            message(json!({ "role": 1, "content": "hi" })),
            "messages[0].role",
        ),
        (
            message(json!({ "role": "pope", "content": "hi" })),
            "messages[0].role",
        ),
        (message(json!({ "role": "user" })), "messages[0].content"),
        (content(json!(1)), "messages[0].content"),
        (content(json!({ "type": "text" })), "messages[0].content"),
        (content(json!(["hi"])), "messages[0].content[0]"),
        (
            content(json!([{ "type": "text" }])),
            "messages[0].content[0].text",
        ),
        (
            content(json!([{ "type": "text", "text": 1 }])),
            "messages[0].content[0].text",
        ),
        (with("stream", &json!("true")), "stream"),
        (with("stream", &json!(1)), "stream"),
        (format(json!("json_object")), "response_format"),
        (
            format(json!({ "type": "json_schema" })),
            "response_format.json_schema",
        ),
        (
            format(json!({ "type": "json_schema", "json_schema": [] })),
            "response_format.json_schema",
        ),
        (
            format(json!({ "type": "json_schema", "json_schema": { "schema": "x" } })),
            "response_format.json_schema.schema",
        ),
    ]
}

#[tokio::test]
async fn a_value_of_the_wrong_type_names_its_field() {
    let server = Server::start(None).await;
    let cases = wrong_types();
    for (body, param) in &cases {
        let reply = server.post(CHAT, body.clone()).await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".into(), (*param).into()),
            "{body}"
        );
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        assert!(!reply.header("x-request-id").is_empty());
    }
    assert_eq!(n_refused(&server).await, cases.len());
}

#[tokio::test]
async fn the_other_endpoints_name_the_field_as_well() {
    let server = Server::start(None).await;
    for (path, body, param) in [
        (
            "/v1/embeddings",
            json!({ "model": 1, "input": "x" }),
            "model",
        ),
        ("/v1/embeddings", json!({ "input": "x" }), "model"),
        ("/v1/embeddings", json!({ "model": "m" }), "input"),
        (
            "/v1/embeddings",
            json!({ "model": "m", "input": "x", "encoding_format": "hex" }),
            "encoding_format",
        ),
        (
            "/v1/embeddings",
            json!({ "model": "m", "input": "x", "dimensions": -1 }),
            "dimensions",
        ),
        (
            "/v1/embeddings",
            json!({ "model": "m", "input": "x", "inputs": 1 }),
            "inputs",
        ),
        ("/v1/route", json!({ "text": 1 }), "text"),
        ("/v1/route", json!({ "text": "x", "txt": "y" }), "txt"),
        ("/v1/route/batch", json!({ "texts": ["a", 1] }), "texts[1]"),
        ("/v1/route/batch", json!({}), "texts"),
        ("/v1/feedback", json!({ "outcome": "right" }), "request_id"),
        (
            "/v1/feedback",
            json!({ "request_id": "a", "outcome": 1 }),
            "outcome",
        ),
        (
            "/v1/feedback",
            json!({ "request_id": "a", "stars": 5 }),
            "stars",
        ),
    ] {
        let reply = server.post(path, body.to_string()).await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".into(), param.into()),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_object_is_told_and_no_field_is_blamed() {
    let server = Server::start(None).await;
    let bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "null",
        "7",
        "\"hi\"",
        "[]",
        "{]",
        "{\"model\":}",
        "{'model':'assistant'}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":\"\n\"}",
        "{\"a\":1,}",
        "\u{feff}{}",
        &format!("{GOOD}x"),
        &format!("{GOOD}{GOOD}"),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .chain([b"{\"a\":\"\xff\"}".to_vec(), b"\xff\xfe{\0}\0".to_vec()])
    .collect();
    let n_bodies = bodies.len();
    for body in bodies {
        let shown = String::from_utf8_lossy(&body).into_owned();
        for path in [CHAT, "/v1/embeddings", "/v1/route"] {
            let error = server.post(path, body.clone()).await.error();
            assert_eq!((error.0, error.2.as_str()), (400, ""), "{path} {shown}");
        }
    }
    let deep = format!(
        "{{\"model\":\"assistant\",\"messages\":{}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(server.post(CHAT, deep).await.error().0, 400);
    assert_eq!(n_refused(&server).await, 3 * n_bodies + 1);
}

#[tokio::test]
async fn messages_to_route_that_no_value_can_hold_are_refused_or_read_and_never_a_failure_of_ours()
{
    let server = Server::start(None).await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let message = |fields: &str| format!(r#"{{"messages":[{{"role":"user",{fields}}}]}}"#);
    for (fields, status) in [
        (r#""content":"\ud800""#.to_owned(), 400),
        (r#""content":"hi","n":1e999"#.to_owned(), 200),
        (format!(r#""content":"hi","n":{deep}"#), 400),
    ] {
        let body = message(&fields);
        let reply = server.post("/v1/route", body.clone()).await;
        assert_eq!(reply.status, status, "{body} {}", reply.text);
        assert!(!reply.header("x-request-id").is_empty(), "{body}");
    }
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused_where_readers_would_differ() {
    let server = Server::start(None).await;
    for (body, param) in [
        (
            GOOD.replace('{', r#"{"model":"other","#).replacen(
                r#"{"model":"other","role"#,
                r#"{"role"#,
                1,
            ),
            "model",
        ),
        (
            GOOD.replacen('}', r#","content":"ho"}"#, 1),
            "messages[0].content",
        ),
        (
            GOOD.replacen("{\"m", "{\"stream\":true,\"stream\":false,\"m", 1),
            "stream",
        ),
    ] {
        assert_eq!(
            server.post(CHAT, body.clone()).await.error(),
            (400, "invalid_request".into(), param.into()),
            "{body}"
        );
    }
}

/// An upstream that answers with the body that it was sent, as a text.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn repeating() -> SocketAddr {
    let repeat = async |body: String| {
        let message = json!({ "role": "assistant", "content": body });
        Json(json!({ "choices": [{ "index": 0, "finish_reason": "stop", "message": message }] }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route(CHAT, post_to(repeat));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn absurd_numbers_and_unknown_fields_reach_the_provider_byte_for_byte() {
    let address = repeating().await;
    let server = Server::start(Some(&config(address, address))).await;
    for field in [
        "\"n\":1000000000",
        "\"temperature\":-0",
        "\"temperature\":1e999",
        "\"max_tokens\":18446744073709551616",
        "\"seed\":-9223372036854775809",
        "\"top_p\":1E-400",
        "\"future\" : {\"x\":[1.0,10e2,null,\"\\u00e9\"]}",
        "\"stop\":[]",
        "\"user\":\"\\u0000\"",
    ] {
        let body = GOOD.replacen('{', &format!("{{{field}, "), 1);
        let reply = server.post(CHAT, body.clone()).await;
        assert_eq!(reply.status, 200, "{body}: {}", reply.text);
        let sent = &reply.json()["choices"][0]["message"]["content"];
        assert_eq!(sent, &body.replace("\"assistant\"", "\"real-a\""));
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_is_no_text_and_passes_where_no_text_is_read() {
    let server = Server::start(None).await;
    let lone = "\\ud83d";
    for (body, param) in [
        (
            GOOD.replace("\"hi\"", &format!("\"{lone}\"")),
            "messages[0].content",
        ),
        (
            GOOD.replace("\"assistant\"", &format!("\"{lone}\"")),
            "model",
        ),
    ] {
        assert_eq!(
            server.post(CHAT, body.clone()).await.error(),
            (400, "invalid_request".into(), param.into()),
            "{body}"
        );
    }
    let elsewhere = GOOD.replacen('{', &format!("{{\"user\":\"{lone}\","), 1);
    assert_eq!(server.post(CHAT, elsewhere).await.status, 200);
}

#[tokio::test]
async fn what_is_no_json_by_its_headers_is_not_read() {
    let server = Server::start(None).await;
    let ask = async |name: &str, value: &str| {
        let request = server
            .client
            .post(server.url(CHAT))
            .header(name, value)
            .body(GOOD);
        Reply::of(request.send().await.unwrap()).await
    };
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "application/problem+json",
    ] {
        assert_eq!(ask("content-type", kind).await.status, 200, "{kind}");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let reply = ask("content-type", kind).await;
        assert_eq!(
            reply.error(),
            (415, "unsupported_content_type".into(), String::new()),
            "{kind}"
        );
        assert!(reply.text.contains("application/json"), "{}", reply.text);
    }
    let reply = ask("content-encoding", "gzip").await;
    assert_eq!(
        reply.error(),
        (415, "unsupported_content_encoding".into(), String::new())
    );
    assert_eq!(ask("content-encoding", "identity").await.status, 200);
    assert_eq!(
        server.post(CHAT, GOOD).await.status,
        200,
        "no content-type is one that nobody got wrong"
    );
    assert_eq!(n_refused(&server).await, 4);
}

#[tokio::test]
async fn eleven_mebibytes_are_answered() {
    let server = Server::start(None).await;
    let long = "word ".repeat(11 * 1024 * 1024 / 5);
    let body = with("messages", &json!([{ "role": "user", "content": long }]));
    assert_eq!(server.post(CHAT, body).await.status, 200);
}
