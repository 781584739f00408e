//! Stories of guards.

use super::*;
use crate::domain::decision::Out;
use crate::routing::fixtures::{Asking, World};
use crate::routing::strategy::Strategy;
use crate::routing::{Decision, Way};

const SMALL: ModelId = ModelId(0);
const LARGE: ModelId = ModelId(1);

fn usd(amount: f64) -> PicoUsd {
    PicoUsd::from_usd(amount).unwrap()
}

/// A route to the large model, with these guards; the small one is a choice if it is among `of`.
fn decided(world: &World, of: Vec<ModelId>, guards: Guards) -> Decision {
    let way = Way::Single {
        of,
        strategy: Strategy::Pinned,
        failover: Vec::new(),
        guards,
    };
    // 1,000 tokens of prompt.
    let asking = Asking::about(&"word".repeat(997));
    world.decides_on(&way, &asking).unwrap()
}

fn cost(limit: CostLimit) -> Guards {
    Guards {
        cost: Some(CostCap {
            limit,
            budget_model: SMALL,
        }),
        time: None,
    }
}

/// 1,000 tokens each way at $2 a million: $0.004 with the large model.
fn world() -> World {
    World::of(&["small", "large"])
        .writing(1, 1_000.0)
        .writing(0, 1_000.0)
}

#[test]
fn a_request_that_would_cost_too_much_goes_to_the_budget_model() {
    let guards = cost(CostLimit::PerRequest(usd(0.0039)));
    let decision = decided(&world(), vec![LARGE], guards);
    assert_eq!(
        (decision.first, decision.chosen),
        (SMALL, ChosenReason::CostGuard)
    );
    assert_eq!(decision.tiers[0].stand_ins, [LARGE]);
}

#[test]
fn a_request_at_the_limit_keeps_its_model_and_the_budget_model_does_not_stand_in() {
    let guards = cost(CostLimit::PerRequest(usd(0.004)));
    let decision = decided(&world(), vec![LARGE], guards);
    assert_eq!(
        (decision.first, decision.chosen),
        (LARGE, ChosenReason::Pinned)
    );
    assert!(decision.tiers[0].stand_ins.is_empty());
}

#[test]
fn a_limit_per_thousand_tokens_counts_prompt_and_answer() {
    // $0.004 for 2,000 tokens.
    let at = cost(CostLimit::PerThousandTokens(usd(0.002)));
    assert_eq!(decided(&world(), vec![LARGE], at).first, LARGE);
    let below = cost(CostLimit::PerThousandTokens(usd(0.0019)));
    assert_eq!(decided(&world(), vec![LARGE], below).first, SMALL);
}

#[test]
fn a_cost_that_is_not_known_exceeds_nothing() {
    let mut world = world();
    world.models[1].price = None;
    let guards = cost(CostLimit::PerRequest(usd(0.0)));
    let decision = decided(&world, vec![LARGE], guards);
    assert_eq!(decision.first, LARGE);
    assert_eq!(decision.candidates[0].cost, None);
}

#[test]
fn a_budget_model_that_is_full_takes_nothing_over() {
    let guards = cost(CostLimit::PerRequest(usd(0.001)));
    let decision = decided(&world().full(0), vec![LARGE], guards);
    assert_eq!(decision.first, LARGE);
    let out = decision.candidates.iter().filter_map(|it| it.out);
    assert_eq!(
        out.collect::<Vec<Out>>(),
        [Out::Full(Room::FullConcurrency)]
    );
}

#[test]
fn an_answer_that_would_take_too_long_is_asked_of_the_fastest() {
    // 1,000 tokens at 20 ms and 100 ms to the first: 20.1 s; the small one takes 5.1 s.
    let world = world().paced(1, 20.0, 50).paced(0, 5.0, 50);
    let time = |seconds| Guards {
        time: Some(Duration::from_secs_f64(seconds)),
        cost: None,
    };
    let kept = decided(&world, vec![LARGE, SMALL], time(20.1));
    assert_eq!((kept.first, kept.chosen), (LARGE, ChosenReason::Pinned));
    let faster = decided(&world, vec![LARGE, SMALL], time(20.0));
    assert_eq!(
        (faster.first, faster.chosen),
        (SMALL, ChosenReason::TimeGuard)
    );
    let unknown = self::world().paced(0, 5.0, 50);
    let kept = decided(&unknown, vec![LARGE, SMALL], time(1.0));
    assert_eq!(kept.first, LARGE, "nobody knows that it is late");
    for idx in [0, 1] {
        let mut stalled = world.clone();
        let tpot = &mut stalled.standings.get_mut(&idx).unwrap().long.tpot;
        tpot.as_mut().unwrap().n = 1;
        let kept = decided(&stalled, vec![LARGE, SMALL], time(1.0));
        assert_eq!(kept.first, LARGE, "one answer redirects nobody");
    }
}

#[test]
fn where_everybody_would_be_late_the_fastest_is_asked_all_the_same() {
    let world = world().paced(1, 20.0, 50).paced(0, 5.0, 50);
    let guards = Guards {
        time: Some(Duration::from_millis(1)),
        cost: None,
    };
    assert_eq!(decided(&world, vec![LARGE, SMALL], guards).first, SMALL);
}

#[test]
fn money_has_the_last_word() {
    let world = World::of(&["small", "large", "fast"])
        .writing(0, 1_000.0)
        .writing(1, 1_000.0)
        .writing(2, 1_000.0)
        .paced(1, 50.0, 9)
        .paced(2, 1.0, 9)
        .paced(0, 60.0, 9);
    let guards = Guards {
        time: Some(Duration::from_secs(5)),
        ..cost(CostLimit::PerRequest(usd(0.005)))
    };
    let decision = decided(&world, vec![LARGE, ModelId(2)], guards);
    assert_eq!(
        (decision.first, decision.chosen),
        (SMALL, ChosenReason::CostGuard)
    );
}
