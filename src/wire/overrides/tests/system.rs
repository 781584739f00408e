//! System prompts of the operator's, before, after, around or instead of the caller's.

use super::*;

#[test]
fn a_system_prompt_stands_alone_where_the_caller_has_none() {
    for pair in pairs() {
        for place in [Place::Before, Place::After, Place::Instead] {
            let overrides = saying(SystemPrompt::placed("Be \"kind\".\n", place));
            let body = sent(pair, &body(pair.0, ""), &overrides);
            let expected = as_system(pair.1, "Be \"kind\".");
            assert_eq!(system_of(pair.1, &body), expected, "{pair:?} {place:?}");
        }
        let template = saying(SystemPrompt::around("You serve us. ", " Be kind."));
        let body = sent(pair, &body(pair.0, ""), &template);
        let expected = as_system(pair.1, "You serve us.  Be kind.");
        assert_eq!(system_of(pair.1, &body), expected, "{pair:?}");
    }
}

#[test]
fn a_system_prompt_stands_before_after_around_or_instead_of_the_callers() {
    for pair in pairs() {
        for (system, expected) in [
            (
                SystemPrompt::placed("Be kind.", Place::Before),
                "Be kind.\n\nBe brief.",
            ),
            (
                SystemPrompt::placed("Be kind.", Place::After),
                "Be brief.\n\nBe kind.",
            ),
            (SystemPrompt::placed("Be kind.", Place::Instead), "Be kind."),
            (
                SystemPrompt::around("They say: <", ">. Heed it."),
                "They say: <Be brief.>. Heed it.",
            ),
        ] {
            let body = sent(pair, &with_own_system(pair.0), &saying(system.clone()));
            let expected = as_system(pair.1, expected);
            assert_eq!(system_of(pair.1, &body), expected, "{pair:?} {system:?}");
        }
    }
}

#[test]
fn in_the_callers_own_format_its_words_and_fields_stay_as_they_are_written() {
    let before = saying(SystemPrompt::placed("Be kind.", Place::Before));
    for (inbound, outbound) in [
        (Inbound::OpenAi, Outbound::OpenAi),
        (Inbound::Anthropic, Outbound::Anthropic),
    ] {
        let own = with_own_system(inbound).replace("hi", "h\\u0069");
        let expected = own
            .replace(r#""a""#, r#""m""#)
            .replace(r"Be \u0062rief.", r"Be kind.\n\nBe \u0062rief.");
        let written = written_for((inbound, outbound), "m", &own, &before);
        assert_eq!(written.body, expected);
    }
}

#[test]
fn a_system_prompt_in_parts_gets_parts_before_and_after_it() {
    let parts = r#"[{"type":"text","text":"One."},{"type":"text","text":"Two.","cache_control":{"type":"ephemeral"}}]"#;
    let around = saying(SystemPrompt::around("Before.\n", "\nAfter."));
    let expected = json!([
        { "type": "text", "text": "Before." },
        { "type": "text", "text": "One." },
        { "type": "text", "text": "Two.", "cache_control": { "type": "ephemeral" } },
        { "type": "text", "text": "After." },
    ]);
    let own = body(Inbound::Anthropic, &format!(",\"system\":{parts}"));
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    assert_eq!(sent(pair, &own, &around)["system"], expected);
    let own = format!(
        r#"{{"model":"a","messages":[{{"role":"developer","content":{parts}}},{{"role":"user","content":"hi"}}]}}"#
    );
    let pair = (Inbound::OpenAi, Outbound::OpenAi);
    let message = &sent(pair, &own, &around)["messages"][0];
    assert_eq!(
        message,
        &json!({ "role": "developer", "content": expected })
    );
    let pair = (Inbound::OpenAi, Outbound::Gemini);
    let own = own.replace(r#","cache_control":{"type":"ephemeral"}"#, "");
    let words = "Before.\nOne.|Two.\nAfter.";
    let expected: Vec<Value> = words.split('|').map(|it| json!({ "text": it })).collect();
    assert_eq!(
        system_of(Outbound::Gemini, &sent(pair, &own, &around)),
        json!(expected)
    );
}

#[test]
fn of_several_system_messages_the_first_and_the_last_are_changed_and_later_ones_stay() {
    let own = r#"{"model":"a","messages":[
        {"role":"system","content":"One."},{"role":"developer","content":"Two."},
        {"role":"user","content":"hi"},{"role":"system","content":"Later."}]}"#;
    let pair = (Inbound::OpenAi, Outbound::OpenAi);
    let around = saying(SystemPrompt::around("<", ">"));
    let contents = |overrides: &Overrides| -> Vec<String> {
        let body = sent(pair, own, overrides);
        let messages = body["messages"].as_array().unwrap().iter();
        messages
            .map(|it| it["content"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(contents(&around), ["<One.", "Two.>", "hi", "Later."]);
    let instead = saying(SystemPrompt::placed("New.", Place::Instead));
    assert_eq!(contents(&instead), ["New.", "hi", "Later."]);
    let request = Inbound::OpenAi.read_request(own.as_bytes()).unwrap();
    for overrides in [around, instead] {
        assert_eq!(overrides.texts(&request.messages), contents(&overrides));
        assert_eq!(overrides.tokens(), 1);
    }
}

#[test]
fn what_cannot_be_said_of_a_turn_keeps_the_callers_number() {
    let own = r#"{"model":"a","messages":[{"role":"user","content":"hi"},
        {"role":"assistant","content":"ho","reasoning_content":"hm"},{"role":"user","content":"hi"}]}"#;
    let pair = (Inbound::OpenAi, Outbound::Anthropic);
    let overrides = saying(SystemPrompt::placed("Be kind.", Place::Before));
    let written = written_for(pair, "m", own, &overrides);
    assert_eq!(written.dropped, ["messages[1].reasoning_content"]);
}
