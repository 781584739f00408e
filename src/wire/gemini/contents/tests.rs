use super::*;
use crate::domain::conversation::Turn;

fn of_turns(turns: &[Turn]) -> Conversation {
    Conversation {
        turns: turns.to_vec(),
        ..Conversation::default()
    }
}

fn turn(speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { speaker, parts }
}

fn text(words: &str) -> Part {
    Part::Text(words.to_owned())
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn result(call_id: &str, content: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        content,
        status: ToolStatus::Worked,
    })
}

fn picture() -> Part {
    Part::Image(Source::Inline {
        media_type: "image/png".to_owned(),
        base64: "iVBO".to_owned(),
    })
}

fn written(turns: &[Turn], generation: Generation) -> Value {
    let body = write(&of_turns(turns), generation, &mut Vec::new());
    Value::Object(body.unwrap_or_else(|problem| panic!("{problem}")))
}

fn refused(turns: &[Turn]) -> String {
    let problem = write(&of_turns(turns), Generation::Newer, &mut Vec::new()).unwrap_err();
    assert_eq!(problem.param.as_deref(), Some("messages"));
    problem.message
}

/// A question, two calls, their results in turns of their own, and a further question.
fn round_trip() -> Vec<Turn> {
    vec![
        turn(Speaker::User, vec![text("Both?")]),
        turn(
            Speaker::Assistant,
            vec![
                call("c1__sig_q-_8", "one", r#"{"x": 1}"#),
                call("c2", "two", ""),
            ],
        ),
        turn(Speaker::User, vec![result("c1__sig_q-_8", vec![text("7")])]),
        turn(
            Speaker::User,
            vec![
                text("And now?"),
                result("c2", vec![text(r#"{"y": 2}"#), picture()]),
            ],
        ),
    ]
}

#[test]
fn results_of_one_turns_calls_stand_together_and_name_their_tools() {
    let body = written(&round_trip(), Generation::Newer);
    let inline = json!({ "inlineData": { "mimeType": "image/png", "data": "iVBO" } });
    let first = json!({ "id": "c1", "name": "one", "response": { "output": "7" } });
    // What is not an object beside text is no object.
    let second = json!({
        "id": "c2", "name": "two", "response": { "y": 2 }, "parts": [inline],
    });
    assert_eq!(
        body["contents"],
        json!([
            { "role": "user", "parts": [{ "text": "Both?" }] },
            { "role": "model", "parts": [
                {
                    "functionCall": { "id": "c1", "name": "one", "args": { "x": 1 } },
                    "thoughtSignature": "q+/8",
                },
                { "functionCall": { "id": "c2", "name": "two", "args": {} } },
            ] },
            { "role": "user", "parts": [
                { "functionResponse": first }, { "functionResponse": second },
            ] },
            { "role": "user", "parts": [{ "text": "And now?" }] },
        ])
    );
}

#[test]
fn older_models_see_what_tools_showed_after_all_results() {
    let body = written(&round_trip(), Generation::Older);
    let contents = body["contents"].as_array().unwrap();
    assert_eq!(contents.len(), 4);
    assert_eq!(contents[2]["parts"].as_array().unwrap().len(), 2);
    assert_eq!(contents[3]["parts"][0]["inlineData"]["data"], "iVBO");
    assert_eq!(contents[3]["parts"][1]["text"], "And now?");
    let last = &round_trip()[..3];
    let body = written(
        &[
            last,
            &[turn(Speaker::User, vec![result("c2", vec![picture()])])],
        ]
        .concat(),
        Generation::Older,
    );
    let contents = body["contents"].as_array().unwrap();
    assert_eq!(contents[3]["parts"][0]["inlineData"]["data"], "iVBO");
}

#[test]
fn a_call_that_nobody_signed_says_so_to_the_models_that_ask_for_signatures() {
    let turns = [
        turn(Speaker::User, vec![text("Go")]),
        turn(
            Speaker::Assistant,
            vec![text("Yes."), call("a", "f", "{}"), call("b", "f", "{}")],
        ),
    ];
    let signature = |generation, position: usize| {
        written(&turns, generation)["contents"][1]["parts"][position]
            .get("thoughtSignature")
            .cloned()
    };
    assert_eq!(signature(Generation::Newer, 1), Some(NO_SIGNATURE.into()));
    assert_eq!(signature(Generation::Newer, 0), None);
    assert_eq!(signature(Generation::Newer, 2), None);
    assert_eq!(signature(Generation::Older, 1), None);
}

#[test]
fn instructions_stand_apart_wherever_they_came() {
    let turns = [
        turn(Speaker::System, vec![text("Be brief.")]),
        turn(Speaker::User, vec![text("Hi"), text("")]),
        turn(Speaker::System, vec![text("Be kind.")]),
        turn(Speaker::User, vec![text("there")]),
    ];
    let body = written(&turns, Generation::Older);
    assert_eq!(
        body["systemInstruction"],
        json!({ "parts": [{ "text": "Be brief." }, { "text": "Be kind." }] })
    );
    assert_eq!(
        body["contents"],
        json!([{ "role": "user", "parts": [{ "text": "Hi" }, { "text": "there" }] }])
    );
}

#[test]
fn a_tool_that_failed_says_so() {
    let turns = [
        turn(Speaker::Assistant, vec![call("a", "f", "{}")]),
        turn(
            Speaker::User,
            vec![Part::ToolResult(ToolResult {
                call_id: "a".to_owned(),
                content: vec![text("no such file"), text("give up")],
                status: ToolStatus::Failed,
            })],
        ),
    ];
    let body = written(&turns, Generation::Older);
    assert_eq!(
        body["contents"][1]["parts"][0]["functionResponse"]["response"],
        json!({ "error": "no such file\ngive up" })
    );
}

#[test]
fn a_file_at_an_address_is_left_to_the_provider_with_the_kind_that_the_address_tells() {
    let data = |url: &str, medium| {
        let source = Source::Url(url.to_owned());
        file(&source, medium).map(|part| part["fileData"].clone())
    };
    let (png, bare) = ("https://h/a.b/C.PNG?x=1.jpg#y", "https://h/picture");
    assert_eq!(
        data(png, Medium::Image),
        Ok(json!({ "fileUri": png, "mimeType": "image/png" }))
    );
    assert_eq!(data(bare, Medium::Image), Ok(json!({ "fileUri": bare })));
    assert_eq!(
        data(bare, Medium::Document),
        Ok(json!({ "fileUri": bare, "mimeType": "application/pdf" }))
    );
    for other in [
        "gs://bucket/a.png",
        "data:image/png,raw",
        "",
        "file:///etc/passwd",
    ] {
        let problem = data(other, Medium::Image).unwrap_err();
        assert!(problem.message.contains("https"), "{problem}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_with_the_remedy() {
    let user = turn(Speaker::User, vec![text("Hi")]);
    let answers_nothing = turn(Speaker::User, vec![result("gone", vec![text("x")])]);
    assert!(refused(&[user.clone(), answers_nothing]).contains("\"gone\""));
    let no_object = turn(Speaker::Assistant, vec![call("a", "f", "[1]")]);
    assert!(refused(&[user.clone(), no_object]).contains("no JSON object"));
    let system_only = turn(Speaker::System, vec![text("Be brief.")]);
    assert!(refused(&[system_only]).contains("give a user's message"));
    assert!(refused(&[turn(Speaker::System, vec![picture()])]).contains("system"));
    let call_of_user = turn(Speaker::User, vec![call("a", "f", "{}")]);
    assert!(refused(&[call_of_user]).contains("assistant's turns"));
}

#[test]
fn thoughts_and_names_of_files_are_left_out_and_listed() {
    let document = Part::Document {
        source: Source::Inline {
            media_type: "application/pdf".to_owned(),
            base64: "JVBE".to_owned(),
        },
        name: Some("a.pdf".to_owned()),
    };
    let thought = Part::Thought {
        text: "Hm".to_owned(),
        signature: Some("foreign".to_owned()),
    };
    let turns = [
        turn(Speaker::User, vec![document]),
        turn(Speaker::Assistant, vec![thought, text("Read.")]),
    ];
    let mut dropped = Vec::new();
    let body = write(&of_turns(&turns), Generation::Newer, &mut dropped).unwrap();
    assert_eq!(dropped, ["filename", "thinking"]);
    assert_eq!(body["contents"][1]["parts"], json!([{ "text": "Read." }]));
}
