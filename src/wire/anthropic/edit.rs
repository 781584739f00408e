//! A caller's own text with the few places changed that must: the model, the delivery, and thoughts
//! that no model of this format had. Everything else stays byte for byte.
//!
//! A thought without a signature came from a model of another provider, which answered an earlier
//! turn of the conversation. The format refuses it, so it goes, and is listed.

use crate::domain::chat::Request;
use crate::wire::edit::{Edit, apply, redirect};
use crate::wire::json::{Document, Fields, Raw, array, holds, string};
use crate::wire::{Writing, Written};

pub(crate) fn edit_request(request: &Request, writing: &Writing<'_>) -> Written {
    let text = &request.original.text;
    let mut edits = vec![Edit::naming(&request.original, writing.model)];
    // The text was read before, so it is well-formed; it is read again only where it must change.
    if request.delivery != writing.delivery
        && let Ok(document) = Document::read(text, "the body")
    {
        redirect(text, &document.fields(), writing.delivery, &mut edits);
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
        let kept = format!("[{}]", kept.join(","));
        edits.push(Edit::replace(content, kept));
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
