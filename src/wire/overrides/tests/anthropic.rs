//! What Anthropic's format does to settings beside the operator's.

use super::*;

#[test]
fn an_effort_to_think_is_told_in_anthropics_words_and_what_it_excludes_goes_and_is_listed() {
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let overrides = setting(json!({ "reasoning_effort": "low", "max_tokens": 10_000 }));
    let own = body(pair.0, r#","temperature":0.5,"x_new":[ 1 ]"#);
    let written = written_for(pair, "claude-sonnet-4-5", &own, &overrides);
    assert_eq!(
        written.body,
        r#"{"model":"claude-sonnet-4-5","max_tokens":10000,"messages":[{"role":"user","content":"hi"}],"x_new":[ 1 ],"thinking":{"type":"enabled","budget_tokens":2048}}"#
    );
    assert_eq!(written.dropped, ["temperature"]);
    let own = body(
        pair.0,
        r#","output_config":{"effort":"high","x_new":[ 1 ]},"thinking":{"type":"adaptive","display":"omitted"}"#,
    );
    let changed = own
        .replace("900", "10000")
        .replace("high", "low")
        .replace(r#""a""#, r#""claude-opus-4-7""#);
    let written = written_for(pair, "claude-opus-4-7", &own, &overrides);
    assert_eq!(written.body, changed);
}

#[test]
fn settings_that_are_newer_than_the_reader_do_not_stop_the_others() {
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let own = body(pair.0, r#","thinking":{"type":"dreaming","depth":3}"#);
    let body = sent(pair, &own, &setting(json!({ "top_k": 5 })));
    assert_eq!(body["top_k"], 5);
    assert_eq!(body["thinking"], json!({ "type": "dreaming", "depth": 3 }));
}

#[test]
fn what_is_set_or_taken_out_reaches_anthropic_though_the_writer_would_have_left_it_out() {
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let quiet = r#""temperature":0.5,"top_p":0.9,"top_k":3"#;
    let thinking = r#""temperature":0.5,"top_p":0.5,"top_k":3,"thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"}"#;
    for model in [
        "claude-3-5-haiku-latest",
        "claude-opus-4-5",
        "claude-opus-4-6",
        "claude-opus-4-7",
    ] {
        for fields in [quiet, thinking] {
            for name in ["temperature", "top_p", "top_k"] {
                let own = body(pair.0, &format!(",{fields}")).replace("900", "9000");
                let gone = setting(json!({ name: null }));
                let sent: Value =
                    serde_json::from_str(&written_for(pair, model, &own, &gone).body).unwrap();
                assert_eq!(sent.get(name), None, "{model} {fields}");
            }
        }
        let own = body(pair.0, &format!(",{thinking}")).replace("900", "9000");
        let unthinking = setting(json!({ "reasoning_effort": null }));
        let sent: Value =
            serde_json::from_str(&written_for(pair, model, &own, &unthinking).body).unwrap();
        assert_eq!(sent.get("thinking"), None, "{model}");
        assert_eq!(sent["temperature"], 0.5, "{model}");
    }
}

#[test]
fn a_setting_that_nobody_understands_switches_no_override_off() {
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let overrides =
        setting(json!({ "temperature": null, "max_tokens": 200, "user": "u", "stop": "E" }));
    for unknown in [
        r#""thinking":{"type":"dreaming","depth":3}"#,
        r#""metadata":{"user_id":5,"x":1}"#,
        r#""output_config":{"effort":"new"}"#,
        r#""tool_choice":"new""#,
    ] {
        let own = body(
            pair.0,
            &format!(r#","temperature":0.5,"top_k":4,{unknown}"#),
        );
        let found = sent(pair, &own, &overrides);
        assert_eq!(found.get("temperature"), None, "{unknown}");
        assert_eq!(found["max_tokens"], 200, "{unknown}");
        assert_eq!(found["metadata"]["user_id"], "u", "{unknown}");
        assert_eq!(found["stop_sequences"], json!(["E"]), "{unknown}");
        let own: Value = serde_json::from_str(&own).unwrap();
        for name in ["top_k", "thinking", "output_config", "tool_choice"] {
            assert_eq!(found.get(name), own.get(name), "{unknown}");
        }
        assert_eq!(found["metadata"].get("x"), own["metadata"].get("x"));
    }
}

#[test]
fn a_setting_that_nobody_understands_is_itself_set_and_taken_out() {
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let found = |own: &str, fields: Value| -> Value {
        let own = body(pair.0, own);
        let written = written_for(pair, "claude-opus-4-6", &own, &setting(fields));
        serde_json::from_str(&written.body).unwrap()
    };
    let dreaming = r#","thinking":{"type":"dreaming","depth":3},"output_config":{"effort":"new","format":{"x":1}}"#;
    let low = found(dreaming, json!({ "reasoning_effort": "low" }));
    assert_eq!(low["thinking"], json!({ "type": "adaptive" }));
    let expected = json!({ "effort": "low", "format": { "x": 1 } });
    assert_eq!(low["output_config"], expected);
    let gone = found(
        dreaming,
        json!({ "reasoning_effort": null, "response_format": null }),
    );
    assert_eq!(gone, found("", json!({ "reasoning_effort": null })));
    let tools = r#","tools":[{"name":"f","input_schema":{}}]"#;
    let choice = format!(r#"{tools},"tool_choice":{{"type":"new","x":1}}"#);
    let single = found(&choice, json!({ "parallel_tool_calls": false }));
    let expected = json!({ "type": "new", "x": 1, "disable_parallel_tool_use": true });
    assert_eq!(single["tool_choice"], expected);
    let both = json!({ "parallel_tool_calls": false, "tool_choice": null });
    let expected = json!({ "type": "auto", "disable_parallel_tool_use": true });
    assert_eq!(found(&choice, both)["tool_choice"], expected);
}
