//! Streamed answers, as they are read.
//!
//! A stream numbers its blocks and opens and closes each; it counts the prompt's tokens when it
//! opens and the answer's when it closes.

use crate::domain::chat::{Body, Chunk, Delta, Finish, Usage};
use crate::wire::anthropic::answer::{finish_of, original, word};
use crate::wire::anthropic::failure::{inner_error, message_of};
use crate::wire::anthropic::vocabulary::Tally;
use crate::wire::json::{Document, Fields};
use crate::wire::{Depth, Malformed, StreamEvent};

/// Reads the pieces of one answer.
#[derive(Debug)]
pub(crate) struct StreamReader {
    depth: Depth,
    /// What was counted so far.
    tally: Tally,
    /// The numbers of the blocks that call tools, in the order of the calls.
    calls: Vec<u64>,
}

/// What an event says, beside its own text.
#[derive(Default)]
struct Piece {
    deltas: Vec<Delta>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl StreamReader {
    pub(crate) fn new(depth: Depth) -> Self {
        Self {
            depth,
            tally: Tally::default(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn read(&mut self, data: String) -> Result<StreamEvent, Malformed> {
        let document = Document::read(&data, "the piece")?;
        let fields = document.fields();
        let kind = word(&fields, "type")
            .ok_or_else(|| Malformed::new("type", "the piece has no `type`"))?;
        let piece = match kind.as_str() {
            "ping" => return Ok(StreamEvent::Idle),
            "message_stop" => return Ok(StreamEvent::Done),
            "error" => {
                let error = inner_error(&fields).as_ref().and_then(message_of);
                return Ok(StreamEvent::Failed(error.unwrap_or(data)));
            }
            "message_start" => {
                let message = within(&fields, "message");
                self.count(message.as_ref(), Piece::default())
            }
            "message_delta" => {
                let delta = within(&fields, "delta");
                let finish = delta.as_ref().and_then(finish_of);
                self.count(
                    Some(&fields),
                    Piece {
                        finish,
                        ..Piece::default()
                    },
                )
            }
            "content_block_start" => self.read_start(&fields),
            "content_block_delta" => self.read_delta(&fields),
            _ => Piece::default(),
        };
        Ok(self.event(data, piece))
    }

    fn event(&self, data: String, piece: Piece) -> StreamEvent {
        let Piece {
            deltas,
            finish,
            usage,
        } = piece;
        let text = deltas.iter().filter_map(|delta| match delta {
            Delta::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let text = text.collect();
        let body = match self.depth {
            Depth::Facts => Body::Original(original(data)),
            Depth::Everything if deltas.is_empty() && finish.is_none() && usage.is_none() => {
                return StreamEvent::Idle;
            }
            Depth::Everything => Body::Read(deltas),
        };
        StreamEvent::Chunk(Chunk {
            text,
            finish,
            usage,
            body,
        })
    }

    /// A piece with what its fields count.
    fn count(&mut self, fields: Option<&Fields<'_>>, piece: Piece) -> Piece {
        if let Some(usage) = fields.and_then(|fields| fields.find("usage")) {
            self.tally = self.tally.with(Tally::read(usage.get()));
        }
        Piece {
            usage: self.tally.usage(),
            ..piece
        }
    }

    fn read_start(&mut self, fields: &Fields<'_>) -> Piece {
        let mut piece = Piece::default();
        let Some(block) = within(fields, "content_block") else {
            return piece;
        };
        let text = |name: &str| word(&block, name).filter(|text| !text.is_empty());
        match word(&block, "type").as_deref() {
            Some("text") => piece.deltas.extend(text("text").map(Delta::Text)),
            Some("thinking") => piece.deltas.extend(text("thinking").map(Delta::Thought)),
            Some("tool_use") => {
                let call_idx = self.calls.len();
                self.calls.extend(number(fields));
                piece.deltas.push(Delta::ToolCallBegun {
                    call_idx,
                    id: text("id").unwrap_or_else(|| format!("toolu_{call_idx}")),
                    name: text("name").unwrap_or_default(),
                });
                // Some servers send a call whole when it begins.
                let input = block.find("input").map(|input| input.get().to_owned());
                if let Some(json) =
                    input.filter(|json| !json.trim_matches(['{', '}', ' ']).is_empty())
                {
                    let arguments = Delta::ToolCallArguments { call_idx, json };
                    piece.deltas.push(arguments);
                }
            }
            // Thoughts that only Anthropic reads, and tools that it ran: no other format has them.
            _ => {}
        }
        piece
    }

    fn read_delta(&self, fields: &Fields<'_>) -> Piece {
        let mut piece = Piece::default();
        let Some(delta) = within(fields, "delta") else {
            return piece;
        };
        let text = |name: &str| word(&delta, name).filter(|text| !text.is_empty());
        let read = match word(&delta, "type").as_deref() {
            Some("text_delta") => text("text").map(Delta::Text),
            Some("thinking_delta") => text("thinking").map(Delta::Thought),
            Some("signature_delta") => text("signature").map(Delta::ThoughtSignature),
            Some("input_json_delta") => {
                let number = number(fields);
                let call_idx = self.calls.iter().position(|known| Some(*known) == number);
                // Arguments of tools that Anthropic runs belong to no call of the caller's.
                call_idx
                    .zip(text("partial_json"))
                    .map(|(call_idx, json)| Delta::ToolCallArguments { call_idx, json })
            }
            _ => None,
        };
        piece.deltas.extend(read);
        piece
    }
}

/// An object within the fields.
fn within<'a>(fields: &Fields<'a>, name: &str) -> Option<Fields<'a>> {
    Fields::of_object(fields.find(name)?, "it").ok()
}

/// The number of the block that an event is about.
fn number(fields: &Fields<'_>) -> Option<u64> {
    fields.find("index")?.get().parse().ok()
}
