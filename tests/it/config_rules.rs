//! Rules and policy: what is wrong with one is told with its place and what to do, and what can never hold
//! is a warning.

use crate::config::{MODELS, assembled, told};
use crate::config_routes::with;

/// A first route, to `large`, that is taken when this holds.
fn when(condition: &str) -> String {
    format!(
        "{MODELS}assistants: {{ assistant: {{ routes: [{{ name: first, when: {{ {condition} }}, to: large }}, {{ name: rest, to: small }}] }} }}\n"
    )
}

#[test]
fn what_is_wrong_with_a_rule_is_told_with_its_place() {
    for (condition, problem) in [
        ("", "routes[0].when: names nothing, so it would always hold"),
        (
            "intent: []",
            "routes[0].when.intent: names nothing, so it would never hold",
        ),
        (
            "intent: cod",
            "routes[0].when.intent: the centroids have no intent \"cod\"; did you mean \"code\"?",
        ),
        (
            "probability: 0.5",
            "when.probability: is that of an intent, and none is named",
        ),
        (
            "team: lab",
            "when.team: no team is called \"lab\"; there is none",
        ),
        (
            "key: env:LAB",
            "when.key: no team has a key \"env:LAB\"; there is none",
        ),
        (
            "path: v1/messages",
            "when.path: \"v1/messages\" does not begin with `/`",
        ),
        (
            "host: 'https://a.example'",
            "when.host: \"https://a.example\" is more than a host",
        ),
        (
            "header: { 'x task': a }",
            "when.header.x task: cannot be the name of a header",
        ),
        (
            "header: {}",
            "when.header: names nothing, so it would always hold",
        ),
        (
            "header: { X-A: a, x-a: b }",
            "the header stands here twice, in another case",
        ),
    ] {
        told(&when(condition), &[problem]);
    }
}

#[test]
fn what_is_wrong_with_a_rule_on_words_is_told_with_its_place() {
    for (condition, problem) in [
        ("keyword: ['']", "when.keyword: a word is blank"),
        (
            "regex: '('",
            "when.regex: ( cannot be searched for: unclosed group",
        ),
        (
            "script: latn",
            "when.script: no script is called \"latn\" here; did you mean \"latin\"?",
        ),
        (
            "language: xx",
            "when.language: no language is called \"xx\" here",
        ),
        (
            "tokens: {}",
            "when.tokens: has neither `at_least` nor `at_most`",
        ),
        (
            "tokens: { at_least: 9, at_most: 8 }",
            "when.tokens: no prompt has at least 9 and at most 8 tokens",
        ),
        ("complexity: hardest", "when.complexity"),
        (
            "intents: code",
            "when.intents: there is no such key; did you mean \"intent\"?",
        ),
    ] {
        told(&when(condition), &[problem]);
    }
}

#[test]
fn what_is_wrong_with_the_policy_is_told_with_its_place() {
    for (policy, problem) in [
        ("{ }", "policy[0]: has neither `allow` nor `deny`"),
        ("{ allow: {} }", "policy[0].allow: names nothing"),
        ("{ deny: {} }", "policy[0].deny: names nothing"),
        (
            "{ allow: { models: smal } }",
            "policy[0].allow.models: no model is called \"smal\"; did you mean \"small\"?",
        ),
        (
            "{ deny: { providers: dem } }",
            "policy[0].deny.providers: no provider is called \"dem\"; did you mean \"demo\"?",
        ),
        (
            "{ allow: { regions: [] } }",
            "policy[0].allow.regions: names nothing",
        ),
        (
            "{ allow: { price: {} } }",
            "policy[0].allow.price: has neither `input` nor `output`",
        ),
        (
            "{ when: { intent: code }, allow: { regions: eu } }",
            "policy[0].when.intent: policy comes before the prompt is understood",
        ),
        (
            "{ name: p, deny: { models: small } }, { name: p, deny: { models: small } }",
            "policy[1].name: policy[0] is called \"p\" as well",
        ),
    ] {
        told(
            &format!("{}policy: [{policy}]\n", with("to: small")),
            &[problem],
        );
    }
}

fn warnings(text: &str) -> Vec<String> {
    let assembled = assembled(text).unwrap_or_else(|problems| panic!("{problems}"));
    let warnings = assembled.warnings().into_iter().map(|it| it.to_string());
    warnings
        .filter(|it| !it.starts_with("log.") && !it.starts_with("models."))
        .collect()
}

#[test]
fn a_route_that_is_never_taken_is_a_warning() {
    for (condition, words) in [
        (
            "region: eu",
            "`server.region` does not say where this gateway stands",
        ),
        (
            "model: gpt-4o",
            "nobody asks for this assistant by that name; add it to `aliases`",
        ),
        (
            "path: /v1/completions",
            "what can be asked is /v1/chat/completions",
        ),
        (
            "script: latin, language: ru",
            "`script` and `language` exclude each other",
        ),
    ] {
        let found = warnings(&when(condition));
        let told = "assistants.assistant.routes[0].when: the route \"first\" is never taken: ";
        assert!(
            found.len() == 1 && found[0].starts_with(told) && found[0].contains(words),
            "{condition}: {found:?}"
        );
    }
    let shadowed = when("intent: [code, sql]").replace(
        "{ name: rest",
        "{ name: second, when: { intent: sql }, to: small }, { name: rest",
    );
    let found = warnings(&shadowed);
    assert!(
        found[0].contains(
            "the route \"second\" is never taken: whenever it would be, \"first\" before it is"
        ),
        "{found:?}"
    );
    assert_eq!(warnings(&when("intent: code")), Vec::<String>::new());
}

#[test]
fn a_policy_that_leaves_nobody_is_a_warning() {
    let text = format!(
        "{}policy: [{{ allow: {{ regions: eu }} }}]\n",
        with("to: small")
    );
    let found = warnings(&text);
    assert!(
        found[0].starts_with("policy[0]: removes every model"),
        "{found:?}"
    );
}
