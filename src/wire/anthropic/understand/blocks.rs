//! What a turn holds, block by block.

use serde_json::value::RawValue;

use crate::domain::conversation::{Part, Source, Speaker, ToolCall, ToolResult, ToolStatus};
use crate::wire::Malformed;
use crate::wire::json::{Fields, string};
use crate::wire::object::{Object, elements, unfit};

/// The parts of a content: a text, or blocks.
pub(super) fn read_content(
    value: &RawValue,
    place: &str,
    speaker: Speaker,
    dropped: &mut Vec<String>,
) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = string(value) {
        return Ok(vec![Part::Text(text.into_owned())]);
    }
    if !value.get().starts_with('[') {
        let remedy = "give a string of whole characters or an array of blocks";
        return Err(unfit(place, value, remedy));
    }
    let mut parts = Vec::new();
    for (place, block) in elements(value, place)? {
        read_block(Object::of_value(block, &place)?, speaker, dropped, &mut parts)?;
    }
    Ok(parts)
}

fn read_block(
    mut block: Object<'_>,
    speaker: Speaker,
    dropped: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Malformed> {
    let kind = block.required_text("type")?;
    match (kind.as_str(), speaker) {
        ("text", _) => parts.push(Part::Text(block.required_text("text")?)),
        ("image", Speaker::User) => parts.push(read_image(&mut block)?),
        ("document", Speaker::User) => read_document(&mut block, dropped, parts)?,
        ("tool_use", Speaker::Assistant) => parts.push(read_tool_use(&mut block)?),
        ("tool_result", Speaker::User) => parts.push(read_tool_result(&mut block, dropped)?),
        ("thinking", Speaker::Assistant) => parts.push(Part::Thought {
            text: block.required_text("thinking")?,
            signature: block.text("signature")?.filter(|text| !text.is_empty()),
        }),
        // Only Anthropic can read it, and the model that answers now is another.
        ("redacted_thinking", Speaker::Assistant) => {
            dropped.push(block.place_of("type"));
            return Ok(());
        }
        _ => return Err(refused(&block, &kind, speaker)),
    }
    dropped.extend(block.rest());
    Ok(())
}

/// The problem that a block cannot be said in another format, or not in this turn.
fn refused(block: &Object<'_>, kind: &str, speaker: Speaker) -> Malformed {
    const KNOWN: [&str; 6] = [
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
    ];
    let place = block.place_of("type");
    let message = if KNOWN.contains(&kind) {
        let role = match speaker {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        format!("`{place}` is {kind:?}, which has no place in a message of role {role}")
    } else {
        format!(
            "`{place}` is {kind:?}, which only Anthropic's own models read; the model chosen is \
             another provider's, so leave the block out or ask for an assistant whose models speak \
             this format"
        )
    };
    Malformed::new(place, message)
}

fn read_image(block: &mut Object<'_>) -> Result<Part, Malformed> {
    let mut source = required_source(block)?;
    let kind = source.required_text("type")?;
    let image = read_source(&mut source, &kind)?;
    image
        .map(Part::Image)
        .ok_or_else(|| unreachable_source(&source, &kind))
}

/// A document: bytes as such, and plain text as text. What the caller says about it stands before it.
fn read_document(
    block: &mut Object<'_>,
    dropped: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Malformed> {
    if let Some(context) = block.text("context")? {
        parts.push(Part::Text(context));
    }
    let mut source = required_source(block)?;
    let kind = source.required_text("type")?;
    match kind.as_str() {
        "text" => {
            source.text("media_type")?;
            parts.push(Part::Text(source.required_text("data")?));
        }
        "content" => {
            let place = source.place_of("content");
            let content = source
                .take("content")?
                .ok_or_else(|| source.missing("content", "give a string or an array of blocks"))?;
            parts.extend(read_content(content, &place, Speaker::User, dropped)?);
        }
        _ => {
            let bytes = read_source(&mut source, &kind)?;
            parts.push(Part::Document {
                source: bytes.ok_or_else(|| unreachable_source(&source, &kind))?,
                name: block.text("title")?,
            });
        }
    }
    dropped.extend(source.rest());
    Ok(())
}

fn required_source<'a>(block: &mut Object<'a>) -> Result<Object<'a>, Malformed> {
    block
        .object("source")?
        .ok_or_else(|| block.missing("source", "give an object with the bytes or the address"))
}

/// Where bytes are; nothing, if it is no place that everybody can reach.
fn read_source(source: &mut Object<'_>, kind: &str) -> Result<Option<Source>, Malformed> {
    match kind {
        "url" => Ok(Some(Source::Url(source.required_text("url")?))),
        "base64" => Ok(Some(Source::Inline {
            media_type: source.required_text("media_type")?,
            base64: source.required_text("data")?,
        })),
        _ => Ok(None),
    }
}

fn unreachable_source(source: &Object<'_>, kind: &str) -> Malformed {
    let place = source.place_of("type");
    let message = format!(
        "`{place}` is {kind:?}, which only Anthropic can read; the model chosen is another \
         provider's, so give the bytes as base64 or an address as url"
    );
    Malformed::new(place, message)
}

fn read_tool_use(block: &mut Object<'_>) -> Result<Part, Malformed> {
    let input = block
        .take("input")?
        .ok_or_else(|| block.missing("input", "give the arguments, an object"))?;
    if Fields::of_object(input, "`input`").is_err() {
        return Err(unfit(&block.place_of("input"), input, "give an object"));
    }
    Ok(Part::ToolCall(ToolCall {
        id: block.required_text("id")?,
        name: block.required_text("name")?,
        arguments: input.get().to_owned(),
    }))
}

fn read_tool_result(
    block: &mut Object<'_>,
    dropped: &mut Vec<String>,
) -> Result<Part, Malformed> {
    let place = block.place_of("content");
    let content = match block.take("content")? {
        Some(content) => read_content(content, &place, Speaker::User, dropped)?,
        None => Vec::new(),
    };
    let status = match block.flag("is_error")? {
        Some(true) => ToolStatus::Failed,
        Some(false) | None => ToolStatus::Worked,
    };
    Ok(Part::ToolResult(ToolResult {
        call_id: block.required_text("tool_use_id")?,
        content,
        status,
    }))
}
