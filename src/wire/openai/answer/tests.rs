use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::chat::{Answer, Chunk, Usage};
use crate::wire::{Dialect, Position, Stamp, StreamEvent};

const OPENAI: Dialect = Dialect::OpenAi;

fn stamp() -> Stamp {
    Stamp {
        id: "chatcmpl-1".to_owned(),
        created_unix_s: 1_700_000_000,
        model: "small".to_owned(),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_whole_answer_is_read_and_leaves_as_it_came() {
    let text = r#"{ "id":"x", "choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4},"new":1.0}"#;
    let answer = OPENAI.read_answer(text).unwrap();
    assert_eq!(answer.text, "Hello");
    assert_eq!(answer.finish.as_deref(), Some("length"));
    let counted = Usage::of(3, 1);
    assert_eq!(answer.usage, Some(counted));
    assert_eq!(OPENAI.write_answer(&answer, &stamp()), text);
}

#[test]
fn the_first_of_several_choices_counts_wherever_it_stands() {
    let text = r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}"#;
    assert_eq!(OPENAI.read_answer(text).unwrap().text, "a");
    let piece = r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    let StreamEvent::Chunk(chunk) = OPENAI.read_event(piece).unwrap() else {
        panic!("a piece is no end");
    };
    assert_eq!((chunk.text.as_str(), chunk.finish), ("", None));
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
        let found = OPENAI.read_answer(text).unwrap_err();
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
        assert_eq!(OPENAI.read_answer(&text).unwrap().usage, None, "{usage}");
    }
}

#[test]
fn an_answer_that_was_made_here_is_written_whole_and_reads_back() {
    let made = Answer {
        text: "He said \"hi\"\n".to_owned(),
        finish: None,
        usage: Some(Usage::of(2, 5)),
        original: None,
    };
    let text = OPENAI.write_answer(&made, &stamp());
    let value = parsed(&text);
    assert_eq!(value["id"], "chatcmpl-1");
    assert_eq!(value["object"], "chat.completion");
    assert_eq!(value["created"], 1_700_000_000);
    assert_eq!(value["model"], "small");
    assert_eq!(value["usage"]["total_tokens"], 7);
    let read = OPENAI.read_answer(&text).unwrap();
    assert_eq!((read.text, read.usage), (made.text, made.usage));
    assert_eq!(read.finish.as_deref(), Some("stop"));
}

#[test]
fn the_events_of_a_stream_are_told_apart() {
    assert_eq!(OPENAI.read_event(" [DONE]").unwrap(), StreamEvent::Done);
    assert_eq!(
        OPENAI
            .read_event(r#"{"error":{"message":"out of memory"}}"#)
            .unwrap(),
        StreamEvent::Failed("out of memory".to_owned())
    );
    assert_eq!(
        OPENAI.read_event(r#"{"error":"gone"}"#).unwrap(),
        StreamEvent::Failed("gone".to_owned())
    );
    assert!(OPENAI.read_event("{\"choices\":").is_err());
    assert!(OPENAI.read_event("3").is_err());
}

#[test]
fn a_piece_is_read_and_leaves_as_it_came() {
    let data =
        r#"{ "choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1},"obfuscation":"zz"}"#;
    let StreamEvent::Chunk(chunk) = OPENAI.read_event(data).unwrap() else {
        panic!("a piece is no end");
    };
    assert_eq!(chunk.text, "");
    assert_eq!(chunk.usage.map(Usage::total), Some(4));
    assert_eq!(OPENAI.write_chunk(&chunk, &stamp(), Position::Later), data);
}

#[test]
fn the_first_piece_that_is_made_here_names_the_role_and_the_last_the_end() {
    let chunk = |text: &str, finish: Option<&str>| Chunk {
        text: text.to_owned(),
        finish: finish.map(str::to_owned),
        ..Chunk::default()
    };
    let first = parsed(&OPENAI.write_chunk(&chunk("He", None), &stamp(), Position::First));
    assert_eq!(first["object"], "chat.completion.chunk");
    assert_eq!(
        first["choices"][0]["delta"],
        json!({ "role": "assistant", "content": "He" })
    );
    assert_eq!(first["choices"][0]["finish_reason"], Value::Null);
    let later = parsed(&OPENAI.write_chunk(&chunk("llo", None), &stamp(), Position::Later));
    assert_eq!(later["choices"][0]["delta"], json!({ "content": "llo" }));
    let last = parsed(&OPENAI.write_chunk(&chunk("", Some("stop")), &stamp(), Position::Later));
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(OPENAI.stream_end(), "[DONE]");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "[{}\\[\\]\":,a-z0-9]{0,80}") {
        let _ = OPENAI.read_answer(&text);
        let _ = OPENAI.read_event(&text);
    }
}
