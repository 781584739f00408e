use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::chat::{Delivery, Request, Role, UsageReport};
use crate::wire::{
    Inbound, LengthField, Malformed, Manners, Outbound, StreamUsage, Writing, conversation,
    question,
};

const OPENAI: Inbound = Inbound::OpenAi;

/// A server that tells the count of tokens unasked.
const TELLING: Manners = Manners {
    stream_usage: StreamUsage::Untold,
    length_field: LengthField::MaxTokens,
};

fn written(request: &Request, model: &str, delivery: Delivery, manners: Manners) -> String {
    let writing = Writing {
        model,
        delivery,
        manners,
    };
    let written = Outbound::OpenAi.write_request(request, &writing).unwrap();
    assert!(written.dropped.is_empty());
    written.body
}

fn request(body: &str) -> Request {
    OPENAI.read_request(body.as_bytes()).unwrap()
}

fn problem(body: &str) -> Malformed {
    OPENAI.read_request(body.as_bytes()).unwrap_err()
}

/// A request with these fields beside a model and a message.
fn with_fields(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)
}

/// A request with one message.
fn with_message(message: &str) -> String {
    format!(r#"{{"model":"m","messages":[{message}]}}"#)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_request_is_read_with_its_roles_and_text() {
    let read = request(
        r#"{"model":"assistant","stream":true,"messages":[
            {"role":"developer","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"What is"},
                {"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"this?"}]},
            {"role":"assistant","content":null,"tool_calls":[]},
            {"role":"tool","tool_call_id":"1","content":"a cat"}]}"#,
    );
    assert_eq!(read.model, "assistant");
    assert_eq!(read.delivery, Delivery::Streamed);
    assert_eq!(read.schema, None);
    let said: Vec<(Role, &str)> = read
        .messages
        .iter()
        .map(|message| (message.role, message.text.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (Role::System, "Be brief."),
            (Role::User, "What is\nthis?"),
            (Role::Assistant, ""),
            (Role::Tool, "a cat"),
        ]
    );
}

#[test]
fn only_the_model_changes_on_the_way_and_every_other_byte_stays() {
    let body = " {\"x-new\" : 1.50e0,\t\"model\":\"a\\u00e9\" , \"messages\":[{\"role\":\"user\",\"content\":\"\\ud83e\\udd80\"}],\n \"seed\": 12345678901234567890123 } ";
    let read = request(body);
    assert_eq!(read.model, "aé");
    assert_eq!(
        written(&read, "big \"one\"", Delivery::Whole, TELLING),
        body.replace(r#""a\u00e9""#, r#""big \"one\"""#)
    );
}

#[test]
fn a_draft_for_a_caller_who_wants_a_stream_is_asked_for_in_one_piece() {
    let body = with_fields(r#""stream": true ,"stream_options":{"include_usage":true}"#);
    let asked = written(&request(&body), "m", Delivery::Whole, TELLING);
    assert_eq!(
        asked,
        with_fields(r#""stream": false ,"stream_options":null"#)
    );
    assert_eq!(request(&asked).delivery, Delivery::Whole);
}

#[test]
fn a_stream_can_be_asked_for_where_the_caller_said_nothing_of_it() {
    for body in [
        with_fields(r#""n":1"#),
        with_fields(r#""stream":false"#),
        with_fields(r#""stream":null"#),
    ] {
        let asked = written(&request(&body), "big", Delivery::Streamed, TELLING);
        let read = request(&asked);
        assert_eq!(
            (read.model.as_str(), read.delivery),
            ("big", Delivery::Streamed)
        );
    }
}

#[test]
fn a_stream_is_asked_for_its_count_of_tokens_whatever_else_was_asked() {
    let ask = |fields: &str| {
        let read = request(&with_fields(fields));
        written(&read, "m", Delivery::Streamed, Manners::default())
    };
    for fields in [
        r#""stream":true"#,
        r#""stream":true,"stream_options":null"#,
        r#""stream":true,"stream_options":{}"#,
        r#""stream":true,"stream_options":{ "x":1 }"#,
        r#""stream":true,"stream_options":{"include_usage":false,"x":1}"#,
        r#""stream":true,"stream_options":{"include_usage":null}"#,
    ] {
        let asked = ask(fields);
        assert_eq!(request(&asked).usage_report, UsageReport::Wanted, "{asked}");
        assert_eq!(fields.contains("\"x\""), asked.contains("\"x\""), "{asked}");
        assert_eq!(
            request(&with_fields(fields)).usage_report,
            UsageReport::Hidden
        );
    }
    let asks = r#""stream":true,"stream_options":{"include_usage":true}"#;
    assert_eq!(ask(asks), with_fields(asks));
    let telling = request(&with_fields(r#""stream":true"#));
    assert_eq!(
        written(&telling, "m", Delivery::Streamed, TELLING),
        with_fields(r#""stream":true"#)
    );
}

#[test]
fn a_schema_is_kept_as_the_caller_wrote_it() {
    let schema = r#"{ "type":"object",  "required":["a"] }"#;
    let format = format!(
        r#""response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}"#
    );
    assert_eq!(
        request(&with_fields(&format)).schema.as_deref(),
        Some(schema)
    );
}

#[test]
fn formats_without_a_schema_of_their_own_promise_what_their_names_say() {
    let schema_of = |format: &str| {
        let read = request(&with_fields(&format!("\"response_format\":{format}")));
        read.schema.map(|schema| schema.to_string())
    };
    assert_eq!(schema_of(r#"{"type":"text"}"#), None);
    assert_eq!(schema_of("null"), None);
    assert_eq!(schema_of(r#"{"type":"grammar","grammar":"g"}"#), None);
    assert_eq!(
        schema_of(r#"{"type":"json_object"}"#).unwrap(),
        r#"{"type":"object"}"#
    );
    let unschemed = r#"{"type":"json_schema","json_schema":{"name":"n"}}"#;
    assert_eq!(schema_of(unschemed).unwrap(), "{}");
}

#[test]
fn each_fault_of_a_request_names_its_field_and_value() {
    let cases = [
        ("", None, "not JSON"),
        ("{\"model\":\"m\",}", None, "line 1 column 14"),
        ("{\"model\":\"m\"} x", None, "trailing characters"),
        ("[1]", None, "an array ([1]); give an object"),
        ("\"hi\"", None, "a string (\"hi\"); give an object"),
        ("{}", Some("model"), "missing"),
        (r#"{"model":" "}"#, Some("model"), "blank"),
        (
            r#"{"model":7}"#,
            Some("model"),
            "a number (7); give a string",
        ),
        (r#"{"model":"a","model":"b"}"#, Some("model"), "given twice"),
        (r#"{"model":"m"}"#, Some("messages"), "missing"),
        (r#"{"model":"m","messages":[]}"#, Some("messages"), "empty"),
        (
            r#"{"model":"m","messages":"hi"}"#,
            Some("messages"),
            "a string",
        ),
        (
            r#"{"model":"m","messages":[],"messages":[]}"#,
            Some("messages"),
            "given twice",
        ),
    ];
    for (body, param, words) in cases {
        let found = problem(body);
        assert_eq!(found.param.as_deref(), param, "{body}");
        assert!(found.message.contains(words), "{body}: {found}");
    }
}

#[test]
fn each_fault_of_a_message_names_its_place() {
    let cases = [
        ("3", "messages[0]", "a number (3); give an object"),
        (
            r#"{"content":"a"}"#,
            "messages[0].role",
            "is missing; give system",
        ),
        (
            r#"{"role":"robot","content":"a"}"#,
            "messages[0].role",
            "\"robot\"",
        ),
        (r#"{"role":"user"}"#, "messages[0].content", "missing"),
        (
            r#"{"role":"user","content":null}"#,
            "messages[0].content",
            "missing",
        ),
        (
            r#"{"role":"user","content":5}"#,
            "messages[0].content",
            "a number (5)",
        ),
        (
            r#"{"role":"user","content":"a","content":"b"}"#,
            "messages[0].content",
            "twice",
        ),
        (
            r#"{"role":"user","content":["a"]}"#,
            "messages[0].content[0]",
            "give an object",
        ),
        (
            r#"{"role":"user","content":[{"type":"text"}]}"#,
            "messages[0].content[0].text",
            "missing",
        ),
        (
            r#"{"role":"user","content":"\ud800"}"#,
            "messages[0].content",
            "whole characters",
        ),
    ];
    for (message, param, words) in cases {
        let found = problem(&with_message(message));
        assert_eq!(found.param.as_deref(), Some(param), "{message}");
        assert!(found.message.contains(words), "{message}: {found}");
    }
}

#[test]
fn each_fault_of_another_field_names_it() {
    let cases = [
        (
            r#""stream":"yes""#,
            "stream",
            "a string (\"yes\"); give true or false",
        ),
        (r#""stream":true,"stream":false"#, "stream", "twice"),
        (
            r#""response_format":"json""#,
            "response_format",
            "give an object",
        ),
        (
            r#""response_format":{"type":"json_schema"}"#,
            "response_format.json_schema",
            "missing",
        ),
        (
            r#""response_format":{"type":"json_schema","json_schema":{"schema":3}}"#,
            "response_format.json_schema.schema",
            "a number (3)",
        ),
        (
            r#""response_format":{"type":"text","type":"json_object"}"#,
            "response_format.type",
            "twice",
        ),
    ];
    for (fields, param, words) in cases {
        let found = problem(&with_fields(fields));
        assert_eq!(found.param.as_deref(), Some(param), "{fields}");
        assert!(found.message.contains(words), "{fields}: {found}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let found = OPENAI.read_request(b"{\"model\":\"\xFF\"}").unwrap_err();
    assert!(found.message.contains("byte 10"), "{found}");
}

#[test]
fn a_prompt_of_a_megabyte_and_one_of_nothing_are_both_read() {
    let long = "🦀 مرحبا ".repeat(80_000);
    let body = with_message(&json!({ "role": "user", "content": long }).to_string());
    assert_eq!(request(&body).messages[0].text, long);
    let empty = with_message(r#"{"role":"user","content":""}"#);
    assert_eq!(request(&empty).messages[0].text, "");
}

#[test]
fn a_question_to_nobody_is_refused_as_its_body_would_be() {
    for model in ["", " \n"] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        let read = OPENAI.read_request(body.to_string().as_bytes());
        assert_eq!(question(model, "hi"), read);
        assert!(read.is_err(), "{model:?}");
    }
}

#[test]
fn messages_that_no_value_can_hold_are_read_as_they_came_or_refused() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let asked = |fields: &str| {
        let messages = format!(r#"[{{"role":"user",{fields}}}]"#);
        conversation("a\"b", &RawValue::from_string(messages).unwrap())
    };
    let read = asked(r#""content":"hi","n":1e999"#).unwrap();
    assert_eq!(
        (read.model.as_str(), &*read.messages[0].text),
        ("a\"b", "hi")
    );
    assert!(read.original.text.contains("1e999"));
    assert!(asked(r#""content":"\ud800""#).is_err());
    assert!(asked(&format!(r#""content":"hi","n":{deep}"#)).is_err());
}

proptest! {
    #[test]
    fn a_question_is_what_reading_its_body_would_find(model in "\\PC{0,20}x", text in ".{0,200}|max_tokens|\u{0}\"\n") {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] }).to_string();
        let asked = question(&model, &text).unwrap();
        let read = request(&body);
        prop_assert_eq!(&asked, &read);
        prop_assert_eq!(&*asked.original.text, body.as_str());
        prop_assert_eq!(asked.tokens_estimate(), read.tokens_estimate());
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = OPENAI.read_request(&body);
    }

    #[test]
    fn any_model_and_any_text_survive_the_way_in_and_out(model in "\\PC{0,20}x", text in ".{0,60}", upstream in ".{1,30}") {
        let body = json!({ "extra": [1, { "model": "inner" }], "model": model,
            "messages": [{ "role": "user", "content": text }], "temperature": 0.1 }).to_string();
        let read = request(&body);
        prop_assert_eq!(&read.model, &model);
        prop_assert_eq!(&read.messages[0].text, &text);
        let written = written(&read, &upstream, Delivery::Whole, TELLING);
        let mut expected = parsed(&body);
        expected["model"] = upstream.clone().into();
        prop_assert_eq!(parsed(&written), expected);
        prop_assert_eq!(written.len() + json!(model).to_string().len(), body.len() + json!(upstream).to_string().len());
    }
}
