use super::*;

fn problems(text: &[u8]) -> Vec<String> {
    read("labels.jsonl", text)
        .rejected
        .iter()
        .map(Rejection::to_string)
        .collect()
}

/// The one problem of a file that has one.
fn problem(text: &str) -> String {
    let mut found = problems(text.as_bytes());
    assert_eq!(found.len(), 1, "{text} gives {found:?}");
    found.remove(0)
}

fn texts(labels: &Labels) -> Vec<&PromptSource> {
    labels.rows.iter().map(|row| &row.prompt).collect()
}

#[test]
fn texts_and_conversations_are_read_and_unknown_keys_ignored() {
    let labels = read(
        "labels.jsonl",
        br#"{"text": "2+2?", "intent": "maths", "author": 7}
{"messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hi", "name": "Ann"}], "intent": "smalltalk"}
"#,
    );
    let turn = |role, text: &str| Message {
        role,
        text: text.to_owned(),
    };
    let conversation =
        PromptSource::Messages(vec![turn(Role::System, "Be kind."), turn(Role::User, "hi")]);
    assert_eq!(
        texts(&labels),
        [&PromptSource::Text("2+2?".to_owned()), &conversation]
    );
    assert_eq!(
        (labels.rows[1].intent.as_str(), labels.rows[1].place.line),
        ("smalltalk", 2)
    );
    assert_eq!(labels.rejected, []);
}

#[test]
fn windows_line_ends_a_byte_order_mark_and_blank_lines_do_no_harm() {
    let labels = read("l", b"\xef\xbb\xbf{\"text\": \"a\", \"intent\": \"x\"}\r\n\r\n{\"text\": \"b\", \"intent\": \"y\"}");
    let lines: Vec<usize> = labels.rows.iter().map(|row| row.place.line).collect();
    assert_eq!((lines, labels.rejected.len()), (vec![1, 3], 0));
}

#[test]
fn every_bad_row_is_listed_with_its_line_and_the_good_ones_are_kept() {
    let text = b"{\"text\": \"a\", \"intent\": \"x\"}\nnot json\n{\"text\": \"b\xff\", \"intent\": \"x\"}\n[1]\n{\"text\": \"c\", \"intent\": \"x\"}";
    assert_eq!(read("labels.jsonl", text).rows.len(), 2);
    let found = problems(text);
    assert_eq!(found.len(), 3);
    assert!(
        found[0].starts_with("labels.jsonl:2: not a JSON object"),
        "{}",
        found[0]
    );
    assert!(
        found[1].starts_with("labels.jsonl:3: not UTF-8 at byte 11"),
        "{}",
        found[1]
    );
    assert!(
        found[2].starts_with("labels.jsonl:4: not a JSON object"),
        "{}",
        found[2]
    );
}

#[test]
fn a_key_of_another_name_is_offered_for_the_one_that_is_missing() {
    for other in ["label", "intnet", "Intents", "category"] {
        let found = problem(&format!("{{\"text\": \"a\", \"{other}\": \"x\"}}"));
        assert!(
            found.contains(&format!("no intent: is {other:?} meant for it?")),
            "{found}"
        );
    }
    let found = problem(r#"{"prompt": "a", "intent": "x"}"#);
    assert!(
        found.contains("no text (or messages): is \"prompt\" meant for it?"),
        "{found}"
    );
    let found = problem(r#"{"text": "a", "colour": "red"}"#);
    assert!(
        found.contains("has no intent: each line is like"),
        "{found}"
    );
}

#[test]
fn labels_may_stand_under_another_key() {
    let text = br#"{"text": "a", "task": "Code Debug", "intent": 3}"#;
    let labels = read_labelled_by("task", "l", text);
    assert_eq!(labels.rows[0].intent.as_str(), "Code Debug");
    let found = read_labelled_by("task", "l", br#"{"text": "a", "tasks": "x"}"#)
        .rejected
        .remove(0);
    assert!(
        found
            .problem
            .contains("no task: is \"tasks\" meant for it?"),
        "{found}"
    );
}

#[test]
fn a_prompt_that_holds_nothing_to_embed_is_refused() {
    for text in [
        r#"{"text": "  ", "intent": "x"}"#,
        r#"{"messages": [], "intent": "x"}"#,
        r#"{"messages": [{"role": "assistant", "content": "hello"}], "intent": "x"}"#,
        r#"{"messages": [{"role": "user", "content": " "}], "intent": "x"}"#,
    ] {
        assert!(
            problem(text).ends_with("there is nothing to embed"),
            "{text}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let cases = [
        (r#"{"text": 4, "intent": "x"}"#, "text is a number"),
        (r#"{"text": "a", "intent": null}"#, "intent is null"),
        (
            r#"{"text": "a", "intent": "x<y"}"#,
            "intent: the name \"x<y\" has the character '<'",
        ),
        (
            r#"{"text": "a", "messages": [], "intent": "x"}"#,
            "both text and messages",
        ),
        (
            r#"{"messages": {}, "intent": "x"}"#,
            "messages is an object",
        ),
        (
            r#"{"messages": ["hi"], "intent": "x"}"#,
            "messages[0] is a text",
        ),
        (
            r#"{"messages": [{"role": "bot", "content": "hi"}], "intent": "x"}"#,
            "messages[0].role is \"bot\"",
        ),
        (
            r#"{"messages": [{"role": "user", "text": "hi"}], "intent": "x"}"#,
            "messages[0]: has no content",
        ),
        (
            r#"{"messages": [{"role": "user", "content": []}], "intent": "x"}"#,
            "messages[0].content is a list",
        ),
    ];
    for (text, expected) in cases {
        let found = problem(text);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_repeated_row_is_taken_out_and_a_contradiction_is_only_told() {
    let mut labels = read(
        "l",
        br#"{"text": "ping", "intent": "smalltalk"}
{"text": "ping", "intent": "debugging"}
{"text": "ping", "intent": "smalltalk"}
{"text": "pong", "intent": "smalltalk"}"#,
    );
    let duplicates: Vec<String> = labels
        .take_duplicates()
        .iter()
        .map(Repeat::to_string)
        .collect();
    assert_eq!(duplicates, ["l:3: the same prompt as l:1"]);
    assert_eq!(labels.rows.len(), 3);
    let contradictions: Vec<String> = labels
        .contradictions()
        .iter()
        .map(Repeat::to_string)
        .collect();
    assert_eq!(
        contradictions,
        ["l:2: the prompt is labelled debugging here and smalltalk at l:1; keep one"]
    );
}

#[test]
fn rows_out_of_scope_are_parted_from_the_others() {
    let labels = read(
        "l",
        b"{\"text\": \"a\", \"intent\": \"x\"}\n{\"text\": \"b\", \"intent\": \"oos\"}",
    );
    let (in_scope, out_of_scope) = labels.split_out_of_scope();
    assert_eq!((in_scope.len(), out_of_scope.len()), (1, 1));
    assert_eq!(out_of_scope[0].place.line, 2);
}

#[test]
fn a_prompt_is_known_by_its_digest_whatever_stands_beside_it() {
    let of = |text: &str| read("l", text.as_bytes()).rows[0].prompt.digest();
    let base = of(r#"{"text": "a", "intent": "x"}"#);
    assert_eq!(base, of(r#"{"intent": "y", "text": "a", "id": 1}"#));
    assert_ne!(base, of(r#"{"text": "b", "intent": "x"}"#));
    let turn = r#"{"messages": [{"role": "user", "content": "a"}], "intent": "x"}"#;
    assert_ne!(base, of(turn));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_whatever_make_the_reader_panic_or_lose_a_line(
            text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let labels = read("l", &text);
            let lines = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text).split(|byte| *byte == b'\n');
            let n_filled = lines.filter(|line| !line.trim_ascii().is_empty()).count();
            prop_assert_eq!(labels.rows.len() + labels.rejected.len(), n_filled);
        }
    }
}
