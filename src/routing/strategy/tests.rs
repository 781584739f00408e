//! A story of each strategy.

use std::time::Duration;

use super::*;
use crate::domain::decision::{Expectation, OutputTokens};
use crate::domain::quantity::Ratio;
use crate::domain::standing::Measured;
use crate::routing::fixtures::{Asking, World, intent, ladder, single, table};
use crate::routing::{Decision, NoCandidate, Policy, choose};

const A: ModelId = ModelId(0);
const B: ModelId = ModelId(1);
const C: ModelId = ModelId(2);

fn share(share: f64) -> Ratio {
    Ratio::try_from(share).unwrap()
}

fn order(decision: &Decision) -> Vec<ModelId> {
    decision.tiers[0].targets().collect()
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

fn weighted(weights: &[f64], sticky: Option<Sticky>) -> Strategy {
    Strategy::Weighted(Weighted {
        weights: (0..).map(ModelId).zip(weights.iter().copied()).collect(),
        sticky,
    })
}

#[test]
fn a_canary_gets_its_share_and_a_model_of_no_weight_nothing() {
    let world = World::of(&["a", "b", "c"]);
    let mut counts = [0_u32; 3];
    for seed in 0..2_000 {
        let decision = world.decides(weighted(&[95.0, 5.0, 0.0], None), &Asking::seeded(seed));
        let decision = decision.unwrap();
        assert_eq!(decision.chosen, ChosenReason::Weighted);
        let expected = if decision.first == A { 0.95 } else { 0.05 };
        assert!((decision.propensity.get() - expected).abs() < 1e-12);
        assert_eq!(order(&decision).len(), 2, "the other one stands in");
        counts[decision.first.0] += 1;
    }
    assert_eq!(counts[2], 0);
    // 100 are expected with a deviation of 10.
    assert!((60..140).contains(&counts[1]), "{counts:?}");
}

const fn sticky(by: StickyBy, window: Option<Duration>) -> Sticky {
    Sticky { by, window }
}

#[test]
fn a_user_stays_with_her_model_whatever_the_seed_says() {
    let world = World::of(&["a", "b"]);
    let by_user = || weighted(&[50.0, 50.0], Some(sticky(StickyBy::User, None)));
    let chosen = |user: &str, seed| {
        let asking = Asking {
            seed,
            ..Asking::by_user(user)
        };
        let decision = world.decides(by_user(), &asking).unwrap();
        assert_eq!(decision.chosen, ChosenReason::Sticky);
        decision.first
    };
    let users: Vec<String> = (0..64).map(|n| format!("user-{n}")).collect();
    let first: Vec<ModelId> = users.iter().map(|user| chosen(user, 1)).collect();
    let later: Vec<ModelId> = users.iter().map(|user| chosen(user, 99)).collect();
    assert_eq!(first, later);
    assert!(first.contains(&A) && first.contains(&B));
}

#[test]
fn stickiness_goes_by_what_the_route_names() {
    let world = World::of(&["a", "b"]);
    let reason = |by, asking: &Asking| {
        let decision = world.decides(weighted(&[1.0, 1.0], Some(sticky(by, None))), asking);
        decision.unwrap().chosen
    };
    let header = || StickyBy::Header("x-user".into());
    let with_header = Asking::with_header("x-user", "ann");
    assert_eq!(reason(header(), &with_header), ChosenReason::Sticky);
    assert_eq!(reason(StickyBy::User, &with_header), ChosenReason::Weighted);
    let in_conversation = Asking {
        conversation: Some("c-1".parse().unwrap()),
        ..Asking::default()
    };
    assert_eq!(
        reason(StickyBy::Conversation, &in_conversation),
        ChosenReason::Sticky
    );
    let mut told = Asking::default();
    told.metadata
        .add("customer".to_owned(), "7".to_owned())
        .unwrap();
    assert_eq!(
        reason(StickyBy::Metadata("customer".into()), &told),
        ChosenReason::Sticky
    );
    assert_eq!(reason(header(), &told), ChosenReason::Weighted);
}

#[test]
fn a_window_ends_for_each_user_at_another_moment() {
    let world = World::of(&["a", "b"]);
    let window = Duration::from_mins(30);
    let by_user = || weighted(&[1.0, 1.0], Some(sticky(StickyBy::User, Some(window))));
    let chosen = |user: &str, second: u64| {
        let asking = Asking {
            wall: Duration::from_secs(1_800_000_000 + second),
            ..Asking::by_user(user)
        };
        world.decides(by_user(), &asking).unwrap().first
    };
    let mut changes = Vec::new();
    for user in (0..100).map(|n| format!("user-{n}")) {
        let minutes: Vec<ModelId> = (0..60).map(|minute| chosen(&user, minute * 60)).collect();
        let moves: Vec<usize> = (1..60)
            .filter(|minute| minutes[*minute] != minutes[minute - 1])
            .collect();
        // Two windows in an hour: two ends at most, 30 minutes apart.
        assert!(moves.len() <= 2, "{moves:?}");
        changes.extend(moves);
    }
    changes.sort_unstable();
    changes.dedup();
    assert!(20 < changes.len(), "all at once: {changes:?}");
}

#[test]
fn while_a_canary_grows_nobody_leaves_it() {
    let world = World::of(&["stable", "canary"]);
    let chosen = |weight: f64, user: &str| {
        let strategy = weighted(
            &[100.0 - weight, weight],
            Some(sticky(StickyBy::User, None)),
        );
        world
            .decides(strategy, &Asking::by_user(user))
            .unwrap()
            .first
    };
    let mut n_moved = 0;
    for user in (0..500).map(|n| format!("user-{n}")) {
        let (before, after) = (chosen(5.0, &user), chosen(20.0, &user));
        assert!(before != B || after == B, "{user} left the canary");
        n_moved += u32::from(before != after);
    }
    // 15% of 500 move, with a deviation of 8.
    assert!((45..105).contains(&n_moved), "{n_moved}");
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

fn cheapest(quality: Option<f64>, multipliers: &[(ModelId, f64)]) -> Strategy {
    Strategy::Cheapest(Cheapest {
        quality: quality.map(share),
        multipliers: multipliers.to_vec(),
    })
}

fn at_intent(world: &World, strategy: Strategy, name: &str) -> Result<Decision, NoCandidate> {
    let table = table(&[
        ("code", "a", 0.6),
        ("code", "b", 0.85),
        ("code", "c", 0.9),
        ("sql", "a", 0.5),
        ("sql", "b", 0.7),
        ("maths", "c", 0.95),
    ]);
    let (policy, intent) = (Policy::default(), intent(name));
    let way = single(world.ids(), strategy);
    let ladder = crate::routing::Ladder {
        quality: Some(&table),
        intent: Some(&intent),
        ..ladder(&way, &policy)
    };
    Asking::default().ask(|facts| choose(&ladder, facts, world))
}

#[test]
fn cheapest_asks_the_cheapest_whose_lower_bound_clears_the_bar() {
    let world = World::of(&["a", "b", "c"]);
    let decision = at_intent(&world, cheapest(Some(0.8), &[]), "code").unwrap();
    assert_eq!(
        (decision.first, decision.chosen),
        (B, ChosenReason::Cheapest)
    );
    assert_eq!(
        order(&decision),
        [B, C, A],
        "one below the bar stands in last"
    );
    assert_eq!(decision.candidates[0].out, Some(Out::BelowBar));
    assert_eq!(decision.candidates[1].quality_low, Some(0.85));
    let without_bar = at_intent(&world, cheapest(None, &[]), "code").unwrap();
    assert_eq!(without_bar.first, A);
}

#[test]
fn a_pair_that_was_never_measured_is_no_choice() {
    let world = World::of(&["a", "b", "c"]);
    let decision = at_intent(&world, cheapest(Some(0.8), &[]), "maths").unwrap();
    assert_eq!(decision.first, C);
    assert_eq!(decision.candidates[0].out, Some(Out::QualityUnknown));
    let nobody = at_intent(&world, cheapest(Some(0.8), &[]), "poetry").unwrap_err();
    assert!(
        nobody
            .out
            .iter()
            .all(|(_, out)| *out == Out::QualityUnknown)
    );
}

#[test]
fn where_nobody_clears_the_bar_the_best_measured_is_asked_and_the_reason_says_so() {
    let world = World::of(&["a", "b", "c"]);
    let decision = at_intent(&world, cheapest(Some(0.8), &[]), "sql").unwrap();
    assert_eq!(
        (decision.first, decision.chosen),
        (B, ChosenReason::BestMeasured)
    );
}

#[test]
fn cost_is_what_a_request_is_expected_to_cost_in_all() {
    // The dearer one writes a tenth as much.
    let world = World::of(&["a", "b"]).writing(0, 1_000.0).writing(1, 100.0);
    let chosen = |world: &World, multipliers| {
        world
            .decides(cheapest(None, multipliers), &Asking::default())
            .unwrap()
    };
    let decision = chosen(&world, &[]);
    assert_eq!(decision.first, B);
    let output = OutputTokens {
        expected: 100.0,
        from: Expectation::Learned,
    };
    assert_eq!(decision.candidates[1].output_tokens, Some(output));
    // Five tokens of prompt at $2 a million, and 100 of answer.
    assert_eq!(decision.candidates[1].cost.unwrap().to_string(), "0.00021");
    assert_eq!(chosen(&world, &[(B, 5.0)]).first, A, "a fee turns it round");
    let mut failing = world;
    failing.standings.get_mut(&1).unwrap().failure_share = Some(0.5);
    let retried = chosen(&failing, &[]).candidates[1].cost.unwrap();
    assert_eq!(
        retried.to_string(),
        "0.000315",
        "half of the calls are made twice"
    );
}

#[test]
fn the_targets_own_tokens_are_priced() {
    let mut world = World::of(&["a", "b"]).writing(0, 1.0).writing(1, 1.0);
    world.models[0].terms.tokenizer_factor = 3.0;
    let decision = world.decides(cheapest(None, &[]), &Asking::about(&"word".repeat(997)));
    assert_eq!(
        decision.unwrap().first,
        B,
        "3,000 tokens at $1 or 1,000 at $2"
    );
}

#[test]
fn a_model_without_a_price_is_not_the_cheapest() {
    let mut world = World::of(&["a", "b"]);
    world.models[0].price = None;
    let decision = world
        .decides(cheapest(None, &[]), &Asking::default())
        .unwrap();
    assert_eq!(decision.first, B);
    assert_eq!(decision.candidates[0].out, Some(Out::PriceUnknown));
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
fn score_weighs_cost_speed_and_quality_against_each_other() {
    let world = World::of(&["a", "b", "c"])
        .paced(0, 40.0, 9)
        .paced(1, 20.0, 9)
        .paced(2, 10.0, 9);
    let chosen = |weights| at_intent(&world, weights, "code").unwrap().first;
    assert_eq!(chosen(score(1.0, 0.0, 0.0)), A);
    assert_eq!(chosen(score(0.0, 1.0, 0.0)), C);
    assert_eq!(chosen(score(0.0, 0.0, 1.0)), C);
    let balanced = at_intent(&world, score(100.0, 0.05, 1.0), "code").unwrap();
    let scores: Vec<f64> = balanced
        .candidates
        .iter()
        .filter_map(|it| it.score)
        .collect();
    // Five tokens of prompt and 300 of answer at 1, 2 and 3 dollars a million; 100 ms to the first token
    // and 40, 20 and 10 ms for each.
    for (idx, (quality, usd, seconds)) in
        [(0.6, 305e-6, 12.1), (0.85, 610e-6, 6.1), (0.9, 915e-6, 3.1)]
            .into_iter()
            .enumerate()
    {
        let expected = quality - 100.0 * usd - 0.05 * seconds;
        assert!((scores[idx] - expected).abs() < 1e-6, "{scores:?}");
    }
}

#[test]
fn a_dollar_that_is_worth_more_quality_moves_prompts_to_the_cheaper_model() {
    let world = World::of(&["a", "b", "c"]);
    let chosen = |cost| {
        let decision = at_intent(&world, score(cost, 0.0, 1.0), "code").unwrap();
        decision.first
    };
    // From a to b: 0.25 of quality for 305 millionths of a dollar; from b to c 0.05.
    assert_eq!(chosen(100.0), C);
    assert_eq!(chosen(200.0), B);
    assert_eq!(chosen(1_000.0), A);
}

#[test]
fn what_counts_and_is_not_known_of_a_model_is_no_score_of_0() {
    let world = World::of(&["a", "b"]).paced(1, 20.0, 9);
    near(&shares(&world, &score(1.0, 1.0, 0.0)), &[0.05, 0.95]);
    near(&shares(&world, &score(1.0, 0.0, 0.0)), &[1.0, 0.0]);
    let nobody_timed = World::of(&["a", "b"]);
    near(&shares(&nobody_timed, &score(1.0, 1.0, 0.0)), &[1.0, 0.0]);
    let nobody = at_intent(&world, score(0.0, 0.0, 1.0), "maths").unwrap_err();
    assert!(
        nobody
            .out
            .iter()
            .all(|(_, out)| *out == Out::QualityUnknown)
    );
}
