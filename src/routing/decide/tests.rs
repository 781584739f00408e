//! What holds of every decision, whatever the strategy.

use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::domain::model::Terms;
use crate::domain::quantity::PicoUsd;
use crate::routing::fixtures::{Asking, World, ladder, single, table};
use crate::routing::guard::{CostCap, CostLimit};
use crate::routing::policy::{Allow, Deny, Restriction};
use crate::routing::rules::Rule;
use crate::routing::strategy::{
    Cheapest, Fastest, Measure, Priority, Score, Sticky, StickyBy, Weighted, Weights,
};

#[test]
fn the_models_of_failover_stand_in_behind_those_of_the_strategy() {
    let world = World::of(&["a", "b", "c"]);
    let way = Way::Single {
        of: vec![ModelId(0)],
        strategy: Strategy::Pinned,
        failover: vec![ModelId(2), ModelId(1)],
        guards: Guards::default(),
    };
    let decision = world.decides_on(&way, &Asking::default()).unwrap();
    assert_eq!(decision.tiers[0].stand_ins, [ModelId(2), ModelId(1)]);
    let full = world.full(0).decides_on(&way, &Asking::default()).unwrap();
    assert_eq!(
        (full.first, full.chosen),
        (ModelId(2), ChosenReason::StandIn)
    );
    assert_eq!(full.tiers[0].stand_ins, [ModelId(1), ModelId(0)]);
    assert_eq!(full.refused[0].target.as_str(), "a");
}

#[test]
fn a_stand_in_that_is_full_is_not_wanted_and_may_have_room_later() {
    let world = World::of(&["a", "b"]).full(1);
    let way = Way::Single {
        of: vec![ModelId(0)],
        strategy: Strategy::Pinned,
        failover: vec![ModelId(1)],
        guards: Guards::default(),
    };
    let decision = world.decides_on(&way, &Asking::default()).unwrap();
    assert_eq!(decision.tiers[0].stand_ins, [ModelId(1)]);
    assert!(decision.refused.is_empty());
}

#[test]
fn where_all_are_full_that_is_what_is_told() {
    let world = World::of(&["a", "b"]).full(0).full(1);
    let nobody = world
        .decides(Strategy::Pinned, &Asking::default())
        .unwrap_err();
    let out: Vec<Out> = nobody.out.iter().map(|(_, out)| *out).collect();
    assert_eq!(out, [Out::Full(Room::FullConcurrency); 2]);
    assert!(nobody.removed.is_empty());
}

#[test]
fn a_cascade_skips_tiers_that_policy_removes_and_escalates_to_those_that_are_left() {
    let mut world = World::of(&["a", "b", "c", "d"]);
    for idx in [1, 3] {
        world.models[idx].terms = Terms {
            regions: ["eu".parse().unwrap()].into(),
            ..Terms::default()
        };
    }
    let policy = in_eu(&world);
    let tier = |target, stand_ins: &[usize]| Tier {
        target: ModelId(target),
        stand_ins: stand_ins.iter().copied().map(ModelId).collect(),
    };
    let way = Way::Cascade(vec![tier(0, &[]), tier(1, &[]), tier(2, &[0, 3])]);
    let decided = |policy: &Policy| {
        Asking::default().ask(|facts| choose(&ladder(&way, policy), facts, &world))
    };
    let decision = decided(&policy).unwrap();
    assert_eq!(decision.tiers, [tier(1, &[]), tier(3, &[])]);
    assert_eq!(
        (decision.first, decision.chosen),
        (ModelId(1), ChosenReason::Cascade)
    );
    assert_eq!(decision.removed.len(), 2);
    assert_eq!(decided(&Policy::default()).unwrap().tiers.len(), 3);
}

/// Models of which nobody may ask how they have done.
struct Unasked(World);

impl Knowledge for Unasked {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.0.model(id)
    }

    fn standing(&self, id: ModelId) -> Standing {
        panic!("asked how {id:?} has done")
    }

    fn room(&self, _: ModelId) -> Room {
        Room::Free
    }
}

#[test]
fn how_models_have_done_is_not_looked_up_where_nothing_depends_on_it() {
    let world = Unasked(World::of(&["a", "b"]));
    let policy = Policy::default();
    for strategy in [
        Strategy::Pinned,
        Strategy::Weighted(Weighted {
            weights: vec![(ModelId(0), 1.0), (ModelId(1), 2.0)],
            sticky: None,
        }),
        Strategy::Priority(Priority {
            tpot_max: None,
            probe: Ratio::clamped(0.5),
        }),
    ] {
        let way = single(world.0.ids(), strategy);
        let decided = Asking::default().ask(|facts| choose(&ladder(&way, &policy), facts, &world));
        assert!(decided.is_ok());
    }
}

fn strategies() -> impl Generator<Value = Strategy> {
    let ratio = || (0.0..=1.0_f64).prop_map(Ratio::clamped);
    let weights = prop::collection::vec(0.0..10.0_f64, 4);
    let sticky = prop::option::of(Just(Sticky {
        by: StickyBy::User,
        window: None,
    }));
    prop_oneof![
        Just(Strategy::Pinned),
        (weights, sticky).prop_map(|(weights, sticky)| Strategy::Weighted(Weighted {
            weights: (0..).map(ModelId).zip(weights).collect(),
            sticky,
        })),
        (prop::option::of(1_u64..100), ratio()).prop_map(|(tpot, probe)| {
            Strategy::Priority(Priority {
                tpot_max: tpot.map(std::time::Duration::from_millis),
                probe,
            })
        }),
        ratio().prop_map(|probe| Strategy::Fastest(Fastest {
            by: Measure::Tpot,
            margin: 1.2,
            probe,
        })),
        prop::option::of(ratio()).prop_map(|quality| Strategy::Cheapest(Cheapest {
            quality,
            multipliers: Vec::new(),
        })),
        (prop::array::uniform3(0.0..1.0_f64), ratio()).prop_map(
            |([cost, latency, quality], probe)| {
                Strategy::Score(Score {
                    weights: Weights {
                        cost: cost + 0.01,
                        latency,
                        quality,
                    },
                    probe,
                })
            }
        ),
    ]
}

/// Four models: how fast, how full, in which region, and whether they have a price.
fn worlds() -> impl Generator<Value = World> {
    let one = (
        prop::option::of(1.0..100.0_f64),
        0_usize..10,
        any::<[bool; 3]>(),
    );
    prop::collection::vec(one, 4).prop_map(|models| {
        let mut world = World::of(&["a", "b", "c", "d"]);
        for (idx, (tpot, n, [is_full, is_in_eu, has_price])) in models.into_iter().enumerate() {
            if let Some(tpot) = tpot {
                world = world.paced(idx, tpot, n);
            }
            if is_full {
                world = world.full(idx);
            }
            let region = if is_in_eu { "eu" } else { "us" };
            world.models[idx].terms.regions = [region.parse().unwrap()].into();
            if !has_price {
                world.models[idx].price = None;
            }
        }
        world
    })
}

fn guards() -> impl Generator<Value = Guards> {
    let limit = (0.0..0.01_f64).prop_map(|usd| PicoUsd::from_usd(usd).unwrap());
    let cost =
        (limit, any::<bool>(), 0_usize..4).prop_map(|(limit, per_request, budget)| CostCap {
            limit: if per_request {
                CostLimit::PerRequest(limit)
            } else {
                CostLimit::PerThousandTokens(limit)
            },
            budget_model: ModelId(budget),
        });
    let time = (1_u64..10_000).prop_map(std::time::Duration::from_millis);
    (prop::option::of(cost), prop::option::of(time)).prop_map(|(cost, time)| Guards { cost, time })
}

/// A policy that keeps data in the EU.
fn in_eu(world: &World) -> Policy {
    let allow = Allow {
        regions: vec!["eu".parse().unwrap()],
        ..Allow::default()
    };
    let rule = Restriction::new(
        "eu",
        Rule::default(),
        (&allow, &Deny::default()),
        &world.models,
    );
    Policy::of(vec![rule])
}

fn decided(world: &World, way: &Way, policy: &Policy, seed: u64) -> Result<Decision, NoCandidate> {
    let table = table(&[("code", "a", 0.3), ("code", "b", 0.6), ("code", "c", 0.9)]);
    let intent = crate::routing::fixtures::intent("code");
    let ladder = Ladder {
        quality: Some(&table),
        intent: Some(&intent),
        incumbent: Some(ModelId(1)),
        ..ladder(way, policy)
    };
    Asking::seeded(seed).ask(|facts| choose(&ladder, facts, world))
}

proptest! {
    #[test]
    fn whoever_is_asked_is_allowed_and_free_or_there_is_an_error(
        world in worlds(), strategy in strategies(), guards in guards(), seed: u64,
    ) {
        let way = Way::Single {
            of: vec![ModelId(0), ModelId(1), ModelId(2)],
            strategy,
            failover: vec![ModelId(3)],
            guards,
        };
        match decided(&world, &way, &in_eu(&world), seed) {
            Ok(decision) => {
                let asked: Vec<ModelId> = decision.tiers.iter().flat_map(Tier::targets).collect();
                for id in &asked {
                    let regions = &world.models[id.0].terms.regions;
                    prop_assert_eq!(regions[0].as_str(), "eu");
                }
                let mut once = asked.clone();
                once.sort();
                once.dedup();
                prop_assert_eq!(once.len(), asked.len(), "nobody is asked twice");
                prop_assert_eq!(asked.first(), Some(&decision.first));
                prop_assert_eq!(world.standing(decision.first).room, Room::Free);
                let room = |id: &ModelId| world.standing(*id).room;
                let n_free = asked.iter().take_while(|id| room(id) == Room::Free).count();
                prop_assert!(
                    asked.iter().skip(n_free).all(|id| room(id) != Room::Free),
                    "who is full stands in last"
                );
                prop_assert!(0.0 < decision.propensity.get());
            }
            Err(nobody) => {
                // Whoever is left is full, or stands in for nobody since something is not known of it.
                prop_assert_eq!(nobody.removed.len() + nobody.out.len(), 4);
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_decision(
        world in worlds(), strategy in strategies(), guards in guards(), seed: u64,
    ) {
        let way = Way::Single {
            of: world.ids(),
            strategy,
            failover: Vec::new(),
            guards,
        };
        let policy = Policy::default();
        prop_assert_eq!(
            decided(&world, &way, &policy, seed),
            decided(&world, &way, &policy, seed)
        );
    }

    #[test]
    fn propensities_are_those_of_what_chance_says(
        world in worlds(), strategy in strategies(), guards in guards(),
    ) {
        let way = Way::Single {
            of: world.ids(),
            strategy,
            failover: Vec::new(),
            guards,
        };
        let policy = Policy::default();
        let mut told = [None; 4];
        for seed in 0..256 {
            let Ok(decision) = decided(&world, &way, &policy, seed) else {
                return Ok(());
            };
            let propensity = decision.propensity.get();
            let before = told[decision.first.0].replace(propensity);
            prop_assert!(before.is_none_or(|before: f64| (before - propensity).abs() < 1e-9));
        }
        // Whoever was not seen in so many draws is improbable.
        let sum: f64 = told.iter().flatten().sum();
        prop_assert!((0.8..1.0 + 1e-9).contains(&sum), "{told:?}");
    }

    #[test]
    fn a_user_stays_when_the_plan_around_her_route_changes(
        user in "[a-z0-9-]{1,40}", weights in prop::collection::vec(0.1..10.0_f64, 3), seed: u64,
    ) {
        // After a reload models have other positions, and there are others beside them.
        let before = World::of(&["a", "b", "c"]);
        let after = World::of(&["new", "c", "b", "a"]);
        let name = |world: &World, ids: [usize; 3], weights: [f64; 3], seed| {
            let strategy = Strategy::Weighted(Weighted {
                weights: ids.map(ModelId).into_iter().zip(weights).collect(),
                sticky: Some(Sticky { by: StickyBy::User, window: None }),
            });
            let way = single(ids.map(ModelId).to_vec(), strategy);
            let asking = Asking { seed, ..Asking::by_user(&user) };
            let first = world.decides_on(&way, &asking).unwrap().first;
            world.models[first.0].name.clone()
        };
        let [a, b, c] = [weights[0], weights[1], weights[2]];
        prop_assert_eq!(
            name(&before, [0, 1, 2], [a, b, c], 1),
            name(&after, [3, 2, 1], [a, b, c], seed)
        );
    }
}

/// The natural logarithm of n choose k.
fn ln_choose(n: u32, k: u32) -> f64 {
    let ln_factorial = |n: u32| (2..=n).map(|i| f64::from(i).ln()).sum::<f64>();
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// The counts of hits that n draws of probability p leave outside with a probability of at most alpha.
fn binomial_bounds(n: u32, p: f64, alpha: f64) -> (u32, u32) {
    let mass =
        |k: u32| (ln_choose(n, k) + f64::from(k) * p.ln() + f64::from(n - k) * (-p).ln_1p()).exp();
    let (mut low, mut below) = (0, 0.0);
    while below + mass(low) < alpha / 2.0 {
        below += mass(low);
        low += 1;
    }
    let (mut high, mut above) = (n, 0.0);
    while above + mass(high) < alpha / 2.0 {
        above += mass(high);
        high -= 1;
    }
    (low, high)
}

#[test]
fn weights_are_kept_within_exact_binomial_bounds() {
    const N: u32 = 2_000;
    let world = World::of(&["a", "b", "c"]);
    for weights in [
        [95.0, 5.0, 0.0],
        [1.0, 1.0, 1.0],
        [70.0, 29.0, 1.0],
        [0.2, 0.3, 0.5],
    ] {
        let strategy = Strategy::Weighted(Weighted {
            weights: (0..).map(ModelId).zip(weights).collect(),
            sticky: None,
        });
        let mut counts = [0_u32; 3];
        for seed in 0..u64::from(N) {
            let decision = world
                .decides(strategy.clone(), &Asking::seeded(seed))
                .unwrap();
            counts[decision.first.0] += 1;
        }
        let sum: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(weights) {
            if weight <= 0.0 {
                assert_eq!(*count, 0);
                continue;
            }
            // Twelve counts, each outside once in a million seeds.
            let (low, high) = binomial_bounds(N, weight / sum, 1e-6);
            assert!(
                (low..=high).contains(count),
                "{counts:?} of {weights:?}: {low} to {high}"
            );
        }
    }
}
