use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::chat::Delivery;

mod anthropic;
mod system;

const BOTH: [Inbound; 2] = [Inbound::OpenAi, Inbound::Anthropic];
const ALL: [Outbound; 3] = [Outbound::OpenAi, Outbound::Anthropic, Outbound::Gemini];

fn parameters(fields: Value) -> Parameters {
    let Value::Object(fields) = fields else {
        panic!("{fields} is no object");
    };
    Parameters::read(fields).unwrap()
}

fn setting(fields: Value) -> Overrides {
    Overrides {
        system: None,
        parameters: parameters(fields),
    }
}

fn saying(system: SystemPrompt) -> Overrides {
    Overrides {
        system: Some(system),
        parameters: Parameters::default(),
    }
}

/// A request of this format, with these fields beside a message.
fn body(inbound: Inbound, fields: &str) -> String {
    let limit = match inbound {
        Inbound::OpenAi => "",
        Inbound::Anthropic => r#""max_tokens":900,"#,
    };
    format!(r#"{{"model":"a",{limit}"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
}

fn written_for(
    (inbound, outbound): (Inbound, Outbound),
    model: &str,
    body: &str,
    overrides: &Overrides,
) -> Written {
    let request = inbound.read_request(body.as_bytes()).unwrap();
    let writing = Writing {
        model,
        delivery: Delivery::Whole,
        manners: Manners::default(),
    };
    outbound
        .write_overridden(&request, &writing, overrides)
        .unwrap()
}

fn sent(pair: (Inbound, Outbound), body: &str, overrides: &Overrides) -> Value {
    let written = written_for(pair, "claude-sonnet-4-5", body, overrides);
    assert_eq!(written.dropped, [] as [&str; 0]);
    serde_json::from_str(&written.body).unwrap()
}

/// The system prompt of a body, whatever its format.
fn system_of(outbound: Outbound, body: &Value) -> Value {
    match outbound {
        Outbound::OpenAi => {
            let messages = body["messages"].as_array().unwrap();
            let own = messages.iter().filter(|it| it["role"] == "system");
            own.map(|it| it["content"].clone()).collect()
        }
        Outbound::Anthropic => body["system"].clone(),
        Outbound::Gemini => body["systemInstruction"]["parts"].clone(),
    }
}

fn pairs() -> impl Iterator<Item = (Inbound, Outbound)> {
    BOTH.into_iter()
        .flat_map(|inbound| ALL.map(|outbound| (inbound, outbound)))
}

/// The same words, as each format has them.
fn as_system(outbound: Outbound, text: &str) -> Value {
    match outbound {
        Outbound::OpenAi => json!([text]),
        Outbound::Anthropic => json!(text),
        Outbound::Gemini => json!([{ "text": text }]),
    }
}

fn with_own_system(inbound: Inbound) -> String {
    match inbound {
        Inbound::OpenAi => {
            r#"{"model":"a","messages":[{"role":"system","content":"Be \u0062rief."},{"role":"user","content":"hi"}]}"#
        }
        Inbound::Anthropic => {
            r#"{"model":"a","max_tokens":900,"system":"Be \u0062rief.","messages":[{"role":"user","content":"hi"}]}"#
        }
    }
    .to_owned()
}

#[test]
fn parameters_are_set_in_every_format() {
    let overrides = setting(json!({
        "temperature": 0.25, "top_p": 1, "max_tokens": 50, "stop": "END",
    }));
    for pair in pairs() {
        let own = body(pair.0, r#","temperature":0.75"#);
        let body = sent(pair, &own, &overrides);
        let (found, expected) = match pair.1 {
            Outbound::OpenAi => (
                json!([
                    body["temperature"],
                    body["max_completion_tokens"],
                    body["max_tokens"],
                    body["stop"]
                ]),
                json!([0.25, 50, null, "END"]),
            ),
            Outbound::Anthropic => (
                json!([
                    body["temperature"],
                    body["max_tokens"],
                    body["stop_sequences"]
                ]),
                json!([0.25, 50, ["END"]]),
            ),
            Outbound::Gemini => {
                let config = &body["generationConfig"];
                (
                    json!([
                        config["temperature"],
                        config["maxOutputTokens"],
                        config["stopSequences"]
                    ]),
                    json!([0.25, 50, ["END"]]),
                )
            }
        };
        assert_eq!(found, expected, "{pair:?}");
    }
}

#[test]
fn null_takes_out_what_the_caller_gave() {
    let overrides = setting(json!({ "temperature": null, "top_k": null }));
    for pair in pairs() {
        let own = body(pair.0, r#","temperature":0.75,"top_k":3"#);
        let written = sent(pair, &own, &overrides).to_string();
        for gone in ["temperature", "top_k", "topK"] {
            assert!(!written.contains(gone), "{pair:?}: {written}");
        }
        let without = sent(pair, &body(pair.0, ""), &overrides);
        assert_eq!(without.to_string(), written, "{pair:?}");
    }
}

#[test]
fn the_limit_goes_by_the_name_that_the_server_knows() {
    let pair = (Inbound::OpenAi, Outbound::OpenAi);
    for (own, set) in [
        (r#","max_tokens":7"#, json!({ "max_tokens": 50 })),
        (r#","max_completion_tokens":7"#, json!({ "max_tokens": 50 })),
        ("", json!({ "max_completion_tokens": 50 })),
    ] {
        let body = sent(pair, &body(pair.0, own), &setting(set));
        assert_eq!(body["max_completion_tokens"], 50, "{own}");
        assert_eq!(body.get("max_tokens"), None, "{own}");
    }
    let gone = setting(json!({ "max_tokens": null }));
    let own = body(pair.0, r#","max_completion_tokens":7,"max_tokens":8"#);
    assert_eq!(
        sent(pair, &own, &gone),
        sent(pair, &body(pair.0, ""), &gone)
    );
}

#[test]
fn words_of_a_servers_own_reach_it_and_fields_nobody_names_stay_byte_for_byte() {
    let overrides = setting(json!({ "min_p": 0.1, "chat_template_kwargs": { "thinking": false } }));
    let own = body(
        Inbound::OpenAi,
        r#","x_unknown":{ "a" : 1.50 },"min_p":1e0,"seed":12345678901234567890123"#,
    );
    let pair = (Inbound::OpenAi, Outbound::OpenAi);
    let written = written_for(pair, "m", &own, &overrides).body;
    assert_eq!(
        written,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"x_unknown":{ "a" : 1.50 },"min_p":0.1,"seed":12345678901234567890123,"chat_template_kwargs":{"thinking":false}}"#
    );
}

#[test]
fn tools_and_schemas_can_be_taken_out() {
    let gone = setting(json!({ "tools": null, "tool_choice": null, "response_format": null }));
    let own = body(
        Inbound::Anthropic,
        r#","tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any"},"output_config":{"format":{"type":"json_schema","schema":{}}}"#,
    );
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let plain = body(Inbound::Anthropic, "");
    assert_eq!(sent(pair, &own, &gone), sent(pair, &plain, &gone));
    let former = body(
        Inbound::Anthropic,
        r#","output_format":{"type":"json_schema","schema":{}}"#,
    );
    assert_eq!(sent(pair, &former, &gone), sent(pair, &plain, &gone));
    let own = body(
        Inbound::OpenAi,
        r#","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","response_format":{"type":"json_object"}"#,
    );
    for outbound in ALL {
        let pair = (Inbound::OpenAi, outbound);
        let plain = body(Inbound::OpenAi, "");
        assert_eq!(
            sent(pair, &own, &gone),
            sent(pair, &plain, &gone),
            "{pair:?}"
        );
    }
}

#[test]
fn one_call_at_a_time_is_said_beside_the_callers_tools() {
    let single = setting(json!({ "parallel_tool_calls": false }));
    let tools = r#","tools":[{"name":"f","input_schema":{}}]"#;
    let pair = (Inbound::Anthropic, Outbound::Anthropic);
    let body_with = |fields: &str| sent(pair, &body(pair.0, fields), &single);
    assert_eq!(
        body_with(tools)["tool_choice"],
        json!({ "type": "auto", "disable_parallel_tool_use": true })
    );
    let named = format!(r#"{tools},"tool_choice":{{"type":"tool","name":"f"}}"#);
    assert_eq!(
        body_with(&named)["tool_choice"],
        json!({ "type": "tool", "name": "f", "disable_parallel_tool_use": true })
    );
    assert_eq!(body_with("").get("tool_choice"), None);
}

#[test]
fn log_probabilities_and_their_number_are_set_together_or_each_beside_the_callers() {
    let logprobs = |fields: Value, callers: Option<u64>| -> Option<u64> {
        let mut conversation = Conversation {
            logprobs: callers,
            ..Conversation::default()
        };
        parameters(fields).apply(&mut conversation);
        conversation.logprobs
    };
    for fields in [
        json!({ "logprobs": true, "top_logprobs": 5 }),
        json!({ "top_logprobs": 5, "logprobs": true }),
    ] {
        assert_eq!(logprobs(fields.clone(), None), Some(5), "{fields}");
        assert_eq!(logprobs(fields.clone(), Some(2)), Some(5), "{fields}");
    }
    assert_eq!(logprobs(json!({ "top_logprobs": 5 }), None), None);
    assert_eq!(logprobs(json!({ "top_logprobs": 5 }), Some(2)), Some(5));
    assert_eq!(logprobs(json!({ "top_logprobs": null }), Some(2)), Some(0));
    assert_eq!(logprobs(json!({ "logprobs": true }), Some(2)), Some(2));
    assert_eq!(logprobs(json!({ "logprobs": null }), Some(2)), None);
    assert_eq!(logprobs(json!({ "temperature": 1 }), Some(2)), Some(2));
    for (outbound, model) in [
        (Outbound::Anthropic, "claude-haiku-4-5"),
        (Outbound::Gemini, "gemini-3-pro"),
    ] {
        for (fields, param) in [
            (json!({ "top_logprobs": 5 }), "top_logprobs"),
            (json!({ "logprobs": true, "top_logprobs": 5 }), "logprobs"),
        ] {
            let problems = outbound.untellable(&parameters(fields), model);
            let params: Vec<_> = problems.iter().map(|it| it.param.as_deref()).collect();
            assert_eq!(params, [Some(param)], "{outbound:?}");
        }
        let gone = parameters(json!({ "logprobs": null, "top_logprobs": null }));
        assert_eq!(outbound.untellable(&gone, model), []);
    }
}

#[test]
fn what_says_something_of_tools_goes_with_them() {
    let tools = r#","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","parallel_tool_calls":true"#;
    let gone = setting(json!({ "parallel_tool_calls": false, "tools": null }));
    for outbound in ALL {
        let pair = (Inbound::OpenAi, outbound);
        let without = setting(json!({ "tools": null }));
        let plain = sent(pair, &body(pair.0, ""), &without);
        assert_eq!(
            sent(pair, &body(pair.0, tools), &without),
            plain,
            "{pair:?}"
        );
    }
    let pair = (Inbound::OpenAi, Outbound::OpenAi);
    let plain = sent(pair, &body(pair.0, ""), &Overrides::default());
    assert_eq!(sent(pair, &body(pair.0, tools), &gone), plain);
    let functions = r#","functions":[{"name":"f"}],"function_call":{"name":"f"}"#;
    let gone = setting(json!({ "functions": null }));
    assert_eq!(sent(pair, &body(pair.0, functions), &gone), plain);
    let kept = sent(pair, &body(pair.0, tools), &gone);
    assert_eq!(kept["tool_choice"], "required");
}

#[track_caller]
fn refused(fields: Value, name: &str, words: &str) {
    let Value::Object(fields) = fields else {
        panic!("{fields} is no object");
    };
    let problems = Parameters::read(fields).unwrap_err();
    let found = problems.iter().find(|it| it.param.as_deref() == Some(name));
    let message = &found.unwrap_or_else(|| panic!("{problems:?}")).message;
    assert!(message.contains(words), "{message}");
}

#[test]
fn a_parameter_that_is_wrong_or_not_the_operators_is_refused_by_its_name() {
    for name in ["model", "messages", "system", "stream", "stream_options"] {
        refused(json!({ name: null }), name, "semroute itself sets");
    }
    for name in ["tools", "tool_choice", "response_format"] {
        refused(json!({ name: "x" }), name, "only null");
    }
    refused(
        json!({ "temperature": "hot" }),
        "temperature",
        "give a number",
    );
    refused(json!({ "max_tokens": -1 }), "max_tokens", "0 or more");
    refused(
        json!({ "reasoning_effort": "hard" }),
        "reasoning_effort",
        "medium",
    );
    refused(json!({ "stop": [1] }), "stop", "strings");
    refused(
        json!({ "max_tokens": 1, "max_completion_tokens": 1 }),
        "max_tokens",
        "mean the same",
    );
    let all = json!({ "model": "x", "top_p": [], "seed": 0.5 });
    let Value::Object(all) = all else {
        unreachable!()
    };
    assert_eq!(Parameters::read(all).unwrap_err().len(), 3);
}

#[test]
fn what_a_model_cannot_be_told_is_known_before_it_is_asked() {
    let told = |outbound: Outbound, model: &str, fields: Value| -> Vec<String> {
        let problems = outbound.untellable(&parameters(fields), model);
        problems.into_iter().filter_map(|it| it.param).collect()
    };
    let any = json!({ "min_p": 0.1, "seed": 1, "temperature": 1.5, "n": 2, "user": "u" });
    assert!(told(Outbound::OpenAi, "m", any).is_empty());
    let none = [] as [&str; 0];
    let some = json!({ "min_p": 0.1, "seed": 1, "temperature": 1.5, "user": "u" });
    let mut found = told(Outbound::Anthropic, "claude-haiku-4-5", some);
    found.sort_unstable();
    assert_eq!(found, ["min_p", "seed", "temperature"]);
    let plain =
        json!({ "temperature": 0.5, "max_tokens": 5, "stop": ["a"], "reasoning_effort": null });
    for outbound in [Outbound::Anthropic, Outbound::Gemini] {
        assert_eq!(told(outbound, "claude-haiku-4-5", plain.clone()), none);
    }
    assert_eq!(
        told(Outbound::Gemini, "gemini-3-pro", json!({ "user": "u" })),
        ["user"]
    );
    assert_eq!(
        told(Outbound::Gemini, "gemini-3-pro", json!({ "n": 2 })),
        ["n"]
    );
    let newest = told(
        Outbound::Anthropic,
        "claude-opus-4-7",
        json!({ "temperature": 0.5 }),
    );
    assert_eq!(newest, ["temperature"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn without_overrides_the_callers_body_keeps_its_every_byte(
        text in "\\PC{0,40}",
        extra in "[a-z]{1,8}",
        number in any::<f64>().prop_filter("a number of JSON", |it| it.is_finite()),
    ) {
        let content = Value::from(text);
        for (inbound, outbound) in [
            (Inbound::OpenAi, Outbound::OpenAi),
            (Inbound::Anthropic, Outbound::Anthropic),
        ] {
            let own = format!(
                r#"{{ "model" : "m", "max_tokens": 9 ,"messages":[ {{"role":"user","content":{content}}}],"x_{extra}":{number:e} }}"#
            );
            let request = inbound.read_request(own.as_bytes()).unwrap();
            let writing = Writing { model: "m", delivery: Delivery::Whole, manners: Manners::default() };
            let written = outbound.write_request(&request, &writing).unwrap();
            prop_assert_eq!(&written.body, &own);
        }
    }

    #[test]
    fn any_system_prompt_and_any_words_come_together_as_they_were(
        own in "[^\\s\\p{C}]\\PC{0,30}[^\\s\\p{C}]", head in "\\PC{0,20}", tail in "\\PC{0,20}",
    ) {
        let overrides = saying(SystemPrompt::around(&head, &tail));
        let expected = format!("{}{own}{}", head.trim_start(), tail.trim_end());
        for pair in pairs() {
            let quoted = Value::from(own.as_str()).to_string();
            let body = with_own_system(pair.0).replace("\"Be \\u0062rief.\"", &quoted);
            let found = sent(pair, &body, &overrides);
            prop_assert_eq!(system_of(pair.1, &found), as_system(pair.1, &expected), "{:?}", pair);
        }
    }
}
