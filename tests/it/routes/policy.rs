//! Policy as a caller meets it.

use serde_json::{Value, json};

use super::{Asked, keys, plain, saying, started};
use crate::support::{Reply, Server};

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
