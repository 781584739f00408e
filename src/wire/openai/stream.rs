//! Streamed answers of chat completions.
//!
//! A piece without choices adds nothing to the answer: it tells the count of tokens, if anything.

use serde_json::{Map, Value, json};

use crate::domain::chat::{Body, Chunk, Delta, Finish, Holds, Usage, UsageReport};
use crate::wire::json::{Document, Fields, string};
use crate::wire::openai::answer::{
    CallPiece, finish_of, first_choice, original, read_pieces, read_text, read_usage, stamped,
    thought, told_finish, write_usage,
};
use crate::wire::openai::failure::{error_message, write_error};
use crate::wire::openai::words::write_finish;
use crate::wire::{Depth, ErrorText, Malformed, Stamp, StreamEvent, sse};

/// The data of the event that ends a stream.
const STREAM_END: &str = "[DONE]";

/// Reads the pieces of one answer.
#[derive(Debug)]
pub(crate) struct StreamReader {
    depth: Depth,
    /// The calls that have begun, in that order.
    calls: Vec<Begun>,
}

impl StreamReader {
    pub(crate) const fn new(depth: Depth) -> Self {
        Self {
            depth,
            calls: Vec::new(),
        }
    }

    pub(crate) fn read(&mut self, data: String) -> Result<StreamEvent, Malformed> {
        if data.trim() == STREAM_END {
            return Ok(StreamEvent::Done);
        }
        let document = Document::read(&data, "the piece")?;
        let fields = document.fields();
        if let Some(message) = error_message(&fields) {
            return Ok(StreamEvent::Failed(message));
        }
        let choice = first_choice(&fields)?;
        let text = match &choice {
            Some(choice) => read_text(choice, "delta")?,
            None => String::new(),
        };
        let finish = choice.as_ref().and_then(finish_of);
        let usage = read_usage(&fields);
        let deltas = match self.depth {
            Depth::Facts => None,
            Depth::Everything => Some(self.read_deltas(choice.as_ref(), &text)?),
        };
        let calls_tools = !self.calls.is_empty();
        let finish = finish.map(|finish| told_finish(finish, calls_tools));
        let holds = holds(&fields, usage);
        Ok(StreamEvent::Chunk(Chunk {
            text,
            finish,
            usage,
            body: match deltas {
                Some(deltas) => Body::Read(deltas),
                None => Body::Original(original(data, holds)),
            },
        }))
    }

    fn read_deltas(
        &mut self,
        choice: Option<&Fields<'_>>,
        text: &str,
    ) -> Result<Vec<Delta>, Malformed> {
        let delta = choice.and_then(|choice| choice.find("delta"));
        let Some(delta) = delta.and_then(|it| Fields::of_object(it, "`delta`").ok()) else {
            return Ok(Vec::new());
        };
        let mut deltas = Vec::new();
        deltas.extend(thought(&delta).map(Delta::Thought));
        if !text.is_empty() {
            deltas.push(Delta::Text(text.to_owned()));
        }
        let refusal = delta.find("refusal").and_then(string);
        deltas.extend(refusal.map(|text| Delta::Refusal(text.into_owned())));
        if let Some(calls) = delta.find("tool_calls") {
            for call in read_pieces(calls.get(), "choices[0].delta.tool_calls")? {
                self.read_call(call, &mut deltas);
            }
        }
        Ok(deltas)
    }

    fn read_call(&mut self, piece: CallPiece, deltas: &mut Vec<Delta>) {
        let function = piece.function.unwrap_or_default();
        let id = piece.id.filter(|id| !id.is_empty());
        let known = self.known_call(piece.index, id.as_deref());
        let call_idx = known.unwrap_or(self.calls.len());
        if known.is_none() {
            self.calls.push(Begun {
                number: piece.index.unwrap_or(call_idx as u64),
                id: id.clone(),
            });
            deltas.push(Delta::ToolCallBegun {
                call_idx,
                id: id.unwrap_or_else(|| format!("call_{call_idx}")),
                name: function.name.clone().unwrap_or_default(),
            });
        }
        if let Some(json) = function.arguments_text().filter(|json| !json.is_empty()) {
            deltas.push(Delta::ToolCallArguments { call_idx, json });
        }
    }

    /// The call that a piece goes on with, if it does. Numbers should tell, but some servers give every
    /// call the same one and tell them apart by ids, and some give none.
    fn known_call(&self, number: Option<u64>, id: Option<&str>) -> Option<usize> {
        let mut calls = self.calls.iter();
        match (number, id) {
            (Some(number), None) => calls.rposition(|call| call.number == number),
            (Some(number), Some(id)) => calls.rposition(|call| {
                call.number == number && call.id.as_deref().is_none_or(|known| known == id)
            }),
            (None, Some(id)) => calls.rposition(|call| call.id.as_deref() == Some(id)),
            (None, None) => self.calls.len().checked_sub(1),
        }
    }
}

/// A call that has begun.
#[derive(Debug)]
struct Begun {
    /// The provider's number for it.
    number: u64,
    id: Option<String>,
}

fn holds(fields: &Fields<'_>, usage: Option<Usage>) -> Holds {
    let choices = fields.find("choices");
    let is_empty = choices.is_none_or(|it| it.get().trim_matches(['[', ']', ' ']).is_empty());
    if usage.is_some() && is_empty {
        Holds::UsageOnly
    } else {
        Holds::Content
    }
}

/// Writes the pieces of one answer.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    stamp: Stamp,
    report: UsageReport,
    /// The count that is told at the end; one that the provider told in this format has left.
    usage: Option<Usage>,
    position: Position,
}

/// Where in the answer the next piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// It opens the answer and names its role.
    First,
    /// Something came before it.
    Later,
}

impl StreamWriter {
    pub(crate) const fn new(stamp: Stamp, report: UsageReport) -> Self {
        Self {
            stamp,
            report,
            usage: None,
            position: Position::First,
        }
    }

    pub(crate) fn write(&mut self, chunk: Chunk) -> String {
        match chunk.body {
            Body::Original(piece) => match (piece.holds, self.report) {
                (Holds::UsageOnly, UsageReport::Hidden) => String::new(),
                _ => sse::event(&piece.text),
            },
            Body::Read(deltas) => {
                self.usage = chunk.usage.or(self.usage);
                self.write_deltas(&deltas, chunk.finish.as_ref())
            }
        }
    }

    fn write_deltas(&mut self, deltas: &[Delta], finish: Option<&Finish>) -> String {
        if deltas.is_empty() && finish.is_none() {
            return String::new();
        }
        let mut delta = Map::new();
        if self.position == Position::First {
            self.position = Position::Later;
            delta.insert("role".to_owned(), "assistant".into());
            delta.insert("content".to_owned(), "".into());
        }
        for one in deltas {
            add(one, &mut delta);
        }
        if delta.is_empty() && finish.is_none() {
            return String::new();
        }
        let finish = finish.map(write_finish);
        let choice =
            json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        self.piece("choices", json!([choice]))
    }

    fn piece(&self, name: &str, value: Value) -> String {
        let mut piece = stamped("chat.completion.chunk", &self.stamp);
        piece.insert(name.to_owned(), value);
        sse::event(&Value::Object(piece).to_string())
    }

    pub(crate) fn end(self, comment: &str) -> String {
        let mut text = match (self.report, self.usage) {
            (UsageReport::Wanted, Some(usage)) => {
                let mut piece = stamped("chat.completion.chunk", &self.stamp);
                piece.insert("choices".to_owned(), json!([]));
                piece.insert("usage".to_owned(), write_usage(usage));
                sse::event(&Value::Object(piece).to_string())
            }
            _ => String::new(),
        };
        text.push_str(&sse::comment(comment));
        text.push_str(&sse::event(STREAM_END));
        text
    }

    pub(crate) fn fail(error: &ErrorText<'_>) -> String {
        sse::event(&write_error(error))
    }
}

/// Adds to a delta what goes on; several pieces of one kind become one.
fn add(one: &Delta, delta: &mut Map<String, Value>) {
    let (name, text) = match one {
        Delta::Text(text) => ("content", text),
        Delta::Thought(text) => ("reasoning_content", text),
        Delta::Refusal(text) => ("refusal", text),
        // It means nothing to anyone but its provider, whose format this is not.
        Delta::ThoughtSignature(_) => return,
        Delta::ToolCallBegun { call_idx, id, name } => {
            let function = json!({ "name": name, "arguments": "" });
            let call =
                json!({ "index": call_idx, "id": id, "type": "function", "function": function });
            return add_call(call, delta);
        }
        Delta::ToolCallArguments { call_idx, json } => {
            let call = json!({ "index": call_idx, "function": { "arguments": json } });
            return add_call(call, delta);
        }
    };
    match delta.get_mut(name) {
        Some(Value::String(before)) => before.push_str(text),
        _ => {
            delta.insert(name.to_owned(), text.as_str().into());
        }
    }
}

/// Adds a piece of a call. Pieces of one call become one, since clients that put calls together take each position
/// once from a chunk.
fn add_call(call: Value, delta: &mut Map<String, Value>) {
    let calls = delta.entry("tool_calls").or_insert_with(|| json!([]));
    let Value::Array(calls) = calls else {
        return;
    };
    let begun = calls
        .iter_mut()
        .find(|begun| begun["index"] == call["index"]);
    let Some(begun) = begun else {
        return calls.push(call);
    };
    if let Value::String(before) = &mut begun["function"]["arguments"] {
        before.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
