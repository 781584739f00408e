//! Changes of single places in a caller's own text. Everything else stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use crate::domain::chat::{Delivery, OriginalRequest};
use crate::wire::json::{Fields, Raw};

/// A place in a text and what shall stand there.
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) text: Cow<'static, str>,
}

impl Edit {
    /// Another value in the place of one that stands in the text.
    pub(super) fn replace(value: Raw<'_>, new: impl Into<Cow<'static, str>>) -> Self {
        Self {
            span: value.span(),
            text: new.into(),
        }
    }

    /// The provider's name for the model in the place of the caller's.
    pub(super) fn naming(original: &OriginalRequest, model: &str) -> Self {
        Self {
            span: original.model_span.clone(),
            text: serde_json::Value::from(model).to_string().into(),
        }
    }

    /// A new first field of the object whose brace is the first at or after `start`.
    pub(super) fn first_field(text: &str, start: usize, field: String) -> Self {
        let brace = text[start..].find('{').unwrap_or_default();
        let inside = start + brace + 1;
        Self {
            span: inside..inside,
            text: field.into(),
        }
    }
}

/// Asks for the answer whole or streamed, whatever the caller asked for.
pub(super) fn redirect(text: &str, fields: &Fields<'_>, delivery: Delivery, edits: &mut Vec<Edit>) {
    let value = match delivery {
        Delivery::Whole => "false",
        Delivery::Streamed => "true",
    };
    let n_before = edits.len();
    let asked = fields.all("stream");
    edits.extend(asked.map(|old| Edit::replace(old, value)));
    if edits.len() == n_before {
        edits.push(Edit::first_field(text, 0, format!("\"stream\":{value},")));
    }
}

/// The text with these changes, which do not overlap.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let n_new: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut written = String::with_capacity(text.len() + n_new);
    let mut copied = 0;
    for edit in &edits {
        written.push_str(&text[copied..edit.span.start]);
        written.push_str(&edit.text);
        copied = edit.span.end;
    }
    written.push_str(&text[copied..]);
    written
}
