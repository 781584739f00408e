use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::chat::{Answer, Body, Completion, Finish, Usage};
use crate::domain::conversation::{Part, ToolCall};
use crate::wire::{Depth, Inbound, Malformed, Outbound, Stamp};

fn read(text: &str) -> Result<Answer, Malformed> {
    Outbound::OpenAi.read_answer(text.to_owned(), Depth::Facts)
}

fn understood(text: &str) -> Completion {
    let answer = Outbound::OpenAi.read_answer(text.to_owned(), Depth::Everything);
    let Body::Read(completion) = answer.unwrap().body else {
        panic!("it was to be understood");
    };
    completion
}

fn write(answer: Answer) -> String {
    Inbound::OpenAi.write_answer(answer, &stamp())
}

fn stamp() -> Stamp {
    Stamp {
        request_id: "1".to_owned(),
        created_unix_s: 1_700_000_000,
        model: "small".to_owned(),
    }
}

#[test]
fn a_whole_answer_is_read_and_leaves_as_it_came() {
    let text = r#"{ "id":"x", "choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4},"new":1.0}"#;
    let answer = read(text).unwrap();
    assert_eq!(answer.text, "Hello");
    assert_eq!(answer.finish, Some(Finish::Length));
    let counted = Usage::of(3, 1);
    assert_eq!(answer.usage, Some(counted));
    assert_eq!(write(answer), text);
}

#[test]
fn the_first_of_several_choices_counts_wherever_it_stands() {
    let text = r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}"#;
    assert_eq!(read(text).unwrap().text, "a");
}

#[test]
fn an_answer_that_is_none_is_refused() {
    for (text, words) in [
        ("<html>", "not JSON"),
        ("{}", "no `choices`"),
        (r#"{"choices":[]}"#, "no `choices`"),
        (r#"{"choices":3}"#, "a number (3)"),
        (r#"{"choices":[3]}"#, "give an object"),
        (
            r#"{"choices":[{"message":{"content":3}}]}"#,
            "choices[0].message.content",
        ),
        (
            r#"{"error":{"message":"overloaded"},"choices":[]}"#,
            "overloaded",
        ),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.message.contains(words), "{text}: {found}");
    }
}

#[test]
fn a_count_of_tokens_that_is_none_is_unknown_and_not_zero() {
    for usage in [
        "null",
        "{}",
        r#"{"prompt_tokens":1}"#,
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
    ] {
        let text = format!(r#"{{"choices":[{{"message":{{"content":"a"}}}}],"usage":{usage}}}"#);
        assert_eq!(read(&text).unwrap().usage, None, "{usage}");
    }
}

#[test]
fn cached_and_reasoning_tokens_are_read_however_they_are_told() {
    let whole = Usage {
        cached_input_tokens: 40,
        reasoning_tokens: 20,
        ..Usage::of(100, 30)
    };
    let cached = Usage {
        reasoning_tokens: 0,
        ..whole
    };
    for (usage, expected) in [
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
                "prompt_tokens_details": { "cached_tokens": 40 },
                "completion_tokens_details": { "reasoning_tokens": 20 } }),
            whole,
        ),
        // DeepSeek's words.
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 30,
                "prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": 60 }),
            cached,
        ),
        // Reasoning that is counted beside the answer, as the total or the numbers themselves tell.
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 150,
                "completion_tokens_details": { "reasoning_tokens": 20 } }),
            Usage {
                cached_input_tokens: 0,
                output_tokens: 50,
                ..whole
            },
        ),
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 10,
                "completion_tokens_details": { "reasoning_tokens": 20 } }),
            Usage {
                cached_input_tokens: 0,
                ..whole
            },
        ),
        // More than there was cannot have been cached.
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 30,
                "prompt_tokens_details": { "cached_tokens": 400 } }),
            Usage {
                cached_input_tokens: 100,
                ..cached
            },
        ),
        (
            json!({ "prompt_tokens": 100, "completion_tokens": 30, "prompt_tokens_details": null,
                "completion_tokens_details": { "reasoning_tokens": "20" }, "prompt_cache_hit_tokens": -1 }),
            Usage::of(100, 30),
        ),
    ] {
        let text = json!({ "choices": [{ "message": { "content": "a" } }], "usage": usage });
        let found = read(&text.to_string()).unwrap().usage;
        assert_eq!(found, Some(expected), "{usage}");
    }
}

#[test]
fn cached_and_reasoning_tokens_are_written_where_openai_has_them() {
    let made = Answer {
        text: "a".to_owned(),
        finish: None,
        usage: Some(Usage {
            cached_input_tokens: 40,
            reasoning_tokens: 20,
            ..Usage::of(100, 30)
        }),
        body: Body::Read(Completion::default()),
    };
    let usage = made.usage;
    let text = write(made);
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        written["usage"],
        json!({
            "prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
            "prompt_tokens_details": { "cached_tokens": 40 },
            "completion_tokens_details": { "reasoning_tokens": 20 },
        })
    );
    assert_eq!(read(&text).unwrap().usage, usage);
}

#[test]
fn an_answer_that_was_made_here_is_written_whole_and_reads_back() {
    let made = Answer {
        text: "He said \"hi\"\n".to_owned(),
        finish: Some(Finish::StopText(None)),
        usage: Some(Usage::of(2, 5)),
        body: Body::Read(Completion {
            parts: vec![
                Part::Thought {
                    text: "hm".to_owned(),
                    signature: Some("opaque".to_owned()),
                },
                Part::Text("He said \"hi\"\n".to_owned()),
                Part::ToolCall(ToolCall {
                    id: "c1".to_owned(),
                    name: "look".to_owned(),
                    arguments: "{}".to_owned(),
                }),
            ],
            ..Completion::default()
        }),
    };
    let text = write(made.clone());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["id"], "chatcmpl-1");
    assert_eq!(value["object"], "chat.completion");
    assert_eq!(value["created"], 1_700_000_000);
    assert_eq!(value["model"], "small");
    assert_eq!(value["usage"]["total_tokens"], 7);
    let message = &value["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(message["refusal"], Value::Null);
    let again = read(&text).unwrap();
    assert_eq!((again.text, again.usage), (made.text, made.usage));
    assert_eq!(again.finish, Some(Finish::Stop));
    let parts = understood(&text).parts;
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert!(matches!(&parts[2], Part::ToolCall(call) if call.name == "look"));
}

#[test]
fn a_call_without_an_id_gets_one_that_its_result_can_name() {
    let message = json!({ "tool_calls": [{ "function": { "name": "look", "arguments": "{}" } }] });
    let text = json!({ "choices": [{ "message": message }] }).to_string();
    let parts = understood(&text).parts;
    assert!(matches!(&parts[..], [Part::ToolCall(call)] if call.id == "call_0"));
}

#[test]
fn a_call_is_read_whatever_form_its_arguments_have_and_one_without_a_name_is_refused() {
    let answer = |function: Value| {
        let message = json!({ "tool_calls": [{ "id": null, "function": function }] });
        let text = json!({ "choices": [{ "message": message, "finish_reason": "stop" }] });
        Outbound::OpenAi.read_answer(text.to_string(), Depth::Everything)
    };
    for (arguments, read) in [
        (Value::Null, ""),
        (json!({ "a": 1 }), "{\"a\":1}"),
        (json!("{}"), "{}"),
    ] {
        let answer = answer(json!({ "name": "look", "arguments": arguments })).unwrap();
        assert_eq!(answer.finish, Some(Finish::ToolCalls));
        let Body::Read(completion) = answer.body else {
            panic!("it was to be understood");
        };
        assert!(matches!(&completion.parts[..], [Part::ToolCall(call)] if call.arguments == read));
    }
    let problem = answer(json!({ "arguments": "{}" })).unwrap_err();
    assert!(problem.message.contains("function.name"), "{problem}");
}

#[test]
fn a_prompt_of_no_tokens_was_not_counted() {
    let text = r#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    assert_eq!(read(text).unwrap().usage, None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "[{}\\[\\]\":,a-z0-9]{0,80}") {
        for depth in [Depth::Facts, Depth::Everything] {
            let _ = Outbound::OpenAi.read_answer(text.clone(), depth);
        }
    }
}
