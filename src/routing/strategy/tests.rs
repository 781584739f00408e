//! A story of each strategy.

use std::time::Duration;

use super::*;
use crate::domain::decision::{Expectation, OutputTokens};
use crate::domain::quantity::Ratio;
use crate::domain::standing::Measured;
use crate::routing::fixtures::{Asking, World, intent, ladder, single, table};
use crate::routing::{Decision, NoCandidate, Policy, choose};

mod cost;
mod weighted;

const A: ModelId = ModelId(0);
const B: ModelId = ModelId(1);
const C: ModelId = ModelId(2);

fn share(share: f64) -> Ratio {
    Ratio::try_from(share).unwrap()
}

fn order(decision: &Decision) -> Vec<ModelId> {
    decision.tiers[0].targets().collect()
}

fn score(cost: f64, latency: f64, quality: f64) -> Strategy {
    Strategy::Score(Score {
        weights: Weights {
            quality,
            cost,
            latency,
        },
        probe: share(0.05),
    })
}

#[test]
fn pinned_asks_the_model_that_is_named_and_chance_has_no_say() {
    let decision = World::of(&["a"])
        .decides(Strategy::Pinned, &Asking::default())
        .unwrap();
    assert_eq!((decision.first, decision.chosen), (A, ChosenReason::Pinned));
    assert_eq!(
        (decision.propensity, decision.luck),
        (Ratio::ONE, Luck::None)
    );
    assert!(decision.candidates.is_empty());
}

fn priority(tpot_ms: u64) -> Strategy {
    Strategy::Priority(Priority {
        tpot_max: Some(Duration::from_millis(tpot_ms)),
        probe: share(0.05),
    })
}

/// Who is chosen over many seeds, and how often.
fn shares(world: &World, strategy: &Strategy) -> Vec<f64> {
    const N: u64 = 4_000;
    let mut counts = vec![0.0; world.models.len()];
    for seed in 0..N {
        let decision = world
            .decides(strategy.clone(), &Asking::seeded(seed))
            .unwrap();
        counts[decision.first.0] += 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let n = N as f64;
    counts.into_iter().map(|count: f64| count / n).collect()
}

fn near(shares: &[f64], expected: &[f64]) {
    assert_eq!(shares.len(), expected.len());
    for (share, expected) in shares.iter().zip(expected) {
        // Over 4,000 draws, a share of 5% deviates by 0.35%.
        assert!((share - expected).abs() < 0.02, "{shares:?}");
    }
}

#[test]
fn priority_asks_the_first_that_keeps_to_the_time_per_token() {
    let world = World::of(&["a", "b", "c"])
        .paced(0, 60.0, 9)
        .paced(1, 30.0, 9)
        .paced(2, 5.0, 9);
    let decision = world.decides(priority(40), &Asking::default()).unwrap();
    assert_eq!(
        (decision.first, decision.chosen),
        (B, ChosenReason::Priority)
    );
    assert_eq!(order(&decision), [B, C, A]);
    assert_eq!(decision.candidates[0].out, Some(Out::TooSlow));
    let without = Strategy::Priority(Priority {
        tpot_max: None,
        probe: share(0.05),
    });
    assert_eq!(world.decides(without, &Asking::default()).unwrap().first, A);
}

#[test]
fn where_everybody_is_too_slow_the_least_slow_is_asked() {
    let world = World::of(&["a", "b"]).paced(0, 90.0, 9).paced(1, 60.0, 9);
    let decision = world.decides(priority(40), &Asking::default()).unwrap();
    assert_eq!(
        (decision.first, decision.chosen),
        (B, ChosenReason::LeastSlow)
    );
}

#[test]
fn a_preferred_model_that_is_not_known_gets_a_small_share_and_one_behind_the_choice_none() {
    let world = World::of(&["a", "b", "c"]).paced(1, 30.0, 9);
    near(&shares(&world, &priority(40)), &[0.05, 0.95, 0.0]);
    let nobody_known = World::of(&["a", "b"]);
    near(&shares(&nobody_known, &priority(40)), &[1.0, 0.0]);
}

fn fastest(by: Measure) -> Strategy {
    Strategy::Fastest(Fastest {
        by,
        margin: 1.2,
        probe: share(0.05),
    })
}

fn with_incumbent(world: &World, incumbent: ModelId) -> Decision {
    let policy = Policy::default();
    let way = single(world.ids(), fastest(Measure::Tpot));
    let ladder = crate::routing::Ladder {
        incumbent: Some(incumbent),
        ..ladder(&way, &policy)
    };
    Asking::default()
        .ask(|facts| choose(&ladder, facts, world))
        .unwrap()
}

#[test]
fn fastest_asks_the_fastest_by_the_measure_that_is_named() {
    let mut world = World::of(&["a", "b"]).paced(0, 20.0, 9).paced(1, 40.0, 9);
    world.standings.get_mut(&0).unwrap().long.ttft = Some(Measured {
        value: Duration::from_secs(2),
        n: 9,
    });
    let chosen = |by| {
        world
            .decides(fastest(by), &Asking::default())
            .unwrap()
            .first
    };
    assert_eq!(chosen(Measure::Tpot), A);
    assert_eq!(chosen(Measure::Ttft), B);
    assert_eq!(chosen(Measure::P95), A);
}

#[test]
fn a_figure_of_one_answer_makes_nobody_known_however_many_others_there_were() {
    let mut world = World::of(&["a", "b"]).paced(0, 20.0, 9).paced(1, 20.0, 9);
    let one = Some(Measured {
        value: Duration::from_millis(1),
        n: 1,
    });
    let standing = world.standings.get_mut(&1).unwrap();
    for pace in [&mut standing.long, &mut standing.short] {
        (pace.ttft, pace.tpot) = (one, one);
    }
    let figures = |strategy| {
        let decision = world.decides(strategy, &Asking::default()).unwrap();
        let b = decision
            .candidates
            .iter()
            .find(|it| it.model.as_str() == "b");
        let b = b.unwrap();
        (b.pace, b.samples, b.out)
    };
    let unknown = (None, Some(1), Some(Out::NoSamples));
    assert_eq!(figures(fastest(Measure::Ttft)), unknown);
    assert_eq!(figures(fastest(Measure::Tpot)), unknown);
    assert_eq!(figures(priority(40)), unknown);
    assert_eq!(figures(score(0.0, 1.0, 0.0)), unknown);
    let all = Some(Duration::from_secs(2));
    assert_eq!(figures(fastest(Measure::P95)), (all, Some(9), None));
}

#[test]
fn the_incumbent_stays_until_another_is_faster_by_the_margin() {
    let world = |tpot_ms| {
        World::of(&["a", "b"])
            .paced(0, 24.0, 9)
            .paced(1, tpot_ms, 9)
    };
    let kept = with_incumbent(&world(20.0), A);
    assert_eq!((kept.first, kept.chosen), (A, ChosenReason::Incumbent));
    let changed = with_incumbent(&world(19.9), A);
    assert_eq!((changed.first, changed.chosen), (B, ChosenReason::Fastest));
    let gone = with_incumbent(&world(20.0).full(0), A);
    assert_eq!(gone.first, B, "one that is full is not asked");
    assert!(kept.takes_over() && changed.takes_over());
    assert!(!gone.takes_over(), "it may be the fastest of all again");
    let left = with_incumbent(&world(20.0), ModelId(7));
    assert!(left.takes_over(), "one that left the route has no place");
}

#[test]
fn unknown_is_not_fast_but_gets_a_small_share_until_it_is_known() {
    let world = World::of(&["a", "b", "c"])
        .paced(0, 20.0, 9)
        .paced(1, 1.0, SAMPLES_MIN - 1);
    near(
        &shares(&world, &fastest(Measure::Tpot)),
        &[0.95, 0.025, 0.025],
    );
    for seed in 0..200 {
        let decision = world
            .decides(fastest(Measure::Tpot), &Asking::seeded(seed))
            .unwrap();
        let (reason, propensity) = if decision.first == A {
            (ChosenReason::Fastest, 0.95)
        } else {
            (ChosenReason::Probe, 0.025)
        };
        assert_eq!(decision.chosen, reason);
        assert!((decision.propensity.get() - propensity).abs() < 1e-12);
        assert_eq!(order(&decision).len(), 3);
    }
}

#[test]
fn where_nobody_is_known_all_are_asked_alike() {
    let world = World::of(&["a", "b", "c", "d"]);
    near(&shares(&world, &fastest(Measure::Tpot)), &[0.25; 4]);
}
