//! Streamed answers of generated content.
//!
//! Each event is a whole answer that holds what is new, and the count of tokens so far. No event says
//! that there will be none after it.

use crate::domain::chat::{Body, Chunk, Delta};
use crate::domain::conversation::Part;
use crate::wire::gemini::answer::{Response, n_calls, text_of};
use crate::wire::{Malformed, StreamEvent};

/// Reads the pieces of one answer.
#[derive(Debug, Default)]
pub(in crate::wire) struct StreamReader {
    /// Calls to tools that have come.
    n_calls: usize,
}

impl StreamReader {
    pub(in crate::wire) fn read(&mut self, data: &str) -> Result<StreamEvent, Malformed> {
        let piece = Response::of(data, "the piece")?;
        if let Some(words) = piece.error() {
            return Ok(StreamEvent::Failed(words));
        }
        let parts = piece.parts(self.n_calls);
        let n_calls_before = self.n_calls;
        self.n_calls += n_calls(&parts);
        Ok(StreamEvent::Chunk(Chunk {
            text: text_of(&parts),
            finish: piece.finish(self.n_calls),
            usage: piece.usage(),
            body: Body::Read(deltas(parts, n_calls_before)),
        }))
    }
}

/// The same as what it adds to the answer. Calls come whole.
fn deltas(parts: Vec<Part>, n_calls_before: usize) -> Vec<Delta> {
    let mut call_idx = n_calls_before;
    let mut deltas = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text(text) => deltas.push(Delta::Text(text)),
            Part::Thought { text, .. } => deltas.push(Delta::Thought(text)),
            Part::ToolCall(call) => {
                let (id, name, json) = (call.id, call.name, call.arguments);
                deltas.push(Delta::ToolCallBegun { call_idx, id, name });
                deltas.push(Delta::ToolCallArguments { call_idx, json });
                call_idx += 1;
            }
            // No answer of this format is read into these.
            Part::Image(_)
            | Part::Document { .. }
            | Part::Audio(_)
            | Part::ToolResult(_)
            | Part::Refusal(_) => {}
        }
    }
    deltas
}

#[cfg(test)]
mod tests;
