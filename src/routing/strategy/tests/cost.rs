//! Stories of choosing by cost and by score.

use super::*;

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
