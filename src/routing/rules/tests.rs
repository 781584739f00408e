//! A story of each condition, and of how rules are gone through.

use crate::routing::fixtures::{Asking, intent, known};

use super::*;
use crate::domain::chat::Needs;

fn holds(condition: Condition, asking: &Asking) -> bool {
    held(&Rule::of(vec![condition]), asking)
}

fn held(rule: &Rule, asking: &Asking) -> bool {
    asking.ask(|facts| rule.holds(facts, &Understanding::NONE) == Held::Yes)
}

fn texts(values: &[&str]) -> Vec<Arc<str>> {
    values.iter().map(|value| (*value).into()).collect()
}

fn named(name: &str, values: &[&str]) -> Named {
    Named {
        name: name.into(),
        values: texts(values),
    }
}

#[test]
fn a_rule_on_the_model_asked_for_tells_old_clients_from_new_ones() {
    let condition = || Condition::Model(texts(&["gpt-4o", "gpt-4"]));
    let old = Asking {
        model: "gpt-4".to_owned(),
        ..Asking::default()
    };
    assert!(holds(condition(), &old));
    assert!(!holds(condition(), &Asking::default()));
}

#[test]
fn a_rule_on_a_header_reads_its_value_or_that_it_is_there() {
    let asking = Asking::with_header("x-task", "classify");
    let header = |values| Condition::Header(named("x-task", values));
    assert!(holds(header(&["classify", "extract"]), &asking));
    assert!(!holds(header(&["extract"]), &asking));
    assert!(holds(header(&[]), &asking));
    assert!(!holds(header(&[]), &Asking::default()));
}

#[test]
fn a_rule_on_a_path_holds_for_it_or_for_all_below_it() {
    let path = |path| holds(Condition::Path(texts(&[path])), &Asking::default());
    assert!(path("/v1/chat/completions"));
    assert!(path("/v1/chat/*"));
    assert!(!path("/v1/chat"));
    assert!(!path("/v1/messages"));
}

#[test]
fn a_rule_on_a_host_serves_two_brands_behind_one_gateway() {
    let mut asking = Asking::default();
    asking.envelope.host = Some("eu.example.com".into());
    let host = |host| Condition::Host(texts(&[host]));
    assert!(holds(host("eu.example.com"), &asking));
    assert!(!holds(host("example.com"), &asking));
    assert!(!holds(host("eu.example.com"), &Asking::default()));
}

#[test]
fn a_rule_on_metadata_reads_what_the_caller_says() {
    let mut asking = Asking::default();
    let added = asking.metadata.add("tier".to_owned(), "free".to_owned());
    added.unwrap();
    let tier = |values| Condition::Metadata(named("tier", values));
    assert!(holds(tier(&["free"]), &asking));
    assert!(holds(tier(&[]), &asking));
    assert!(!holds(tier(&["paid"]), &asking));
    assert!(!holds(Condition::Metadata(named("team", &[])), &asking));
}

#[test]
fn rules_on_team_and_key_tell_callers_apart() {
    let asking = Asking {
        tenant: Tenant::Team("clinic".parse().unwrap()),
        key: Some(KeyLabel::new("env:NIGHT_KEY")),
        ..Asking::default()
    };
    let team = |name: &str| Condition::Team(vec![name.parse().unwrap()]);
    assert!(holds(team("clinic"), &asking));
    assert!(!holds(team("lab"), &asking));
    assert!(!holds(team("clinic"), &Asking::default()));
    let key = |name| Condition::Key(vec![KeyLabel::new(name)]);
    assert!(holds(key("env:NIGHT_KEY"), &asking));
    assert!(!holds(key("env:DAY_KEY"), &asking));
}

#[test]
fn a_rule_on_the_gateways_region_lets_one_config_serve_several_places() {
    let in_eu = Asking {
        region: Some("eu".parse().unwrap()),
        ..Asking::default()
    };
    let eu = || Condition::Gateway(vec!["eu".parse().unwrap()]);
    assert!(holds(eu(), &in_eu));
    assert!(!holds(eu(), &Asking::default()));
}

#[test]
fn rules_on_keywords_and_expressions_search_what_the_person_says() {
    let asking = Asking::about("My invoice INV-4711 is wrong, I want a Refund");
    let keyword = |word: &str| Condition::Text(text::keywords(&[word.to_owned()]).unwrap());
    assert!(holds(keyword("refund"), &asking));
    assert!(!holds(keyword("fund"), &asking));
    let regex = |it: &str| Condition::Text(text::expressions(&[it.to_owned()]).unwrap());
    assert!(holds(regex(r"INV-\d{4}"), &asking));
    assert!(!holds(regex(r"^INV"), &asking));
}

#[test]
fn a_rule_on_tokens_counts_both_ends() {
    // Four characters are a token, and three stand around a message.
    let asking = Asking::about(&"abcd".repeat(97));
    let tokens = |range| holds(Condition::Tokens(range), &asking);
    assert!(tokens(100..=100));
    assert!(!tokens(101..=u64::MAX));
    assert!(!tokens(0..=99));
}

#[test]
fn rules_on_tools_images_and_schema_hold_for_what_is_needed_and_what_is_not() {
    let asking = Asking {
        needs: Needs {
            tools: Need::Yes,
            ..Needs::default()
        },
        ..Asking::default()
    };
    for (want, is_needed) in [
        (Want::Tools, true),
        (Want::Images, false),
        (Want::Schema, false),
    ] {
        assert_eq!(holds(Condition::Needs(want, Need::Yes), &asking), is_needed);
        assert_eq!(holds(Condition::Needs(want, Need::No), &asking), !is_needed);
    }
}

#[test]
fn rules_on_language_and_script_read_the_persons_words() {
    let asking = Asking::about("Почему мой счёт в этом месяце больше, чем обычно?");
    let script = |name| Condition::Script(vec![Writing::of_name(name).unwrap()]);
    assert!(holds(script("cyrillic"), &asking));
    assert!(!holds(script("latin"), &asking));
    let language = |code| Condition::Language(vec![Language::of_code(code).unwrap()]);
    assert!(holds(language("ru"), &asking));
    assert!(!holds(language("uk"), &asking));
}

fn on_intent(name: &str, at_least: f64) -> Rule {
    let at_least = Ratio::try_from(at_least).unwrap();
    Rule::of(vec![Condition::Intent(vec![intent(name)], at_least)])
}

#[test]
fn an_intent_counts_from_its_least_probability_on() {
    let held = |probability| {
        let understanding = known("code", probability);
        Asking::default().ask(|facts| on_intent("code", 0.8).holds(facts, &understanding))
    };
    assert_eq!(held(0.8), Held::Yes);
    assert_eq!(held(0.79), Held::No);
}

#[test]
fn a_rule_on_complexity_holds_only_where_the_level_is_known() {
    let rule = Rule::of(vec![Condition::Complexity(vec![Level::Hard])]);
    let held = |complexity| {
        let understanding = Understanding {
            intent: IntentSignal::OutOfScope,
            complexity,
        };
        Asking::default().ask(|facts| rule.holds(facts, &understanding))
    };
    assert_eq!(held(Some(Level::Hard)), Held::Yes);
    assert_eq!(held(Some(Level::Simple)), Held::No);
    assert_eq!(held(None), Held::No);
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let rule = Rule::of(vec![
        Condition::Header(named("x-task", &["classify"])),
        Condition::Path(texts(&["/v1/messages"])),
    ]);
    let mut asking = Asking::with_header("x-task", "classify");
    assert!(!held(&rule, &asking));
    asking.path = "/v1/messages";
    assert!(held(&rule, &asking));
}

fn matched(rules: &[Rule], asking: &Asking, understanding: &Understanding) -> Matched {
    asking.ask(|facts| first_match(rules, facts, understanding).unwrap())
}

fn rule(idx: usize, reason: RoutedReason) -> Matched {
    Matched::Rule { idx, reason }
}

fn mixed() -> Vec<Rule> {
    vec![
        Rule::of(vec![Condition::Header(named("x-task", &[]))]),
        on_intent("code", 0.0),
        Rule::of(vec![Condition::Path(texts(&["/v1/messages"]))]),
        Rule::default(),
    ]
}

#[test]
fn a_rule_that_holds_before_any_looks_at_the_prompt_needs_no_encoder() {
    let asking = Asking::with_header("x-task", "any");
    let unread = Understanding::NONE;
    assert_eq!(
        matched(&mixed(), &asking, &unread),
        rule(0, RoutedReason::Rule)
    );
    assert_eq!(
        matched(&mixed(), &Asking::default(), &unread),
        Matched::PromptWanted
    );
}

#[test]
fn a_rule_that_fails_otherwise_does_not_have_the_prompt_embedded() {
    let on_both = Rule::of(vec![
        Condition::Intent(vec![intent("code")], Ratio::default()),
        Condition::Path(texts(&["/v1/messages"])),
    ]);
    let rules = [on_both, Rule::default()];
    assert_eq!(
        matched(&rules, &Asking::default(), &Understanding::NONE),
        rule(1, RoutedReason::Rule)
    );
}

#[test]
fn the_reason_tells_a_rule_an_intent_and_the_default_apart() {
    let asking = Asking::default();
    let code = known("code", 0.9);
    assert_eq!(
        matched(&mixed(), &asking, &code),
        rule(1, RoutedReason::Intent)
    );
    let chat = known("smalltalk", 0.9);
    assert_eq!(
        matched(&mixed(), &asking, &chat),
        rule(3, RoutedReason::Default)
    );
    let message = Asking {
        path: "/v1/messages",
        ..Asking::default()
    };
    assert_eq!(
        matched(&mixed(), &message, &chat),
        rule(2, RoutedReason::Rule)
    );
}

#[test]
fn every_reason_not_to_know_the_intent_ends_at_the_default_and_is_told_apart() {
    for (signal, reason) in [
        (IntentSignal::OutOfScope, RoutedReason::OutOfScope),
        (IntentSignal::NoText, RoutedReason::NoText),
        (
            IntentSignal::EncoderSaturated,
            RoutedReason::EncoderSaturated,
        ),
        (IntentSignal::EncoderFailed, RoutedReason::EncoderFailed),
    ] {
        let understanding = Understanding::without(signal);
        let found = matched(&mixed(), &Asking::default(), &understanding);
        assert_eq!(found, rule(3, reason));
    }
}

#[test]
fn where_no_rule_looks_at_the_intent_the_rule_is_the_reason_whatever_is_known() {
    for understanding in [
        Understanding::NONE,
        known("code", 0.9),
        Understanding::without(IntentSignal::EncoderSaturated),
    ] {
        let found = matched(&[Rule::default()], &Asking::default(), &understanding);
        assert_eq!(found, rule(0, RoutedReason::Rule));
    }
}

#[test]
fn without_a_last_rule_there_may_be_no_match() {
    let rules = [on_intent("code", 0.0)];
    let found = Asking::default()
        .ask(|facts| first_match(&rules, facts, &Understanding::without(IntentSignal::NoText)));
    assert_eq!(found, None);
}
