//! A provider that is another server: what reaches it, what comes back, and what its failures
//! lead to.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Server, metric};

/// Another server that speaks OpenAI's API, made for a test: answers `body` with `status`.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
pub(crate) async fn upstream(status: u16, respond: fn(&Value) -> Vec<String>) -> SocketAddr {
    let handler = move |body: Bytes| async move {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let parts = respond(&request).into_iter().map(Ok::<_, Infallible>);
        let body = Body::from_stream(futures_util::stream::iter(parts));
        (StatusCode::from_u16(status).unwrap(), body)
    };
    let router = Router::new().route("/v1/chat/completions", post(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) fn config(first: SocketAddr, second: SocketAddr) -> String {
    format!(
        "providers:\n  one: {{ kind: openai, base_url: \"http://{first}/v1\" }}\n  two: {{ kind: openai, base_url: \"http://{second}/v1\" }}\n\
         models:\n  a: {{ provider: one, name: real-a, price: {{ input: 1, output: 2 }} }}\n  b: {{ provider: two }}\n\
         assistants:\n  assistant:\n    routes:\n      - {{ name: only, to: a, failover: [b] }}\n"
    )
}

fn echo(request: &Value) -> Vec<String> {
    let answer = json!({
        "id": "1", "object": "chat.completion", "model": request["model"], "new_field": { "kept": true },
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": request.to_string() } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    });
    vec![answer.to_string()]
}

#[tokio::test]
async fn what_semroute_does_not_know_reaches_the_provider_and_comes_back() {
    let address = upstream(200, echo).await;
    let server = Server::start(Some(&config(address, address))).await;
    let body =
        r#"{"model":"assistant","messages":[{"role":"user","content":"hi"}],"future":{"x":1.0}}"#;
    let reply = server.post("/v1/chat/completions", body).await;
    assert_eq!(reply.json()["new_field"]["kept"], true);
    let seen = reply.json()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(
        (&seen["model"], &seen["future"]["x"]),
        (&json!("real-a"), &json!(1.0))
    );
    assert_eq!(reply.header("x-semroute-cost-usd"), "0.00002");
    assert_eq!(reply.header("x-semroute-simulated"), "");
}

#[tokio::test]
async fn a_provider_that_is_down_is_failed_over_and_no_escalation_is_counted() {
    let down = upstream(503, |_| vec!["busy".to_owned()]).await;
    let up = upstream(200, echo).await;
    let server = Server::start(Some(&config(down, up))).await;
    let reply = server.chat("hello").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-semroute-target"), "b");
    assert_eq!(reply.header("x-semroute-failovers"), "1");
    assert_eq!(reply.header("x-semroute-escalations"), "0");
    assert_eq!(
        reply.header("x-semroute-cost-usd"),
        "unknown",
        "b has no price"
    );
    let metrics = server.get("/metrics").await.text;
    let words = ["reason=\"status_5xx\"", "target=\"a\""];
    assert_eq!(
        metric(&metrics, "semroute_failovers_total", &words),
        Some(1.0),
        "{metrics}"
    );
    assert_eq!(metric(&metrics, "semroute_escalations_total", &[]), None);
}

#[tokio::test]
async fn a_request_that_the_provider_refuses_comes_back_in_its_own_words() {
    let refusing = upstream(400, |_| vec![r#"{"error":{"message":"no such parameter","type":"invalid_request_error","param":"foo","code":null}}"#.to_owned()]).await;
    let server = Server::start(Some(&config(refusing, refusing))).await;
    let reply = server.chat("hello").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["message"], "no such parameter");
    assert_eq!(reply.header("x-semroute-attempts"), "1");
}

#[tokio::test]
async fn a_stream_that_breaks_off_has_no_end_marker() {
    let cut = upstream(200, |_| {
        vec![
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n".to_owned(),
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two\"}}]}\n\n".to_owned(),
        ]
    })
    .await;
    let server = Server::start(Some(&config(cut, cut))).await;
    let body = json!({ "model": "assistant", "stream": true, "messages": [{ "role": "user", "content": "count" }] });
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert!(reply.text.contains("one") && reply.text.contains("two"));
    assert!(
        reply.text.contains("upstream_unavailable"),
        "{}",
        reply.text
    );
    assert!(!reply.text.contains("[DONE]"));
    let metrics = server.get("/metrics").await.text;
    let words = ["outcome=\"failed\"", "error_type=\"provider\""];
    assert_eq!(
        metric(&metrics, "semroute_requests_total", &words),
        Some(1.0),
        "{metrics}"
    );
}
