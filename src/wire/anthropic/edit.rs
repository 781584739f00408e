//! A caller's own text with the few places changed that must: the model, the delivery, and thoughts
//! that no model of this format had. Everything else stays byte for byte.
//!
//! A thought without a signature came from a model of another provider, which answered an earlier
//! turn of the conversation. The format refuses it, so it goes, and is listed.

use std::borrow::Cow;
use std::ops::Range;

use crate::domain::chat::{Delivery, Request};

use crate::wire::json::{Document, Fields, Raw, array, holds, string};
use crate::wire::{Writing, Written};

/// A place in a text and what shall stand there.
struct Edit {
    span: Range<usize>,
    text: Cow<'static, str>,
}

pub(crate) fn edit_request(request: &Request, writing: &Writing<'_>) -> Written {
    let text = &request.original.text;
    let mut edits = vec![Edit {
        span: request.original.model_span.clone(),
        text: serde_json::Value::from(writing.model).to_string().into(),
    }];
    if request.delivery != writing.delivery {
        redirect(text, writing.delivery, &mut edits);
    }
    let mut dropped = Vec::new();
    // Bodies are long and such thoughts rare, so the text is not taken apart to look for them.
    if [r#""signature":"""#, r#""signature": """#]
        .iter()
        .any(|blank| holds(text, blank))
    {
        leave_out_unsigned(text, &mut edits, &mut dropped);
    }
    Written {
        body: apply(text, edits),
        dropped,
    }
}

/// Leaves out thoughts without a signature, unless a turn has nothing else.
fn leave_out_unsigned(text: &str, edits: &mut Vec<Edit>, dropped: &mut Vec<String>) {
    let document = Document::read(text, "the body").ok();
    let fields = document.as_ref().map(Document::fields);
    let messages = fields.and_then(|fields| fields.find("messages").and_then(array));
    for (position, message) in messages.into_iter().flatten().enumerate() {
        let message = Fields::of_object(message, "a message").ok();
        let Some(content) = message.and_then(|message| message.find("content")) else {
            continue;
        };
        let blocks: Vec<Raw<'_>> = array(content).into_iter().flatten().collect();
        let is_kept: Vec<bool> = blocks.iter().map(|block| !is_unsigned(*block)).collect();
        if !is_kept.contains(&false) || !is_kept.contains(&true) {
            continue;
        }
        let kept = blocks.iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
        let kept: Vec<&str> = kept.map(|(block, _)| block.get()).collect();
        edits.push(Edit {
            span: content.span(),
            text: format!("[{}]", kept.join(",")).into(),
        });
        let left = is_kept.iter().enumerate().filter(|(_, is_kept)| !**is_kept);
        dropped.extend(left.map(|(block, _)| format!("messages[{position}].content[{block}]")));
    }
}

fn is_unsigned(block: Raw<'_>) -> bool {
    let Ok(fields) = Fields::of_object(block, "a block") else {
        return false;
    };
    let word = |name: &str| fields.find(name).and_then(string);
    word("type").as_deref() == Some("thinking") && word("signature").as_deref() == Some("")
}

fn redirect(text: &str, delivery: Delivery, edits: &mut Vec<Edit>) {
    let value = match delivery {
        Delivery::Whole => "false",
        Delivery::Streamed => "true",
    };
    // The text was read before, so it is well-formed; it is read again only where it must change.
    let Ok(document) = Document::read(text, "the body") else {
        return;
    };
    let fields = document.fields();
    let n_before = edits.len();
    edits.extend(fields.all("stream").map(|old| Edit {
        span: old.span(),
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
