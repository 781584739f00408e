use std::sync::OnceLock;

use super::*;
use crate::centroids::drift::clusters::clusters;
use crate::centroids::drift::live::Live;
use crate::centroids::{
    CentroidSet, EncoderIdentity, Examples, Provenance, Training, Wanted, train,
};
use crate::domain::record::Intent;
use crate::vector::{Vectors, normalise};

const DIMENSIONS: usize = 8;

/// Rows around an axis, each off by chance.
fn around(axis: usize, n: usize, spread: f32, seed: u64) -> Vectors {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut rows = Vectors::new(DIMENSIONS);
    for _ in 0..n {
        let mut row = [0.0; DIMENSIONS];
        for value in &mut row {
            *value = spread * chance.random_range(-1.0..1.0);
        }
        row[axis] += 1.0;
        normalise(&mut row);
        assert!(rows.push(&row));
    }
    rows
}

/// Three intents of 200 rows each around the first three axes.
fn set() -> &'static CentroidSet {
    static SET: OnceLock<CentroidSet> = OnceLock::new();
    SET.get_or_init(|| set_of(200, 0))
}

/// Three intents of so many rows each.
fn set_of(n: usize, seed: u64) -> CentroidSet {
    let mut rows = Vectors::new(DIMENSIONS);
    let mut intents = Vec::new();
    for (axis, name) in ["red", "green", "blue"].into_iter().enumerate() {
        for row in around(axis, n, 0.5, seed + axis as u64).rows() {
            assert!(rows.push(row));
            intents.push(name.parse().unwrap());
        }
    }
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let training = Training {
        wanted: Wanted::Centroid,
        ..Training::default()
    };
    let provenance = Provenance {
        name: "colours".to_owned(),
        encoder: EncoderIdentity {
            name: "tiny".to_owned(),
            digest: "abc".to_owned(),
            dimensions: DIMENSIONS,
        },
        data_digest: "d".to_owned(),
    };
    train(examples, training, provenance, &mut |_| {})
        .unwrap()
        .set
}

/// What the set makes of rows.
fn classified(rows: &Vectors) -> Vec<Intent> {
    let set = set();
    rows.rows()
        .map(|row| set.classify(row, set.threshold()))
        .collect()
}

fn observed(intents: &[Intent]) -> Vec<Observed<'_>> {
    intents
        .iter()
        .map(|intent| Observed {
            intent: &intent.name,
            score: intent.score,
            margin: intent.margin,
            similarity: intent.similarity,
            out_of_scope: intent.out_of_scope,
        })
        .collect()
}

fn report(intents: &[Intent], seed: u64) -> Report {
    drift(set().manifest(), &observed(intents), seed)
}

fn verdict(report: &Report, name: &str) -> Verdict {
    let found = report.intents.iter().find(|it| it.name.as_str() == name);
    found.unwrap().verdict
}

#[test]
fn traffic_like_the_training_rows_is_stable_in_nineteen_logs_of_twenty() {
    let alarms = (0..40).filter(|seed| {
        let mut intents = Vec::new();
        for axis in 0..3 {
            intents.extend(classified(&around(
                axis,
                150,
                0.5,
                1_000 + 10 * seed + axis as u64,
            )));
        }
        let report = report(&intents, *seed);
        report
            .intents
            .iter()
            .any(|it| it.verdict == Verdict::Drifted)
    });
    // Two are expected of 40; more than six would come up once in a hundred times.
    let alarms = alarms.count();
    assert!(alarms <= 6, "{alarms}");
}

#[test]
fn prompts_of_an_intent_that_lie_further_out_are_noticed_and_the_others_left_alone() {
    let mut intents = classified(&around(0, 150, 0.9, 50));
    intents.extend(classified(&around(1, 150, 0.5, 51)));
    let report = report(&intents, 1);
    assert_eq!(verdict(&report, "red"), Verdict::Drifted, "{report:?}");
    assert!(report.drifted());
    assert_eq!(verdict(&report, "green"), Verdict::Stable, "{report:?}");
}

#[test]
fn a_dozen_prompts_do_not_cry_wolf() {
    let report = report(&classified(&around(0, 12, 0.9, 60)), 1);
    assert_eq!(verdict(&report, "red"), Verdict::TooFew);
    assert_eq!(report.out_of_scope.verdict, Verdict::TooFew);
}

#[test]
fn a_rising_share_of_rejected_prompts_is_noticed() {
    let mut intents = classified(&around(0, 200, 0.5, 70));
    assert_eq!(report(&intents, 1).out_of_scope.verdict, Verdict::Stable);
    intents.extend(classified(&around(6, 100, 0.3, 71)));
    let report = report(&intents, 1);
    assert_eq!(
        report.out_of_scope.verdict,
        Verdict::Drifted,
        "{:?}",
        report.out_of_scope
    );
}

#[test]
fn a_mix_that_changes_half_way_is_told_from_one_that_does_not() {
    let [red, green] = [0, 1].map(|axis| classified(&around(axis, 100, 0.4, 80 + axis as u64)));
    let after_another = [red.clone(), green.clone()].concat();
    assert!(report(&after_another, 1).mix.p_value < 0.01);
    let in_turns: Vec<Intent> = red
        .into_iter()
        .zip(green)
        .flat_map(|(a, b)| [a, b])
        .collect();
    assert!(0.2 < report(&in_turns, 1).mix.p_value);
}

#[test]
fn the_same_log_and_seed_give_the_same_report() {
    let intents = classified(&around(0, 100, 0.6, 90));
    assert_eq!(report(&intents, 5), report(&intents, 5));
}

#[test]
fn live_figures_are_those_of_the_last_prompts() {
    let intents = classified(&around(0, 400, 0.5, 100));
    let mut live = Live::against(set().manifest());
    assert_eq!(live.of(&"red".parse().unwrap()), None);
    for intent in &intents {
        live.count(intent);
    }
    let batch = report(&intents, 1);
    let red = batch
        .intents
        .iter()
        .find(|it| it.name.as_str() == "red")
        .unwrap();
    let figures = live.of(&red.name).unwrap();
    assert_eq!((Some(figures.psi), figures.n), (red.psi, red.n));
    // A thousand prompts later nothing is left of them.
    for intent in classified(&around(0, 2_000, 0.9, 101)) {
        live.count(&intent);
    }
    let figures = live.of(&red.name).unwrap();
    assert_eq!(
        (figures.n, figures.verdict),
        (1_000, Verdict::Drifted),
        "{figures:?}"
    );
    assert!(0.0 < live.out_of_scope_share().unwrap());
}

#[test]
fn an_intent_of_few_rows_is_not_called_drifted_by_a_server_whose_traffic_is_the_same() {
    let name = "red".parse().unwrap();
    let (mut changed, mut past_custom) = (0, 0);
    for seed in 0..12 {
        let set = set_of(30, 1_000 * seed);
        let mut live = Live::against(set.manifest());
        for row in around(0, 1_500, 0.5, 1_000 * seed + 500).rows() {
            live.count(&set.classify(row, set.threshold()));
        }
        let figures = live.of(&name).unwrap();
        assert_eq!(figures.verdict, Verdict::Stable, "{figures:?}");
        past_custom += usize::from(0.25 < figures.psi.largest());
        for row in around(0, 2_000, 0.1, 1_000 * seed + 600).rows() {
            live.count(&set.classify(row, set.threshold()));
        }
        changed += usize::from(live.of(&name).unwrap().verdict == Verdict::Drifted);
    }
    // The customary limit alone would have cried wolf, and the bound still sees a real change.
    assert!(4 < past_custom && 9 < changed, "{past_custom} {changed}");
}

#[test]
fn a_group_among_rejected_prompts_is_found_and_noise_is_none() {
    let mut chance = StdRng::seed_from_u64(7);
    let mut prompts = Vectors::new(DIMENSIONS);
    for _ in 0..60 {
        let mut row = [0.0; DIMENSIONS];
        for value in &mut row {
            *value = chance.random_range(-1.0..1.0);
        }
        normalise(&mut row);
        assert!(prompts.push(&row));
    }
    assert_eq!(clusters(&prompts, set(), 20), []);
    for row in around(6, 40, 0.2, 8).rows() {
        assert!(prompts.push(row));
    }
    let found = clusters(&prompts, set(), 20);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        (38..=46).contains(&found[0].n) && 0.8 < found[0].cohesion,
        "{found:?}"
    );
    assert!(
        found[0].middle.iter().all(|place| 60 <= *place),
        "{found:?}"
    );
}
