use super::*;
use crate::domain::record::Intent;
use crate::eval::Example;

fn name(text: &str) -> IntentName {
    text.parse().unwrap()
}

/// A row labelled so, found so; `oos` is out of scope.
fn row(label: &str, found: &str, score: f32) -> Outcome {
    let expected = match label {
        "oos" => Expected::OutOfScope,
        _ => Expected::Intent(name(label)),
    };
    let found = Intent {
        name: name(found),
        score,
        margin: 0.1,
        similarity: score,
        scope_score: score,
        p_value: 0.5,
        threshold: 0.5,
        out_of_scope: score < 0.5,
        runners_up: Vec::new(),
        encoder: crate::domain::record::IntentEncoder::Main,
    };
    let row = Example {
        place: "test.jsonl:1".to_owned(),
        text: format!("a prompt of {label}"),
    };
    Outcome {
        expected,
        found,
        row,
    }
}

fn report(outcomes: &[Outcome]) -> Report {
    evaluate(outcomes, &[name("code"), name("sql")], Chance::default()).unwrap()
}

fn mixed() -> Vec<Outcome> {
    vec![
        row("code", "code", 0.9),
        row("code", "code", 0.4),
        row("code", "sql", 0.6),
        row("sql", "sql", 0.8),
        row("oos", "code", 0.3),
        row("oos", "sql", 0.7),
        row("poetry", "code", 0.9),
    ]
}

#[test]
fn accuracy_is_that_of_the_nearest_intent_and_acceptance_is_told_apart() {
    let report = report(&mixed());
    let value = |estimate: Option<Estimate>| estimate.map(|estimate| (estimate.value, estimate.n));
    assert_eq!(value(report.accuracy), Some((0.75, 4)));
    assert_eq!(value(report.accepted_accuracy), Some((0.5, 4)));
    assert_eq!(value(report.rejected_in_scope), Some((0.25, 4)));
    assert_eq!(
        value(report.out_of_scope.map(|scope| scope.rejected)),
        Some((0.5, 2))
    );
}

#[test]
fn rows_of_an_intent_that_the_set_does_not_know_are_counted_apart() {
    let report = report(&mixed());
    assert_eq!(report.n_rows, 7);
    assert_eq!(
        report.unknown_intents,
        [UnknownIntent {
            name: name("poetry"),
            n: 1
        }]
    );
}

#[test]
fn precision_and_recall_are_those_of_each_intent() {
    let report = report(&mixed());
    let code = &report.intents[0];
    assert_eq!((code.name.as_str(), code.n, code.n_found), ("code", 3, 2));
    assert_eq!(
        (code.precision, code.recall.map(|recall| recall < 0.67)),
        (Some(1.0), Some(true))
    );
    let sql = &report.intents[1];
    assert_eq!((sql.precision, sql.recall), (Some(0.5), Some(1.0)));
    assert_eq!(
        report.confusions,
        [Confusion {
            expected: name("code"),
            found: name("sql"),
            n: 1,
            examples: report.confusions[0].examples.clone(),
        }]
    );
}

#[test]
fn an_intent_never_found_has_no_precision_rather_than_a_bad_one() {
    let report = report(&[row("code", "code", 0.9), row("sql", "code", 0.9)]);
    assert_eq!(
        (report.intents[1].precision, report.intents[1].recall),
        (None, Some(0.0))
    );
}

#[test]
fn shuffled_labels_reach_what_chance_gives() {
    let outcomes: Vec<Outcome> = (0..400)
        .map(|index| {
            if index % 4 == 0 {
                row("sql", "sql", 0.9)
            } else {
                row("code", "code", 0.9)
            }
        })
        .collect();
    let controls = report(&outcomes).controls.unwrap();
    assert_eq!(
        (
            controls.majority.intent.as_str(),
            controls.majority.accuracy
        ),
        ("code", 0.75)
    );
    // Both right by chance: 0.75² + 0.25².
    assert!((controls.shuffled.accuracy - 0.625).abs() < 0.01);
}

#[test]
fn rows_out_of_scope_alone_give_no_accuracy() {
    let report = report(&[row("oos", "code", 0.3)]);
    assert_eq!(
        (report.accuracy, report.controls, report.out_of_scope),
        (None, None, None)
    );
}

#[test]
fn nothing_to_evaluate_is_said() {
    let known = [name("code")];
    assert_eq!(evaluate(&[], &known, Chance::default()), Err(Error::NoRows));
    let message = evaluate(&[row("poetry", "code", 0.9)], &known, Chance::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("the labels are poetry, the set knows code"),
        "{message}"
    );
}

#[test]
fn the_document_s_keys_stay() {
    let document = serde_json::to_value(report(&mixed())).unwrap();
    let keys: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "n_rows",
            "accuracy",
            "controls",
            "accepted_accuracy",
            "rejected_in_scope",
            "threshold",
            "reliability",
            "out_of_scope",
            "intents",
            "confusions",
            "unknown_intents",
        ]
    );
    for pointer in [
        "/accuracy/value",
        "/accuracy/low",
        "/accuracy/high",
        "/accuracy/n",
        "/controls/majority/accuracy",
        "/controls/shuffled/accuracy",
        "/out_of_scope/auroc/value",
        "/out_of_scope/fpr_at_95_tpr/high",
        "/out_of_scope/rejected/n",
        "/intents/0/precision",
        "/intents/0/recall",
        "/confusions/0/expected",
    ] {
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    assert_eq!(report(&mixed()), report(&mixed()));
}
