//! Rules as a caller meets them: over HTTP, by a configuration. Policy and strategies lie beside.

use semroute::config::Environment;
use serde_json::{Value, json};

use crate::support::{Reply, Server};

mod policy;
mod strategies;

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
