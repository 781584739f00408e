//! Who may ask for what, by the key of a team, over real HTTP.

use std::fs;
use std::process::Command;

use reqwest::Method;
use semroute::config::Environment;
use semroute::domain::caller::Tenant;
use semroute::encoder::{Class, queue};
use semroute::engine::Error;
use semroute::engine::error::KeyProblem;
use semroute::engine::ledger::Ledger;
use serde_json::{Value, json};

use crate::engine::{engine_of, said};
use crate::support::{Reply, Server};

pub(crate) const CLINIC: &str = "clinic-3f9a1c77e05b";
pub(crate) const CLINIC_NEW: &str = "clinic-88d02be4416f";
pub(crate) const LAB: &str = "lab-5c1e9b7730aa42";
pub(crate) const STRANGER: &str = "stranger-0123456789";

const ENVIRONMENT: Environment = Environment::from_lookup(|name| {
    let key = match name {
        "CLINIC_KEY" => CLINIC,
        "CLINIC_KEY_NEW" => CLINIC_NEW,
        // A line break at the end is easily caught along with a key.
        "LAB_KEY" => "lab-5c1e9b7730aa42\n",
        _ => return None,
    };
    Some(key.to_owned())
});

pub(crate) const CONFIG: &str = "
providers:
  demo: { kind: simulated }
models:
  small: { provider: demo }
assistants:
  common:       { routes: [{ name: only, to: small }] }
  team/clinics: { teams: [clinic], routes: [{ name: only, to: small }] }
teams:
  clinic: { keys: [env:CLINIC_KEY, env:CLINIC_KEY_NEW] }
  lab:    { keys: [env:LAB_KEY] }
";

pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Guarded {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        Self::of(CONFIG).await
    }

    pub(crate) async fn of(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::logging(config, ENVIRONMENT, folder.path()).await;
        Self { server, folder }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Value,
    ) -> Reply {
        let mut request = self.server.client.request(method, self.server.url(path));
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let sent = request.body(body.to_string()).send().await;
        Reply::of(sent.unwrap()).await
    }

    pub(crate) async fn chat(&self, model: &str, headers: Headers<'_>) -> Reply {
        let path = "/v1/chat/completions";
        self.send(Method::POST, path, headers, question(model))
            .await
    }

    pub(crate) async fn get(&self, path: &str, headers: Headers<'_>) -> Reply {
        self.send(Method::GET, path, headers, Value::Null).await
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("records.jsonl")).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    pub(crate) fn last_record(&self) -> Value {
        self.records().pop().unwrap()
    }
}

pub(crate) fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "good morning" }] })
}

/// Every path that needs a key, with a body that it takes.
pub(crate) fn guarded_paths() -> Vec<(Method, &'static str, Value)> {
    let embeddings = json!({ "model": "all-MiniLM-L6-v2", "input": "hello" });
    let batch = json!({ "model": "common", "texts": ["hello"] });
    let feedback = json!({ "request_id": "a", "outcome": "right" });
    vec![
        (Method::POST, "/v1/chat/completions", question("common")),
        (Method::POST, "/v1/embeddings", embeddings),
        (
            Method::POST,
            "/v1/route",
            json!({ "model": "common", "text": "hello" }),
        ),
        (Method::POST, "/v1/route/batch", batch),
        (Method::POST, "/v1/feedback", feedback),
        (Method::GET, "/v1/models", Value::Null),
        (Method::GET, "/v1/models/common", Value::Null),
    ]
}

#[tokio::test]
async fn each_header_of_each_family_of_clients_tells_the_team() {
    let guarded = Guarded::start().await;
    let bearer = format!("Bearer {LAB}");
    for (headers, team) in [
        (&[("authorization", bearer.as_str())][..], "lab"),
        (&[("x-api-key", CLINIC)], "clinic"),
        (&[("api-key", CLINIC_NEW)], "clinic"),
        (
            &[("authorization", bearer.as_str()), ("x-api-key", LAB)],
            "lab",
        ),
    ] {
        let reply = guarded.chat("common", headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(guarded.last_record()["tenant"], team);
    }
}

#[tokio::test]
async fn every_path_under_v1_wants_a_key_and_takes_a_right_one() {
    let guarded = Guarded::start().await;
    for (method, path, body) in guarded_paths() {
        for headers in [&[][..], &[("x-api-key", STRANGER)], &[("x-api-key", "")]] {
            let reply = guarded
                .send(method.clone(), path, headers, body.clone())
                .await;
            let code = "invalid_api_key".to_owned();
            assert_eq!(reply.error(), (401, code, String::new()), "{path}");
            assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            let message = reply.json()["error"]["message"].to_string();
            assert!(message.contains("Authorization: Bearer KEY"), "{message}");
        }
        let reply = guarded
            .send(method, path, &[("x-api-key", LAB)], body)
            .await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(guarded.get(path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_and_recorded_without_a_tenant() {
    let guarded = Guarded::start().await;
    for (headers, words) in [
        (&[][..], "no API key came"),
        (&[("authorization", "Basic abc")], "no bearer token"),
        (&[("api-key", STRANGER)], "is not known here"),
        (
            &[("api-key", CLINIC), ("x-api-key", LAB)],
            "keys that differ",
        ),
    ] {
        let reply = guarded.chat("common", headers).await;
        let message = reply.json()["error"]["message"].to_string();
        assert!(message.contains(words), "{message}");
        let record = guarded.last_record();
        assert_eq!(record["tenant"], Value::Null);
        assert_eq!(record["assistant"], Value::Null);
        assert_eq!(
            record["outcome"],
            json!({ "kind": "failed", "status": 401, "error_type": "caller", "code": "invalid_api_key" })
        );
    }
}

#[tokio::test]
async fn a_long_body_of_a_stranger_is_answered_all_the_same() {
    let guarded = Guarded::start().await;
    let body = json!({ "text": "x".repeat(4 << 20) });
    let reply = guarded.send(Method::POST, "/v1/route", &[], body).await;
    assert_eq!(reply.error().0, 401);
}

#[tokio::test]
async fn without_teams_everybody_is_anonymous_and_no_key_is_looked_at() {
    let config = CONFIG.split("teams:\n").next().unwrap();
    let guarded = Guarded::of(&config.replace("teams: [clinic], ", "teams: all, ")).await;
    let differing = [("x-api-key", STRANGER), ("api-key", LAB)];
    for headers in [&[][..], &differing, &[("authorization", "Basic abc")]] {
        assert_eq!(guarded.chat("team/clinics", headers).await.status, 200);
        assert_eq!(guarded.last_record()["tenant"], "anonymous");
    }
}

#[tokio::test]
async fn what_a_team_may_not_use_is_as_if_it_were_not() {
    let guarded = Guarded::start().await;
    let lab = [("x-api-key", LAB)];
    let strip = |reply: &Reply, name: &str| reply.text.replace(name, "NAME");
    for (method, path) in [
        (Method::POST, "/v1/chat/completions"),
        (Method::POST, "/v1/route"),
    ] {
        let ask = |model: &str| {
            let body = match path {
                "/v1/route" => json!({ "model": model, "text": "good morning" }),
                _ => question(model),
            };
            guarded.send(method.clone(), path, &lab, body)
        };
        let (forbidden, unknown) = (ask("team/clinics").await, ask("nobody").await);
        let code = "model_not_found".to_owned();
        assert_eq!(forbidden.error(), (404, code, "model".to_owned()));
        assert_eq!(forbidden.status, unknown.status);
        assert_eq!(strip(&forbidden, "team/clinics"), strip(&unknown, "nobody"));
        assert!(
            forbidden.text.contains("there is common\""),
            "{}",
            forbidden.text
        );
        assert_eq!(forbidden.header_names(), unknown.header_names());
        assert_eq!(
            guarded
                .records()
                .iter()
                .rev()
                .take(2)
                .map(|it| &it["assistant"])
                .collect::<Vec<_>>(),
            [&Value::Null; 2]
        );
    }
    let clinic = guarded.chat("team/clinics", &[("x-api-key", CLINIC)]).await;
    assert_eq!(clinic.header("x-semroute-assistant"), "team/clinics");
}

#[tokio::test]
async fn models_are_listed_by_team_and_one_by_one() {
    let guarded = Guarded::start().await;
    let ids = async |key| {
        let list = guarded
            .get("/v1/models", &[("x-api-key", key)])
            .await
            .json();
        let ids = list["data"].as_array().unwrap().iter();
        ids.map(|model| model["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(LAB).await, ["common", "all-MiniLM-L6-v2"]);
    assert_eq!(
        ids(CLINIC).await,
        ["common", "team/clinics", "all-MiniLM-L6-v2"]
    );

    let one = async |key, id: &str| {
        let path = format!("/v1/models/{id}");
        guarded.get(&path, &[("x-api-key", key)]).await
    };
    for id in [
        "common",
        "team/clinics",
        "team%2Fclinics",
        "all-MiniLM-L6-v2",
    ] {
        let model = one(CLINIC, id).await.json();
        assert_eq!(model["id"], id.replace("%2F", "/"));
        assert_eq!(model["object"], "model");
    }
    let (forbidden, unknown) = (one(LAB, "team/clinics").await, one(LAB, "nobody").await);
    assert_eq!(
        forbidden.error(),
        (404, "model_not_found".to_owned(), "model".to_owned())
    );
    assert_eq!(
        forbidden.text.replace("team/clinics", "NAME"),
        unknown.text.replace("nobody", "NAME")
    );
    assert_eq!(guarded.get("/v1/models/common", &[]).await.error().0, 401);
}

#[tokio::test]
async fn the_assistant_may_be_left_out_where_the_team_has_only_one() {
    let guarded = Guarded::start().await;
    let body = json!({ "text": "good morning" });
    let ask = |key| {
        let headers = [("x-api-key", key)];
        let (guarded, body) = (&guarded, body.clone());
        async move {
            guarded
                .send(Method::POST, "/v1/route", &headers, body)
                .await
        }
    };
    assert_eq!(ask(LAB).await.json()["assistant"], "common");
    assert_eq!(ask(CLINIC).await.error().2, "model");
}

#[tokio::test]
async fn a_request_that_nobody_vouched_for_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = "
providers: { demo: { kind: simulated } }
models: { small: { provider: demo } }
assistants: { common: { routes: [{ name: only, to: small }] } }
teams: { clinic: { keys: [\"file:KEY\"] } }
";
    let file = folder.path().join("key");
    fs::write(&file, format!("{CLINIC}\n")).unwrap();
    let config = config.replace("KEY", file.to_str().unwrap());
    let log = folder.path().join("log");
    let engine = engine_of(&config, log, |it| queue::Settings { ..it });
    let decide = async |ledger| {
        let request = said("common", "good morning");
        let decided = engine.decide(&request, Class::Interactive, ledger);
        decided.await.outcome
    };
    let ledger = || Ledger::open(&engine, "/v1/route", "request-1".to_owned());
    let refused = Error::Unauthenticated(KeyProblem::Missing);
    assert_eq!(decide(ledger()).await, Err(refused));
    let mut vouched_for = ledger();
    vouched_for.came_from(Tenant::Team("clinic".parse().unwrap()));
    assert_eq!(decide(vouched_for).await, Ok(()));
}

/// The keys, as a process finds them.
pub(crate) const KEYS: [(&str, &str); 3] = [
    ("CLINIC_KEY", CLINIC),
    ("CLINIC_KEY_NEW", CLINIC_NEW),
    ("LAB_KEY", LAB),
];

#[test]
fn whoever_has_the_configuration_may_ask_for_any_route_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("semroute.yaml");
    fs::write(&path, CONFIG).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_semroute"))
        .args([
            "route",
            "good morning",
            "--assistant",
            "team/clinics",
            "--config",
        ])
        .arg(path)
        .envs(KEYS)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
