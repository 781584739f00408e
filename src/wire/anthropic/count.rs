//! Requests to count tokens: those for messages, without a limit of tokens.
//!
//! What Anthropic does not bill as input is not taken along: thoughts of earlier turns. Images and
//! documents cannot be counted from their text and are passed over.

use crate::domain::chat::Message;
use crate::wire::Malformed;
use crate::wire::anthropic::request::read_turns;
use crate::wire::json::{self, Document, Fields, Raw, Wanted, describe, string};
use crate::wire::shared_fields::{as_text, read_model};

/// What of a conversation has tokens that can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countable {
    /// The assistant asked for.
    pub model: String,
    /// The words of each turn.
    pub texts: Vec<String>,
    /// The JSON of every tool, and of every call to one.
    pub beside: Vec<String>,
}

/// Reads a request to count tokens.
pub fn read_countable(body: &[u8]) -> Result<Countable, Malformed> {
    let text = as_text(body)?;
    let document = Document::read(text, "the body")?;
    let fields = document.fields();
    let (model, _) = read_model(&fields)?;
    let turns = read_turns(&fields, Wanted::Text)?;
    let mut beside = read_tools(&fields)?;
    let messages = fields.get("messages")?.and_then(json::array);
    for message in messages.into_iter().flatten() {
        // Its shape was looked at when the turns were read.
        if let Ok(message) = Fields::of_object(message, "") {
            let blocks = message.find("content").and_then(json::array);
            beside.extend(blocks.into_iter().flatten().flat_map(call));
        }
    }
    Ok(Countable {
        model,
        texts: turns.into_iter().map(|Message { text, .. }| text).collect(),
        beside,
    })
}

fn read_tools(fields: &Fields<'_>) -> Result<Vec<String>, Malformed> {
    let Some(value) = fields.get("tools")? else {
        return Ok(Vec::new());
    };
    let tools = json::array(value).ok_or_else(|| {
        let message = format!("`tools` is {}; give an array", describe(value));
        Malformed::new("tools", message)
    })?;
    Ok(tools.map(|tool| tool.get().to_owned()).collect())
}

/// The tool and the arguments of a block, if it is a call.
fn call(block: Raw<'_>) -> Vec<String> {
    let Ok(fields) = Fields::of_object(block, "") else {
        return Vec::new();
    };
    if fields.find("type").and_then(string).as_deref() != Some("tool_use") {
        return Vec::new();
    }
    let name = fields.find("name").and_then(string).map(String::from);
    let input = fields.find("input").map(|input| input.get().to_owned());
    name.into_iter().chain(input).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tools_and_calls_count_and_thoughts_and_pictures_do_not() {
        let body = r#"{"model":"a","system":[{"type":"text","text":"Be brief."}],
            "tools":[{"name":"find","input_schema":{"type":"object"}}],
            "messages":[
                {"role":"user","content":"Where?"},
                {"role":"assistant","content":[
                    {"type":"thinking","thinking":"Hm.","signature":"x"},
                    {"type":"tool_use","id":"1","name":"find","input":{"q": "it"}}]},
                {"role":"user","content":[
                    {"type":"tool_result","tool_use_id":"1","content":"Here."},
                    {"type":"image","source":{"type":"url","url":"https://example.org/a.png"}}]}]}"#;
        let read = read_countable(body.as_bytes()).unwrap();
        assert_eq!(read.model, "a");
        assert_eq!(read.texts, ["Be brief.", "Where?", "", "Here."]);
        let tool = r#"{"name":"find","input_schema":{"type":"object"}}"#;
        assert_eq!(read.beside, [tool, "find", r#"{"q": "it"}"#]);
    }

    #[test]
    fn what_no_request_for_messages_may_have_is_refused_here_too() {
        for (body, param) in [
            (r#"{"messages":[]}"#, "model"),
            (r#"{"model":"a"}"#, "messages"),
            (r#"{"model":"a","messages":[]}"#, "messages"),
            (
                r#"{"model":"a","messages":[{"role":"user","content":[{}]}]}"#,
                "messages[0].content[0].type",
            ),
            (
                r#"{"model":"a","messages":[{"role":"user","content":"x"}],"tools":{}}"#,
                "tools",
            ),
        ] {
            let problem = read_countable(body.as_bytes()).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some(param), "{body}");
        }
    }
}
