//! Stories of choosing by weight.

use super::*;

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
