//! Strategies and guards as a caller meets them.

use serde_json::{Value, json};

use super::{config, plain, saying, started};

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
