//! A stream that is written and read again says the same, however its bytes are cut.

use proptest::prelude::*;
use serde_json::Value;

use super::words;
use crate::domain::chat::{Body, Chunk, Delta, Finish, Usage};
use crate::wire::anthropic::{StreamReader, StreamWriter};
use crate::wire::sse::Decoder;
use crate::wire::{Depth, Stamp, StreamEvent};

fn stamp() -> Stamp {
    Stamp {
        request_id: "r".to_owned(),
        created_unix_s: 0,
        model: "m".to_owned(),
    }
}

/// Pieces of an answer: text, thoughts, and calls in order.
fn deltas() -> impl Strategy<Value = Vec<Delta>> {
    let piece = prop_oneof![
        words().prop_map(|text| vec![Delta::Text(text)]),
        (words(), words()).prop_map(|(text, signature)| vec![
            Delta::Thought(text),
            Delta::ThoughtSignature(signature)
        ]),
        ("[a-z]{1,4}", proptest::collection::vec(words(), 0..3)).prop_map(|(name, pieces)| {
            let begun = Delta::ToolCallBegun {
                call_idx: 0,
                id: format!("call_{name}"),
                name,
            };
            let arguments = pieces
                .into_iter()
                .map(|json| Delta::ToolCallArguments { call_idx: 0, json });
            std::iter::once(begun).chain(arguments).collect()
        }),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| {
        let mut n_begun = 0;
        let mut numbered = pieces.into_iter().flatten().collect::<Vec<_>>();
        for delta in &mut numbered {
            match delta {
                Delta::ToolCallBegun { call_idx, .. } => {
                    *call_idx = n_begun;
                    n_begun += 1;
                }
                Delta::ToolCallArguments { call_idx, .. } => *call_idx = n_begun - 1,
                _ => {}
            }
        }
        numbered
    })
}

/// A stream of one piece a delta, as this format writes it.
fn written(deltas: &[Delta], finish: &Finish, usage: Usage) -> String {
    let mut writer = StreamWriter::new(stamp());
    let mut text = String::new();
    for delta in deltas {
        text.push_str(&writer.write(Chunk {
            text: String::new(),
            finish: None,
            usage: None,
            body: Body::Read(vec![delta.clone()]),
        }));
    }
    text.push_str(&writer.write(Chunk {
        text: String::new(),
        finish: Some(finish.clone()),
        usage: Some(usage),
        body: Body::Read(Vec::new()),
    }));
    text + &writer.end("the end")
}

/// What a stream says, whose bytes come in pieces that end at these places.
fn read(stream: &str, depth: Depth, cuts: &[usize]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::default();
    let mut reader = StreamReader::new(depth);
    let mut events = Vec::new();
    let mut start = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    for end in cuts {
        decoder.push(&stream.as_bytes()[start..end]).unwrap();
        start = end;
        while let Some(data) = decoder.next_event() {
            events.push(reader.read(data).unwrap());
        }
    }
    events
}

fn chunks(events: &[StreamEvent]) -> Vec<&Chunk> {
    let chunks = events.iter().filter_map(|event| match event {
        StreamEvent::Chunk(chunk) => Some(chunk),
        _ => None,
    });
    chunks.collect()
}

proptest! {
    #[test]
    fn a_stream_that_is_written_and_read_says_the_same_however_it_is_cut(
        deltas in deltas(),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let finish = Finish::StopText(Some("END".to_owned()));
        let usage = Usage { cached_input_tokens: 3, cache_write_tokens: 2, ..Usage::of(10, 7) };
        let stream = written(&deltas, &finish, usage);
        let events = read(&stream, Depth::Everything, &cuts);
        prop_assert_eq!(events.last(), Some(&StreamEvent::Done));
        let chunks = chunks(&events);
        let found: Vec<Delta> = chunks
            .iter()
            .flat_map(|chunk| match &chunk.body {
                Body::Read(deltas) => deltas.clone(),
                Body::Original(_) => Vec::new(),
            })
            .collect();
        prop_assert_eq!(&found, &deltas, "{}", stream);
        prop_assert_eq!(chunks.iter().find_map(|it| it.finish.clone()), Some(finish));
        prop_assert_eq!(chunks.iter().rev().find_map(|it| it.usage), Some(usage));
    }

    #[test]
    fn a_stream_that_stays_in_its_format_travels_as_it_came(deltas in deltas()) {
        let stream = written(&deltas, &Finish::Stop, Usage::of(10, 7));
        let mut writer = StreamWriter::new(stamp());
        let mut travelled = String::new();
        for event in read(&stream, Depth::Facts, &[]) {
            if let StreamEvent::Chunk(chunk) = event {
                travelled.push_str(&writer.write(chunk));
            }
        }
        prop_assert_eq!(travelled + &writer.end("the end"), stream);
    }
}

#[test]
fn blocks_are_opened_and_closed_one_after_the_other() {
    let deltas = [
        Delta::Thought("hm".to_owned()),
        Delta::Text("a".to_owned()),
        Delta::Text("b".to_owned()),
        Delta::ToolCallBegun {
            call_idx: 0,
            id: "1".to_owned(),
            name: "f".to_owned(),
        },
        Delta::ToolCallBegun {
            call_idx: 1,
            id: "2".to_owned(),
            name: "g".to_owned(),
        },
    ];
    let stream = written(&deltas, &Finish::ToolCalls, Usage::of(1, 1));
    let steps: Vec<String> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| {
            let data: Value = serde_json::from_str(data).unwrap();
            let step = data["type"].as_str()?.strip_prefix("content_block_")?;
            Some(format!("{step} {}", data["index"]))
        })
        .collect();
    assert_eq!(
        steps,
        [
            "start 0", "delta 0", "stop 0", "start 1", "delta 1", "delta 1", "stop 1", "start 2",
            "stop 2", "start 3", "stop 3"
        ]
    );
}

#[test]
fn a_stream_that_breaks_off_has_no_end() {
    let broken = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let mut reader = StreamReader::new(Depth::Facts);
    assert_eq!(
        reader.read(broken.to_owned()),
        Ok(StreamEvent::Failed("Overloaded".to_owned()))
    );
}

#[test]
fn blocks_that_other_formats_have_no_word_for_add_nothing() {
    let mut reader = StreamReader::new(Depth::Everything);
    for data in [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"something_new","index":0}"#,
        r#"{"type":"ping"}"#,
    ] {
        assert_eq!(
            reader.read(data.to_owned()),
            Ok(StreamEvent::Idle),
            "{data}"
        );
    }
}

#[test]
fn a_call_that_comes_whole_when_it_begins_is_whole() {
    let mut reader = StreamReader::new(Depth::Everything);
    let data = r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}"#;
    let Ok(StreamEvent::Chunk(chunk)) = reader.read(data.to_owned()) else {
        panic!("no piece");
    };
    let expected = vec![
        Delta::ToolCallBegun {
            call_idx: 0,
            id: "t".to_owned(),
            name: "f".to_owned(),
        },
        Delta::ToolCallArguments {
            call_idx: 0,
            json: r#"{"a":1}"#.to_owned(),
        },
    ];
    assert_eq!(chunk.body, Body::Read(expected));
}
