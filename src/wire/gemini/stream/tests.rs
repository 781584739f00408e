use serde_json::{Value, json};

use super::*;
use crate::domain::chat::{Finish, Usage};
use crate::wire::{Depth, Outbound};

fn read_all(pieces: &[Value]) -> Vec<Chunk> {
    let mut reader = Outbound::Gemini.stream_reader(Depth::Everything);
    let read = pieces
        .iter()
        .map(|piece| match reader.read(piece.to_string()) {
            Ok(StreamEvent::Chunk(chunk)) => chunk,
            other => panic!("{other:?}"),
        });
    read.collect()
}

fn piece(parts: &Value) -> Value {
    json!({ "candidates": [{ "content": { "parts": parts } }], "responseId": "r1" })
}

fn last(parts: &Value, finish: &str) -> Value {
    let candidate = json!({ "content": { "parts": parts }, "finishReason": finish });
    let usage = json!({ "promptTokenCount": 3, "candidatesTokenCount": 2 });
    json!({ "candidates": [candidate], "usageMetadata": usage, "responseId": "r1" })
}

fn deltas_of(chunk: &Chunk) -> &[Delta] {
    match &chunk.body {
        Body::Read(deltas) => deltas,
        Body::Original(_) => panic!("nobody speaks this format inwards"),
    }
}

#[test]
fn words_and_thoughts_come_as_they_are_and_the_last_piece_tells_the_end() {
    let chunks = read_all(&[
        piece(&json!([{ "text": "Hm", "thought": true }])),
        piece(&json!([{ "text": "Hel" }])),
        last(&json!([{ "text": "lo" }]), "STOP"),
    ]);
    assert_eq!(deltas_of(&chunks[0]), [Delta::Thought("Hm".to_owned())]);
    let text: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(text, "Hello");
    assert_eq!((&chunks[1].finish, chunks[1].usage), (&None, None));
    assert_eq!(chunks[2].finish, Some(Finish::Stop));
    assert_eq!(chunks[2].usage, Some(Usage::of(3, 2)));
}

#[test]
fn calls_are_counted_through_all_pieces_and_end_the_answer_as_such() {
    let call = |name: &str| json!({ "functionCall": { "name": name, "args": { "x": 1 } } });
    let chunks = read_all(&[
        piece(&json!([call("a"), call("b")])),
        piece(&json!([call("c")])),
        last(&json!([]), "STOP"),
    ]);
    let begun = |call_idx: usize, name: &str| Delta::ToolCallBegun {
        call_idx,
        id: format!("call_{call_idx}_r1"),
        name: name.to_owned(),
    };
    let arguments = |call_idx: usize| Delta::ToolCallArguments {
        call_idx,
        json: r#"{"x":1}"#.to_owned(),
    };
    assert_eq!(
        deltas_of(&chunks[0]),
        [begun(0, "a"), arguments(0), begun(1, "b"), arguments(1)]
    );
    assert_eq!(deltas_of(&chunks[1]), [begun(2, "c"), arguments(2)]);
    assert_eq!(chunks[2].finish, Some(Finish::ToolCalls));
}

#[test]
fn a_call_has_the_same_id_streamed_and_whole() {
    let parts = json!([{ "functionCall": { "name": "a" }, "thoughtSignature": "AAAA" }]);
    let whole = last(&parts, "STOP").to_string();
    let answer = Outbound::Gemini
        .read_answer(whole, Depth::Everything)
        .unwrap();
    let Body::Read(completion) = answer.body else {
        panic!("nobody speaks this format inwards");
    };
    let [Part::ToolCall(call)] = completion.parts.as_slice() else {
        panic!("one call");
    };
    let chunks = read_all(&[last(&parts, "STOP")]);
    let Some(Delta::ToolCallBegun { id, .. }) = deltas_of(&chunks[0]).first() else {
        panic!("one call");
    };
    assert_eq!(*id, call.id);
}

#[test]
fn a_blocked_prompt_and_a_piece_that_only_counts_are_pieces_without_words() {
    let chunks = read_all(&[
        json!({ "usageMetadata": { "promptTokenCount": 3 } }),
        json!({ "promptFeedback": { "blockReason": "SAFETY" } }),
    ]);
    assert_eq!(
        (chunks[0].usage, &chunks[0].finish),
        (Some(Usage::of(3, 0)), &None)
    );
    assert_eq!(chunks[1].finish, Some(Finish::Filtered));
    assert!(chunks.iter().all(|chunk| deltas_of(chunk).is_empty()));
}

#[test]
fn an_error_in_the_middle_is_told_and_what_is_no_piece_is_refused() {
    let mut reader = Outbound::Gemini.stream_reader(Depth::Everything);
    let error =
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    assert_eq!(
        reader.read(error.to_owned()).unwrap(),
        StreamEvent::Failed("The model is overloaded.".to_owned())
    );
    for odd in ["", "[DONE]", "3", "{\"candidates\":"] {
        assert!(reader.read(odd.to_owned()).is_err(), "{odd}");
    }
}
