//! Turns, as the format orders them: instructions apart, the two speakers in alternation, and what
//! tools returned at the head of the user's turn.

use serde::Serialize;

use crate::domain::conversation::{Part, Speaker, ToolResult, ToolStatus, Turn};
use crate::wire::Malformed;
use crate::wire::anthropic::block::{Block, Content, Place, fit_id};

/// A message.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: Role,
    content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    User,
    Assistant,
}

/// What was said so far.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// By the application.
    pub(super) system: Vec<Block<'a>>,
    /// By the two speakers.
    pub(super) messages: Vec<Message<'a>>,
}

pub(super) fn write<'a>(
    turns: &'a [Turn],
    dropped: &mut Vec<String>,
) -> Result<Said<'a>, Malformed> {
    let mut system = Vec::new();
    let mut spoken: Vec<(Role, Vec<Block<'a>>)> = Vec::new();
    for (position, turn) in turns.iter().enumerate() {
        let place = format!("messages[{position}]");
        let mut blocks = Vec::new();
        for (part_idx, part) in turn.parts.iter().enumerate() {
            blocks.extend(write_part(part, &place, part_idx, dropped)?);
        }
        let role = match turn.speaker {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
            Speaker::System => {
                if !spoken.is_empty() {
                    dropped.push(format!("{place}.role"));
                }
                system.extend(blocks);
                continue;
            }
        };
        match spoken.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            // The format refuses a message that says nothing.
            _ if blocks.is_empty() => {}
            _ => spoken.push((role, blocks)),
        }
    }
    let messages = spoken.into_iter().map(|(role, mut blocks)| {
        blocks.sort_by_key(|block| !matches!(block, Block::ToolResult { .. }));
        Message {
            role,
            content: Content::of(blocks),
        }
    });
    Ok(Said {
        system,
        messages: messages.collect(),
    })
}

fn write_part<'a>(
    part: &'a Part,
    place: &str,
    part_idx: usize,
    dropped: &mut Vec<String>,
) -> Result<Option<Block<'a>>, Malformed> {
    let block = match part {
        Part::Text(text) | Part::Refusal(text) => return Ok(Block::text(text)),
        Part::Image(source) => Block::Image {
            source: Place::of(source),
        },
        Part::Document { source, name } => Block::Document {
            source: Place::of(source),
            title: name.as_deref(),
        },
        Part::Audio(_) => {
            let place = format!("{place}.content[{part_idx}]");
            let message = format!(
                "`{place}` is a recording, which the model chosen cannot hear; send its words, or \
                 ask for an assistant whose models hear"
            );
            return Err(Malformed::new(place, message));
        }
        Part::ToolCall(call) => Block::tool_use(call).ok_or_else(|| {
            let place = format!("{place}.tool_calls");
            let message = format!(
                "the arguments of the call {:?} in `{place}` are no JSON object; give an object as \
                 text",
                call.id
            );
            Malformed::new(place, message)
        })?,
        Part::ToolResult(result) => write_result(result, place, dropped)?,
        Part::Thought {
            text,
            signature: Some(signature),
        } => Block::Thinking {
            thinking: text,
            signature,
        },
        // Only the model that thought it can take it back, and it asks for its signature.
        Part::Thought {
            signature: None, ..
        } => {
            dropped.push(format!("{place}.reasoning_content"));
            return Ok(None);
        }
    };
    Ok(Some(block))
}

fn write_result<'a>(
    result: &'a ToolResult,
    place: &str,
    dropped: &mut Vec<String>,
) -> Result<Block<'a>, Malformed> {
    let mut content = Vec::new();
    for (part_idx, part) in result.content.iter().enumerate() {
        content.extend(write_part(part, place, part_idx, dropped)?);
    }
    Ok(Block::ToolResult {
        tool_use_id: fit_id(&result.call_id),
        content: Content::of(content),
        is_error: result.status == ToolStatus::Failed,
    })
}
