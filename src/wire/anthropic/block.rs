//! Blocks of a content, as they are written: in the turns of a request and in an answer.

use std::borrow::Cow;

use crate::domain::conversation::{Source, ToolCall};
use crate::wire::json::Document;
use crate::wire::signed_id;
use serde::Serialize;
use serde_json::value::RawValue;

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Place<'a>,
    },
    Document {
        source: Place<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Content::is_empty")]
        content: Content<'a>,
        #[serde(skip_serializing_if = "is_false")]
        is_error: bool,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls it by"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Blocks as a content: one text stands for itself.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Content<'a> {
    /// The content of these blocks.
    pub(super) fn of(mut blocks: Vec<Block<'a>>) -> Self {
        match (blocks.pop(), blocks.is_empty()) {
            (Some(Block::Text { text }), true) => Self::Text(text),
            (last, _) => {
                blocks.extend(last);
                Self::Blocks(blocks)
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Blocks(blocks) => blocks.is_empty(),
        }
    }
}

/// Where bytes are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Place<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
}

impl<'a> Place<'a> {
    /// The place of a source.
    pub(super) fn of(source: &'a Source) -> Self {
        match source {
            Source::Url(url) => Self::Url { url },
            Source::Inline { media_type, base64 } => Self::Base64 {
                media_type,
                data: base64,
            },
        }
    }
}

impl<'a> Block<'a> {
    /// A block of words; nothing for words that are none, since the format refuses blank blocks.
    pub(super) fn text(text: &'a str) -> Option<Self> {
        let is_blank = text.trim().is_empty();
        (!is_blank).then_some(Self::Text { text: text.into() })
    }

    /// A block that calls a tool; nothing, if the arguments are no JSON object. None at all are an
    /// empty one, as several formats write a tool without parameters.
    pub(super) fn tool_use(call: &'a ToolCall) -> Option<Self> {
        let arguments = match call.arguments.trim() {
            "" => "{}",
            arguments => arguments,
        };
        Document::read(arguments, "the arguments").ok()?;
        Some(Self::ToolUse {
            id: fit_id(&call.id),
            name: &call.name,
            input: RawValue::from_string(arguments.to_owned()).ok()?,
        })
    }
}

/// An id in the letters that this format allows. Calls and their results go through it alike, so
/// that they still find each other.
pub(super) fn fit_id(id: &str) -> Cow<'_, str> {
    let id = signed_id::plain(id);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.chars().map(|c| if fits(c) { c } else { '_' }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> ToolCall {
        ToolCall {
            id: "call:1".to_owned(),
            name: "look".to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[test]
    fn arguments_keep_their_every_digit() {
        let call = call(r#"{"n": 12345678901234567890123, "x": 1.50}"#);
        let written = serde_json::to_string(&Block::tool_use(&call).unwrap()).unwrap();
        assert_eq!(
            written,
            r#"{"type":"tool_use","id":"call_1","name":"look","input":{"n": 12345678901234567890123, "x": 1.50}}"#
        );
    }

    #[test]
    fn no_arguments_are_an_empty_object_and_half_ones_are_none() {
        assert!(Block::tool_use(&call(" ")).is_some());
        for broken in [r#"{"n":"#, "[]", "7", "{} {}"] {
            assert!(Block::tool_use(&call(broken)).is_none(), "{broken}");
        }
    }
}
