use proptest::prelude::*;

use super::*;
use crate::centroids::format::Files;
use crate::centroids::manifest::ThresholdRule;
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
        row[(axis + 1 + index % 3) % DIMENSIONS] += 0.2 + 0.01 * as_f32(index % 5);
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
    train(examples, Training::default(), provenance(), &mut |_, _| {})
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
fn out_of_scope_rows_set_the_threshold_and_move_no_prototype() {
    let (rows, intents) = two_intents();
    let out = near_axes(&[2, 3, 2, 3]);
    let (with, without) = (
        learn(&rows, &intents, Some(&out)).unwrap(),
        learn(&rows, &intents, None).unwrap(),
    );
    assert_eq!(
        with.to_files().unwrap().vectors,
        without.to_files().unwrap().vectors
    );
    assert_eq!(
        with.manifest().threshold.how,
        ThresholdRule::YoudenHeldOutAndOos
    );
    assert_eq!(with.manifest().metrics.oos_auroc, Some(1.0));
    assert_eq!(
        without.manifest().threshold.how,
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
fn progress_reaches_its_end_and_never_falls() {
    let (rows, intents) = two_intents();
    let mut heard = Vec::new();
    let mut hear = |done, total| heard.push((done, total));
    let examples = Examples {
        rows: &rows,
        intents: &intents,
        out_of_scope: None,
    };
    train(examples, Training::default(), provenance(), &mut hear).unwrap();
    assert_eq!(heard, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
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
    let found = train(
        examples,
        Training {
            folds: 3,
            ..Training::default()
        },
        flat,
        &mut |_, _| {},
    );
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
        let found = train(
            examples,
            Training {
                folds,
                ..Training::default()
            },
            provenance(),
            &mut |_, _| {},
        );
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
        let set = train(examples, training, provenance(), &mut |_, _| {}).unwrap();
        let files: Files = set.to_files().unwrap();
        let back = CentroidSet::from_files(&files, &encoder()).unwrap();
        prop_assert_eq!(back.digest().unwrap(), set.digest().unwrap());
        prop_assert_eq!(back, set);
    }

    #[test]
    fn folds_part_every_intent_evenly(
        seed: u64,
        counts in prop::collection::vec(2_usize..20, 2..5),
        folds in 2_usize..8,
    ) {
        let owners: Vec<usize> = counts.iter().enumerate().flat_map(|(class, n)| vec![class; *n]).collect();
        let rows_of = |class| (0..owners.len()).filter(|row| owners[*row] == class).collect();
        let members = (0..counts.len()).map(rows_of);
        let names = (0..counts.len()).map(|class| name(&format!("intent {class}")));
        let classes = Classes { names: names.collect(), members: members.collect() };
        let fold_of = classes.deal(Training { seed, folds, ..Training::default() }, owners.len());
        for members in &classes.members {
            let in_fold = |fold| members.iter().filter(|row| fold_of[**row] == fold).count();
            let sizes: Vec<usize> = (0..folds).map(in_fold).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{sizes:?}");
            prop_assert!(*most < members.len(), "no fold holds an intent whole");
        }
    }
}
