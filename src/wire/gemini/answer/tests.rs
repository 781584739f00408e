use serde_json::json;

use super::*;
use crate::wire::{Depth, Outbound};

fn read(text: &str) -> Result<Answer, Malformed> {
    Outbound::Gemini.read_answer(text.to_owned(), Depth::Everything)
}

/// An answer with these parts that ended for this reason.
fn answered(parts: &serde_json::Value, finish: &str) -> Answer {
    let content = json!({ "role": "model", "parts": parts });
    let candidate = json!({ "content": content, "finishReason": finish, "index": 0 });
    let whole = json!({
        "candidates": [candidate], "modelVersion": "gemini-3-flash", "responseId": "r-1_2",
    });
    read(&whole.to_string()).unwrap()
}

fn parts_of(answer: Answer) -> Vec<Part> {
    match answer.body {
        Body::Read(completion) => completion.parts,
        Body::Original(_) => panic!("nobody speaks this format inwards"),
    }
}

#[test]
fn thoughts_words_and_calls_are_told_apart_and_keep_their_order() {
    let answer = answered(
        &json!([
            { "text": "Hm.", "thought": true },
            { "text": "I look it up.", "thoughtSignature": "AAAA" },
            { "functionCall": { "name": "find", "args": { "b": 1.0, "a": [] } } },
        ]),
        "STOP",
    );
    assert_eq!(answer.text, "I look it up.");
    assert_eq!(answer.finish, Some(Finish::ToolCalls));
    let call = ToolCall {
        id: "call_0_r12".to_owned(),
        name: "find".to_owned(),
        arguments: r#"{"b":1.0,"a":[]}"#.to_owned(),
    };
    let thought = Part::Thought {
        text: "Hm.".to_owned(),
        signature: None,
    };
    let text = Part::Text("I look it up.".to_owned());
    assert_eq!(parts_of(answer), [thought, text, Part::ToolCall(call)]);
}

#[test]
fn a_call_takes_its_signature_along_and_keeps_an_id_that_it_has() {
    let answer = answered(
        &json!([
            { "functionCall": { "id": "fc-7", "name": "a" }, "thoughtSignature": "q+/8" },
            { "functionCall": { "id": "x__sig_y", "name": "b", "args": {} } },
        ]),
        "STOP",
    );
    let parts = parts_of(answer);
    let [Part::ToolCall(first), Part::ToolCall(second)] = parts.as_slice() else {
        panic!("two calls");
    };
    assert_eq!(
        (first.id.as_str(), first.arguments.as_str()),
        ("fc-7__sig_q-_8", "{}")
    );
    // An id that looks signed would come back as another one.
    assert_eq!(second.id, "call_1_r12");
}

#[test]
fn a_made_up_id_is_short_enough_for_every_provider() {
    let mut response = Response::of("{}", "").unwrap();
    response.id = Some("é".repeat(9) + &"x".repeat(99));
    assert!(response.id_of_call(999).len() <= 40);
    response.id = None;
    assert_eq!(response.id_of_call(3), "call_3");
}

#[test]
fn the_reasons_of_an_end_are_told_in_everybodys_words() {
    let finish = |word: &str| answered(&json!([{ "text": "a" }]), word).finish;
    for (word, expected) in [
        ("STOP", Some(Finish::Stop)),
        ("MAX_TOKENS", Some(Finish::Length)),
        ("SAFETY", Some(Finish::Filtered)),
        ("RECITATION", Some(Finish::Filtered)),
        ("PROHIBITED_CONTENT", Some(Finish::Filtered)),
        ("SPII", Some(Finish::Filtered)),
        ("FINISH_REASON_UNSPECIFIED", None),
        (
            "MALFORMED_FUNCTION_CALL",
            Some(Finish::Other("MALFORMED_FUNCTION_CALL".to_owned())),
        ),
    ] {
        assert_eq!(finish(word), expected, "{word}");
    }
}

#[test]
fn a_prompt_that_was_blocked_is_an_answer_without_words() {
    let text = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}"#;
    let answer = read(text).unwrap();
    assert_eq!(answer.finish, Some(Finish::Filtered));
    assert_eq!(answer.usage, Some(Usage::of(7, 0)));
    assert_eq!(parts_of(answer), []);
}

#[test]
fn thoughts_and_what_tools_read_are_counted_and_what_is_no_count_is_unknown() {
    let usage = |counts: &str| {
        let text = format!(r#"{{"candidates":[{{}}],"usageMetadata":{counts}}}"#);
        read(&text).unwrap().usage
    };
    assert_eq!(
        usage(
            r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"cachedContentTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":20,"totalTokenCount":38,"promptTokensDetails":[]}"#
        ),
        Some(Usage {
            cached_input_tokens: 4,
            reasoning_tokens: 20,
            ..Usage::of(15, 23)
        })
    );
    for counts in [
        "{}",
        "null",
        "3",
        r#"{"promptTokenCount":-1}"#,
        r#"{"candidatesTokenCount":1}"#,
    ] {
        assert_eq!(usage(counts), None, "{counts}");
    }
}

#[test]
fn an_answer_that_is_none_is_refused() {
    for (text, words) in [
        ("<html>", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "no `candidates`"),
        (r#"{"candidates":[]}"#, "no `candidates`"),
        (r#"{"candidates":3}"#, "cannot be read"),
        (r#"{"promptFeedback":{}}"#, "no `candidates`"),
        (
            r#"{"error":{"code":503,"message":"overloaded"}}"#,
            "error under a status of success: overloaded",
        ),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.message.contains(words), "{text}: {found}");
    }
}

#[test]
fn arguments_lose_their_indent_and_nothing_else() {
    let indented = r#"{ "a b" : [ 1.0 , "x \" y\\" , 12345678901234567890123 ] ,
        "c" : " \n" }"#;
    let whole = r#"{"a b":[1.0,"x \" y\\",12345678901234567890123],"c":" \n"}"#;
    assert_eq!(compact(indented), whole);
    assert_eq!(compact(whole), whole);
}
