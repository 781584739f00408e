//! `/v1/embeddings` by a provider's model: what travels, what is told and what is refused.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use semroute::config::assemble::over_encoder;
use semroute::config::load::parse;
use semroute::config::{Environment, Problem};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{NO_ENVIRONMENT, Server, metric, shipped_encoder};

const ANSWER: &str = r#"{ "object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]}],
 "model":"real-e", "future":1.50, "usage":{"prompt_tokens":1000,"total_tokens":1000} }"#;

/// What one request brought: its address, its key and its body.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

/// A server that answers every request with the same.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn upstream(status: u16, answer: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let key = ["authorization", "api-key"].map(|name| headers.get(name).cloned());
        let key = key.into_iter().flatten().next();
        kept.lock().unwrap().push((
            uri.to_string(),
            key.map_or_else(String::new, |it| it.to_str().unwrap().to_owned()),
            String::from_utf8(body.to_vec()).unwrap(),
        ));
        let status = StatusCode::from_u16(status).unwrap();
        (status, [("retry-after", "7")], answer)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

/// Two models over one server, of which one may be asked for embeddings.
fn config(provider: &str, model: &str) -> String {
    format!(
        "providers:\n  one: {{ {provider} }}\n\
         models:\n  vectors: {{ provider: one, name: \"real e\", price: {{ input: 0.5, output: 9 }}{model} }}\n  a: {{ provider: one }}\n\
         assistants:\n  assistant:\n    routes:\n      - {{ name: only, to: a }}\n\
         embeddings: [vectors]\n"
    )
}

fn at(address: SocketAddr) -> String {
    format!("kind: openai, base_url: \"http://{address}/v1\"")
}

const ASKED: &str = r#"{"input":["\u00e9", "b"], "model" : "vectors", "dimensions":64, "new":1.0}"#;

#[tokio::test]
async fn a_providers_model_embeds_and_all_but_its_name_travels_verbatim() {
    let (address, seen) = upstream(200, ANSWER).await;
    let server = Server::start(Some(&config(&at(address), ""))).await;
    let reply = server.post("/v1/embeddings", ASKED).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ANSWER));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-semroute-target"), "vectors");
    assert_eq!(reply.header("x-semroute-attempts"), "1");
    assert_eq!(reply.header("x-semroute-cost-usd"), "0.0005");
    let (uri, _, body) = seen.lock().unwrap().remove(0);
    assert_eq!(uri, "/v1/embeddings");
    assert_eq!(body, ASKED.replace("\"vectors\"", "\"real e\""));
    let metrics = server.get("/metrics").await.text;
    let attempts = metric(
        &metrics,
        "semroute_attempts_total",
        &["target=\"vectors\"", "purpose=\"embeddings\""],
    );
    assert_eq!(attempts, Some(1.0), "{metrics}");
}

#[tokio::test]
async fn the_record_tells_the_attempt_its_tokens_and_its_cost() {
    let (address, _) = upstream(200, ANSWER).await;
    let folder = tempfile::tempdir().unwrap();
    let text = config(&at(address), "");
    let server = Server::logging(&text, NO_ENVIRONMENT, folder.path()).await;
    server.post("/v1/embeddings", ASKED).await;
    let log = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(record["endpoint"], "/v1/embeddings");
    assert_eq!(record["outcome"]["kind"], "answered", "{record}");
    let attempt = &record["attempts"][0];
    assert_eq!(attempt["purpose"], "embeddings");
    assert_eq!(
        attempt["usage"],
        json!({ "input_tokens": 1000, "output_tokens": 0 })
    );
    assert_eq!(attempt["cost_usd"], 0.0005);
    assert!(0.0 < record["timings"]["upstream_ms"].as_f64().unwrap());
}

#[tokio::test]
async fn what_a_provider_does_not_tell_costs_an_unknown_amount() {
    let (address, _) = upstream(200, r#"{"data":[]}"#).await;
    let server = Server::start(Some(&config(&at(address), ""))).await;
    let reply = server.post("/v1/embeddings", ASKED).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-semroute-cost-usd"), "unknown");
}

#[tokio::test]
async fn the_failures_of_a_provider_are_told_as_those_of_a_conversation_are() {
    let refusal = r#"{"error":{"message":"no such size","type":"invalid_request_error","param":"dimensions","code":null}}"#;
    for (status, answer, expected) in [
        (400, refusal, (400, "", "dimensions")),
        (429, "{}", (429, "upstream_unavailable", "")),
        (500, "{}", (502, "upstream_unavailable", "")),
        (401, "{}", (502, "upstream_unavailable", "")),
        (200, "<html>", (502, "upstream_unavailable", "")),
        (200, r#"{"error":"x"}"#, (502, "upstream_unavailable", "")),
    ] {
        let (address, _) = upstream(status, answer).await;
        let server = Server::start(Some(&config(&at(address), ""))).await;
        let reply = server.post("/v1/embeddings", ASKED).await;
        let (status, code, param) = reply.error();
        assert_eq!(
            (status, code.as_str(), param.as_str()),
            expected,
            "{answer}"
        );
        assert_eq!(reply.header("x-semroute-attempts"), "1");
        if status == 429 {
            assert_eq!(reply.header("retry-after"), "7");
        }
        if status == 400 {
            assert_eq!(reply.text, refusal);
        }
    }
}

#[tokio::test]
async fn a_provider_that_takes_too_long_is_given_up() {
    // Connections are made, and nobody ever takes them up.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let text = config(&at(address), ", timeout: { whole: 50ms }");
    let reply = Server::start(Some(&text)).await;
    let reply = reply.post("/v1/embeddings", ASKED).await;
    assert_eq!(reply.error().0, 502);
    let text = format!(
        "{}server: {{ request_timeout: 50ms }}\n",
        config(&at(address), "")
    );
    let reply = Server::start(Some(&text)).await;
    let reply = reply.post("/v1/embeddings", ASKED).await;
    assert_eq!(reply.error().1, "deadline_exceeded");
}

#[tokio::test]
async fn only_the_models_on_the_list_are_asked_beside_the_encoder() {
    let (address, seen) = upstream(200, ANSWER).await;
    let server = Server::start(Some(&config(&at(address), ""))).await;
    let listed = server.get("/v1/models").await.json();
    let ids: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["assistant", "all-MiniLM-L6-v2", "vectors"]);
    assert_eq!(server.get("/v1/models/vectors").await.status, 200);
    for model in ["a", "real e", "assistant"] {
        let body = json!({ "model": model, "input": "x" }).to_string();
        let reply = server.post("/v1/embeddings", body).await;
        assert_eq!(reply.error().1, "model_not_found", "{model}");
        assert!(reply.text.contains("vectors"), "{}", reply.text);
    }
    let own = json!({ "model": "all-MiniLM-L6-v2", "input": "x" }).to_string();
    assert_eq!(server.post("/v1/embeddings", own).await.status, 200);
    let chat = json!({ "model": "vectors", "messages": [{ "role": "user", "content": "x" }] });
    let reply = server.post("/v1/chat/completions", chat.to_string()).await;
    assert_eq!(reply.error().1, "model_not_found");
    let twice = r#"{"model":"vectors","model":"vectors","input":"x"}"#;
    assert_eq!(server.post("/v1/embeddings", twice).await.error().0, 400);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_of_any_team_will_do_and_none_will_not() {
    let (address, seen) = upstream(200, ANSWER).await;
    let text = format!(
        "{}teams:\n  clinic: {{ keys: [env:KEY] }}\n",
        config(&at(address), "")
    );
    let environment = Environment::from_lookup(|name| {
        (name == "KEY").then(|| "sk-clinic-0123456789abcdef".to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let server = Server::logging(&text, environment, folder.path()).await;
    assert_eq!(server.post("/v1/embeddings", ASKED).await.error().0, 401);
    let request = server.client.post(server.url("/v1/embeddings")).body(ASKED);
    let request = request.header("x-api-key", "sk-clinic-0123456789abcdef");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].1, "", "the caller's key goes nowhere");
}

#[tokio::test]
async fn azure_is_asked_at_its_deployment() {
    let (address, seen) = upstream(200, ANSWER).await;
    let text = config(
        &format!("kind: azure, base_url: \"http://{address}\", api_key: env:KEY"),
        "",
    );
    let environment = Environment::from_lookup(|name| (name == "KEY").then(|| "k".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::logging(&text, environment, folder.path()).await;
    assert_eq!(server.post("/v1/embeddings", ASKED).await.status, 200);
    let (uri, key, _) = seen.lock().unwrap().remove(0);
    assert_eq!(
        uri,
        "/openai/deployments/real%20e/embeddings?api-version=2024-10-21"
    );
    assert_eq!(key, "k");
}

#[test]
fn models_that_cannot_be_asked_or_told_apart_are_problems() {
    let text = "
providers:
  demo: { kind: simulated }
  claude: { kind: anthropic, api_key: env:KEY }
  own: { kind: vllm }
models:
  small: { provider: demo }
  haiku: { provider: claude }
  vectors: { provider: own }
  both: { provider: own }
  all-MiniLM-L6-v2: { provider: own }
assistants:
  both: { routes: [{ name: only, to: small }] }
embeddings: [small, haiku, vectors, vector, vectors, both, all-MiniLM-L6-v2]
";
    let environment = Environment::from_lookup(|_| Some("secret".to_owned()));
    let found = parse(text, PathBuf::from(env!("CARGO_MANIFEST_DIR")))
        .and_then(|loaded| over_encoder(loaded, shipped_encoder(), environment).map(|_| ()))
        .unwrap_err();
    let found: Vec<String> = found.0.iter().map(Problem::to_string).collect();
    for (place, words) in [
        ("embeddings[0]: ", "\"demo\" is simulated"),
        (
            "embeddings[1]: ",
            "\"claude\" does not speak OpenAI's format",
        ),
        ("embeddings[3]: ", "did you mean \"vectors\"?"),
        ("embeddings[4]: ", "\"vectors\" stands in the list twice"),
        ("embeddings[5]: ", "an assistant is called \"both\" as well"),
        (
            "embeddings[6]: ",
            "the encoder inside the process is called",
        ),
    ] {
        let is_told = found
            .iter()
            .any(|it| it.starts_with(place) && it.contains(words));
        assert!(is_told, "{place}{words}\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 6, "{}", found.join("\n"));
}
