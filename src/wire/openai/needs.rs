//! What a request asks for beside its words. It was read before, so what is no such question is left to
//! the provider to refuse.

use crate::domain::chat::{Need, Needs, estimated_tokens};
use crate::wire::json::{Document, Fields, Raw, string};
use crate::wire::openai::words::LIMITS;
use crate::wire::shared_fields::{add_tools, first_name, objects};

/// The names of the person, the newer one first.
const USERS: [&str; 2] = ["safety_identifier", "user"];

pub(super) fn read_needs(text: &str) -> Needs {
    let mut needs = Needs::default();
    let Ok(document) = Document::read(text, "the body") else {
        return needs;
    };
    let fields = document.fields();
    add_tools(&mut needs, &fields, &["tools", "functions"]);
    add_format(&mut needs, &fields);
    let limits = LIMITS.iter().flat_map(|name| fields.all(name));
    needs.output_tokens_max = limits.filter_map(Raw::number).max();
    needs.user = first_name(&fields, &USERS);
    for message in objects(fields.all("messages")) {
        for part in objects(message.all("content")) {
            add_part(&mut needs, &part);
        }
        for call in objects(message.all("tool_calls")) {
            add_call(&mut needs, call.all("function").chain(call.all("custom")));
        }
        add_call(&mut needs, message.all("function_call"));
    }
    needs
}

fn add_part(needs: &mut Needs, part: &Fields<'_>) {
    match part.find("type").and_then(string).as_deref() {
        Some("image_url") => needs.images = Need::Yes,
        Some("file") => needs.documents = Need::Yes,
        Some("input_audio") => needs.audio = Need::Yes,
        _ => {}
    }
}

/// Counts what earlier calls say: the tool's name, and its arguments or its input.
fn add_call<'a>(needs: &mut Needs, calls: impl Iterator<Item = Raw<'a>>) {
    for call in calls.filter_map(|it| Fields::of_object(it, "a call").ok()) {
        let said = ["name", "arguments", "input"].into_iter();
        let texts = said.filter_map(|name| call.find(name).and_then(string));
        let n_tokens: u64 = texts.map(|text| estimated_tokens(&text)).sum();
        needs.beside_tokens += n_tokens;
    }
}

fn add_format(needs: &mut Needs, fields: &Fields<'_>) {
    let formats = fields.all("response_format");
    for format in formats.filter_map(|it| Fields::of_object(it, "`response_format`").ok()) {
        match format.find("type").and_then(string).as_deref() {
            Some("json_schema") => needs.schema = Need::Yes,
            Some("json_object") => needs.json_object = Need::Yes,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::Request;
    use crate::wire::Inbound;

    fn request(fields: &str) -> Request {
        let body = format!(
            r#"{{"model":"m",{fields}"messages":[{{"role":"user","content":"hello world"}}]}}"#
        );
        Inbound::OpenAi.read_request(body.as_bytes()).unwrap()
    }

    fn needs(fields: &str) -> Needs {
        request(fields).needs().clone()
    }

    fn of_content(content: &str) -> Needs {
        let body = format!(
            r#"{{"model":"m","messages":[
                {{"role":"user","content":{content}}},
                {{"role":"assistant","content":null}},
                {{"role":"user","content":"and now?"}}]}}"#
        );
        let request = Inbound::OpenAi.read_request(body.as_bytes()).unwrap();
        request.needs().clone()
    }

    #[test]
    fn a_request_of_words_needs_nothing() {
        assert_eq!(needs(""), Needs::default());
        assert_eq!(of_content(r#""an image_url""#), Needs::default());
    }

    #[test]
    fn tools_are_needed_where_one_is_offered() {
        let tools = r#"[{"type":"function","function":{"name":"look"}}]"#;
        for name in ["tools", "functions"] {
            let needs = needs(&format!(r#""{name}":{tools},"#));
            assert_eq!(needs.tools, Need::Yes, "{name}");
            assert_eq!(needs.beside_tokens, (tools.len() as u64).div_ceil(4));
        }
        for none in ["null", "[]", "[ ]", "{}", "\"look\"", "7"] {
            let needs = needs(&format!(r#""tools":{none},"tool_choice":"auto","#));
            assert_eq!(needs, Needs::default(), "{none}");
        }
        let twice = needs(&format!(r#""tools":{tools},"tools":[],"#));
        assert_eq!(twice.tools, Need::Yes);
    }

    #[test]
    fn an_image_in_an_older_turn_is_needed_and_other_parts_are_told_apart() {
        let image =
            r#"[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:,"}}]"#;
        let only = |images, documents, audio| Needs {
            images,
            documents,
            audio,
            ..Needs::default()
        };
        assert_eq!(of_content(image), only(Need::Yes, Need::No, Need::No));
        let file = r#"[{"type":"file","file":{"file_id":"f"}}]"#;
        assert_eq!(of_content(file), only(Need::No, Need::Yes, Need::No));
        let audio = r#"[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]"#;
        assert_eq!(of_content(audio), only(Need::No, Need::No, Need::Yes));
        let words = r#"[{"type":"text","text":"\"image_url\""},{"type":null}]"#;
        assert_eq!(of_content(words), Needs::default());
    }

    #[test]
    fn a_schema_and_any_object_are_told_apart() {
        let schema = needs(
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"#,
        );
        assert_eq!((schema.schema, schema.json_object), (Need::Yes, Need::No));
        let object = needs(r#""response_format":{"type":"json_object"},"#);
        assert_eq!((object.schema, object.json_object), (Need::No, Need::Yes));
        for other in ["null", r#"{"type":"text"}"#, r#"{"type":"grammar"}"#] {
            let needs = needs(&format!(r#""response_format":{other},"#));
            assert_eq!(needs, Needs::default(), "{other}");
        }
    }

    #[test]
    fn the_limit_goes_by_either_name_and_the_greater_counts() {
        for (fields, limit) in [
            (r#""max_tokens":7,"#, Some(7)),
            (r#""max_completion_tokens":7,"#, Some(7)),
            (r#""max_completion_tokens":7,"max_tokens":9,"#, Some(9)),
            (r#""max_tokens":null,"#, None),
            (r#""max_tokens":"7","#, None),
            (r#""max_tokens":-1,"#, None),
        ] {
            assert_eq!(needs(fields).output_tokens_max, limit, "{fields}");
        }
    }

    #[test]
    fn a_person_goes_by_either_name() {
        for (fields, user) in [
            (r#""user":"ann","#, Some("ann")),
            (r#""user":"ann","safety_identifier":"a\u006e","#, Some("an")),
            (r#""user":"ann","safety_identifier":" ","#, Some("ann")),
            (r#""user":"","#, None),
            (r#""user":3,"#, None),
        ] {
            assert_eq!(needs(fields).user.as_deref(), user, "{fields}");
        }
    }

    #[test]
    fn earlier_calls_count_among_the_prompts_tokens() {
        let tokens = |called: &str| {
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"hello world"}},
                    {{"role":"assistant","content":null{called}}}]}}"#
            );
            let request = Inbound::OpenAi.read_request(body.as_bytes()).unwrap();
            request.tokens_estimate()
        };
        let arguments = r#""{\"q\":\"0123456789\"}""#;
        for called in [
            format!(r#""tool_calls":[{{"function":{{"name":"look","arguments":{arguments}}}}}]"#),
            r#""tool_calls":[{"custom":{"name":"look","input":"0123456789abcdefgh"}}]"#.to_owned(),
            format!(r#""function_call":{{"name":"look","arguments":{arguments}}}"#),
        ] {
            let called = format!(",{called}");
            assert_eq!(tokens(&called), tokens("") + 1 + 5, "{called}");
        }
        for none in [r#","tool_calls":null"#, r#","tool_calls":[{"function":7}]"#] {
            assert_eq!(tokens(none), tokens(""), "{none}");
        }
    }

    #[test]
    fn a_prompts_tokens_are_those_of_its_messages_and_tools() {
        assert_eq!(request("").tokens_estimate(), 3 + 3);
        assert_eq!(
            request(r#""tools":["01234567890"],"#).tokens_estimate(),
            6 + 4
        );
    }
}
