use crate::domain::chat::{Delivery, Request, Role, UsageReport};
use crate::wire::Malformed;
use crate::wire::anthropic::read_request;

fn request(body: &str) -> Request {
    read_request(body.as_bytes()).unwrap()
}

fn problem(body: &str) -> Malformed {
    read_request(body.as_bytes()).unwrap_err()
}

/// A request with these fields beside a model, a limit and a message.
fn with_fields(fields: &str) -> String {
    format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],{fields}}}"#
    )
}

/// A request with these messages.
fn with_messages(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":{messages}}}"#)
}

#[test]
fn a_request_is_read_with_its_instructions_first_and_what_tools_returned_apart() {
    let read = request(
        r#"{"model":"assistant","max_tokens":100,"stream":true,
            "system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}},
                {"type":"text","text":"Be kind."}],
            "messages":[
            {"role":"user","content":[{"type":"text","text":"What is"},
                {"type":"image","source":{"type":"url","url":"https://a.example/b.png"}},
                {"type":"text","text":"this?"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
                {"type":"tool_use","id":"t1","name":"look","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a cat"}]},
                {"type":"tool_result","tool_use_id":"t2"},
                {"type":"text","text":"Go on."}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t3","content":"x"}]}]}"#,
    );
    assert_eq!(read.model, "assistant");
    assert_eq!(read.delivery, Delivery::Streamed);
    assert_eq!(read.usage_report, UsageReport::Wanted);
    let said: Vec<(Role, &str)> = read
        .messages
        .iter()
        .map(|message| (message.role, message.text.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (Role::System, "Be brief.\nBe kind."),
            (Role::User, "What is\nthis?"),
            (Role::Assistant, ""),
            (Role::Tool, "a cat"),
            (Role::User, "Go on."),
            (Role::Tool, "x"),
        ]
    );
}

#[test]
fn the_schema_is_kept_as_the_caller_wrote_it_wherever_it_stands() {
    let schema = r#"{ "type":"object",  "required":["a"] }"#;
    let format = format!(r#"{{"type":"json_schema","schema":{schema}}}"#);
    for fields in [
        format!(r#""output_config":{{"effort":"low","format":{format}}}"#),
        format!(r#""output_format":{format}"#),
        format!(r#""output_config":{{"effort":"low"}},"output_format":{format}"#),
    ] {
        let read = request(&with_fields(&fields));
        assert_eq!(read.schema.as_deref(), Some(schema), "{fields}");
    }
    let read = request(&with_fields(
        r#""output_config":{"format":{"type":"later"}}"#,
    ));
    assert_eq!(read.schema, None);
}

#[test]
fn every_fault_names_its_field() {
    let cases = [
        (r#"{"max_tokens":1,"messages":[]}"#.to_owned(), "model"),
        (with_fields(r#""model":"b""#), "model"),
        (r#"{"model":" ","max_tokens":1}"#.to_owned(), "model"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#.to_owned(),
            "max_tokens",
        ),
        (r#"{"model":"m","max_tokens":-1}"#.to_owned(), "max_tokens"),
        (r#"{"model":"m","max_tokens":1.5}"#.to_owned(), "max_tokens"),
        (
            r#"{"model":"m","max_tokens":"many"}"#.to_owned(),
            "max_tokens",
        ),
        (with_fields(r#""stream":1"#), "stream"),
        (with_fields(r#""system":3"#), "system"),
        (
            with_fields(r#""system":[{"type":"text"}]"#),
            "system[0].text",
        ),
        (with_fields(r#""output_config":[]"#), "output_config"),
        (
            with_fields(r#""output_config":{"format":{"type":"json_schema"}}"#),
            "output_config.format.schema",
        ),
        (r#"{"model":"m","max_tokens":1}"#.to_owned(), "messages"),
        (with_messages("{}"), "messages"),
        (with_messages("[]"), "messages"),
        (with_messages("[3]"), "messages[0]"),
        (with_messages(r#"[{"content":"hi"}]"#), "messages[0].role"),
        (
            with_messages(r#"[{"role":"tool","content":"hi"}]"#),
            "messages[0].role",
        ),
        (with_messages(r#"[{"role":"user"}]"#), "messages[0].content"),
        (
            with_messages(r#"[{"role":"user","content":7}]"#),
            "messages[0].content",
        ),
        (
            with_messages(r#"[{"role":"user","content":[{"text":"hi"}]}]"#),
            "messages[0].content[0].type",
        ),
        (
            with_messages(r#"[{"role":"user","content":[{"type":"text","text":1}]}]"#),
            "messages[0].content[0].text",
        ),
        (
            with_messages(r#"[{"role":"user","content":[{"type":"tool_result","content":{}}]}]"#),
            "messages[0].content[0].content",
        ),
    ];
    for (body, field) in cases {
        let problem = problem(&body);
        assert_eq!(problem.param.as_deref(), Some(field), "{body}: {problem}");
        assert!(problem.message.contains(field), "{body}: {problem}");
    }
}

#[test]
fn what_is_no_object_in_utf8_names_no_field() {
    for body in [&b"\xFF{}"[..], b"", b"{", b"[]", b"{} {}"] {
        assert_eq!(read_request(body).unwrap_err().param, None);
    }
}

#[test]
fn a_limit_of_zero_is_a_request_to_fill_the_cache() {
    let body = r#"{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(request(body).delivery, Delivery::Whole);
}
