use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::chat::{Body, Chunk, Delta, Finish, Usage, UsageReport};
use crate::wire::{Depth, Inbound, Malformed, Outbound, Stamp, StreamEvent, StreamWriter};

fn read(data: &str) -> Result<StreamEvent, Malformed> {
    let mut reader = Outbound::OpenAi.stream_reader(Depth::Facts);
    reader.read(data.to_owned())
}

fn chunk(event: Result<StreamEvent, Malformed>) -> Chunk {
    match event {
        Ok(StreamEvent::Chunk(chunk)) => chunk,
        other => panic!("{other:?} is no piece"),
    }
}

fn writer(report: UsageReport) -> StreamWriter {
    let stamp = Stamp {
        request_id: "1".to_owned(),
        created_unix_s: 1_700_000_000,
        model: "small".to_owned(),
    };
    Inbound::OpenAi.stream_writer(stamp, report)
}

fn made(deltas: Vec<Delta>, finish: Option<Finish>) -> Chunk {
    Chunk {
        text: String::new(),
        finish,
        usage: None,
        body: Body::Read(deltas),
    }
}

/// The data of the only event in a text.
fn data(text: &str) -> Value {
    let data = text.strip_prefix("data: ").unwrap();
    serde_json::from_str(data.trim_end()).unwrap()
}

#[test]
fn the_events_of_a_stream_are_told_apart() {
    assert_eq!(read(" [DONE]").unwrap(), StreamEvent::Done);
    for (data, said) in [
        (r#"{"error":{"message":"out of memory"}}"#, "out of memory"),
        (r#"{"error":"gone"}"#, "gone"),
    ] {
        assert_eq!(read(data).unwrap(), StreamEvent::Failed(said.to_owned()));
    }
    assert!(read("{\"choices\":").is_err());
    assert!(read("3").is_err());
}

#[test]
fn a_later_choice_is_not_taken_for_the_first() {
    let piece = r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    let chunk = chunk(read(piece));
    assert_eq!((chunk.text.as_str(), chunk.finish), ("", None));
}

#[test]
fn the_piece_that_tells_the_count_reaches_only_callers_who_asked_for_it() {
    let data =
        r#"{ "choices":[ ],"usage":{"prompt_tokens":3,"completion_tokens":1},"obfuscation":"zz"}"#;
    let chunk = chunk(read(data));
    assert_eq!(chunk.text, "");
    assert_eq!(chunk.usage.map(Usage::total), Some(4));
    assert_eq!(writer(UsageReport::Hidden).write(chunk.clone()), "");
    let told = writer(UsageReport::Wanted).write(chunk);
    assert_eq!(told, format!("data: {data}\n\n"));
}

#[test]
fn a_piece_that_tells_the_count_beside_words_is_never_hidden() {
    let data = r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let told = writer(UsageReport::Hidden).write(chunk(read(data)));
    assert_eq!(told, format!("data: {data}\n\n"));
}

#[test]
fn the_first_piece_that_is_made_here_names_the_role_and_the_last_the_end() {
    let mut writer = writer(UsageReport::Wanted);
    let text = |text: &str| vec![Delta::Text(text.to_owned())];
    let first = data(&writer.write(made(text("He"), None)));
    assert_eq!(first["object"], "chat.completion.chunk");
    let delta = &first["choices"][0]["delta"];
    assert_eq!(*delta, json!({ "role": "assistant", "content": "He" }));
    assert_eq!(first["choices"][0]["finish_reason"], Value::Null);
    let later = data(&writer.write(made(text("llo"), None)));
    assert_eq!(later["choices"][0]["delta"], json!({ "content": "llo" }));
    let counted = Chunk {
        usage: Some(Usage::of(1, 2)),
        ..made(Vec::new(), Some(Finish::Stop))
    };
    let last = data(&writer.write(counted));
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    let end = writer.end("bye");
    let (usage, rest) = end.split_once("\n\n").unwrap();
    assert_eq!(data(usage)["usage"]["total_tokens"], 3);
    assert_eq!(rest, ": bye\n\ndata: [DONE]\n\n");
}

#[test]
fn calls_are_numbered_in_the_order_in_which_they_begin() {
    let mut reader = Outbound::OpenAi.stream_reader(Depth::Everything);
    let mut deltas = |calls: Value| {
        let piece = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": calls } }] });
        match chunk(reader.read(piece.to_string())).body {
            Body::Read(deltas) => deltas,
            Body::Original(_) => panic!("it was to be understood"),
        }
    };
    let begun = deltas(json!([
        { "index": 4, "id": "a", "function": { "name": "look", "arguments": "" } },
        { "index": 7, "id": "b", "function": { "name": "hear", "arguments": "{" } },
    ]));
    let names: Vec<usize> = begun
        .iter()
        .map(|delta| match delta {
            Delta::ToolCallBegun { call_idx, .. } | Delta::ToolCallArguments { call_idx, .. } => {
                *call_idx
            }
            other => panic!("{other:?} is no call"),
        })
        .collect();
    assert_eq!(names, [0, 1, 1]);
    let json = "{}".to_owned();
    assert_eq!(
        deltas(json!([{ "index": 4, "function": { "arguments": "{}" } }])),
        [Delta::ToolCallArguments { call_idx: 0, json }]
    );
}

#[test]
fn a_call_that_comes_in_one_piece_leaves_in_one() {
    let whole = |call_idx, city: &str| {
        let (id, name) = (format!("call_{call_idx}"), "weather".to_owned());
        let begun = Delta::ToolCallBegun { call_idx, id, name };
        let json = format!("{{\"city\":\"{city}\"}}");
        [begun, Delta::ToolCallArguments { call_idx, json }]
    };
    let deltas = [whole(0, "Paris"), whole(1, "Oslo")].concat();
    let event = data(&writer(UsageReport::Hidden).write(made(deltas, None)));
    let called = |index: usize, city: &str| {
        json!({
            "index": index, "id": format!("call_{index}"), "type": "function",
            "function": { "name": "weather", "arguments": format!("{{\"city\":\"{city}\"}}") },
        })
    };
    assert_eq!(
        event["choices"][0]["delta"]["tool_calls"],
        json!([called(0, "Paris"), called(1, "Oslo")])
    );
}

#[test]
fn calls_that_share_a_number_are_told_apart_by_their_ids_and_pieces_without_either_go_on() {
    let mut reader = Outbound::OpenAi.stream_reader(Depth::Everything);
    let mut read = |calls: Value, finish: Value| {
        let choice =
            json!({ "index": 0, "delta": { "tool_calls": calls }, "finish_reason": finish });
        chunk(reader.read(json!({ "choices": [choice] }).to_string()))
    };
    read(
        json!([{ "index": 0, "id": "a", "function": { "name": "look", "arguments": "{}" } }]),
        Value::Null,
    );
    let second =
        json!([{ "index": 0, "id": "b", "function": { "name": "hear", "arguments": { "x": 1 } } }]);
    let id = "b".to_owned();
    let name = "hear".to_owned();
    let json = "{\"x\":1}".to_owned();
    let begun = Delta::ToolCallBegun {
        call_idx: 1,
        id,
        name,
    };
    let expected = vec![begun, Delta::ToolCallArguments { call_idx: 1, json }];
    assert_eq!(read(second, Value::Null).body, Body::Read(expected));
    let json = " ".to_owned();
    let last = read(json!([{ "function": { "arguments": " " } }]), "stop".into());
    let expected = vec![Delta::ToolCallArguments { call_idx: 1, json }];
    assert_eq!(last.body, Body::Read(expected));
    assert_eq!(last.finish, Some(Finish::ToolCalls));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "[{}\\[\\]\":,a-z0-9]{0,80}") {
        for depth in [Depth::Facts, Depth::Everything] {
            let _ = Outbound::OpenAi.stream_reader(depth).read(text.clone());
        }
    }
}
