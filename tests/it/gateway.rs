//! The server as its callers see it.

use serde_json::{Value, json};

use crate::support::{Reply, Server, metric};

fn schema_request(model: &str) -> String {
    json!({
        "model": model,
        "messages": [{ "role": "user", "content": "Extract the name and the email address from this signature: Anna Meier, Head of Sales, anna@example.org" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "person", "schema": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "age": { "type": "number" } },
            "required": ["name", "age"],
        }}},
    })
    .to_string()
}

#[tokio::test]
async fn three_prompts_go_to_three_models() {
    let server = Server::start(None).await;
    for (prompt, target) in [
        ("hi there! how's your day going?", "small"),
        (
            "Write a Python function that merges two sorted lists",
            "coder",
        ),
        (
            "What is the integral of x squared from 0 to 3? Show each step",
            "frontier",
        ),
    ] {
        let reply = server.chat(prompt).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("x-semroute-target"), target, "{prompt}");
        assert_eq!(reply.header("x-semroute-simulated"), "true");
        assert!(reply.header("x-semroute-intent").contains(";score="));
        assert!(
            reply.json()["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .contains("simulated")
        );
    }
}

#[tokio::test]
async fn a_draft_that_breaks_the_schema_is_escalated_and_headers_and_metrics_say_so() {
    let server = Server::start(None).await;
    let reply = server
        .post("/v1/chat/completions", schema_request("assistant"))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("x-semroute-route"), "structured");
    assert_eq!(reply.header("x-semroute-target"), "frontier");
    assert_eq!(reply.header("x-semroute-escalations"), "1");
    assert_eq!(reply.header("x-semroute-failovers"), "0");
    assert_eq!(reply.header("x-semroute-verdict"), "json_schema:passed");
    let content = reply.json()["choices"][0]["message"]["content"].clone();
    let answer: Value = serde_json::from_str(content.as_str().unwrap()).unwrap();
    assert!(answer["age"].is_number() && answer["name"].is_string());

    let metrics = server.get("/metrics").await.text;
    let route = ["route=\"structured\""];
    assert_eq!(
        metric(&metrics, "semroute_escalations_total", &route),
        Some(1.0),
        "{metrics}"
    );
    assert_eq!(
        metric(&metrics, "semroute_checked_total", &route),
        Some(1.0)
    );
    assert_eq!(
        metric(&metrics, "semroute_escalation_ratio", &route),
        Some(1.0)
    );
    assert_eq!(
        metric(&metrics, "semroute_failovers_total", &[]),
        None,
        "an escalation is no failover"
    );
}

#[tokio::test]
async fn no_piece_of_a_rejected_draft_is_streamed() {
    let server = Server::start(None).await;
    let mut body: Value = serde_json::from_str(&schema_request("assistant")).unwrap();
    body["stream"] = json!(true);
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.header("x-semroute-escalations"), "1");
    let answer: Value = serde_json::from_str(&streamed_text(&reply)).unwrap();
    assert!(answer["age"].is_number() && answer["name"].is_string());
}

/// The text of all pieces, which must end with the end marker.
fn streamed_text(reply: &Reply) -> String {
    let mut text = String::new();
    let mut events = reply
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .peekable();
    while let Some(event) = events.next() {
        if events.peek().is_none() {
            assert_eq!(event, "[DONE]");
            break;
        }
        let chunk: Value = serde_json::from_str(event).unwrap();
        text.push_str(
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default(),
        );
    }
    text
}

#[tokio::test]
async fn a_stream_ends_with_what_is_known_only_then() {
    let server = Server::start(None).await;
    let body = json!({
        "model": "assistant", "stream": true,
        "messages": [{ "role": "user", "content": "good morning!" }],
    });
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert!(streamed_text(&reply).contains("simulated"));
    let trailer = reply
        .text
        .lines()
        .find_map(|line| line.strip_prefix(": "))
        .unwrap();
    let trailer: Value = serde_json::from_str(trailer).unwrap();
    assert!(
        0.0 < trailer["semroute"]["cost_usd"].as_f64().unwrap(),
        "{trailer}"
    );
}

#[tokio::test]
async fn the_decision_is_explained() {
    let server = Server::start(None).await;
    let reply = server
        .post(
            "/v1/route",
            json!({ "text": "SELECT name FROM users: make this query faster" }).to_string(),
        )
        .await;
    let decision = reply.json();
    assert_eq!(decision["target"], "coder", "{decision}");
    assert_eq!(decision["reason"], "intent");
    assert_eq!(
        decision["intent"]["runners_up"].as_array().unwrap().len(),
        3
    );
    assert!(
        decision["timings"]["encode_ms"]
            .as_f64()
            .is_some_and(|it| 0.0 < it)
    );
    assert_eq!(decision["text"]["truncated"], false);

    let batch = json!({ "texts": ["bonjour, ça va ?", "merge sort in Go"] }).to_string();
    let reply = server.post("/v1/route/batch", batch).await;
    let decisions = reply.json()["decisions"].clone();
    assert_eq!(decisions.as_array().map(Vec::len), Some(2), "{decisions}");
    assert_eq!(decisions[1]["target"], "coder", "{decisions}");
}

#[tokio::test]
async fn embeddings_are_unit_vectors_in_both_encodings() {
    let server = Server::start(None).await;
    let model = server.get("/readyz").await.json()["encoder"]["name"].clone();
    let ask = |extra: Value| {
        let mut body = json!({ "model": model, "input": ["a cat", "SELECT 1"] });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let floats = server.post("/v1/embeddings", ask(json!({}))).await.json();
    let vector: Vec<f32> = serde_json::from_value(floats["data"][1]["embedding"].clone()).unwrap();
    let length: f32 = vector.iter().map(|value| value * value).sum();
    assert!(vector.len() == 384 && (length - 1.0).abs() < 1e-3);
    assert!(4 <= floats["usage"]["total_tokens"].as_u64().unwrap());

    let coded = server
        .post(
            "/v1/embeddings",
            ask(json!({ "encoding_format": "base64" })),
        )
        .await
        .json();
    let text = coded["data"][1]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (384 * 4) / 3 * 4);

    let shortened = server
        .post("/v1/embeddings", ask(json!({ "dimensions": 64 })))
        .await;
    assert_eq!(
        shortened.error(),
        (400, "invalid_request".into(), "dimensions".into())
    );
    let empty = json!({ "model": model, "input": [" "] }).to_string();
    assert_eq!(
        server.post("/v1/embeddings", empty).await.error().2,
        "input"
    );
    let tokens = json!({ "model": model, "input": [1, 2] }).to_string();
    assert_eq!(
        server.post("/v1/embeddings", tokens).await.error().2,
        "input"
    );
    let other = json!({ "model": "ada", "input": "x" }).to_string();
    assert_eq!(
        server.post("/v1/embeddings", other).await.error(),
        (404, "model_not_found".into(), "model".into())
    );
}

#[tokio::test]
async fn strange_prompts_get_a_stated_default() {
    let server = Server::start(None).await;
    let long = "word ".repeat(200_000);
    for (text, reason, is_truncated) in [
        ("", "no_text", None),
        (" \n\t", "no_text", None),
        ("🦀🦀🦀", "", Some(false)),
        ("ما هي عاصمة مصر؟", "", Some(false)),
        (long.as_str(), "", Some(true)),
    ] {
        let reply = server
            .post("/v1/route", json!({ "text": text }).to_string())
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let decision = reply.json();
        if !reason.is_empty() {
            assert_eq!(decision["reason"], reason);
            assert_eq!(decision["route"], "default");
        }
        assert_eq!(
            decision["text"]["truncated"].as_bool(),
            is_truncated,
            "{decision}"
        );
    }
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let server = Server::start(None).await;
    let user = json!([{ "role": "user", "content": "hi" }]);
    for (body, expected) in [
        ("{".to_owned(), (400, "")),
        ("[]".to_owned(), (400, "")),
        (json!({ "messages": user }).to_string(), (400, "model")),
        (
            json!({ "model": "assistant" }).to_string(),
            (400, "messages"),
        ),
        (
            json!({ "model": "assistant", "messages": user, "stream": "yes" }).to_string(),
            (400, "stream"),
        ),
        (
            json!({ "model": "gpt-9", "messages": user }).to_string(),
            (404, "model"),
        ),
    ] {
        let (status, _, param) = server
            .post("/v1/chat/completions", body.clone())
            .await
            .error();
        assert_eq!((status, param.as_str()), expected, "{body}");
    }
    let not_utf8 = server
        .post("/v1/chat/completions", vec![b'{', 0xff, b'}'])
        .await;
    assert_eq!(not_utf8.error().0, 400);
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "objekt" } } });
    let body = json!({
        "model": "assistant", "response_format": schema,
        "messages": [{ "role": "user", "content": "Extract the name and the email address from this signature: Anna Meier, Head of Sales, anna@example.org" }],
    });
    let reply = server.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(
        reply.error(),
        (400, "invalid_request".into(), "response_format".into())
    );
    assert_eq!(
        server
            .post("/v1/route", json!({}).to_string())
            .await
            .error()
            .2,
        "text"
    );
    assert_eq!(
        server
            .post("/v1/route/batch", json!({ "texts": [] }).to_string())
            .await
            .error()
            .2,
        "texts"
    );
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_past_it_is_not() {
    let server = Server::start(None).await;
    let most = semroute::gateway::BODY_BYTES_MAX;
    let past = server.post("/v1/route", vec![b' '; most + 1]).await;
    assert_eq!(
        past.error(),
        (413, "request_too_large".into(), String::new())
    );
    let at = server.post("/v1/route", vec![b' '; most]).await;
    assert_eq!(at.error().0, 400, "it was read and is no JSON");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_in_json() {
    let server = Server::start(None).await;
    assert_eq!(server.get("/v1/nothing").await.error().1, "no_such_path");
    assert_eq!(
        server.get("/v1/route").await.error().1,
        "method_not_allowed"
    );
}

#[tokio::test]
async fn the_models_listed_are_those_that_can_be_asked() {
    let server = Server::start(None).await;
    let list = server.get("/v1/models").await.json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["assistant", "all-MiniLM-L6-v2"]);
    assert_eq!(server.get("/healthz").await.text, "ok\n");
}

#[tokio::test]
async fn a_caller_keeps_its_own_request_id() {
    let server = Server::start(None).await;
    let request = server.client.post(server.url("/v1/route"));
    let sent = request
        .header("x-request-id", "mine-1")
        .body(r#"{"text":"hi"}"#)
        .send();
    let response = sent.await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "mine-1");
}

#[tokio::test]
async fn feedback_that_says_nothing_or_is_kept_nowhere_is_refused() {
    let server = Server::start(None).await;
    let long = "x".repeat(5_000);
    for (body, expected) in [
        (json!({ "request_id": "a" }), ""),
        (
            json!({ "request_id": "", "outcome": "right" }),
            "request_id",
        ),
        (
            json!({ "request_id": long, "outcome": "right" }),
            "request_id",
        ),
        (json!({ "request_id": "a", "comment": long }), "comment"),
        (json!({ "request_id": "a", "intent": "a;b" }), "intent"),
        (
            json!({ "request_id": "a", "outcome": "perhaps" }),
            "outcome",
        ),
        (
            json!({ "request_id": "a", "outcome": "right", "stars": 5 }),
            "stars",
        ),
        (json!({ "outcome": "right" }), "request_id"),
        // This server keeps no log.
        (json!({ "request_id": "a", "outcome": "right" }), ""),
    ] {
        let (status, _, param) = server.post("/v1/feedback", body.to_string()).await.error();
        assert_eq!((status, param.as_str()), (400, expected), "{body}");
    }
}
