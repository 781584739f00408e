//! What callers say in headers: metadata, conversations, dry runs and ids.

use futures_util::FutureExt;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::access::{CONFIG, Guarded, LAB, guarded_paths, question};
use crate::support::Reply;

#[tokio::test]
async fn metadata_and_conversation_are_in_the_record_of_each_endpoint() {
    let guarded = Guarded::start().await;
    let headers = [
        ("x-api-key", LAB),
        (
            "x-tfy-metadata",
            r#"{"project": "search", "run": 7, "live": true}"#,
        ),
        ("x-semroute-conversation", "c-1"),
    ];
    let before = guarded_paths();
    let leave_records = before.iter().take(4);
    for (method, path, body) in leave_records {
        let reply = guarded
            .send(method.clone(), path, &headers, body.clone())
            .await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        let record = guarded.last_record();
        let expected = json!({ "project": "search", "run": "7", "live": "true" });
        assert_eq!(record["metadata"], expected, "{path}");
        assert_eq!(record["conversation"], "c-1", "{path}");
        assert_eq!(record["tenant"], "lab", "{path}");
    }
    guarded.chat("common", &[("x-api-key", LAB)]).await;
    let record = guarded.last_record();
    assert_eq!(record.get("metadata"), None);
    assert_eq!(record.get("conversation"), None);
}

#[tokio::test]
async fn headers_that_cannot_be_read_are_the_callers_error() {
    let guarded = Guarded::start().await;
    for (name, value) in [
        ("x-semroute-metadata", "project=search"),
        ("x-tfy-metadata", r#"{"a": {}}"#),
        ("x-semroute-conversation", "two words"),
        ("x-semroute-dry-run", "yes"),
    ] {
        let headers = [("x-api-key", LAB), (name, value)];
        let reply = guarded.chat("common", &headers).await;
        let code = "invalid_request".to_owned();
        assert_eq!(reply.error(), (400, code, name.to_owned()));
        let message = reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(&format!("{value:?}")), "{message}");
        assert_eq!(guarded.last_record()["tenant"], "lab");
    }
    let both = [
        ("x-api-key", LAB),
        ("x-semroute-metadata", r#"{"a": 1}"#),
        ("x-tfy-metadata", r#"{"a": 2}"#),
    ];
    assert_eq!(
        guarded.chat("common", &both).await.error().2,
        "x-tfy-metadata"
    );
}

#[tokio::test]
async fn a_dry_run_decides_explains_and_asks_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let provider = format!("{{ kind: openai, base_url: \"http://{address}/v1\" }}");
    let guarded = Guarded::of(&CONFIG.replace("{ kind: simulated }", &provider)).await;
    let headers = [("x-api-key", LAB), ("x-semroute-dry-run", "true")];
    let mut streamed = question("common");
    streamed["stream"] = json!(true);
    for body in [question("common"), streamed] {
        let path = "/v1/chat/completions";
        let reply = guarded.send(Method::POST, path, &headers, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("x-semroute-dry-run"), "true");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("x-semroute-attempts"), "0");
        let text = json!({ "model": "common", "text": "good morning" });
        let route = guarded
            .send(Method::POST, "/v1/route", &headers[..1], text)
            .await;
        let keys = |reply: &Reply| {
            let explained = reply.json();
            let keys = explained.as_object().unwrap().keys().cloned();
            keys.collect::<Vec<_>>()
        };
        assert_eq!(keys(&reply), keys(&route));
        for key in ["assistant", "route", "reason", "target"] {
            assert_eq!(reply.json()[key], route.json()[key], "{key}");
        }
        let records = guarded.records();
        let record = &records[records.len() - 2];
        assert_eq!(record["endpoint"], path);
        assert_eq!(record["outcome"]["kind"], "decided");
        assert_eq!(record["attempts"], json!([]));
    }
    assert!(
        listener.accept().now_or_never().is_none(),
        "somebody was asked"
    );

    let unknown = guarded.chat("nobody", &headers).await;
    assert_eq!(unknown.error().1, "model_not_found");
}

#[tokio::test]
async fn a_dry_run_that_is_switched_off_answers() {
    let guarded = Guarded::start().await;
    let headers = [("x-api-key", LAB), ("x-semroute-dry-run", "false")];
    let reply = guarded.chat("common", &headers).await;
    assert_eq!(reply.json()["object"], "chat.completion");
    assert_eq!(reply.header("x-semroute-dry-run"), "");
    assert_eq!(guarded.last_record()["outcome"]["kind"], "answered");
}

#[tokio::test]
async fn an_id_that_could_not_stand_in_a_line_is_replaced() {
    let guarded = Guarded::start().await;
    let longest = "i".repeat(128);
    for id in ["mine-1", &longest] {
        let reply = guarded
            .chat("common", &[("x-api-key", LAB), ("x-request-id", id)])
            .await;
        assert_eq!(reply.header("x-request-id"), id);
    }
    for id in ["a b", "a\tb", "ü", "", &format!("{longest}i")] {
        let reply = guarded
            .chat("common", &[("x-api-key", LAB), ("x-request-id", id)])
            .await;
        let given = reply.header("x-request-id").to_owned();
        assert!(given != id && given.len() == 36, "{id:?} became {given:?}");
        assert_eq!(guarded.last_record()["request_id"], given);
    }
}
