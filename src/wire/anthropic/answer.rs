//! Whole answers.
//!
//! Reading is lenient where a provider's liberty does no harm: a missing or odd count of tokens is
//! an unknown one, and blocks that nobody here knows are passed over. An answer without content is
//! refused, since there is nothing to hand on.

use crate::domain::chat::{Answer, Body, Completion, Finish, Format, Holds, Original};
use crate::domain::conversation::{Part, ToolCall};
use crate::wire::anthropic::block::{Block, fit_id};
use crate::wire::anthropic::failure::{inner_error, message_of};
use crate::wire::anthropic::vocabulary::{Tally, read_finish, stop_reason, stop_sequence};
use crate::wire::json::{Document, Fields, Raw, array, describe, string};
use crate::wire::{Depth, Malformed, Stamp};
use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) fn read_answer(text: String, depth: Depth) -> Result<Answer, Malformed> {
    let document = Document::read(&text, "the answer")?;
    let fields = document.fields();
    if let Some(error) = inner_error(&fields) {
        let said = message_of(&error).unwrap_or_default();
        let message = format!("the answer is an error under a status of success: {said}");
        return Err(Malformed::new("error", message));
    }
    let blocks = read_blocks(&fields)?;
    let said = blocks.iter().filter_map(text_of).collect();
    let finish = finish_of(&fields);
    let usage = fields
        .find("usage")
        .and_then(|usage| Tally::read(usage.get()).usage());
    let completion = match depth {
        Depth::Facts => None,
        Depth::Everything => Some(Completion {
            id: word(&fields, "id"),
            model: word(&fields, "model"),
            parts: blocks.iter().filter_map(read_part).collect(),
        }),
    };
    Ok(Answer {
        text: said,
        finish,
        usage,
        body: match completion {
            Some(completion) => Body::Read(completion),
            None => Body::Original(original(text)),
        },
    })
}

fn read_blocks<'a>(fields: &Fields<'a>) -> Result<Vec<Fields<'a>>, Malformed> {
    let content = fields
        .find("content")
        .ok_or_else(|| Malformed::new("content", "the answer has no `content`"))?;
    let blocks = array(content).ok_or_else(|| {
        let found = describe(content);
        Malformed::new(
            "content",
            format!("`content` is {found}; it should be an array"),
        )
    })?;
    blocks
        .into_iter()
        .map(|block| Fields::of_object(block, "a block").map_err(|problem| problem.at("content")))
        .collect()
}

/// The words of a block of text.
fn text_of(block: &Fields<'_>) -> Option<String> {
    let is_text = word(block, "type").as_deref() == Some("text");
    is_text.then(|| word(block, "text")).flatten()
}

fn read_part(block: &Fields<'_>) -> Option<Part> {
    match word(block, "type")?.as_str() {
        "text" => word(block, "text").map(Part::Text),
        "thinking" => Some(Part::Thought {
            text: word(block, "thinking").unwrap_or_default(),
            signature: word(block, "signature").filter(|text| !text.is_empty()),
        }),
        "tool_use" => Some(Part::ToolCall(ToolCall {
            id: word(block, "id")?,
            name: word(block, "name")?,
            arguments: block.find("input").map_or("{}", Raw::get).to_owned(),
        })),
        // Thoughts that only Anthropic reads, and tools that it ran: no other format has them.
        _ => None,
    }
}

/// Why an answer or a stream ended, from the fields that tell it.
pub(super) fn finish_of(fields: &Fields<'_>) -> Option<Finish> {
    let reason = word(fields, "stop_reason")?;
    Some(read_finish(&reason, word(fields, "stop_sequence")))
}

/// The text of a field.
pub(super) fn word(fields: &Fields<'_>, name: &str) -> Option<String> {
    let text = fields.find(name).and_then(string)?;
    Some(text.into_owned())
}

pub(super) const fn original(text: String) -> Original {
    Original {
        format: Format::Anthropic,
        text,
        holds: Holds::Content,
    }
}

/// A message that was made here.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: Tally,
}

impl<'a> Message<'a> {
    /// One that has not begun.
    pub(super) fn empty(stamp: &'a Stamp) -> Self {
        Self {
            id: format!("msg_{}", stamp.request_id),
            r#type: "message",
            role: "assistant",
            model: &stamp.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Tally::of(None),
        }
    }
}

pub(crate) fn write_answer(answer: Answer, stamp: &Stamp) -> String {
    let completion = match answer.body {
        Body::Original(original) => return original.text,
        Body::Read(completion) => completion,
    };
    let parts = &completion.parts;
    let finish = answer.finish.as_ref();
    let declined = parts.iter().any(|it| matches!(it, Part::Refusal(_)));
    let message = Message {
        content: parts.iter().filter_map(write_part).collect(),
        stop_reason: Some(stop_reason(declined_finish(declined, finish))),
        stop_sequence: stop_sequence(finish),
        usage: Tally::of(answer.usage),
        ..Message::empty(stamp)
    };
    // Strings, numbers and objects that were read as JSON are always JSON.
    serde_json::to_string(&message).unwrap_or_default()
}

/// Why an answer ended: a model that declined says so here by the reason, elsewhere by its words.
pub(super) fn declined_finish(declined: bool, finish: Option<&Finish>) -> Option<&Finish> {
    match finish {
        None | Some(Finish::Stop) if declined => Some(&Finish::Filtered),
        finish => finish,
    }
}

fn write_part(part: &Part) -> Option<Block<'_>> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Block::text(text),
        Part::Thought { text, signature } => Some(Block::Thinking {
            thinking: text,
            signature: signature.as_deref().unwrap_or_default(),
        }),
        Part::ToolCall(call) => Some(Block::tool_use(call).unwrap_or_else(|| unread(call))),
        // No model answers with these in any format that is read here.
        Part::Image(_) | Part::Document { .. } | Part::Audio(_) | Part::ToolResult(_) => None,
    }
}

/// A call whose arguments are no JSON object, as models write them now and then. Left out, the
/// caller would wait for an answer that never comes; so the tool gets them as they are, under the
/// name that its schema does not know, and can say what is wrong.
fn unread(call: &ToolCall) -> Block<'_> {
    const FIELD: &str = "invalid_json";
    let input = serde_json::json!({ FIELD: call.arguments }).to_string();
    Block::ToolUse {
        id: fit_id(&call.id),
        name: &call.name,
        input: RawValue::from_string(input).unwrap_or_default(),
    }
}
