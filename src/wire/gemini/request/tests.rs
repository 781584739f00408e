use super::*;
use crate::domain::chat::Format;
use crate::domain::conversation::{Part, Speaker, Turn};
use crate::wire::{Inbound, Manners, Outbound};

fn writing(model: &str, delivery: Delivery) -> Writing<'_> {
    Writing {
        model,
        delivery,
        manners: Manners::default(),
    }
}

fn asked() -> Conversation {
    Conversation {
        turns: vec![Turn {
            speaker: Speaker::User,
            parts: vec![Part::Text("Hi".to_owned())],
        }],
        ..Conversation::default()
    }
}

fn written(conversation: &Conversation, model: &str) -> (Value, Vec<String>) {
    let Written { body, dropped } =
        write_conversation(conversation, &writing(model, Delivery::Whole)).unwrap();
    (serde_json::from_str(&body).unwrap(), dropped)
}

#[test]
fn the_path_names_the_model_and_how_the_answer_should_come() {
    for (model, place) in [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("models/gemini-3.8-flash", "/models/gemini-3.8-flash"),
        ("tunedModels/mine", "/tunedModels/mine"),
        ("a b/c?d#e", "/models/a%20b%2Fc%3Fd%23e"),
    ] {
        for (delivery, method) in [
            (Delivery::Whole, "generateContent"),
            (Delivery::Streamed, "streamGenerateContent?alt=sse"),
        ] {
            let path = Outbound::Gemini.path(&writing(model, delivery));
            assert_eq!(path, format!("{place}:{method}"));
        }
    }
}

#[test]
fn a_bare_question_is_a_body_with_nothing_else_in_it() {
    let (body, dropped) = written(&asked(), "gemini-2.5-flash");
    let contents = json!([{ "role": "user", "parts": [{ "text": "Hi" }] }]);
    assert_eq!(body, json!({ "contents": contents }));
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn what_would_change_the_answer_is_refused_by_the_name_of_its_field() {
    let two = Conversation {
        choices: Some(2),
        ..asked()
    };
    let probable = Conversation {
        logprobs: Some(0),
        ..asked()
    };
    for (conversation, param) in [(two, "n"), (probable, "logprobs")] {
        let refused = write_conversation(&conversation, &writing("m", Delivery::Whole));
        assert_eq!(refused.unwrap_err().param.as_deref(), Some(param));
    }
    let one = Conversation {
        choices: Some(1),
        ..asked()
    };
    assert!(write_conversation(&one, &writing("m", Delivery::Whole)).is_ok());
}

#[test]
fn what_has_no_counterpart_is_listed() {
    let conversation = Conversation {
        tools: vec![Tool {
            name: "f".to_owned(),
            description: None,
            parameters: None,
            strict: Some(true),
        }],
        parallel_tool_calls: Some(ParallelCalls::Forbidden),
        thinking: Some(Thinking::Off),
        user: Some("u-1".to_owned()),
        ..asked()
    };
    let (body, dropped) = written(&conversation, "gemini-3.8-flash");
    assert_eq!(
        dropped,
        ["parallel_tool_calls", "strict", "reasoning_effort", "user"]
    );
    assert_eq!(
        body["tools"],
        json!([{ "functionDeclarations": [{ "name": "f" }] }])
    );
    assert_eq!(
        body["generationConfig"]["thinkingConfig"]["thinkingLevel"],
        "minimal"
    );
    let (_, dropped) = written(&conversation, "gemini-2.5-flash");
    assert_eq!(dropped, ["parallel_tool_calls", "strict", "user"]);
}

#[test]
fn a_seed_that_does_not_fit_becomes_the_same_smaller_one_every_time() {
    assert_eq!(narrowed(7), 7);
    assert_eq!(narrowed(-7), -7);
    assert_eq!(narrowed((1 << 31) + 5), 5);
    assert!(0 <= narrowed(i64::MIN) && 0 <= narrowed(i64::MAX));
    assert_eq!(narrowed(i64::MAX), narrowed(i64::MAX));
}

#[test]
fn no_caller_speaks_this_format_so_every_request_is_translated() {
    assert_eq!(Inbound::of(Format::Gemini), None);
    let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let request = Inbound::OpenAi.read_request(body).unwrap();
    let written = Outbound::Gemini.write_request(&request, &writing("g", Delivery::Whole));
    assert!(written.unwrap().body.starts_with(r#"{"contents":"#));
}
