//! Keys of strategies, guards, models and assistants: each changes the plan, and what is wrong with one is
//! told with its place and what to do.

use std::time::Duration;

use semroute::domain::model::ModelId;
use semroute::domain::name::RegionName;
use semroute::domain::quantity::PicoUsd;
use semroute::engine::plan::Route;
use semroute::routing::guard::{CostCap, CostLimit};
use semroute::routing::strategy::{
    Cheapest, Fastest, Measure, Priority, Score, StickyBy, Strategy, Weighted, Weights,
};
use semroute::routing::{Guards, Way};

use crate::config::{MODELS, assembled, told};

/// A configuration of one route.
pub(crate) fn with(route: &str) -> String {
    format!("{MODELS}assistants: {{ assistant: {{ routes: [{{ name: only, {route} }}] }} }}\n")
}

fn route(text: &str) -> Route {
    let assembled = assembled(&with(text)).unwrap_or_else(|problems| panic!("{problems}"));
    assembled.plan.assistants.values().next().unwrap().routes[0].clone()
}

fn strategy(text: &str) -> Strategy {
    match route(text).way {
        Way::Single { strategy, .. } => strategy,
        Way::Cascade(_) => panic!("a cascade"),
    }
}

/// Models stand in the plan by name: `large` before `small`.
const LARGE: ModelId = ModelId(0);
const SMALL: ModelId = ModelId(1);

#[test]
fn keys_of_weighted() {
    let Strategy::Weighted(plain) = strategy("weighted: { of: { small: 3, large: 1 } }") else {
        panic!("another strategy");
    };
    assert_eq!(plain.weights, [(LARGE, 1.0), (SMALL, 3.0)]);
    assert_eq!(plain.sticky, None);
    for (by, window, expected, lasts) in [
        ("user", "", StickyBy::User, None),
        (
            "conversation",
            ", for: 7d",
            StickyBy::Conversation,
            Some(Duration::from_hours(168)),
        ),
        (
            "{ header: X-User }",
            ", for: 30m",
            StickyBy::Header("x-user".into()),
            Some(Duration::from_mins(30)),
        ),
        (
            "{ metadata: customer }",
            ", for: 90s",
            StickyBy::Metadata("customer".into()),
            Some(Duration::from_secs(90)),
        ),
    ] {
        let text = format!("weighted: {{ of: {{ small: 1 }}, sticky: {{ by: {by}{window} }} }}");
        let Strategy::Weighted(Weighted { sticky, .. }) = strategy(&text) else {
            panic!("another strategy");
        };
        let sticky = sticky.unwrap();
        assert_eq!((sticky.by, sticky.window), (expected, lasts), "{by}");
    }
}

#[test]
fn keys_of_priority_and_fastest() {
    let Strategy::Priority(Priority { tpot_max, probe }) =
        strategy("priority: { of: [small, large], tpot: 40ms, probe: 0.2 }")
    else {
        panic!("another strategy");
    };
    assert_eq!(tpot_max, Some(Duration::from_millis(40)));
    assert!((probe.get() - 0.2).abs() < 1e-12);
    for (by, measure) in [
        ("tpot", Measure::Tpot),
        ("ttft", Measure::Ttft),
        ("p95", Measure::P95),
    ] {
        let text = format!("fastest: {{ of: [small], by: {by}, margin: 1.5, probe: 0.1 }}");
        let Strategy::Fastest(fastest) = strategy(&text) else {
            panic!("another strategy");
        };
        assert_eq!(fastest.by, measure);
        assert!((fastest.margin - 1.5).abs() < 1e-12);
        assert!((fastest.probe.get() - 0.1).abs() < 1e-12);
    }
    let Strategy::Fastest(Fastest { by, margin, probe }) = strategy("fastest: { of: [small] }")
    else {
        panic!("another strategy");
    };
    assert_eq!(by, Measure::Tpot);
    assert!((margin - 1.2).abs() < 1e-12 && (probe.get() - 0.05).abs() < 1e-12);
}

#[test]
fn keys_of_cheapest_and_score() {
    let Strategy::Cheapest(Cheapest { multipliers, .. }) =
        strategy("cheapest: { of: [small, large], multiplier: { large: 0.7 } }")
    else {
        panic!("another strategy");
    };
    assert_eq!(multipliers, [(LARGE, 0.7)]);
    let Strategy::Score(Score { weights, probe }) =
        strategy("score: { of: [small], weights: { cost: 20, latency: 0.5 }, probe: 0.3 }")
    else {
        panic!("another strategy");
    };
    let expected = Weights {
        quality: 0.0,
        cost: 20.0,
        latency: 0.5,
    };
    assert_eq!(weights, expected);
    assert!((probe.get() - 0.3).abs() < 1e-12);
}

#[test]
fn keys_of_guards() {
    let guards = |text: &str| match route(&format!("to: large, guards: {{ {text} }}")).way {
        Way::Single { guards, .. } => guards,
        Way::Cascade(_) => panic!("a cascade"),
    };
    let usd = |amount| PicoUsd::from_usd(amount).unwrap();
    let cost = |limit| Guards {
        cost: Some(CostCap {
            limit,
            budget_model: SMALL,
        }),
        time: None,
    };
    assert_eq!(
        guards("cost: { usd_per_request: 0.02, then: small }"),
        cost(CostLimit::PerRequest(usd(0.02)))
    );
    assert_eq!(
        guards("cost: { usd_per_1k_tokens: 0.01, then: small }"),
        cost(CostLimit::PerThousandTokens(usd(0.01)))
    );
    let timed = route("to: large, failover: [small], guards: { time: 8s }").way;
    let Way::Single { guards, .. } = timed else {
        panic!("a cascade");
    };
    assert_eq!(guards.time, Some(Duration::from_secs(8)));
}

#[test]
fn what_the_operator_says_of_a_model_is_in_the_plan() {
    let terms = "small: { provider: demo, regions: [eu, us], data: [phi], tokenizer_factor: 1.3 }";
    let text = with("to: small").replace("small: { provider: demo }", terms);
    let plan = assembled(&text).unwrap_or_else(|it| panic!("{it}")).plan;
    let terms = &plan.target(SMALL).unwrap().model.terms;
    let regions: Vec<&str> = terms.regions.iter().map(RegionName::as_str).collect();
    assert_eq!(regions, ["eu", "us"]);
    assert_eq!(terms.data[0].as_str(), "phi");
    assert!((terms.tokenizer_factor - 1.3).abs() < 1e-12);
}

#[test]
fn the_gateways_region_may_come_from_the_environment() {
    let region = |given: &str| {
        let text = format!("{}server: {{ region: '{given}' }}\n", with("to: small"));
        let plan = assembled(&text).unwrap_or_else(|it| panic!("{it}")).plan;
        plan.region.unwrap().to_string()
    };
    assert_eq!(region("eu-west"), "eu-west");
    assert_eq!(region("env:KEY"), "secret");
    let text = format!("{}server: {{ region: env:NONE }}\n", with("to: small"));
    told(
        &text,
        &["server.region: the environment has no variable \"NONE\"; set it"],
    );
}

#[test]
fn what_is_wrong_with_a_strategy_is_told_with_its_place() {
    for (route, problem) in [
        (
            "weighted: { of: { smal: 1 } }",
            "routes[0].weighted.of.smal: no model is called \"smal\"; did you mean \"small\"?",
        ),
        (
            "weighted: { of: { small: -1 } }",
            "routes[0].weighted.of.small: -1 is no weight; give a number, 0 or more",
        ),
        (
            "weighted: { of: { small: 0 } }",
            "routes[0].weighted.of: no model has a weight above 0",
        ),
        (
            "weighted: { of: { small: 1 }, sticky: { by: { header: 'a b' } } }",
            "sticky.by.header: \"a b\" cannot be the name of a header",
        ),
        (
            "weighted: { of: { small: 1 }, sticky: { by: user, for: 0s } }",
            "for",
        ),
        (
            "priority: { of: [small, small] }",
            "routes[0].priority.of[1]: \"small\" stands in the list already",
        ),
        (
            "fastest: { of: [small], margin: 0.5 }",
            "fastest.margin: 0.5",
        ),
        ("fastest: { of: [] }", "fastest.of"),
        ("fastest: { of: [small], probe: 2 }", "fastest.probe: 2"),
    ] {
        told(&with(route), &[problem]);
    }
}

#[test]
fn what_is_wrong_with_quality_and_guards_is_told_with_its_place() {
    for (route, problem) in [
        (
            "cheapest: { of: [small], quality: 0.8 }",
            "routes[0].cheapest.quality: nothing was measured; name the table",
        ),
        (
            "cheapest: { of: [small], multiplier: { large: 1 } }",
            "cheapest.multiplier.large: \"large\" is not among `of`",
        ),
        (
            "score: { of: [small], weights: {} }",
            "routes[0].score.weights: nothing counts",
        ),
        (
            "score: { of: [small], weights: { quality: 1 } }",
            "score.weights.quality: nothing was measured",
        ),
        ("to: small, guards: {}", "routes[0].guards: guards nothing"),
        (
            "to: small, guards: { cost: { then: large } }",
            "guards.cost: has neither `usd_per_request`",
        ),
        (
            "to: small, guards: { cost: { usd_per_request: 1, usd_per_1k_tokens: 1, then: large } }",
            "guards.cost: has both",
        ),
        (
            "to: small, guards: { cost: { usd_per_request: 1, then: larg } }",
            "guards.cost.then: no model is called \"larg\"; did you mean \"large\"?",
        ),
        (
            "to: small, guards: { time: 1s }",
            "guards.time: there is no other model that could be faster",
        ),
        (
            "to: small, guards: { cost: { usd_per_request: 1, then: small } }",
            "guards.cost.then: is the model that the route asks anyway",
        ),
        (
            "fastest: { of: [small, large] }, failover: [large]",
            "failover[0]: is one of the route's models already",
        ),
        (
            "priority: { of: [small], probe: 0.1 }",
            "priority.probe: nothing is measured without `tpot`",
        ),
        (
            "score: { of: [small], weights: { cost: 1 }, probe: 0.1 }",
            "score.probe: nothing is measured without `weights.latency`",
        ),
        (
            "to: small, fastest: { of: [large] }",
            "routes[0]: has `to` and `fastest`; keep one",
        ),
    ] {
        told(&with(route), &[problem]);
    }
}

#[test]
fn aliases_and_tables_that_cannot_be_are_told() {
    let aliases = |aliases: &str| {
        with("to: small").replace("{ routes:", &format!("{{ aliases: [{aliases}], routes:"))
    };
    told(
        &aliases("assistant"),
        &["aliases[0]: an assistant is called \"assistant\""],
    );
    told(
        &aliases("a, a"),
        &["aliases[1]: \"a\" stands for the assistant \"assistant\" already"],
    );
    told(
        &aliases("'gpt-*'"),
        &["aliases[0]: \"gpt-*\" is no name; `*` by itself"],
    );
    let table = format!("{}quality: Cargo.toml\n", with("to: small"));
    told(
        &table,
        &["quality: ", "Cargo.toml is no table of qualities: "],
    );
}
