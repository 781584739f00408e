use proptest::prelude::*;

use super::*;
use crate::centroids::format::Files;
use crate::centroids::manifest::{Rule, ScopeRule, ThresholdRule};
use crate::vector::normalise;

const DIMENSIONS: usize = 4;

fn encoder() -> EncoderIdentity {
    EncoderIdentity {
        name: "tiny".to_owned(),
        digest: "abc123".to_owned(),
        dimensions: DIMENSIONS,
    }
}

fn provenance() -> Provenance {
    Provenance {
        name: "test".to_owned(),
        encoder: encoder(),
        data_digest: "d".to_owned(),
    }
}

fn name(text: &str) -> IntentName {
    text.parse().unwrap()
}

/// Unit rows near the given axes, each a little off in its own way.
fn near_axes(axes: &[usize]) -> Vectors {
    let mut rows = Vectors::new(DIMENSIONS);
    for (index, axis) in axes.iter().enumerate() {
        let mut row = [0.0_f32; DIMENSIONS];
        row[*axis] = 1.0;
        row[(axis + 1 + index % 3) % DIMENSIONS] += 0.2 + [0.0, 0.01, 0.02, 0.03, 0.04][index % 5];
        normalise(&mut row);
        assert!(rows.push(&row));
    }
    rows
}

/// Two intents of ten rows each, on the first two axes.
fn two_intents() -> (Vectors, Vec<IntentName>) {
    let axes: Vec<usize> = (0..20).map(|index| index % 2).collect();
    let intents = axes
        .iter()
        .map(|axis| name(["red", "blue"][*axis]))
        .collect();
    (near_axes(&axes), intents)
}

fn learn(
    rows: &Vectors,
    intents: &[IntentName],
    out_of_scope: Option<&Vectors>,
) -> Result<CentroidSet, Error> {
    let examples = Examples {
        rows,
        intents,
        out_of_scope,
    };
    learn_by(examples, Training::default())
}

fn learn_by(examples: Examples<'_>, training: Training) -> Result<CentroidSet, Error> {
    train(examples, training, provenance(), &mut |_| {}).map(|trained| trained.set)
}

#[test]
fn what_was_learned_is_recognised() {
    let (rows, intents) = two_intents();
    let set = learn(&rows, &intents, None).unwrap();
    let names: Vec<&str> = set.intents().map(IntentName::as_str).collect();
    assert_eq!(names, ["blue", "red"], "intents come by name");
    let found = set.classify(&[0.9, 0.1, 0.0, 0.4], set.threshold());
    assert_eq!(found.name, name("red"));
    assert!((set.manifest().metrics.accuracy.value - 1.0).abs() < f64::EPSILON);
    assert!((set.manifest().metrics.majority - 0.5).abs() < f64::EPSILON);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (rows, intents) = two_intents();
    let files = || learn(&rows, &intents, None).unwrap().to_files().unwrap();
    assert_eq!(files(), files());
}

#[test]
fn out_of_scope_rows_tell_scope_and_move_no_prototype() {
    let (rows, intents) = two_intents();
    let out = near_axes(&[2, 3, 2, 3]);
    let (with, without) = (
        learn(&rows, &intents, Some(&out)).unwrap(),
        learn(&rows, &intents, None).unwrap(),
    );
    assert_eq!(with.prototypes, without.prototypes);
    assert_eq!(
        with.manifest().scope.how,
        ThresholdRule::YoudenHeldOutAndOos
    );
    assert_eq!(with.manifest().metrics.oos_auroc, Some(1.0));
    assert_eq!(
        without.manifest().scope.how,
        ThresholdRule::Conformal5Percent
    );
    assert_eq!(without.manifest().metrics.oos_auroc, None);
    let rejected = |row: &[f32]| with.classify(row, with.threshold()).out_of_scope;
    assert!(out.rows().all(rejected) && !rows.rows().any(rejected));
}

#[test]
fn accuracy_comes_from_rows_that_the_prototypes_did_not_see() {
    // Every row is a direction of its own: by heart all are right, held out none has a friend.
    let rows = Vectors::from_flat(
        4,
        vec![
            1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.,
        ],
    )
    .unwrap();
    let intents = [name("a"), name("b"), name("a"), name("b")];
    let set = learn(&rows, &intents, None).unwrap();
    let by_heart = rows
        .rows()
        .zip(&intents)
        .all(|(row, intent)| set.classify(row, 0.0).name == *intent);
    assert!(by_heart);
    assert!(set.manifest().metrics.accuracy.value < 0.75);
}

#[test]
fn an_intent_of_two_rows_can_be_trained_on() {
    let rows = near_axes(&[0, 1, 0, 1]);
    let set = learn(&rows, &[name("a"), name("b"), name("a"), name("b")], None).unwrap();
    assert_eq!(
        set.manifest().metrics.accuracy.n,
        4,
        "each row was held out once"
    );
}

#[test]
fn every_rule_that_is_tried_is_heard_of_and_written_down() {
    let (rows, intents) = two_intents();
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let mut heard = Vec::new();
    let trained = train(examples, Training::default(), provenance(), &mut |tried| {
        heard.push(tried.rule);
    });
    let written: Vec<Rule> = trained
        .unwrap()
        .set
        .manifest()
        .candidates
        .iter()
        .map(|it| it.rule)
        .collect();
    let count = |holds: fn(&Rule) -> bool| written.iter().filter(|rule| holds(rule)).count();
    assert_eq!(count(|rule| matches!(rule, Rule::Centroid)), 1);
    assert_eq!(count(|rule| matches!(rule, Rule::Whitened { .. })), 1);
    assert_eq!(count(|rule| matches!(rule, Rule::KMeans { .. })), 3);
    assert_eq!(count(|rule| matches!(rule, Rule::Nearest)), 1);
    assert!(5 <= count(|rule| matches!(rule, Rule::Logistic { .. })));
    assert_eq!(heard.len(), written.len());
}

#[test]
fn a_rule_that_is_demanded_is_the_only_one_tried() {
    let (rows, intents) = two_intents();
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let rule_of = |wanted| {
        let training = Training {
            wanted,
            ..Training::default()
        };
        let set = learn_by(examples, training).unwrap();
        let manifest = set.manifest();
        assert!(
            manifest
                .candidates
                .iter()
                .any(|it| it.rule == manifest.rule || wanted == Wanted::Whitened)
        );
        (manifest.rule, set.n_prototypes())
    };
    assert_eq!(rule_of(Wanted::Centroid), (Rule::Centroid, 2));
    assert_eq!(rule_of(Wanted::KMeans(Some(2))), (Rule::KMeans { k: 2 }, 4));
    assert_eq!(rule_of(Wanted::Nearest), (Rule::Nearest, 20));
    let c = 2.5;
    assert_eq!(
        rule_of(Wanted::Logistic(Some(c))),
        (Rule::Logistic { c }, 2)
    );
    let (found, _) = rule_of(Wanted::Whitened);
    assert!(matches!(found, Rule::Whitened { shrinkage: Some(_) }));
}

#[test]
fn of_rules_that_are_equally_good_the_simplest_is_taken() {
    let (rows, intents) = two_intents();
    // Both intents are a clean bundle: every rule is right everywhere.
    let set = learn(&rows, &intents, None).unwrap();
    assert_eq!(set.manifest().rule, Rule::Centroid);
}

/// Rows of two intents that no plane parts: each lies on two opposite sides, across from the other.
fn crossed() -> (Vectors, Vec<IntentName>) {
    let mut rows = Vectors::new(DIMENSIONS);
    let mut intents = Vec::new();
    for row in 0_u16..160 {
        let lean = f32::from(row % 10) / 40.0;
        let mut values = match row % 4 {
            0 => [1.0, lean, 0.5, 0.0],
            1 => [-1.0, lean, 0.5, 0.0],
            2 => [lean, 1.0, 0.5, 0.0],
            _ => [lean, -1.0, 0.5, 0.0],
        };
        normalise(&mut values);
        assert!(rows.push(&values));
        intents.push(name(if row % 4 < 2 { "along" } else { "across" }));
    }
    (rows, intents)
}

#[test]
fn several_prototypes_are_taken_where_one_is_blind() {
    let (rows, intents) = crossed();
    let set = learn(&rows, &intents, None).unwrap();
    let manifest = set.manifest();
    let of = |wanted: fn(&Rule) -> bool| {
        let tried = manifest.candidates.iter().filter(|it| wanted(&it.rule));
        tried.map(|it| it.accuracy).fold(0.0, f64::max)
    };
    assert!(of(|rule| matches!(rule, Rule::Centroid)) < 0.9);
    assert!(0.99 < manifest.metrics.accuracy.value, "{manifest:?}");
    assert!(
        matches!(manifest.rule, Rule::KMeans { .. }),
        "{:?}",
        manifest.rule
    );
}

#[test]
fn the_best_c_is_never_at_the_edge_of_its_grid() {
    let (rows, intents) = crossed();
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let training = Training {
        wanted: Wanted::Logistic(None),
        ..Training::default()
    };
    let set = learn_by(examples, training).unwrap();
    let tried: Vec<(Rule, f64)> = set
        .manifest()
        .candidates
        .iter()
        .map(|it| (it.rule, it.log_loss))
        .collect();
    let best = tried
        .iter()
        .min_by(|left, right| left.1.total_cmp(&right.1))
        .unwrap();
    assert_eq!(best.0, set.manifest().rule);
    let at_edge = [tried.first(), tried.last()].contains(&Some(best));
    let (Rule::Logistic { c }, at_limit) = (best.0, at_edge) else {
        panic!("{tried:?}");
    };
    assert!(!at_limit || !(1e-3..1e5).contains(&c), "{tried:?}");
}

#[test]
fn a_label_that_the_other_rows_speak_against_is_doubted() {
    let (rows, mut intents) = two_intents();
    intents[4] = name("blue");
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let trained = train(examples, Training::default(), provenance(), &mut |_| {}).unwrap();
    let doubted: Vec<(usize, &str)> = trained
        .review
        .doubted
        .iter()
        .map(|doubt| (doubt.row, doubt.found.as_str()))
        .collect();
    assert_eq!(doubted, [(4, "red")]);
    assert_eq!(trained.review.thin, []);
}

#[test]
fn intents_with_the_same_rows_are_told_to_be_alike() {
    let axes: Vec<usize> = (0..30).map(|index| [0, 1, 1][index % 3]).collect();
    let intents: Vec<IntentName> = (0..30)
        .map(|index| name(["red", "blue", "azure"][index % 3]))
        .collect();
    let rows = near_axes(&axes);
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    let trained = train(examples, Training::default(), provenance(), &mut |_| {}).unwrap();
    let pairs: Vec<(&str, &str)> = trained
        .review
        .alike
        .iter()
        .map(|pair| (pair.left.as_str(), pair.right.as_str()))
        .collect();
    assert_eq!(pairs, [("azure", "blue")]);
}

#[test]
fn scope_is_told_by_a_direction_where_examples_have_a_look_of_their_own() {
    // Rows in scope lean towards axis 2, the others as much towards axis 3: equally near to the means.
    let leaning = |place: u16, axis: usize, to: usize| {
        let mut values = [0.0; DIMENSIONS];
        values[axis] = 1.0;
        values[to] = f32::from(place * 7 % 11) / 20.0;
        normalise(&mut values);
        values
    };
    let (mut rows, mut out) = (Vectors::new(DIMENSIONS), Vectors::new(DIMENSIONS));
    let mut intents = Vec::new();
    for place in 0_u16..120 {
        let axis = usize::from(place % 2);
        assert!(rows.push(&leaning(place, axis, 2)));
        intents.push(name(["red", "blue"][axis]));
        assert!(out.push(&leaning(place, axis, 3)));
    }
    let set = learn(&rows, &intents, Some(&out)).unwrap();
    let scope = &set.manifest().scope;
    assert!(
        matches!(scope.rule, ScopeRule::Direction { .. }),
        "{scope:?}"
    );
    assert!(0.85 < set.manifest().metrics.oos_auroc.unwrap());
}

#[test]
fn rows_that_teach_nothing_are_refused_with_a_remedy() {
    let rows = near_axes(&[0, 0, 1]);
    let message = |rows: &Vectors, intents: &[&str]| {
        let intents: Vec<IntentName> = intents.iter().map(|text| name(text)).collect();
        learn(rows, &intents, None).unwrap_err().to_string()
    };
    assert!(message(&rows, &["a", "a", "a"]).contains("all rows have the intent a: add rows"));
    assert!(
        message(&rows, &["a", "a", "b"]).contains("the intent b has 1 row: give it at least 2")
    );
    assert!(message(&rows, &["a", "a"]).contains("3 vectors and 2 labels"));
    assert!(message(&Vectors::new(DIMENSIONS), &[]).contains("no rows to train on"));
    assert!(
        message(&Vectors::from_flat(1, vec![1.0]).unwrap(), &["a"])
            .contains("1 dimensions, the encoder's 4")
    );
}

#[test]
fn a_row_without_a_direction_is_refused() {
    for broken in [0.0, f32::NAN, f32::INFINITY] {
        let mut rows = near_axes(&[0, 1, 0]);
        assert!(rows.push(&[broken, 0.0, 0.0, 0.0]));
        let intents = [name("a"), name("b"), name("a"), name("b")];
        assert!(matches!(
            learn(&rows, &intents, None),
            Err(Error::NoVector { row: 3 })
        ));
    }
    let opposed = Vectors::from_flat(1, vec![1.0, -1.0, 1.0, 1.0, 1.0, -1.0]).unwrap();
    let intents = [
        name("a"),
        name("a"),
        name("b"),
        name("b"),
        name("b"),
        name("a"),
    ];
    let examples = Examples {
        rows: &opposed,
        intents: &intents,
        out_of_scope: None,
    };
    let flat = Provenance {
        encoder: EncoderIdentity {
            dimensions: 1,
            ..encoder()
        },
        ..provenance()
    };
    let training = Training {
        folds: 3,
        ..Training::default()
    };
    let found = train(examples, training, flat, &mut |_| {});
    assert!(matches!(found, Err(Error::NoDirection { .. })), "{found:?}");
}

#[test]
fn one_fold_holds_nothing_out() {
    let (rows, intents) = two_intents();
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    for folds in [0, 1, 51] {
        let training = Training {
            folds,
            ..Training::default()
        };
        let found = learn_by(examples, training);
        assert!(matches!(found, Err(Error::Folds { .. })), "{folds}");
    }
}

proptest! {
    #[test]
    fn a_set_comes_back_from_its_files_as_it_went(seed: u64, n_rows in 4_usize..40) {
        let axes: Vec<usize> = (0..n_rows).map(|index| index % 2).collect();
        let intents: Vec<IntentName> = axes.iter().map(|axis| name(["red", "blue"][*axis])).collect();
        let rows = near_axes(&axes);
        let examples = Examples { rows: &rows, intents: &intents, out_of_scope: None };
        let training = Training { seed, folds: 3, ..Training::default() };
        let set = learn_by(examples, training).unwrap();
        let files: Files = set.to_files().unwrap();
        let back = CentroidSet::from_files(&files, &encoder()).unwrap();
        prop_assert_eq!(back.digest().unwrap(), set.digest().unwrap());
        prop_assert_eq!(back, set);
    }
}
