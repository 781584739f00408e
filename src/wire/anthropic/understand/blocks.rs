//! What a turn holds, block by block.

use serde_json::Value;

use crate::domain::conversation::{Part, Source, Speaker, ToolCall, ToolResult, ToolStatus};
use crate::wire::Malformed;
use crate::wire::object::{Object, missing, wrong};

/// What a content may be.
pub(super) const CONTENT: &str = "a string or an array of blocks";

/// The parts of a content: a text, or blocks.
pub(super) fn read_content(
    value: Value,
    path: &str,
    speaker: Speaker,
    dropped: &mut Vec<String>,
) -> Result<Vec<Part>, Malformed> {
    let blocks = match value {
        Value::String(text) => return Ok(vec![Part::Text(text)]),
        Value::Array(blocks) => blocks,
        other => return Err(wrong(path, &other, CONTENT)),
    };
    let mut parts = Vec::new();
    for (position, block) in blocks.into_iter().enumerate() {
        let block = Object::of(block, format!("{path}[{position}]"))?;
        read_block(block, speaker, dropped, &mut parts)?;
    }
    Ok(parts)
}

fn read_block(
    mut block: Object,
    speaker: Speaker,
    dropped: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Malformed> {
    let kind = block.needed_string("type")?;
    match (kind.as_str(), speaker) {
        ("text", _) => parts.push(Part::Text(block.needed_string("text")?)),
        ("image", Speaker::User) => parts.push(read_image(&mut block, dropped)?),
        ("document", Speaker::User) => read_document(&mut block, dropped, parts)?,
        ("tool_use", Speaker::Assistant) => parts.push(read_tool_use(&mut block)?),
        ("tool_result", Speaker::User) => parts.push(read_tool_result(&mut block, dropped)?),
        ("thinking", Speaker::Assistant) => parts.push(Part::Thought {
            text: block.needed_string("thinking")?,
            signature: block.string("signature")?.filter(|text| !text.is_empty()),
        }),
        // Only Anthropic can read it, and the model that answers now is another.
        ("redacted_thinking", Speaker::Assistant) => {
            dropped.push(block.path_of("type"));
            return Ok(());
        }
        _ => return Err(refused(&block, &kind, speaker)),
    }
    block.drop_rest(dropped);
    Ok(())
}

/// The problem that a block cannot be said in another format, or not in this turn.
fn refused(block: &Object, kind: &str, speaker: Speaker) -> Malformed {
    const KNOWN: [&str; 6] = [
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
    ];
    let place = block.path_of("type");
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

fn read_image(block: &mut Object, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let mut source = block.needed_object("source")?;
    let kind = source.needed_string("type")?;
    let image = read_source(&mut source, &kind)?;
    let image = image.ok_or_else(|| unreachable_source(&source, &kind))?;
    source.drop_rest(dropped);
    Ok(Part::Image(image))
}

/// A document: bytes as such, and plain text as text. What the caller says about it stands before it.
fn read_document(
    block: &mut Object,
    dropped: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Malformed> {
    if let Some(context) = block.string("context")? {
        parts.push(Part::Text(context));
    }
    let mut source = block.needed_object("source")?;
    let kind = source.needed_string("type")?;
    match kind.as_str() {
        "text" => {
            source.string("media_type")?;
            parts.push(Part::Text(source.needed_string("data")?));
        }
        "content" => {
            let path = source.path_of("content");
            let content = source
                .take("content")
                .ok_or_else(|| missing(&path, CONTENT))?;
            parts.extend(read_content(content, &path, Speaker::User, dropped)?);
        }
        _ => {
            let bytes = read_source(&mut source, &kind)?;
            parts.push(Part::Document {
                source: bytes.ok_or_else(|| unreachable_source(&source, &kind))?,
                name: block.string("title")?,
            });
        }
    }
    source.drop_rest(dropped);
    Ok(())
}

/// Where bytes are; nothing, if it is no place that everybody can reach.
fn read_source(source: &mut Object, kind: &str) -> Result<Option<Source>, Malformed> {
    match kind {
        "url" => Ok(Some(Source::Url(source.needed_string("url")?))),
        "base64" => Ok(Some(Source::Inline {
            media_type: source.needed_string("media_type")?,
            base64: source.needed_string("data")?,
        })),
        _ => Ok(None),
    }
}

fn unreachable_source(source: &Object, kind: &str) -> Malformed {
    let place = source.path_of("type");
    let message = format!(
        "`{place}` is {kind:?}, which only Anthropic can read; the model chosen is another \
         provider's, so give the bytes as base64 or an address as url"
    );
    Malformed::new(place, message)
}

fn read_tool_use(block: &mut Object) -> Result<Part, Malformed> {
    let path = block.path_of("input");
    let arguments = match block.take("input") {
        Some(Value::Object(input)) => Value::Object(input).to_string(),
        Some(other) => return Err(wrong(&path, &other, "the arguments, an object")),
        None => return Err(missing(&path, "the arguments, an object")),
    };
    Ok(Part::ToolCall(ToolCall {
        id: block.needed_string("id")?,
        name: block.needed_string("name")?,
        arguments,
    }))
}

fn read_tool_result(block: &mut Object, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let path = block.path_of("content");
    let content = match block.take("content") {
        Some(content) => read_content(content, &path, Speaker::User, dropped)?,
        None => Vec::new(),
    };
    let status = match block.boolean("is_error")? {
        Some(true) => ToolStatus::Failed,
        Some(false) | None => ToolStatus::Worked,
    };
    Ok(Part::ToolResult(ToolResult {
        call_id: block.needed_string("tool_use_id")?,
        content,
        status,
    }))
}
