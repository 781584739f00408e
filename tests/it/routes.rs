//! Rules, policy and strategies as a caller meets them: over HTTP, by a configuration.

use semroute::config::Environment;
use serde_json::{Value, json};

use crate::support::{Reply, Server};

/// Two simulated models, and what else a test wants of them.
fn config(rest: &str) -> String {
    format!(
        "
providers: {{ demo: {{ kind: simulated }} }}
models:
  usual: {{ provider: demo, price: {{ input: 1, output: 1 }} }}
  special: {{ provider: demo, price: {{ input: 5, output: 5 }} }}
{rest}"
    )
}

/// An assistant whose first route, to `special`, is taken when this holds.
fn when(condition: &str) -> String {
    config(&format!(
        "
server: {{ region: eu }}
teams:
  clinic: {{ keys: [env:DAY_KEY, env:NIGHT_KEY] }}
  lab: {{ keys: [env:LAB_KEY] }}
assistants:
  assistant:
    aliases: [gpt-4o, '*']
    routes:
      - {{ name: first, when: {{ {condition} }}, to: special }}
      - {{ name: rest, to: usual }}
"
    ))
}

fn keys(name: &str) -> Option<String> {
    ["DAY_KEY", "NIGHT_KEY", "LAB_KEY"]
        .contains(&name)
        .then(|| format!("{name}-0123456789abcdef"))
}

/// A request, as a caller writes it.
struct Asked {
    path: &'static str,
    key: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Value,
}

fn saying(text: &str) -> Asked {
    Asked {
        path: "/v1/chat/completions",
        key: "DAY_KEY",
        headers: Vec::new(),
        body: json!({ "model": "assistant", "messages": [{ "role": "user", "content": text }] }),
    }
}

fn plain() -> Asked {
    saying("hello")
}

impl Asked {
    fn by(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn at(self, path: &'static str) -> Self {
        Self { path, ..self }.with("max_tokens", json!(100))
    }

    async fn of(self, server: &Server) -> Reply {
        let key = keys(self.key).unwrap();
        let mut request = server
            .client
            .post(server.url(self.path))
            .bearer_auth(key)
            .body(self.body.to_string());
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        Reply::of(request.send().await.unwrap()).await
    }
}

async fn started(config: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::from_lookup(keys);
    let server = Server::logging(config, environment, folder.path()).await;
    (server, folder)
}

/// Of two requests, the first is to take the first route and the second is not.
async fn tells(condition: &str, taken: Asked, passed: Asked) {
    let (server, _folder) = started(&when(condition)).await;
    let taken = taken.of(&server).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert_eq!(taken.header("x-semroute-route"), "first", "{condition}");
    assert_eq!(taken.header("x-semroute-target"), "special", "{condition}");
    let passed = passed.of(&server).await;
    assert_eq!(passed.header("x-semroute-route"), "rest", "{condition}");
}

#[tokio::test]
async fn rules_look_at_who_asks_and_how() {
    let lab = || plain().by("LAB_KEY");
    tells("team: lab", lab(), plain()).await;
    tells("key: env:NIGHT_KEY", plain().by("NIGHT_KEY"), plain()).await;
    let old_client = plain().with("model", json!("gpt-4o"));
    tells("model: gpt-4o", old_client, plain()).await;
    let message = || plain().at("/v1/messages");
    tells("path: /v1/messages", message(), plain()).await;
    tells("path: '/v1/mess*'", message(), plain()).await;
    let host = plain().header("host", "EU.example.com:8080");
    tells("host: eu.example.com", host, plain()).await;
    let task = |value| plain().header("X-Task", value);
    tells(
        "header: { x-task: [classify, sort] }",
        task("sort"),
        task("other"),
    )
    .await;
    tells("header: { X-Task: '*' }", task("any"), plain()).await;
    let tier = |value| plain().header("x-semroute-metadata", value);
    let (free, paid) = (tier(r#"{"tier":"free"}"#), tier(r#"{"tier":"paid"}"#));
    tells("metadata: { tier: free }", free, paid).await;
}

#[tokio::test]
async fn rules_look_at_what_is_asked() {
    let tool = json!([{ "type": "function", "function": { "name": "f" } }]);
    let with_tool = || plain().with("tools", tool.clone());
    tells("tools: true", with_tool(), plain()).await;
    tells("tools: false", plain(), with_tool()).await;
    let image = json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } });
    let picture = plain().with("messages", json!([{ "role": "user", "content": [image] }]));
    tells("images: true", picture, plain()).await;
    let schema = json!({ "name": "s", "schema": { "type": "object" } });
    let format = json!({ "type": "json_schema", "json_schema": schema });
    tells(
        "schema: true",
        plain().with("response_format", format),
        plain(),
    )
    .await;
    let long = || saying(&"word ".repeat(200));
    tells("tokens: { at_least: 200 }", long(), plain()).await;
    tells("tokens: { at_most: 50 }", plain(), long()).await;
}

#[tokio::test]
async fn rules_look_at_the_persons_words() {
    let refund = || saying("I want a Refund for INV-4711, please");
    tells("keyword: [refund, chargeback]", refund(), plain()).await;
    tells(r"regex: 'INV-\d+'", refund(), plain()).await;
    let russian = || saying("Почему мой счёт в этом месяце больше, чем обычно?");
    tells("script: cyrillic", russian(), plain()).await;
    tells("language: [ru, uk]", russian(), plain()).await;
}

#[tokio::test]
async fn rules_look_at_what_the_prompt_is_about() {
    let code = || saying("Refactor this function in Go so that it returns early");
    tells("intent: code", code(), plain()).await;
    tells("intent: code, probability: 0.3", code(), plain()).await;
    let (server, _folder) = started(&when("intent: code, probability: 1")).await;
    let passed = code().of(&server).await;
    assert_eq!(passed.header("x-semroute-route"), "rest");
    assert_eq!(passed.header("x-semroute-reason"), "default");
}

#[tokio::test]
async fn a_rule_looks_at_where_the_gateway_stands() {
    for (region, route) in [("eu", "first"), ("us", "rest")] {
        let (server, _folder) = started(&when(&format!("region: {region}"))).await;
        let reply = plain().of(&server).await;
        assert_eq!(reply.header("x-semroute-route"), route);
    }
}

#[tokio::test]
async fn a_rule_that_decides_before_the_prompt_is_looked_at_embeds_nothing() {
    let config = when("header: { x-task: '*' }").replace(
        "      - { name: rest",
        "      - { name: code, when: { intent: code }, to: special }\n      - { name: rest",
    );
    let (server, _folder) = started(&config).await;
    let by_header = plain().header("x-task", "any").of(&server).await;
    assert_eq!(by_header.header("x-semroute-reason"), "rule");
    assert_eq!(by_header.header("x-semroute-intent"), "", "nobody asked");
    let by_intent = plain().of(&server).await;
    assert_ne!(by_intent.header("x-semroute-intent"), "");
}

/// Three models of a clinic: one in the EU that may see patients' data, one elsewhere, one that cannot
/// read images.
const CLINIC: &str = "
providers: { demo: { kind: simulated }, other: { kind: simulated } }
models:
  local: { provider: demo, price: { input: 3, output: 9 }, regions: [eu], data: [phi] }
  abroad: { provider: other, price: { input: 1, output: 2 }, regions: [us, eu] }
  blind: { provider: demo, price: { input: 2, output: 2 }, regions: [eu], abilities: [tools], context: 400 }
assistants:
  assistant:
    routes: [{ name: only, to: abroad, failover: [blind, local] }]
teams:
  clinic: { keys: [env:DAY_KEY] }
  lab: { keys: [env:LAB_KEY] }
";

async fn under(policy: &str) -> (Server, tempfile::TempDir) {
    started(&format!("{CLINIC}policy:\n  - {policy}\n")).await
}

/// Who answers a request under a policy.
async fn answers(policy: &str, asked: Asked) -> String {
    let (server, _folder) = under(policy).await;
    let reply = asked.of(&server).await;
    assert_eq!(reply.status, 200, "{policy}: {}", reply.text);
    reply.header("x-semroute-target").to_owned()
}

#[tokio::test]
async fn policy_removes_models_before_anything_else() {
    for (policy, target) in [
        ("{ allow: { models: [local, blind] } }", "blind"),
        ("{ allow: { providers: demo } }", "blind"),
        ("{ allow: { regions: [eu] } }", "blind"),
        ("{ allow: { regions: [eu, us] } }", "abroad"),
        ("{ allow: { data: [phi] } }", "local"),
        ("{ allow: { price: { input: 2 } } }", "abroad"),
        (
            "{ allow: { price: { output: 1.5 } }, when: { team: lab } }",
            "abroad",
        ),
        ("{ deny: { models: abroad } }", "blind"),
        ("{ deny: { providers: [other] } }", "blind"),
        ("{ deny: { regions: us } }", "blind"),
        (
            "{ name: p, when: { team: clinic }, allow: { data: phi } }",
            "local",
        ),
        ("{ when: { team: lab }, allow: { data: phi } }", "abroad"),
    ] {
        assert_eq!(answers(policy, plain()).await, target, "{policy}");
    }
}

#[tokio::test]
async fn what_a_model_cannot_do_is_not_asked_of_it() {
    let eu = "{ allow: { regions: [eu] } }";
    let image = json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } });
    let picture = plain().with("messages", json!([{ "role": "user", "content": [image] }]));
    assert_eq!(answers(eu, picture).await, "local");
    assert_eq!(answers(eu, saying(&"word ".repeat(500))).await, "local");
}

#[tokio::test]
async fn if_policy_leaves_nobody_the_error_says_which_rule_removed_the_last() {
    let (server, folder) = under("{ name: cards, allow: { data: [pci] } }").await;
    let refused = plain().of(&server).await;
    let log = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(record["undecided"]["route"], "only");
    assert_eq!(record["undecided"]["removed"].as_array().unwrap().len(), 3);
    let (status, code, _) = refused.error();
    assert_eq!((status, code.as_str()), (403, "policy_denied"));
    assert!(
        refused.text.contains(
            r#"rule \"cards\" removed the last one, local, since it is not cleared for pci"#
        ),
        "{}",
        refused.text
    );
    let clinic = CLINIC.replace("[blind, local]", "[local, blind]");
    let only_blind = "policy: [{ deny: { models: [abroad, local] } }]";
    let (server, _folder) = started(&format!("{clinic}{only_blind}\n")).await;
    let image = json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } });
    let picture = plain().with("messages", json!([{ "role": "user", "content": [image] }]));
    let refused = picture.of(&server).await.error();
    assert_eq!(
        (refused.0, refused.1.as_str()),
        (400, "unsupported_by_models")
    );
    let too_long = saying(&"word ".repeat(500)).of(&server).await.error();
    assert_eq!(
        (too_long.0, too_long.1.as_str()),
        (400, "context_length_exceeded")
    );
}

#[tokio::test]
async fn a_dry_run_tells_rule_policy_candidates_and_choice() {
    let (server, _folder) = under("{ name: house, allow: { regions: [eu] } }").await;
    let told = plain()
        .header("x-semroute-dry-run", "true")
        .of(&server)
        .await;
    let told = told.json();
    assert_eq!(told["route"], "only");
    assert_eq!(told["target"], "blind");
    assert_eq!(told["chosen"], "stand_in");
    assert_eq!(
        told["removed"],
        json!([{ "model": "abroad", "by": "house", "why": "its region us is not one of eu" }])
    );
}

fn strategy(route: &str) -> String {
    config(&format!(
        "
assistants:
  assistant:
    routes: [{{ name: only, {route} }}]
teams: {{ clinic: {{ keys: [env:DAY_KEY] }} }}
"
    ))
}

#[tokio::test]
async fn a_user_stays_with_a_canary_and_the_record_tells_the_odds() {
    let route = "weighted: { of: { usual: 75, special: 25 }, sticky: { by: user, for: 30m } }";
    let (server, folder) = started(&strategy(route)).await;
    let mut targets = std::collections::BTreeSet::new();
    for user in [
        "ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jo",
    ] {
        let asked = || plain().with("user", json!(user));
        let first = asked().of(&server).await;
        assert_eq!(first.header("x-semroute-chosen"), "sticky");
        let target = first.header("x-semroute-target").to_owned();
        for _ in 0..3 {
            let again = asked().of(&server).await;
            assert_eq!(again.header("x-semroute-target"), target, "{user}");
        }
        targets.insert(target);
    }
    assert_eq!(targets.len(), 2, "ten users and one model");
    let log = std::fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let decision = &record["decision"];
    let odds = if decision["target"] == "usual" {
        0.75
    } else {
        0.25
    };
    assert_eq!(decision["propensity"], odds);
    assert_eq!(decision["seed"], Value::Null, "the seed had no say");
    assert_eq!(decision["candidates"][0]["share"], 0.25);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_decision_again() {
    let (server, _folder) = started(&strategy("weighted: { of: { usual: 1, special: 1 } }")).await;
    let chosen = async |seed: u64| {
        let mut asked = plain().at("/v1/route");
        asked.body = json!({ "text": "hello", "seed": seed });
        asked.of(&server).await.json()["target"].clone()
    };
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..16 {
        let target = chosen(seed).await;
        assert_eq!(chosen(seed).await, target);
        seen.insert(target.to_string());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn cheapest_asks_the_cheaper_one_until_its_quality_is_below_the_bar() {
    let (server, _folder) = started(&strategy("cheapest: { of: [special, usual] }")).await;
    let reply = plain().of(&server).await;
    assert_eq!(reply.header("x-semroute-target"), "usual");
    assert_eq!(reply.header("x-semroute-chosen"), "cheapest");
    let folder = tempfile::tempdir().unwrap();
    let quality =
        |low: f64| json!({ "mean": low + 0.02, "n": 100, "low": low, "high": low + 0.04 });
    let measured = json!({ "usual": quality(0.5), "special": quality(0.9) });
    let table = json!({
        "version": 1, "data_digest": "d", "centroid_digest": "c", "confidence": 0.95,
        "overall": measured, "intents": { "code": measured },
    });
    let path = folder.path().join("quality.json");
    std::fs::write(&path, table.to_string()).unwrap();
    for (bar, target) in [(0.8, "special"), (0.4, "usual")] {
        let route = format!("cheapest: {{ of: [special, usual], quality: {bar} }}");
        let config = format!("{}quality: {}\n", strategy(&route), path.display());
        let (server, _folder) = started(&config).await;
        let code = saying("Refactor this function in Go so that it returns early");
        let reply = code.of(&server).await;
        assert_eq!(reply.header("x-semroute-target"), target);
        assert_ne!(
            reply.header("x-semroute-intent"),
            "",
            "quality is one of an intent"
        );
    }
}

#[tokio::test]
async fn each_strategy_and_guard_is_told_by_its_reason() {
    for (route, chosen, target) in [
        ("to: special", "pinned", "special"),
        (
            "priority: { of: [special, usual], tpot: 1s, probe: 0 }",
            "priority",
            "special",
        ),
        (
            "score: { of: [special, usual], weights: { cost: 1 } }",
            "score",
            "usual",
        ),
        (
            "cheapest: { of: [special, usual], multiplier: { usual: 9 } }",
            "cheapest",
            "special",
        ),
        (
            "to: special, guards: { cost: { usd_per_request: 0.0000001, then: usual } }",
            "cost_guard",
            "usual",
        ),
        (
            "to: special, guards: { cost: { usd_per_1k_tokens: 0.004, then: usual } }",
            "cost_guard",
            "usual",
        ),
        (
            "to: special, guards: { cost: { usd_per_1k_tokens: 0.006, then: usual } }",
            "pinned",
            "special",
        ),
    ] {
        let (server, _folder) = started(&strategy(route)).await;
        let reply = plain().of(&server).await;
        assert_eq!(reply.header("x-semroute-chosen"), chosen, "{route}");
        assert_eq!(reply.header("x-semroute-target"), target, "{route}");
    }
}

#[tokio::test]
async fn fastest_learns_from_answers_and_leaves_the_slow_one() {
    let config = strategy("fastest: { of: [slow, quick], by: ttft, probe: 0.5 }").replace(
        "  usual:",
        "  slow: { provider: demo, script: { first_token_ms: 60 } }\n  quick: { provider: demo, script: { first_token_ms: 1 } }\n  usual:",
    );
    let (server, _folder) = started(&config).await;
    let mut chosen = Vec::new();
    for _ in 0..40 {
        let reply = plain().with("stream", json!(true)).of(&server).await;
        let reason = reply.header("x-semroute-chosen").to_owned();
        let dry = plain()
            .header("x-semroute-dry-run", "true")
            .of(&server)
            .await;
        chosen.push((reason, dry.json()));
    }
    let (last, told) = chosen.last().unwrap();
    assert_eq!(last, "fastest");
    assert_eq!(told["target"], "quick", "{told}");
    assert_eq!(chosen[0].0, "probe", "nobody was known");
    let pace = |idx: usize| told["candidates"][idx]["pace_ms"].as_f64().unwrap();
    assert!(pace(1) < pace(0), "{told}");
}

#[tokio::test]
async fn a_guard_on_time_asks_the_fastest_once_the_choice_is_known_to_be_late() {
    let config = strategy(
        "weighted: { of: { slow: 1, quick: 1 } }, guards: { time: 60ms }",
    )
    .replace(
        "  usual:",
        "  slow: { provider: demo, script: { first_token_ms: 30, per_token_ms: 5 } }\n  quick: { provider: demo, script: { per_token_ms: 0 } }\n  usual:",
    );
    let (server, _folder) = started(&config).await;
    let mut chosen = Vec::new();
    for _ in 0..40 {
        let reply = plain().with("stream", json!(true)).of(&server).await;
        let target = reply.header("x-semroute-target").to_owned();
        chosen.push((reply.header("x-semroute-chosen").to_owned(), target));
    }
    let guarded = ("time_guard".to_owned(), "quick".to_owned());
    assert!(chosen.contains(&guarded), "{chosen:?}");
    let slow = chosen.iter().filter(|(_, target)| target == "slow");
    assert!((1..10).contains(&slow.count()), "{chosen:?}");
}

#[tokio::test]
async fn policy_hears_what_was_said_in_earlier_turns_and_by_harnesses() {
    let policy = "{ when: { keyword: patient }, allow: { data: phi } }";
    let (server, _folder) = under(policy).await;
    let turns = json!([
        { "role": "user", "content": "The patient has a fever." },
        { "role": "assistant", "content": "Noted." },
        { "role": "user", "content": "Summarise that." },
    ]);
    let told = plain().with("messages", turns).of(&server).await;
    assert_eq!(told.header("x-semroute-target"), "local");
    let wrapped = "<environment_details>patient 7</environment_details> go on";
    let told = saying(wrapped).of(&server).await;
    assert_eq!(told.header("x-semroute-target"), "local");
    let system = json!([
        { "role": "system", "content": "You see data of a patient." },
        { "role": "user", "content": "hello" },
    ]);
    let told = plain().with("messages", system).of(&server).await;
    assert_eq!(told.header("x-semroute-target"), "local");
    let told = plain().of(&server).await;
    assert_eq!(told.header("x-semroute-target"), "abroad");
}

#[tokio::test]
async fn policy_hears_the_words_of_texts_to_be_embedded() {
    let config = "
providers: { lab: { kind: openai, base_url: 'http://127.0.0.1:9/v1' } }
models: { vectors: { provider: lab } }
embeddings: [vectors]
assistants: { assistant: { routes: [{ name: only, to: vectors }] } }
teams: { clinic: { keys: [env:DAY_KEY] } }
policy: [{ when: { keyword: [patient, input] }, allow: { data: phi } }]
";
    let (server, _folder) = started(config).await;
    let status = async |input: &str| {
        let key = keys("DAY_KEY").unwrap();
        let url = server.url("/v1/embeddings");
        let body = format!(r#"{{"model":"vectors","input":{input}}}"#);
        let sent = server.client.post(url).bearer_auth(key).body(body).send();
        Reply::of(sent.await.unwrap()).await.status
    };
    for denied in [
        r#""Diagnosis:\npatient 7""#,
        r#"["fine", "pati\u0065nt"]"#,
        "[1, 2, 3]",
    ] {
        assert_eq!(status(denied).await, 403, "{denied}");
    }
    assert_eq!(
        status(r#""hello""#).await,
        502,
        "nobody is there, but it was asked"
    );
}

#[tokio::test]
async fn policy_holds_for_vectors_too() {
    let config = "
providers: { lab: { kind: openai, base_url: 'http://127.0.0.1:9/v1' } }
models: { vectors: { provider: lab, regions: [us] } }
embeddings: [vectors]
assistants: { assistant: { routes: [{ name: only, to: vectors }] } }
teams: { clinic: { keys: [env:DAY_KEY] } }
policy: [{ name: residency, allow: { regions: eu } }]
";
    let (server, _folder) = started(config).await;
    let mut asked = plain().at("/v1/embeddings");
    asked.body = json!({ "model": "vectors", "input": "hello" });
    let (status, code, _) = asked.of(&server).await.error();
    assert_eq!((status, code.as_str()), (403, "policy_denied"));
}

#[tokio::test]
async fn an_alias_stands_for_its_assistant_and_a_star_for_every_name_that_there_is_not() {
    let (server, _folder) = started(&when("team: lab")).await;
    for name in ["assistant", "gpt-4o", "whatever-there-is"] {
        let reply = plain().with("model", json!(name)).of(&server).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text);
        assert_eq!(reply.header("x-semroute-assistant"), "assistant");
    }
    let strict = when("team: lab").replace(", '*'", "");
    let (server, _folder) = started(&strict).await;
    let reply = plain()
        .with("model", json!("whatever-there-is"))
        .of(&server)
        .await;
    assert_eq!(reply.status, 404);
}
