//! A conversation that is written and read again is the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::words;
use crate::domain::chat::Delivery;
use crate::domain::conversation::{
    Conversation, Effort, ParallelCalls, Part, Sampling, Source, Speaker, Structure, Thinking,
    Tool, ToolCall, ToolChoice, ToolResult, ToolStatus, Turn,
};
use crate::wire::anthropic::{edit_request, read_conversation, read_request, write_conversation};
use crate::wire::{Manners, Writing};

/// A model of which nothing is known, so that it is told everything.
const MODEL: &str = "some-model";

fn writing(delivery: Delivery) -> Writing<'static> {
    Writing {
        model: MODEL,
        delivery,
        manners: Manners::default(),
    }
}

fn source(media_type: &'static str) -> impl Strategy<Value = Source> {
    prop_oneof![
        "https://a.example/[a-z]{1,4}".prop_map(Source::Url),
        "[A-Za-z0-9+/]{4}".prop_map(move |base64| Source::Inline {
            media_type: media_type.to_owned(),
            base64,
        }),
    ]
}

fn shown() -> impl Strategy<Value = Part> {
    prop_oneof![
        words().prop_map(Part::Text),
        source("image/png").prop_map(Part::Image),
        (source("application/pdf"), proptest::option::of(words()))
            .prop_map(|(source, name)| Part::Document { source, name }),
    ]
}

fn result() -> impl Strategy<Value = Part> {
    let status = prop_oneof![Just(ToolStatus::Worked), Just(ToolStatus::Failed)];
    (
        "[a-zA-Z0-9_-]{1,6}",
        proptest::collection::vec(shown(), 0..3),
        status,
    )
        .prop_map(|(call_id, content, status)| {
            Part::ToolResult(ToolResult {
                call_id,
                content,
                status,
            })
        })
}

fn said() -> impl Strategy<Value = Part> {
    prop_oneof![
        words().prop_map(Part::Text),
        (words(), words()).prop_map(|(text, signature)| Part::Thought {
            text,
            signature: Some(signature),
        }),
        ("[a-zA-Z0-9_-]{1,6}", "[a-z_]{1,6}", words()).prop_map(|(id, name, argument)| {
            Part::ToolCall(ToolCall {
                id,
                name,
                arguments: json!({ "a": argument, "b": [1, 2.5, null] }).to_string(),
            })
        }),
    ]
}

/// Turns as both sides have them: instructions first, then the two speakers in alternation, what
/// tools returned at the head of the user's turns.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let asked = (
        proptest::collection::vec(result(), 0..2),
        proptest::collection::vec(shown(), 1..3),
    )
        .prop_map(|(mut results, shown)| {
            results.extend(shown);
            results
        });
    let exchange = (asked, proptest::collection::vec(said(), 1..4));
    (
        proptest::collection::vec(words().prop_map(Part::Text), 0..3),
        proptest::collection::vec(exchange, 1..3),
    )
        .prop_map(|(instructions, exchanges)| {
            let turn = |speaker, parts| Turn { speaker, parts };
            let mut turns = Vec::new();
            if !instructions.is_empty() {
                turns.push(turn(Speaker::System, instructions));
            }
            for (asked, said) in exchanges {
                turns.push(turn(Speaker::User, asked));
                turns.push(turn(Speaker::Assistant, said));
            }
            turns
        })
}

fn schema() -> impl Strategy<Value = Value> {
    "[a-z]{1,5}".prop_map(|name| {
        json!({ "type": "object", "properties": { name: { "type": "string" } },
            "additionalProperties": false })
    })
}

fn tools() -> impl Strategy<Value = (Vec<Tool>, Option<ToolChoice>, Option<ParallelCalls>)> {
    let tool = (
        "[a-z_]{1,6}",
        proptest::option::of(words()),
        schema(),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(|(name, description, schema, strict)| Tool {
            name,
            description,
            parameters: Some(schema),
            strict,
        });
    let choice = prop_oneof![
        Just((None, None)),
        Just((Some(ToolChoice::Nothing), None)),
        Just((Some(ToolChoice::Auto), Some(ParallelCalls::Allowed))),
        Just((Some(ToolChoice::Required), Some(ParallelCalls::Forbidden))),
        "[a-z_]{1,6}".prop_map(|name| (Some(ToolChoice::Named(name)), None)),
    ];
    (proptest::collection::vec(tool, 1..3), choice)
        .prop_map(|(tools, (choice, parallel))| (tools, choice, parallel))
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (
        1_u64..100_000,
        proptest::option::of(0.0..=1.0),
        proptest::option::of(0.0..=1.0),
        proptest::option::of(1_u64..100),
        proptest::collection::vec(words(), 0..3),
    )
        .prop_map(|(tokens_max, temperature, top_p, top_k, stop)| Sampling {
            tokens_max: Some(tokens_max),
            temperature,
            top_p,
            top_k,
            stop,
            ..Sampling::default()
        })
}

fn thinking() -> impl Strategy<Value = Option<Thinking>> {
    proptest::option::of(prop_oneof![
        Just(Thinking::Off),
        Just(Thinking::Adaptive),
        Just(Thinking::Effort(Effort::Low)),
        Just(Thinking::Effort(Effort::Max)),
        (1_024_u64..9_999).prop_map(Thinking::Budget),
    ])
}

/// Conversations that this format can say in full.
fn conversation() -> impl Strategy<Value = Conversation> {
    (
        turns(),
        proptest::option::of(tools()),
        sampling(),
        proptest::option::of(schema()),
        thinking(),
        proptest::option::of(words()),
    )
        .prop_map(|(turns, tools, sampling, schema, thinking, user)| {
            let (tools, tool_choice, parallel_tool_calls) = tools.unwrap_or_default();
            let is_forced = matches!(
                tool_choice,
                Some(ToolChoice::Required | ToolChoice::Named(_))
            );
            Conversation {
                turns,
                tools,
                tool_choice,
                parallel_tool_calls,
                sampling,
                structure: schema.map(|schema| Structure::Schema {
                    name: None,
                    schema,
                    strict: None,
                }),
                // A model that must call a tool may not think.
                thinking: thinking.filter(|_| !is_forced),
                user,
                ..Conversation::default()
            }
        })
}

proptest! {
    #[test]
    fn a_conversation_that_is_written_and_read_is_the_same(conversation in conversation()) {
        let written = write_conversation(&conversation, &writing(Delivery::Streamed)).unwrap();
        prop_assert_eq!(&written.dropped, &Vec::<String>::new(), "{}", written.body);
        let understood = read_conversation(&written.body).unwrap();
        prop_assert_eq!(&understood.conversation, &conversation, "{}", written.body);
        prop_assert_eq!(&understood.dropped, &Vec::<String>::new());
        let request = read_request(written.body.as_bytes()).unwrap();
        prop_assert_eq!(request.model.as_str(), MODEL);
        prop_assert_eq!(request.delivery, Delivery::Streamed);
    }

    #[test]
    fn a_text_that_is_edited_differs_in_model_and_delivery_only(
        conversation in conversation(),
        model in words(),
        asked in any::<bool>(),
        wanted in any::<bool>(),
    ) {
        let delivery = |is_streamed| if is_streamed { Delivery::Streamed } else { Delivery::Whole };
        let original = write_conversation(&conversation, &writing(delivery(asked))).unwrap().body;
        let request = read_request(original.as_bytes()).unwrap();
        let edited = edit_request(&request, &Writing { model: &model, ..writing(delivery(wanted)) }).body;
        let mut expected: Value = serde_json::from_str(&original).unwrap();
        expected["model"] = model.into();
        let mut found: Value = serde_json::from_str(&edited).unwrap();
        prop_assert_eq!(read_request(edited.as_bytes()).unwrap().delivery, delivery(wanted));
        for body in [&mut expected, &mut found] {
            body.as_object_mut().unwrap().remove("stream");
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_conversation_is_refused_where_a_field_is_of_another_kind() {
    for (body, field) in [
        (
            r#"{"messages":[{"role":"bot","content":"x"}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"tool_use"}]}]}"#,
            "messages[0].content[0].type",
        ),
        (
            r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":"x"}]}]}"#,
            "messages[0].content[0].input",
        ),
        (r#"{"tools":[{"name":7}]}"#, "tools[0].name"),
        (r#"{"tool_choice":{"type":"all"}}"#, "tool_choice.type"),
        (r#"{"tool_choice":{"type":"tool"}}"#, "tool_choice.name"),
        (r#"{"max_tokens":0}"#, "max_tokens"),
        (r#"{"temperature":"hot"}"#, "temperature"),
        (r#"{"stop_sequences":["a",1]}"#, "stop_sequences[1]"),
        (r#"{"thinking":{"type":"hard"}}"#, "thinking.type"),
        (
            r#"{"thinking":{"type":"enabled"}}"#,
            "thinking.budget_tokens",
        ),
        (
            r#"{"output_config":{"effort":"extreme"}}"#,
            "output_config.effort",
        ),
        (
            r#"{"output_config":{"format":{"type":"xml"}}}"#,
            "output_config.format.type",
        ),
    ] {
        let problem = read_conversation(body).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some(field), "{body}: {problem}");
    }
}

#[test]
fn an_effort_beside_a_budget_is_listed_since_the_budget_says_more() {
    let body =
        r#"{"thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"effort":"low"}}"#;
    let understood = read_conversation(body).unwrap();
    assert_eq!(
        understood.conversation.thinking,
        Some(Thinking::Budget(2000))
    );
    assert_eq!(understood.dropped, ["output_config.effort"]);
}
