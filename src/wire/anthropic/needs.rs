//! What a request asks for beside its words. It was read before, so what is no such question is left to
//! the provider to refuse.

use crate::domain::chat::{Need, Needs, estimated_tokens};
use crate::wire::json::{Document, Fields, Raw, string};
use crate::wire::shared_fields::{add_tools, first_name, objects};

pub(super) fn read_needs(text: &str) -> Needs {
    let mut needs = Needs::default();
    let Ok(document) = Document::read(text, "the body") else {
        return needs;
    };
    let fields = document.fields();
    // The tools of servers that Anthropic asks are described there, so nobody knows how long they are.
    add_tools(&mut needs, &fields, &["tools", "mcp_servers"]);
    add_format(&mut needs, &fields);
    let limits = fields.all("max_tokens");
    needs.output_tokens_max = limits.filter_map(Raw::number).max();
    let mut told = fields.all("metadata").filter_map(as_object);
    needs.user = told.find_map(|told| first_name(&told, &["user_id"]));
    add_contents(&mut needs, fields, "system");
    for message in objects(fields.all("messages")) {
        add_contents(&mut needs, message, "content");
    }
    needs
}

/// Takes the blocks of a field into account, and those within them: a tool may return images. Blocks of text
/// are words of a message, which are counted as such.
fn add_contents(needs: &mut Needs, fields: Fields<'_>, name: &str) {
    for block in objects(fields.all(name)) {
        match block.find("type").and_then(string).as_deref() {
            Some("image") => needs.images = Need::Yes,
            Some("document") => add_document(needs, block),
            Some("search_result") => {
                add_texts(needs, block, &["title", "source"]);
                add_quoted(needs, block);
            }
            Some("tool_result") => add_contents(needs, block, "content"),
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => add_call(needs, block),
            _ => {}
        }
    }
}

/// Counts an earlier call: the tool's name and its arguments.
fn add_call(needs: &mut Needs, block: Fields<'_>) {
    add_texts(needs, block, &["name"]);
    if let Some(input) = block.find("input") {
        needs.beside_tokens += estimated_tokens(input.get());
    }
}

/// Counts the texts of these fields.
fn add_texts(needs: &mut Needs, fields: Fields<'_>, names: &[&str]) {
    for text in names
        .iter()
        .filter_map(|name| fields.find(name).and_then(string))
    {
        needs.beside_tokens += estimated_tokens(&text);
    }
}

/// Takes into account what somebody else wrote, who is no party to the conversation: a string or blocks. Its
/// words are in no message, since nobody there says them.
fn add_quoted(needs: &mut Needs, fields: Fields<'_>) {
    add_texts(needs, fields, &["content"]);
    for block in objects(fields.all("content")) {
        if block.find("type").and_then(string).as_deref() == Some("text") {
            add_texts(needs, block, &["text"]);
        }
    }
    add_contents(needs, fields, "content");
}

/// A document may be words, which every model reads, or blocks.
fn add_document(needs: &mut Needs, block: Fields<'_>) {
    add_texts(needs, block, &["title", "context"]);
    for source in block.all("source").filter_map(as_object) {
        match source.find("type").and_then(string).as_deref() {
            Some("text") => add_texts(needs, source, &["data"]),
            Some("content") => add_quoted(needs, source),
            _ => needs.documents = Need::Yes,
        }
    }
}

fn add_format(needs: &mut Needs, fields: &Fields<'_>) {
    let configs = fields.all("output_config").filter_map(as_object);
    let formats = configs.flat_map(|config| config.all("format"));
    let formats = formats.chain(fields.all("output_format"));
    for format in formats.filter_map(as_object) {
        if format.find("type").and_then(string).as_deref() == Some("json_schema") {
            needs.schema = Need::Yes;
        }
    }
}

fn as_object(value: Raw<'_>) -> Option<Fields<'_>> {
    Fields::of_object(value, "it").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::Request;
    use crate::wire::Inbound;

    fn request(fields: &str) -> Request {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,{fields}"messages":[{{"role":"user","content":"hello world"}}]}}"#
        );
        Inbound::Anthropic.read_request(body.as_bytes()).unwrap()
    }

    fn needs(fields: &str) -> Needs {
        request(fields).needs().clone()
    }

    fn of_content(content: &str) -> Needs {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[
                {{"role":"user","content":{content}}},
                {{"role":"assistant","content":"I see."}},
                {{"role":"user","content":"and now?"}}]}}"#
        );
        let request = Inbound::Anthropic.read_request(body.as_bytes()).unwrap();
        request.needs().clone()
    }

    /// Nothing but the limit, which the format requires.
    fn nothing() -> Needs {
        Needs {
            output_tokens_max: Some(9),
            ..Needs::default()
        }
    }

    #[test]
    fn a_request_of_words_needs_nothing_and_has_a_limit() {
        assert_eq!(needs(""), nothing());
        assert_eq!(of_content(r#""an image""#), nothing());
    }

    #[test]
    fn tools_are_needed_where_one_is_offered() {
        let tools = r#"[{"name":"look","input_schema":{"type":"object"}}]"#;
        let offered = needs(&format!(r#""tools":{tools},"#));
        assert_eq!(offered.tools, Need::Yes);
        assert_eq!(offered.beside_tokens, (tools.len() as u64).div_ceil(4));
        let servers = r#""mcp_servers":[{"type":"url","url":"https://a.example","name":"a"}],"#;
        assert_eq!(needs(servers).tools, Need::Yes);
        for none in ["null", "[]", "{}", "\"look\""] {
            let needs = needs(&format!(r#""tools":{none},"#));
            assert_eq!(needs, nothing(), "{none}");
        }
    }

    #[test]
    fn an_image_is_needed_wherever_it_stands() {
        let image = r#"{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}}"#;
        for content in [
            format!("[{image}]"),
            format!(r#"[{{"type":"tool_result","tool_use_id":"t","content":[{image}]}}]"#),
            format!(r#"[{{"type":"document","source":{{"type":"content","content":[{image}]}}}}]"#),
        ] {
            let needs = of_content(&content);
            assert_eq!(needs.images, Need::Yes, "{content}");
            assert_eq!(needs.documents, Need::No, "{content}");
        }
    }

    #[test]
    fn a_document_is_no_image_and_one_of_words_is_no_need() {
        let of =
            |source: &str| of_content(&format!(r#"[{{"type":"document","source":{source}}}]"#));
        for pdf in [
            r#"{"type":"base64","media_type":"application/pdf","data":""}"#,
            r#"{"type":"file","file_id":"f"}"#,
        ] {
            let needs = of(pdf);
            assert_eq!(
                (needs.documents, needs.images),
                (Need::Yes, Need::No),
                "{pdf}"
            );
        }
        for words in [
            r#"{"type":"text","media_type":"text/plain","data":"image"}"#,
            r#"{"type":"content","content":"image"}"#,
        ] {
            let counted = Needs {
                beside_tokens: 2,
                ..nothing()
            };
            assert_eq!(of(words), counted, "{words}");
        }
        assert_eq!(of("null"), nothing());
    }

    #[test]
    fn a_schema_is_needed_in_either_place() {
        let format = r#"{"type":"json_schema","schema":{}}"#;
        for fields in [
            format!(r#""output_config":{{"format":{format}}},"#),
            format!(r#""output_format":{format},"#),
        ] {
            assert_eq!(needs(&fields).schema, Need::Yes, "{fields}");
        }
        for fields in [
            r#""output_config":{"effort":"low"},"#,
            r#""output_config":null,"#,
            r#""output_format":{"type":"text"},"#,
        ] {
            assert_eq!(needs(fields), nothing(), "{fields}");
        }
    }

    #[test]
    fn a_person_goes_by_an_id_in_the_metadata() {
        for (fields, user) in [
            (r#""metadata":{"user_id":"ann"},"#, Some("ann")),
            (r#""metadata":{"user_id":null},"#, None),
            (r#""metadata":{},"#, None),
            (r#""metadata":null,"#, None),
            (r#""user_id":"ann","#, None),
        ] {
            assert_eq!(needs(fields).user.as_deref(), user, "{fields}");
        }
    }

    #[test]
    fn documents_of_words_and_earlier_calls_count_among_the_prompts_tokens_and_are_in_no_message() {
        let words = "0123456789 0123456789";
        let text = format!(r#"{{"type":"text","text":"{words}"}}"#);
        let document = |source: &str| format!(r#"{{"type":"document","source":{source}}}"#);
        let plain = document(&format!(r#"{{"type":"text","data":"{words}"}}"#));
        let result = format!(r#"{{"type":"tool_result","tool_use_id":"1","content":[{plain}]}}"#);
        for (block, n_tokens) in [
            (
                document(&format!(r#"{{"type":"content","content":"{words}"}}"#)),
                6,
            ),
            (
                document(&format!(r#"{{"type":"content","content":[{text}]}}"#)),
                6,
            ),
            (
                format!(
                    r#"{{"type":"search_result","source":"a.b","title":"A","content":[{text}]}}"#
                ),
                8,
            ),
            (
                r#"{"type":"tool_use","id":"1","name":"look","input":{"q":"it"}}"#.to_owned(),
                4,
            ),
            (
                r#"{"type":"image","source":{"type":"base64","data":"0123456789"}}"#.to_owned(),
                0,
            ),
            (document(r#"{"type":"base64","data":"0123456789"}"#), 0),
            (text, 0),
            (result, 6),
            (plain, 6),
        ] {
            let body = format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{block}]}}]}}"#
            );
            let request = Inbound::Anthropic.read_request(body.as_bytes()).unwrap();
            assert_eq!(request.needs().beside_tokens, n_tokens, "{block}");
            let counted = request.messages.tokens_estimate() + n_tokens;
            assert_eq!(request.tokens_estimate(), counted, "{block}");
            let is_said = block.starts_with(r#"{"type":"text""#);
            let is_found = request.messages.iter().any(|it| it.text.contains(words));
            assert_eq!(is_found, is_said, "{block}");
        }
    }

    #[test]
    fn a_prompts_tokens_are_those_of_its_instructions_messages_and_tools() {
        assert_eq!(request("").tokens_estimate(), 3 + 3);
        let fields = r#""system":"Be brief.","tools":["01234567890"],"#;
        assert_eq!(request(fields).tokens_estimate(), 6 + 6 + 4);
    }
}
