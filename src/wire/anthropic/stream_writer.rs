//! Streamed answers, as they are written.
//!
//! Blocks are numbered in order, and one is closed before the next is opened. The tokens are told at
//! the end, with the reason why it ended, since other formats count nothing before.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::chat::{Body, Chunk, Delta, Finish, Usage};
use crate::wire::anthropic::answer::{Message, declined_finish};
use crate::wire::anthropic::block::fit_id;
use crate::wire::anthropic::failure::write_error;
use crate::wire::anthropic::vocabulary::{Tally, stop_reason, stop_sequence};
use crate::wire::json::{Document, string};
use crate::wire::{ErrorText, Stamp, sse};

/// The event that ends a stream.
const STOP: &str = r#"{"type":"message_stop"}"#;

/// Writes the pieces of one answer.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    stamp: Stamp,
    stage: Stage,
    /// The number of the next block.
    n_blocks: usize,
    /// The block that is open.
    open: Option<(usize, Kind)>,
    /// The number of the block of each call.
    calls: Vec<usize>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    declined: bool,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is written.
    Silent,
    /// The message is open.
    Open,
    /// The provider's own events travel; they open and close everything but the last.
    Verbatim,
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
}

impl StreamWriter {
    pub(crate) const fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            stage: Stage::Silent,
            n_blocks: 0,
            open: None,
            calls: Vec::new(),
            usage: None,
            finish: None,
            declined: false,
        }
    }

    pub(crate) fn write(&mut self, chunk: Chunk) -> String {
        let deltas = match chunk.body {
            Body::Original(piece) => {
                self.stage = Stage::Verbatim;
                return named_event(&piece.text);
            }
            Body::Read(deltas) => deltas,
        };
        self.usage = chunk.usage.or(self.usage);
        self.finish = chunk.finish.or(self.finish.take());
        let mut text = String::new();
        self.start(&mut text);
        for delta in deltas {
            self.write_delta(delta, &mut text);
        }
        text
    }

    /// Opens the message, if nothing did.
    fn start(&mut self, text: &mut String) {
        if self.stage != Stage::Silent {
            return;
        }
        self.stage = Stage::Open;
        let message = Message::empty(&self.stamp);
        // A message of strings and numbers is always JSON.
        let message = serde_json::to_value(message).unwrap_or_default();
        push(text, "message_start", json!({ "message": message }));
    }

    fn write_delta(&mut self, delta: Delta, text: &mut String) {
        match delta {
            Delta::Text(words) => self.write_words(&words, text),
            Delta::Refusal(words) => {
                self.declined = true;
                self.write_words(&words, text);
            }
            Delta::Thought(words) => {
                let index = self.thinking_block(text);
                let delta = json!({ "type": "thinking_delta", "thinking": words });
                push_delta(text, index, &delta);
            }
            Delta::ThoughtSignature(signature) => {
                let index = self.thinking_block(text);
                let delta = json!({ "type": "signature_delta", "signature": signature });
                push_delta(text, index, &delta);
            }
            Delta::ToolCallBegun { id, name, .. } => {
                let id = fit_id(&id);
                let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                let index = self.open_block(Kind::ToolUse, &block, text);
                self.calls.push(index);
            }
            Delta::ToolCallArguments { call_idx, json } => {
                // A provider that goes back to an earlier call writes into a block that is closed;
                // clients sort pieces by the number of the block, so nothing is lost.
                if let Some(index) = self.calls.get(call_idx) {
                    let delta = json!({ "type": "input_json_delta", "partial_json": json });
                    push_delta(text, *index, &delta);
                }
            }
        }
    }

    fn write_words(&mut self, words: &str, text: &mut String) {
        if words.is_empty() {
            return;
        }
        let index = match self.open {
            Some((index, Kind::Text)) => index,
            _ => self.open_block(Kind::Text, &json!({ "type": "text", "text": "" }), text),
        };
        push_delta(text, index, &json!({ "type": "text_delta", "text": words }));
    }

    fn thinking_block(&mut self, text: &mut String) -> usize {
        if let Some((index, Kind::Thinking)) = self.open {
            return index;
        }
        let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
        self.open_block(Kind::Thinking, &block, text)
    }

    /// Opens a block, once the one before it is closed, and tells its number.
    fn open_block(&mut self, kind: Kind, block: &Value, text: &mut String) -> usize {
        self.close_block(text);
        let index = self.n_blocks;
        self.n_blocks += 1;
        self.open = Some((index, kind));
        let fields = json!({ "index": index, "content_block": block });
        push(text, "content_block_start", fields);
        index
    }

    fn close_block(&mut self, text: &mut String) {
        if let Some((index, _)) = self.open.take() {
            push(text, "content_block_stop", json!({ "index": index }));
        }
    }

    pub(crate) fn end(mut self, comment: &str) -> String {
        let mut text = String::new();
        if self.stage != Stage::Verbatim {
            self.start(&mut text);
            self.close_block(&mut text);
            let finish = declined_finish(self.declined, self.finish.as_ref());
            let delta = json!({
                "stop_reason": stop_reason(finish),
                "stop_sequence": stop_sequence(finish),
            });
            let usage = Tally::of(self.usage);
            push(
                &mut text,
                "message_delta",
                json!({ "delta": delta, "usage": usage }),
            );
        }
        text.push_str(&sse::comment(comment));
        text.push_str(&named_event(STOP));
        text
    }

    pub(crate) fn fail(error: &ErrorText<'_>) -> String {
        named_event(&write_error(error))
    }
}

/// Writes an event with these fields behind its type.
fn push(text: &mut String, kind: &'static str, fields: Value) {
    #[derive(Serialize)]
    struct Event {
        r#type: &'static str,
        #[serde(flatten)]
        fields: Value,
    }

    let event = Event {
        r#type: kind,
        fields,
    };
    // Fields that are JSON stay so beside another.
    let data = serde_json::to_string(&event).unwrap_or_default();
    text.push_str("event: ");
    text.push_str(kind);
    text.push('\n');
    text.push_str(&sse::event(&data));
}

fn push_delta(text: &mut String, index: usize, delta: &Value) {
    let fields = json!({ "index": index, "delta": delta });
    push(text, "content_block_delta", fields);
}

/// An event under the name that its data has for it: clients go by the name.
fn named_event(data: &str) -> String {
    let document = Document::read(data, "the piece").ok();
    let kind = document.as_ref().and_then(|it| it.fields().find("type"));
    let name = kind.and_then(string);
    match name.filter(|name| !name.contains(['\n', '\r'])) {
        Some(name) => format!("event: {name}\n{}", sse::event(data)),
        None => sse::event(data),
    }
}
