//! Models take no more than they may, and what is known of them outlives plans.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use semroute::clock::{Clock, ManualClock};
use semroute::domain::event::{FailoverReason, Failure, Purpose};
use semroute::domain::standing::{Measured, Pace, Room, Standing};
use semroute::engine::ledger::Ledger;
use semroute::engine::serve::Piece;
use semroute::engine::{Engine, Error, Plan, Reply};
use semroute::health::outputs::Place;
use semroute::wire::Inbound;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::assembled;
use crate::engine::engine_on;
use crate::support::{Server, metric};

mod blame;

/// Three assistants: one whose model has a stand-in, one whose model is alone, and one that checks drafts.
fn config(small: &str) -> String {
    format!(
        "
providers: {{ sim: {{ kind: simulated }} }}
models:
  small: {{ provider: sim, price: {{ input: 1, output: 2 }}, {small} }}
  large: {{ provider: sim, price: {{ input: 1, output: 2 }} }}
  wrong: {{ provider: sim, script: {{ style: breaks_schema }} }}
  down: {{ provider: sim, script: {{ failure_rate: 1 }} }}
assistants:
  both:
    routes: [{{ name: only, to: small, failover: [large] }}]
  alone:
    routes: [{{ name: only, to: small }}]
  checked:
    routes: [{{ name: only, cascade: {{ tiers: [wrong, small], verify: [{{ json_schema: request }}] }} }}]
  down:
    routes: [{{ name: only, to: down }}]
"
    )
}

/// An engine whose records can be read.
struct Engaged {
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    folder: TempDir,
}

type Pieces = BoxStream<'static, Piece>;

impl Engaged {
    fn with(small: &str) -> Self {
        Self::on(&config(small))
    }

    fn on(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let log = format!("{config}log: {{ to: [stdout] }}\n");
        let path = folder.path().to_owned();
        Self {
            engine: engine_on(Arc::clone(&clock), &log, path, |queue| queue),
            clock,
            folder,
        }
    }

    /// Asks for a stream, and holds it at its beginning.
    async fn stream(&self, assistant: &str) -> Result<Pieces, Error> {
        match self.ask(assistant, json!({ "stream": true })).await? {
            Reply::Streamed(pieces) => Ok(pieces),
            Reply::Whole(_) => panic!("a stream was asked for"),
        }
    }

    async fn whole(&self, assistant: &str) -> Result<(), Error> {
        self.ask(assistant, json!({})).await.map(drop)
    }

    async fn ask(&self, assistant: &str, more: Value) -> Result<Reply, Error> {
        let mut body = json!({
            "model": assistant, "messages": [{ "role": "user", "content": "good morning" }],
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let body = body.to_string();
        let request = Inbound::OpenAi.read_request(body.as_bytes()).unwrap();
        let ledger = Ledger::open(&self.engine, "/v1/test", "request".to_owned());
        self.engine.answer(&request, ledger).await.reply
    }

    /// The last record of a request whose caller stayed. Those of others are written when there is time.
    fn last_record(&self) -> Value {
        let lines = fs::read_to_string(self.folder.path().join("records.jsonl")).unwrap();
        let mut records = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        records
            .rfind(|record| record["outcome"]["kind"] != "abandoned")
            .unwrap()
    }

    fn standing(&self, model: &str, assistant: &str) -> Standing {
        let place = Place {
            route: "only".parse().unwrap(),
            assistant: assistant.parse().unwrap(),
        };
        let plan = self.engine.plan();
        let target = target(&plan, model);
        target.state.standing(&place, self.clock.now())
    }

    fn running(&self, model: &str) -> Option<f64> {
        let words = [format!("target=\"{model}\"")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        metric(
            &self.engine.metrics_text(),
            "semroute_target_running",
            &words,
        )
    }
}

fn target<'p>(plan: &'p Plan, model: &str) -> &'p semroute::engine::plan::Target {
    plan.targets
        .iter()
        .find(|it| it.model.name.as_str() == model)
        .unwrap()
}

async fn to_the_end(mut pieces: Pieces) {
    while pieces.next().await.is_some() {}
}

/// The answers in a window.
fn n_answers(pace: Pace) -> usize {
    pace.p95.map_or(0, |it| it.n)
}

#[tokio::test]
async fn a_full_target_is_not_asked_and_its_stand_in_is() {
    let engaged = Engaged::with("limits: { concurrency: 1 }");
    let first = engaged.stream("both").await.unwrap();
    assert_eq!(engaged.running("small"), Some(1.0));
    engaged.whole("both").await.unwrap();
    let record = engaged.last_record();
    assert_eq!(record["failovers"], json!([]), "nobody failed");
    assert_eq!(record["decision"]["chosen"], "stand_in");
    assert_eq!(
        record["decision"]["candidates"][0],
        json!({ "model": "small", "out": { "full": "full_concurrency" } })
    );
    assert_eq!(
        record["refusals"],
        json!([{ "target": "small", "reason": "full_concurrency" }])
    );
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "who was not asked made no attempt");
    assert_eq!(attempts[0]["target"], "large");
    assert_eq!(attempts[0]["purpose"], "answer");
    assert!(0.0 < record["cost_usd"].as_f64().unwrap(), "{record}");
    to_the_end(first).await;
    assert_eq!(engaged.running("small"), Some(0.0));
    engaged.whole("both").await.unwrap();
    let record = engaged.last_record();
    assert_eq!(record["attempts"][0]["target"], "small");
    assert_eq!(record["refusals"], Value::Null);
    let metrics = engaged.engine.metrics_text();
    let words = ["target=\"small\"", "reason=\"full_concurrency\""];
    assert_eq!(
        metric(&metrics, "semroute_target_full_total", &words),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_full_target_without_a_stand_in_is_an_error_that_costs_nothing() {
    let engaged = Engaged::with("limits: { concurrency: 1 }");
    let first = engaged.stream("alone").await.unwrap();
    let full = engaged.whole("alone").await.unwrap_err();
    assert_eq!(full, Error::TargetsFull { retry_after: None });
    let record = engaged.last_record();
    assert_eq!(record["attempts"], json!([]));
    assert_eq!(record["cost_usd"], 0.0);
    assert_eq!(
        record["outcome"],
        json!({ "kind": "failed", "status": 503, "error_type": "provider", "code": "targets_full" })
    );
    // The caller leaves in the middle, and nobody reads on.
    drop(first);
    engaged.whole("alone").await.unwrap();
}

#[tokio::test]
async fn an_escalation_takes_a_place_as_well() {
    let engaged = Engaged::with("script: { style: follows_schema }, limits: { concurrency: 1 }");
    let schema = json!({ "response_format": { "type": "json_schema", "json_schema": {
        "name": "answer",
        "schema": { "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] },
    } } });
    let first = engaged.stream("alone").await.unwrap();
    let full = engaged.ask("checked", schema.clone()).await.err();
    assert_eq!(full, Some(Error::TargetsFull { retry_after: None }));
    let record = engaged.last_record();
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(record["escalations"][0]["to"], "small");
    drop(first);
    assert!(engaged.ask("checked", schema).await.is_ok());
    assert_eq!(engaged.last_record()["attempts"][1]["target"], "small");
}

#[tokio::test]
async fn requests_of_a_minute_are_counted_whatever_became_of_them_and_free_a_minute_later() {
    let engaged = Engaged::with("limits: { requests_per_minute: 2 }");
    drop(engaged.stream("alone").await.unwrap());
    engaged.clock.advance(Duration::from_secs(20));
    engaged.whole("alone").await.unwrap();
    let full = engaged.whole("alone").await.unwrap_err();
    let wait = Duration::from_secs(41);
    assert_eq!(
        full,
        Error::TargetsFull {
            retry_after: Some(wait)
        }
    );
    assert_eq!(engaged.standing("small", "alone").room, Room::FullRequests);
    engaged.clock.advance(wait);
    engaged.whole("alone").await.unwrap();
}

#[tokio::test]
async fn tokens_count_as_they_were_used_and_the_next_call_is_expected_to_be_like_the_last() {
    let engaged = Engaged::with("limits: { tokens_per_minute: 1000 }");
    engaged.whole("alone").await.unwrap();
    let usage = engaged.last_record()["attempts"][0]["usage"].clone();
    let of = |key: &str| usage[key].as_u64().unwrap();
    let used = of("input_tokens") + of("output_tokens");
    let mut n = 1;
    while engaged.whole("alone").await.is_ok() {
        n += 1;
    }
    let record = engaged.last_record();
    assert_eq!(record["refusals"][0]["reason"], "full_tokens");
    assert!(n * used <= 1_000, "{n} calls of {used}");
    assert!(1_000 < (n + 1) * used + 20, "{n} calls of {used}");
    engaged.clock.advance(Duration::from_secs(61));
    engaged.whole("alone").await.unwrap();
}

#[tokio::test]
async fn another_plan_goes_on_with_what_is_known_under_its_own_limits() {
    let engaged = Engaged::with("timeout: {}");
    let plan_of = |text: String| assembled(&text).unwrap_or_else(|it| panic!("{it}")).plan;
    let first = engaged.stream("alone").await.unwrap();
    engaged.whole("alone").await.unwrap();
    assert!(engaged.whole("down").await.is_err());
    let limited = config("limits: { concurrency: 1 }");
    engaged.engine.swap_plan(plan_of(limited.clone()));
    let standing = engaged.standing("small", "alone");
    assert_eq!(n_answers(standing.long), 1);
    assert_eq!(
        standing.room,
        Room::FullConcurrency,
        "the stream still runs"
    );
    assert!(engaged.whole("alone").await.is_err());
    to_the_end(first).await;
    engaged.whole("alone").await.unwrap();
    assert_eq!(engaged.standing("down", "down").failure_share, Some(1.0));
    // By the same name another model.
    let other = limited.replace(
        "down: { provider: sim,",
        "down: { provider: sim, name: other,",
    );
    engaged.engine.swap_plan(plan_of(other));
    assert_eq!(engaged.standing("down", "down").failure_share, None);
    assert_eq!(n_answers(engaged.standing("small", "alone").long), 3);
    // A model that is gone is told no longer.
    assert_eq!(engaged.running("wrong"), Some(0.0));
    let without = limited
        .replace("  wrong:", "  right:")
        .replace("tiers: [wrong", "tiers: [right");
    engaged.engine.swap_plan(plan_of(without));
    assert_eq!(engaged.running("wrong"), None);
    assert_eq!(engaged.running("right"), Some(0.0));
}

/// Slow enough that no stream ends during the test, and still within the timeout of a piece.
const NEVER_DONE: &str = "script: { per_token_ms: 14000 }";

#[tokio::test]
async fn over_http_a_place_is_free_after_its_caller_left_in_the_middle_of_a_stream() {
    let config = config(&format!("{NEVER_DONE}, limits: {{ concurrency: 1 }}"));
    let server = Server::start(Some(&config)).await;
    let body = |assistant: &str| {
        json!({
            "model": assistant, "stream": true,
            "messages": [{ "role": "user", "content": "good morning" }],
        })
        .to_string()
    };
    let open = |assistant: &str| {
        let url = server.url("/v1/chat/completions");
        server.client.post(url).body(body(assistant)).send()
    };
    let mut first = open("alone").await.unwrap();
    assert_eq!(first.status(), 200);
    assert!(first.chunk().await.unwrap().is_some());
    let full = server.post("/v1/chat/completions", body("alone")).await;
    let told = (503, "targets_full".to_owned(), String::new());
    assert_eq!(full.error(), told);
    assert_eq!(full.header("retry-after"), "", "nobody knows when");
    assert_eq!(full.header("x-semroute-attempts"), "0");
    let stood_in = server.post("/v1/chat/completions", body("both")).await;
    assert_eq!(stood_in.status, 200);
    assert_eq!(stood_in.header("x-semroute-target"), "large");
    assert_eq!(stood_in.header("x-semroute-failovers"), "0");
    assert_eq!(stood_in.header("x-semroute-chosen"), "stand_in");
    drop(first);
    let is_free = async {
        while open("alone").await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    let freed = tokio::time::timeout(Duration::from_secs(10), is_free).await;
    assert!(freed.is_ok(), "the place was never free again");
}

#[tokio::test]
async fn over_http_the_caller_is_told_when_to_come_again() {
    let server = Server::start(Some(&config("limits: { requests_per_minute: 1 }"))).await;
    let body = json!({
        "model": "alone", "messages": [{ "role": "user", "content": "good morning" }],
    });
    let ask = || server.post("/v1/chat/completions", body.to_string());
    assert_eq!(ask().await.status, 200);
    let full = ask().await;
    assert_eq!(
        (full.status, full.error().1.as_str()),
        (503, "targets_full")
    );
    let seconds: u64 = full.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert!(
        full.text.contains(&format!("in {seconds}s")),
        "{}",
        full.text
    );
}

#[tokio::test]
async fn a_model_of_vectors_has_limits_too() {
    // Nobody listens there.
    let config = "
providers: { one: { kind: openai, base_url: \"http://127.0.0.1:1/v1\" } }
models:
  vectors: { provider: one, limits: { requests_per_minute: 1 } }
assistants:
  assistant: { routes: [{ name: only, to: vectors }] }
embeddings: [vectors]
";
    let server = Server::start(Some(config)).await;
    let body = r#"{"input":"a","model":"vectors"}"#;
    assert_eq!(server.post("/v1/embeddings", body).await.status, 502);
    let full = server.post("/v1/embeddings", body).await;
    assert_eq!(
        (full.status, full.error().1.as_str()),
        (503, "targets_full")
    );
    let metrics = server.get("/metrics").await.text;
    let words = ["target=\"vectors\"", "reason=\"full_requests\""];
    assert_eq!(
        metric(&metrics, "semroute_target_full_total", &words),
        Some(1.0),
        "{metrics}"
    );
}
