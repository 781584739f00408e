//! A caller's own text with the few places changed that must: the model, the delivery, and whether the
//! count of tokens is wanted. Everything else stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::domain::chat::{Delivery, Request, UsageReport};
use crate::wire::json::{Fields, span_in};
use crate::wire::{StreamUsage, Writing};

/// A place in a text and what shall stand there.
struct Edit {
    span: Range<usize>,
    text: Cow<'static, str>,
}

impl Edit {
    fn replace(text: &str, value: &RawValue, new: &'static str) -> Self {
        Self {
            span: span_in(text, value),
            text: new.into(),
        }
    }

    /// A new first field of the object whose brace is the first at or after `start`.
    fn first_field(text: &str, start: usize, field: String) -> Self {
        let brace = text[start..].find('{').unwrap_or_default();
        let inside = start + brace + 1;
        Self {
            span: inside..inside,
            text: field.into(),
        }
    }
}

pub(crate) fn edit_request(request: &Request, writing: &Writing<'_>) -> String {
    let text = &request.original.text;
    let mut edits = vec![Edit {
        span: request.original.model_span.clone(),
        text: serde_json::Value::from(writing.model).to_string().into(),
    }];
    let redirected = request.delivery != writing.delivery;
    let asks_usage = writing.delivery == Delivery::Streamed
        && request.usage_report == UsageReport::Hidden
        && writing.manners.stream_usage == StreamUsage::OnDemand;
    // The text was read before, so it is well-formed; it is read again only if need be.
    if (redirected || asks_usage)
        && let Ok(fields) = Fields::of_text(text, "the body")
    {
        if redirected {
            redirect(text, &fields, writing.delivery, &mut edits);
        }
        if asks_usage {
            ask_usage(text, &fields, &mut edits);
        }
    }
    apply(text, edits)
}

fn redirect(text: &str, fields: &Fields<'_>, delivery: Delivery, edits: &mut Vec<Edit>) {
    let value = match delivery {
        Delivery::Whole => "false",
        Delivery::Streamed => "true",
    };
    let n_before = edits.len();
    edits.extend(
        fields
            .all("stream")
            .map(|old| Edit::replace(text, old, value)),
    );
    if edits.len() == n_before {
        edits.push(Edit::first_field(text, 0, format!("\"stream\":{value},")));
    }
    // Servers refuse options of a stream where there is no stream, but take null for none.
    if delivery == Delivery::Whole {
        let options = fields.all("stream_options");
        edits.extend(options.map(|old| Edit::replace(text, old, "null")));
    }
}

/// Adds the question how many tokens a stream used. Without it many servers never say, and what the
/// stream cost could only be guessed.
fn ask_usage(text: &str, fields: &Fields<'_>, edits: &mut Vec<Edit>) {
    const ASKED: &str = r#"{"include_usage":true}"#;
    let Some(options) = fields.all("stream_options").last() else {
        let field = format!("\"stream_options\":{ASKED},");
        edits.push(Edit::first_field(text, 0, field));
        return;
    };
    match Fields::of_object(options, "`stream_options`") {
        Ok(inner) if inner.is_empty() => edits.push(Edit::replace(text, options, ASKED)),
        Ok(inner) => {
            let n_before = edits.len();
            let asked = inner.all("include_usage");
            edits.extend(asked.map(|old| Edit::replace(text, old, "true")));
            if edits.len() == n_before {
                let start = span_in(text, options).start;
                let field = "\"include_usage\":true,".to_owned();
                edits.push(Edit::first_field(text, start, field));
            }
        }
        Err(_) if options.get() == "null" => edits.push(Edit::replace(text, options, ASKED)),
        // It is no object; the provider says so better.
        Err(_) => {}
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
