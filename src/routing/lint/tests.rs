use super::*;
use crate::domain::chat::Need;
use crate::routing::fixtures::intent;
use crate::routing::rules::Want;
use crate::routing::rules::language::{Language, Writing};

fn intents(names: &[&str], at_least: f64) -> Condition {
    let names = names.iter().map(|name| intent(name)).collect();
    Condition::Intent(names, Ratio::clamped(at_least))
}

fn header(values: &[&str]) -> Condition {
    Condition::Header(Named {
        name: "x-task".into(),
        values: values.iter().map(|value| (*value).into()).collect(),
    })
}

fn paths(paths: &[&str]) -> Condition {
    Condition::Path(paths.iter().map(|path| (*path).into()).collect())
}

fn found(rules: &[Vec<Condition>]) -> Vec<(usize, Never)> {
    let rules: Vec<Rule> = rules.iter().cloned().map(Rule::of).collect();
    never(&rules.iter().collect::<Vec<&Rule>>())
}

fn shadowed(rules: &[Vec<Condition>]) -> Vec<usize> {
    found(rules).into_iter().map(|(idx, _)| idx).collect()
}

#[test]
fn a_rule_behind_a_wider_one_never_holds() {
    for (wide, narrow) in [
        (
            vec![intents(&["code", "sql"], 0.0)],
            vec![intents(&["sql"], 0.5)],
        ),
        (vec![header(&[])], vec![header(&["classify"])]),
        (
            vec![header(&["a", "b"])],
            vec![header(&["b"]), paths(&["/v1/messages"])],
        ),
        (
            vec![paths(&["/v1/*"])],
            vec![paths(&["/v1/chat/*", "/v1/messages"])],
        ),
        (
            vec![Condition::Tokens(100..=u64::MAX)],
            vec![Condition::Tokens(200..=300)],
        ),
        (
            vec![Condition::Needs(Want::Tools, Need::Yes)],
            vec![
                Condition::Needs(Want::Tools, Need::Yes),
                intents(&["code"], 0.0),
            ],
        ),
    ] {
        assert_eq!(
            found(&[wide.clone(), narrow.clone()]),
            [(1, Never::Shadowed(vec![0]))],
            "{narrow:?} behind {wide:?}"
        );
        assert_eq!(found(&[narrow, wide]), []);
    }
}

#[test]
fn two_rules_shadow_a_third_together() {
    let rules = [
        vec![intents(&["code"], 0.0)],
        vec![intents(&["sql"], 0.0)],
        vec![intents(&["code", "sql"], 0.3), header(&["a"])],
    ];
    assert_eq!(found(&rules), [(2, Never::Shadowed(vec![0, 1]))]);
}

#[test]
fn a_rule_that_can_still_hold_is_not_told() {
    for rules in [
        [vec![intents(&["code"], 0.8)], vec![intents(&["code"], 0.0)]],
        [
            vec![intents(&["code"], 0.0)],
            vec![intents(&["code", "sql"], 0.0)],
        ],
        [vec![header(&["a"])], vec![header(&[])]],
        [
            vec![header(&["a"]), paths(&["/v1/messages"])],
            vec![header(&["a"])],
        ],
        [vec![paths(&["/v1/chat"])], vec![paths(&["/v1/chat*"])]],
        [
            vec![Condition::Needs(Want::Tools, Need::Yes)],
            vec![Condition::Needs(Want::Tools, Need::No)],
        ],
    ] {
        assert_eq!(shadowed(&rules), [] as [usize; 0], "{rules:?}");
    }
}

#[test]
fn a_language_in_a_script_that_it_is_not_written_in_is_a_contradiction() {
    let script = |name| Condition::Script(vec![Writing::of_name(name).unwrap()]);
    let language = |code| Condition::Language(vec![Language::of_code(code).unwrap()]);
    assert_eq!(
        found(&[vec![script("latin"), language("ru")]]),
        [(0, Never::Contradiction("script", "language"))]
    );
    assert_eq!(found(&[vec![script("cyrillic"), language("ru")]]), []);
}
