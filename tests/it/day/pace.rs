//! What must hold of `fastest` over hours, whatever chance says.

use semroute::domain::event::ChosenReason;
use semroute::domain::model::ModelId;
use semroute::routing::chance::Chance;
use semroute::routing::decide::Way;
use semroute::routing::guard::Guards;
use semroute::routing::strategy::{Fastest, Measure, Strategy};

use super::hours;
use super::run::{Day, day};
use super::strategies::{probe, single};
use super::traffic::Traffic;
use super::world::Target;

const ONE: ModelId = ModelId(0);
const OTHER: ModelId = ModelId(1);

const fn target(name: &'static str, slow: fn(f64) -> f64) -> Target {
    Target {
        name,
        usd: [(1.0, 4.0); 2],
        ttft_ms: 400.0,
        tpot_ms: 20.0,
        wordy: 1.0,
        quality: [0.9; 3],
        calls_half: 1e9,
        slow,
        fails: |_| 0.0,
    }
}

fn fastest(by: Measure, margin: f64) -> Way {
    let strategy = Strategy::Fastest(Fastest {
        by,
        margin,
        probe: probe(),
    });
    single(vec![ONE, OTHER], strategy, Guards::default())
}

/// Six hours with 1,500 requests each.
fn six_hours(targets: &[Target], way: &Way, seed: u64) -> Day {
    let traffic = Traffic::of(&[1_500; 6], Chance::of_seed(seed));
    day(targets, &traffic, way)
}

/// Each of the three routes has an incumbent of its own. Whoever is not asked is probed every twenty minutes,
/// and three answers may make it look a fifth faster by chance: now and then one route changes over for that.
#[test]
fn two_that_are_equally_fast_do_not_take_turns_and_without_a_margin_they_would() {
    let equal = [target("one", |_| 1.0), target("other", |_| 1.0)];
    for by in [Measure::Tpot, Measure::Ttft] {
        for seed in 0..10 {
            let kept = six_hours(&equal, &fastest(by, 1.2), seed);
            assert!(kept.switches <= 8, "{by:?}, seed {seed}: {}", kept.switches);
            let torn = six_hours(&equal, &fastest(by, 1.0), seed);
            assert!(50 < torn.switches, "{by:?}, seed {seed}: {}", torn.switches);
        }
    }
}

#[test]
fn one_that_was_slow_an_hour_ago_gets_a_small_share_becomes_known_and_is_chosen_if_it_is_the_fastest()
 {
    // One is four times as slow as the other for two hours, and twice as fast from then on.
    let recovers = [
        target("one", |hour| if hour < 2.0 { 2.0 } else { 0.25 }),
        target("other", |_| 0.5),
    ];
    for seed in 0..10 {
        let found = six_hours(&recovers, &fastest(Measure::Tpot, 1.2), seed);
        let slow = found.share(ONE, &hours(0.5, 2.0));
        assert!(
            0.0 < slow && slow < 0.05,
            "seed {seed}: {slow} while it was slow"
        );
        let probes = found
            .requests
            .iter()
            .filter(|it| it.chosen == ChosenReason::Probe && it.first == ONE);
        assert!(
            probes.clone().any(|it| hours(0.5, 2.0).contains(&it.at)),
            "seed {seed}"
        );
        let again = found.share(ONE, &hours(2.5, 6.0));
        assert!(
            0.99 < again,
            "seed {seed}: {again} half an hour after it recovered"
        );
    }
}

#[test]
fn one_that_stays_slow_is_asked_now_and_then_and_not_chosen() {
    let stays = [target("one", |_| 2.0), target("other", |_| 1.0)];
    for seed in 0..10 {
        let found = six_hours(&stays, &fastest(Measure::Tpot, 1.2), seed);
        let share = found.share(ONE, &hours(0.5, 6.0));
        assert!(0.0 < share && share < 0.02, "seed {seed}: {share}");
    }
}
