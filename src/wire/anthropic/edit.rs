//! A caller's own text with the few places changed that must: the model and the delivery. Everything
//! else stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use crate::domain::chat::{Delivery, Request};
use crate::wire::Writing;
use crate::wire::json::{Fields, span_in};

/// A place in a text and what shall stand there.
struct Edit {
    span: Range<usize>,
    text: Cow<'static, str>,
}

pub(crate) fn edit_request(request: &Request, writing: &Writing<'_>) -> String {
    let text = &request.original.text;
    let mut edits = vec![Edit {
        span: request.original.model_span.clone(),
        text: serde_json::Value::from(writing.model).to_string().into(),
    }];
    if request.delivery != writing.delivery {
        redirect(text, writing.delivery, &mut edits);
    }
    apply(text, edits)
}

fn redirect(text: &str, delivery: Delivery, edits: &mut Vec<Edit>) {
    let value = match delivery {
        Delivery::Whole => "false",
        Delivery::Streamed => "true",
    };
    // The text was read before, so it is well-formed; it is read again only where it must change.
    let Ok(fields) = Fields::of_text(text, "the body") else {
        return;
    };
    let n_before = edits.len();
    edits.extend(fields.all("stream").map(|old| Edit {
        span: span_in(text, old),
        text: value.into(),
    }));
    if edits.len() == n_before {
        let inside = text.find('{').map_or(0, |brace| brace + 1);
        edits.push(Edit {
            span: inside..inside,
            text: format!("\"stream\":{value},").into(),
        });
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
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
