//! What calls cost: where prices come from, and that no call that was billed goes without.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use semroute::budget::tokens;
use semroute::catalogue::{Shelf, read, write};
use semroute::config::catalogue::{Fact, Facts, Known, built_in, facts};
use semroute::config::load::parse;
use semroute::domain::model::Ability;
use semroute::domain::quantity::PicoUsd;
use semroute::engine::Reply;
use semroute::engine::ledger::Ledger;
use semroute::engine::serve::Piece;
use semroute::wire::Inbound;
use serde_json::{Value, json};

use crate::binary::semroute;
use crate::engine::engine;
use crate::support::{Server, metric};
use crate::upstream::{config, upstream};

const CATALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/catalogue.json");

fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What is known of models, each a line under `models`, and the problems.
fn known_in(folder: &Path, head: &str, models: &str) -> (Facts, Vec<String>) {
    let text = format!(
        "{head}
providers:
  openai: {{ kind: openai }}
  openrouter: {{ kind: openai, base_url: \"https://openrouter.ai/api/v1\" }}
  local: {{ kind: openai, base_url: \"http://127.0.0.1:8000/v1\" }}
  posing: {{ kind: openai, base_url: \"https://api.openai.com@example.com/v1\" }}
  demo: {{ kind: simulated }}
models:
{models}
assistants:
  assistant:
    routes: [{{ name: only, to: m }}]
"
    );
    let loaded = parse(&text, folder.to_owned()).unwrap_or_else(|it| panic!("{it}"));
    let mut problems = Vec::new();
    let facts = facts(&loaded, &mut problems);
    (facts, problems.iter().map(ToString::to_string).collect())
}

/// What is known of one model.
fn known(model: &str) -> Known {
    let (mut facts, problems) = known_in(Path::new("."), "", &format!("  m: {{ {model} }}"));
    assert_eq!(problems, Vec::<String>::new(), "{model}");
    facts.models.pop_first().unwrap().1
}

fn entry<T>(fact: &Fact<T>) -> (&'static str, &str) {
    let (place, entry) = fact.origin();
    (place, entry.unwrap_or_default())
}

/// The list price of the prompt's tokens.
fn input(known: &Known) -> Option<f64> {
    let price = known.price.value()?;
    Some(price.input.as_usd_per_million())
}

#[test]
fn the_catalogue_that_ships_is_whole_and_as_the_command_writes_it() {
    let committed = fs::read_to_string(CATALOGUE).unwrap();
    assert!(600 < built_in().unwrap().len());
    assert!(
        built_in()
            .unwrap()
            .entries()
            .all(|(_, it)| it.price.is_some())
    );
    let output = semroute(&["models", "prices", CATALOGUE]);
    assert!(output.status.success());
    assert!(
        said(&output.stdout) == committed,
        "run `semroute models prices models/catalogue.json --out models/catalogue.json`"
    );
    let again = read(&committed, Shelf::BuiltIn).unwrap();
    assert!(write(&again).unwrap() == committed);
}

#[test]
fn a_vendors_model_has_its_list_price_limits_and_abilities() {
    let mini = known("provider: openai, name: gpt-5-mini");
    let expected = ("built-in", "openai/gpt-5-mini");
    assert_eq!(input(&mini), Some(0.25));
    assert_eq!(entry(&mini.price), expected);
    assert_eq!(entry(&mini.context), expected);
    assert_eq!(entry(&mini.output_max), expected);
    assert_eq!(entry(&mini.abilities), expected);
    assert_eq!(mini.abilities.value().unwrap().tools, Ability::Yes);
    let dated = known("provider: openai, name: gpt-5-mini-2026-12-24");
    assert_eq!(entry(&dated.price), expected);
}

#[test]
fn a_server_that_is_no_vendors_gets_no_vendors_price() {
    for provider in ["local", "posing", "demo"] {
        let own = known(&format!("provider: {provider}, name: gpt-5-mini"));
        assert_eq!(own, Known::default(), "{provider}");
    }
}

#[test]
fn model_keys_take_the_place_of_the_catalogue() {
    let told = known(
        "provider: openai, name: gpt-5-mini, price: { input: 0, output: 0, cached_read: 0.5, cache_write: 0.75 }, \
         context: 1000, output_max: 100, abilities: [tools, images]",
    );
    let price = told.price.value().unwrap();
    assert_eq!(input(&told), Some(0.0), "a price of 0 is a price");
    assert_eq!(price.cached_read, PicoUsd::per_token(0.5).ok());
    assert_eq!(price.cache_write, PicoUsd::per_token(0.75).ok());
    assert_eq!(told.limits().context_tokens, Some(1000));
    assert_eq!(told.limits().output_tokens_max, Some(100));
    let abilities = told.abilities.value().unwrap();
    assert_eq!(
        (
            abilities.tools,
            abilities.images,
            abilities.json_schema,
            abilities.reasoning
        ),
        (Ability::Yes, Ability::Yes, Ability::No, Ability::No)
    );
    for fact in [
        entry(&told.price),
        entry(&told.context),
        entry(&told.abilities),
    ] {
        assert_eq!(fact, ("config", ""));
    }
    let more = known("provider: openai, name: gpt-5-mini, abilities: [json_schema, reasoning]");
    let abilities = more.abilities.value().unwrap();
    assert_eq!(
        (abilities.tools, abilities.reasoning),
        (Ability::No, Ability::Yes)
    );
}

#[test]
fn a_model_names_its_entry_or_none() {
    let named = known("provider: local, name: whatever, catalogue: openai/gpt-5-mini");
    assert_eq!(entry(&named.price), ("built-in", "openai/gpt-5-mini"));
    let none = known("provider: openai, name: gpt-5-mini, catalogue: none");
    assert_eq!(none.price, Fact::Unknown);
    let wrong = "  m: { provider: local, catalogue: openai/gpt-5-minni }";
    let (_, problems) = known_in(Path::new("."), "", wrong);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("models.m.catalogue: the catalogue has no entry")
            && problems[0].contains("did you mean \"openai/gpt-5-mini"),
        "{}",
        problems[0]
    );
}

#[test]
fn a_price_that_might_be_taken_for_known_is_warned_of() {
    let models = "  a: { provider: openrouter, name: openai/gpt-oss-120b }
  b: { provider: openai, name: gpt-5-mimi }
  c: { provider: openai, name: gpt-5-mimi, price: { input: 1, output: 1 } }
  d: { provider: local, name: gpt-5-mini }";
    let (facts, problems) = known_in(Path::new("."), "", models);
    assert_eq!(problems, Vec::<String>::new());
    let warnings: Vec<String> = facts.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("models.a.price: is unknown: cerebras/gpt-oss-120b,"));
    assert!(warnings[0].contains("at different prices; name one with `catalogue`"));
    assert!(warnings[1].starts_with("models.b.price: is unknown: the catalogue has no"));
}

#[test]
fn an_operators_catalogue_takes_the_place_of_the_one_that_ships() {
    let folder = tempfile::tempdir().unwrap();
    let own = json!({ "models": { "openai/gpt-5-mini": { "input": 7, "output": 8 } } });
    fs::write(folder.path().join("own.json"), own.to_string()).unwrap();
    let models =
        "  m: { provider: openai, name: gpt-5-mini }\n  n: { provider: openai, name: gpt-5-nano }";
    let (facts, problems) = known_in(folder.path(), "catalogue: own.json", models);
    assert_eq!(problems, Vec::<String>::new());
    let found: Vec<_> = facts.models.values().map(|it| entry(&it.price)).collect();
    assert_eq!(
        found,
        [
            ("catalogue file", "openai/gpt-5-mini"),
            ("built-in", "openai/gpt-5-nano")
        ]
    );
    for (text, words) in [
        ("{", "EOF"),
        ("{\"models\":{\"a\":{}}}", "VENDOR/MODEL"),
        (
            "{\"models\":{\"a/b\":{\"input\":true}}}",
            "models.a/b.input",
        ),
    ] {
        fs::write(folder.path().join("own.json"), text).unwrap();
        let (_, problems) = known_in(folder.path(), "catalogue: own.json", models);
        let is_told = problems[0].starts_with("catalogue: ") && problems[0].contains(words);
        assert!(is_told, "{}", problems[0]);
    }
    let (_, problems) = known_in(folder.path(), "catalogue: none.json", models);
    assert!(problems[0].contains("cannot be read"), "{}", problems[0]);
}

#[test]
fn the_command_lists_what_was_found_and_who_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("semroute.yaml");
    let text = "
providers: { openai: { kind: openai, api_key: env:NOT_SET } }
models:
  mini: { provider: openai, name: gpt-5-mini }
  odd: { provider: openai, name: gpt-5-mimi, context: 5 }
assistants: { assistant: { routes: [{ name: only, to: mini }] } }
";
    fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let output = semroute(&["models", "list", "--config", &path, "--json"]);
    assert!(output.status.success(), "no key is needed to list");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [mini, odd] = [&list["models"][0], &list["models"][1]];
    assert_eq!(mini["vendor"], "openai");
    assert_eq!(mini["price"]["value"]["input"], 0.25);
    assert_eq!(mini["price"]["from"], "built-in");
    assert_eq!(mini["price"]["entry"], "openai/gpt-5-mini");
    assert_eq!(mini["abilities"]["value"]["tools"], true);
    assert_eq!(
        odd["price"],
        json!({ "value": null, "from": "unknown", "entry": null })
    );
    assert_eq!(
        odd["context"],
        json!({ "value": 5, "from": "config", "entry": null })
    );
    assert!(said(&output.stderr).contains("warning: models.odd.price"));
    let output = semroute(&["models", "list", "--config", &path]);
    let table = said(&output.stdout);
    assert!(table.contains("built-in openai/gpt-5-mini") && table.contains("context: config"));
    let output = semroute(&["models", "list", "--config", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_command_imports_litellms_price_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = json!({
        "sample_spec": { "mode": "one of: chat" },
        "gpt-9": { "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07 },
        "embedder": { "mode": "embedding", "litellm_provider": "openai", "input_cost_per_token": 1e-08 },
    });
    fs::write(path("prices.json"), file.to_string()).unwrap();
    let (from, to) = (path("prices.json"), path("catalogue.json"));
    let output = semroute(&[
        "models", "prices", &from, "--out", &to, "--as-of", "2030-01",
    ]);
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let told = said(&output.stderr);
    assert!(told.contains("1 models, 2 entries left out"), "{told}");
    assert!(
        told.contains("1: its mode is embedding: embedder"),
        "{told}"
    );
    let written = fs::read_to_string(&to).unwrap();
    assert!(
        written.contains("\"openai/gpt-9\": {\"input\":0.15,\"output\":0.6}"),
        "{written}"
    );
    assert!(written.contains("\"as_of\": \"2030-01\""), "{written}");
    fs::write(path("prices.json"), "<html>").unwrap();
    for file in [from, path("nowhere.json")] {
        let output = semroute(&["models", "prices", &file]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            said(&output.stderr).contains(&file),
            "{}",
            said(&output.stderr)
        );
    }
}

/// Counts on threads of the runtime, whose end waits for them.
#[test]
fn a_stream_that_its_caller_leaves_costs_what_had_come() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().to_owned();
    let engine = engine("none", path.clone(), Duration::from_mins(1));
    let body = json!({
        "model": "assistant", "stream": true,
        "messages": [{ "role": "user", "content": "good morning" }],
    });
    let request = Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let text = runtime.block_on(async {
        let ledger = Ledger::open(&engine, "/v1/chat/completions", "left".to_owned());
        let served = engine.answer(&request, ledger).await;
        let Ok(Reply::Streamed(mut pieces)) = served.reply else {
            panic!("a stream was asked for");
        };
        let mut text = String::new();
        for _ in 0..4 {
            if let Some(Piece::Chunk(chunk)) = pieces.next().await {
                assert_eq!(chunk.usage, None, "the count comes with the end");
                text.push_str(&chunk.text);
            }
        }
        text
    });
    drop(runtime);
    let metrics = engine.metrics_text();
    drop(engine);
    let line = fs::read_to_string(path.join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(line.trim()).unwrap();
    let attempt = &record["attempts"][0];
    assert_eq!(attempt["result"]["kind"], "abandoned");
    assert_eq!(attempt["usage"]["counted_by"], "semroute");
    assert_eq!(attempt["usage"]["output_tokens"], tokens::count(&text));
    assert_eq!(
        attempt["usage"]["input_tokens"],
        tokens::count_messages(["good morning"])
    );
    assert!(0.0 < attempt["cost_usd"].as_f64().unwrap(), "{attempt}");
    assert_eq!(record["cost_usd"], attempt["cost_usd"]);
    let words = ["kind=\"output\"", "counted_by=\"semroute\""];
    assert!(
        metric(&metrics, "semroute_tokens_total", &words).is_some(),
        "{metrics}"
    );
}

/// Two pieces of a stream, `one` and `two`, and what comes behind.
fn one_two(behind: &str) -> Vec<String> {
    let piece = |text: &str, finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let finish = if behind.is_empty() {
        "null"
    } else {
        "\"stop\""
    };
    vec![
        piece("one", "null"),
        piece(" two", finish),
        behind.to_owned(),
    ]
}

async fn streamed(respond: fn(&Value) -> Vec<String>) -> String {
    let address = upstream(200, respond).await;
    let server = Server::start(Some(&config(address, address))).await;
    let body = json!({ "model": "assistant", "stream": true, "messages": [{ "role": "user", "content": "count" }] });
    server.post("/v1/chat/completions", body.to_string()).await;
    server.get("/metrics").await.text
}

#[tokio::test]
async fn a_stream_that_breaks_off_costs_what_had_come() {
    let metrics = streamed(|_| one_two("")).await;
    // Seven tokens in, three of them the format's a message and three before the answer; two out.
    let cost = metric(&metrics, "semroute_cost_usd_total", &["target=\"a\""]).unwrap();
    assert!((cost - 11e-6).abs() < 1e-12, "{cost}");
    assert_eq!(
        metric(&metrics, "semroute_cost_unknown_total", &[]),
        None,
        "{metrics}"
    );
}

#[tokio::test]
async fn a_whole_stream_without_a_count_is_counted() {
    let metrics = streamed(|_| one_two("data: [DONE]\n\n")).await;
    for (kind, expected) in [("kind=\"input\"", 7.0), ("kind=\"output\"", 2.0)] {
        let words = [kind, "target=\"a\"", "counted_by=\"semroute\""];
        let found = metric(&metrics, "semroute_tokens_total", &words);
        assert_eq!(found, Some(expected), "{metrics}");
    }
}

#[tokio::test]
async fn a_providers_own_count_is_told_by_kind() {
    let metrics = streamed(|_| {
        one_two(
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":3}}}\n\ndata: [DONE]\n\n",
        )
    })
    .await;
    for (kind, expected) in [
        ("input", 10.0),
        ("output", 5.0),
        ("cached_input", 4.0),
        ("reasoning", 3.0),
    ] {
        let kind = format!("kind=\"{kind}\"");
        let words = [kind.as_str(), "counted_by=\"provider\""];
        let found = metric(&metrics, "semroute_tokens_total", &words);
        assert_eq!(found, Some(expected), "{metrics}");
    }
    assert_eq!(
        metric(&metrics, "semroute_tokens_total", &["cache_write"]),
        None
    );
}

#[tokio::test]
async fn a_call_whose_price_is_not_known_is_counted_and_costs_no_zero() {
    let down = upstream(503, |_| vec!["busy".to_owned()]).await;
    let up = upstream(200, |_| one_two("data: [DONE]\n\n")).await;
    let server = Server::start(Some(&config(down, up))).await;
    let body = json!({ "model": "assistant", "stream": true, "messages": [{ "role": "user", "content": "count" }] });
    server.post("/v1/chat/completions", body.to_string()).await;
    let metrics = server.get("/metrics").await.text;
    let at_b = ["target=\"b\""];
    assert_eq!(
        metric(&metrics, "semroute_cost_unknown_total", &at_b),
        Some(1.0)
    );
    assert_eq!(
        metric(&metrics, "semroute_cost_usd_total", &at_b),
        None,
        "{metrics}"
    );
}
