//! Every kind of provider over a server on loopback: where its requests go, what header carries its
//! key, and what the body asks for beyond what the caller said. And the examples of
//! `docs/providers.md`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::TryStreamExt;
use semroute::config::assemble::{Assembled, over_encoder};
use semroute::config::load::parse;
use semroute::config::{Environment, Problem, Problems};
use semroute::domain::chat::Request;
use semroute::provider::{Call, Timeouts};
use semroute::wire::Inbound;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::shipped_encoder;

/// Every kind that is reached over HTTP, with the catalogue's name for its vendor.
const KINDS: [(&str, Option<&str>); 15] = [
    ("openai", Some("openai")),
    ("anthropic", Some("anthropic")),
    ("gemini", Some("gemini")),
    ("mistral", Some("mistral")),
    ("groq", Some("groq")),
    ("together", Some("together")),
    ("fireworks", Some("fireworks")),
    ("deepseek", Some("deepseek")),
    ("xai", Some("xai")),
    ("openrouter", Some("openrouter")),
    ("cerebras", Some("cerebras")),
    ("vllm", None),
    ("ollama", None),
    ("llama_cpp", None),
    ("azure", Some("azure")),
];

/// What one request brought.
#[derive(Clone)]
struct Seen {
    uri: String,
    headers: HeaderMap,
    body: Value,
}

/// A server that answers everything, in the format that the path asks for, and remembers the last
/// request.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn upstream() -> (SocketAddr, Arc<Mutex<Option<Seen>>>) {
    let seen = Arc::new(Mutex::new(None));
    let last = Arc::clone(&seen);
    let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let uri = uri.to_string();
        let is_streamed = body["stream"] == true || uri.contains(":streamGenerateContent");
        let answer = if uri.contains("enerateContent") {
            let content = json!({ "parts": [{ "text": "Hello" }] });
            json!({ "candidates": [{ "content": content, "finishReason": "STOP" }] })
        } else if uri.ends_with("/messages") && is_streamed {
            let delta = json!({ "type": "text_delta", "text": "Hello" });
            json!({ "type": "content_block_delta", "index": 0, "delta": delta })
        } else if uri.ends_with("/messages") {
            json!({ "content": [{ "type": "text", "text": "Hello" }], "stop_reason": "end_turn" })
        } else {
            let said = json!({ "role": "assistant", "content": "Hello" });
            let choice =
                json!({ "index": 0, "message": said, "delta": said, "finish_reason": "stop" });
            json!({ "choices": [choice] })
        };
        let end = if uri.ends_with("/messages") {
            "data: {\"type\":\"message_stop\"}\n\n"
        } else {
            ""
        };
        let (kind, text) = if is_streamed {
            ("text/event-stream", format!("data: {answer}\n\n{end}"))
        } else {
            ("application/json", answer.to_string())
        };
        *last.lock().unwrap() = Some(Seen { uri, headers, body });
        let response = Response::builder().header("content-type", kind);
        response.body(Body::from(text)).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn environment() -> Environment {
    Environment::from_lookup(|name| name.ends_with("_KEY").then(|| format!("{name}-value")))
}

fn assembled(text: &str, environment: Environment) -> Result<Assembled, Problems> {
    let loaded = parse(text, PathBuf::from(env!("CARGO_MANIFEST_DIR")))?;
    over_encoder(loaded, shipped_encoder(), environment)
}

fn config(provider: &str) -> String {
    format!(
        "providers:\n  one: {{ {provider} }}\nmodels:\n  only: {{ provider: one, name: \"org/model 1\" }}\n\
         assistants:\n  assistant:\n    routes:\n      - {{ name: only, to: only }}\n"
    )
}

fn problems(text: &str) -> Vec<String> {
    match assembled(text, environment()) {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems.iter().map(Problem::to_string).collect(),
    }
}

fn request(stream: bool) -> Request {
    let body = json!({
        "model": "assistant", "stream": stream, "messages": [{ "role": "user", "content": "Hi" }],
    });
    let body = body.to_string();
    Inbound::OpenAi.read_request(body.as_bytes()).unwrap()
}

/// The text that a provider of this configuration answers, whole and streamed, and what it was asked.
async fn asked(provider: &str, seen: &Mutex<Option<Seen>>) -> [Seen; 2] {
    let plan = assembled(&config(provider), environment())
        .unwrap_or_else(|problems| panic!("{provider}: {problems}"))
        .plan;
    let target = &plan.targets[0];
    let (whole, streamed) = (request(false), request(true));
    let call = |request| Call {
        overrides: None,
        request,
        model: &target.model.upstream_name,
        timeouts: Timeouts::default(),
    };
    let answer = target.provider.call(call(&whole)).await.unwrap();
    assert_eq!(answer.reply.text, "Hello", "{provider}");
    let first = seen.lock().unwrap().take().unwrap();
    let chunks = target.provider.stream(call(&streamed)).await.unwrap();
    let chunks: Vec<_> = chunks.reply.try_collect().await.unwrap();
    let text: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(text, "Hello", "{provider}");
    let second = seen.lock().unwrap().take().unwrap();
    [first, second]
}

#[tokio::test]
async fn every_kind_sends_its_requests_where_its_api_is_with_its_key() {
    let (address, seen) = upstream().await;
    for (kind, _) in KINDS {
        let base = match kind {
            "azure" => format!("http://{address}"),
            _ => format!("http://{address}/base"),
        };
        let provider = format!("kind: {kind}, base_url: \"{base}\", api_key: env:MY_KEY");
        let asked = asked(&provider, &seen).await;
        let (paths, header, value) = match kind {
            "gemini" => (
                [
                    "/base/models/org%2Fmodel%201:generateContent",
                    "/base/models/org%2Fmodel%201:streamGenerateContent?alt=sse",
                ],
                "x-goog-api-key",
                "MY_KEY-value",
            ),
            "anthropic" => (["/base/messages"; 2], "x-api-key", "MY_KEY-value"),
            "azure" => (
                ["/openai/deployments/org%2Fmodel%201/chat/completions?api-version=2024-10-21"; 2],
                "api-key",
                "MY_KEY-value",
            ),
            _ => (
                ["/base/chat/completions"; 2],
                "authorization",
                "Bearer MY_KEY-value",
            ),
        };
        for (seen, path) in asked.iter().zip(paths) {
            assert_eq!(seen.uri, path, "{kind}");
            assert_eq!(seen.headers[header], value, "{kind}");
            let others = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
            let carried = others.iter().filter(|it| seen.headers.contains_key(**it));
            assert_eq!(carried.count(), 1, "{kind}: the key goes nowhere else");
        }
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_its_count_only_where_the_server_knows_the_question() {
    let (address, seen) = upstream().await;
    for (kind, _) in KINDS {
        let provider = format!("kind: {kind}, base_url: \"http://{address}\", api_key: env:MY_KEY");
        let [whole, streamed] = asked(&provider, &seen).await;
        let tells_anyway = [
            "anthropic",
            "gemini",
            "mistral",
            "together",
            "openrouter",
            "cerebras",
        ];
        let expected = if tells_anyway.contains(&kind) {
            Value::Null
        } else {
            json!({ "include_usage": true })
        };
        assert_eq!(streamed.body["stream_options"], expected, "{kind}");
        assert_eq!(whole.body["stream_options"], Value::Null, "{kind}");
        if kind == "gemini" {
            let contents = json!([{ "role": "user", "parts": [{ "text": "Hi" }] }]);
            assert_eq!(streamed.body, json!({ "contents": contents }));
        } else {
            assert_eq!(streamed.body["model"], "org/model 1", "{kind}");
        }
    }
}

#[tokio::test]
async fn headers_travel_and_the_version_of_azures_api_can_be_told() {
    let (address, seen) = upstream().await;
    let provider = format!(
        "kind: azure, base_url: \"http://{address}/\", api_version: 2025-04-01-preview, headers: {{ authorization: env:TOKEN_KEY, x-team: env:TEAM_KEY }}"
    );
    let [whole, _] = asked(&provider, &seen).await;
    assert_eq!(
        whole.uri,
        "/openai/deployments/org%2Fmodel%201/chat/completions?api-version=2025-04-01-preview"
    );
    assert_eq!(whole.headers["authorization"], "TOKEN_KEY-value");
    assert_eq!(whole.headers["x-team"], "TEAM_KEY-value");
}

#[test]
fn a_provider_on_the_internet_without_a_key_is_told_where_to_put_one() {
    for (kind, vendor) in KINDS {
        let address = if kind == "azure" {
            ", base_url: \"https://r.openai.azure.com\""
        } else {
            ""
        };
        let port = if kind == "llama_cpp" {
            "server: { listen: 127.0.0.1:0 }\n"
        } else {
            ""
        };
        let found = problems(&format!(
            "{port}{}",
            config(&format!("kind: {kind}{address}"))
        ));
        if vendor.is_none() {
            assert_eq!(found, [""; 0], "{kind}");
        } else {
            let [problem] = found.as_slice() else {
                panic!("{kind}: {found:?}");
            };
            assert!(
                problem.starts_with("providers.one.api_key: is missing"),
                "{problem}"
            );
            let custom = format!("env:{}_", kind.to_ascii_uppercase());
            assert!(problem.contains(&custom), "{problem}");
        }
        let keyed = format!("kind: {kind}{address}, headers: {{ Authorization: env:A_KEY }}");
        assert_eq!(
            problems(&format!("{port}{}", config(&keyed))),
            [""; 0],
            "{kind}"
        );
    }
    // A server of one's own may want none.
    assert_eq!(
        problems(&config("kind: groq, base_url: \"http://127.0.0.1:9/v1\"")),
        [""; 0]
    );
}

#[test]
fn a_vendor_is_known_by_its_own_address_only() {
    for (kind, vendor) in KINDS {
        let of = |address: &str| {
            let text = config(&format!("kind: {kind}{address}, api_key: env:A_KEY"));
            let loaded = parse(&text, PathBuf::new()).unwrap_or_else(|it| panic!("{it}"));
            let provider = loaded.config.providers.values().next().unwrap().clone();
            (provider.vendor(), provider.preset().unwrap().base_url)
        };
        if kind == "azure" {
            let address = ", base_url: \"https://r.openai.azure.com\"";
            assert_eq!(of(address).0, vendor);
            continue;
        }
        let (found, base_url) = of("");
        assert_eq!(found, vendor, "{kind}");
        assert_eq!(
            of(&format!(", base_url: \"{base_url}/\"")).0,
            vendor,
            "{kind}"
        );
        assert_eq!(
            of(", base_url: \"https://proxy.example/v1\"").0,
            None,
            "{kind}"
        );
    }
}

#[test]
fn a_provider_at_semroutes_own_address_is_refused() {
    let told = "is where semroute itself listens";
    let found = problems(&config("kind: llama_cpp"));
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    assert!(
        found[0].starts_with("providers.one.base_url: "),
        "{found:?}"
    );
    for (listen, url) in [
        ("127.0.0.1:9000", "http://localhost:9000/v1"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000/v1"),
        ("10.1.2.3:9000", "http://10.1.2.3:9000"),
    ] {
        let provider = format!("kind: openai, base_url: \"{url}\"");
        let text = format!("server: {{ listen: \"{listen}\" }}\n{}", config(&provider));
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    }
    let elsewhere = config("kind: openai, base_url: \"http://10.1.2.3:8080/v1\"");
    assert_eq!(problems(&elsewhere), [""; 0]);
}

#[test]
fn a_key_of_a_provider_that_does_not_exist_is_told_with_the_nearest() {
    for provider in [
        "kind: gemini, api_key: env:A_KEY, base_ulr: \"http://h\"",
        "kind: azure, base_url: \"http://h\", api_key: env:A_KEY, api_versoin: 1",
    ] {
        let found = problems(&config(provider));
        assert!(
            found[0].contains("there is no such key; did you mean"),
            "{found:?}"
        );
    }
    let found = problems(&config("kind: azure, api_key: env:A_KEY"));
    assert_eq!(found, ["providers.one.base_url: is missing"]);
    let found = problems(&config("kind: gemeni"));
    assert!(found[0].contains("\"gemini\""), "{found:?}");
}

/// The fenced YAML in a page.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

#[test]
fn every_example_of_the_page_about_providers_is_fine_and_every_kind_has_one() {
    let examples = examples(include_str!("../../docs/providers.md"));
    for example in &examples {
        let text = format!(
            "server: {{ listen: 127.0.0.1:0 }}\n{example}\nassistants:\n  assistant:\n    routes:\n      - {{ name: only, to: answerer }}\n"
        );
        assert_eq!(problems(&text), [""; 0], "{example}");
    }
    for (kind, _) in KINDS {
        let tags = [" ", ",", "\n"].map(|end| format!("kind: {kind}{end}"));
        let has_one = examples
            .iter()
            .any(|example| tags.iter().any(|tag| example.contains(tag)));
        assert!(has_one, "{kind}");
    }
}

#[test]
fn what_the_pages_for_those_who_move_here_offer_is_fine() {
    for page in [
        include_str!("../../docs/migrate-from-litellm.md"),
        include_str!("../../docs/migrate-from-truefoundry.md"),
    ] {
        let mut ours = examples(page);
        ours.retain(|example| example.starts_with("# semroute.yaml"));
        assert_eq!(ours.len(), 1);
        assert_eq!(problems(ours[0]), [""; 0], "{}", ours[0]);
    }
}
