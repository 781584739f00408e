//! The messages of a request, read into turns.

use serde_json::Value;

use crate::domain::conversation::{Part, Source, Speaker, ToolCall, ToolResult, ToolStatus, Turn};
use crate::wire::Malformed;
use crate::wire::object::{Object, missing, wrong};
use crate::wire::openai::words::media_type_of_audio;

pub(super) fn read_turns(
    body: &mut Object,
    dropped: &mut Vec<String>,
) -> Result<Vec<Turn>, Malformed> {
    let messages = body
        .array("messages")?
        .ok_or_else(|| missing("messages", "an array with one message or more"))?;
    messages
        .into_iter()
        .enumerate()
        .map(|(position, message)| read_turn(message, &format!("messages[{position}]"), dropped))
        .collect()
}

fn read_turn(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<Turn, Malformed> {
    let mut message = Object::of(value, path)?;
    let role = message.needed_string("role")?;
    let content = message.take("content");
    let content = read_content(content, &message.path_of("content"), dropped)?;
    let turn = match role.as_str() {
        "system" | "developer" => turn(Speaker::System, content),
        "user" => turn(Speaker::User, content),
        "assistant" => turn(
            Speaker::Assistant,
            read_said(&mut message, content, dropped)?,
        ),
        "tool" => {
            let result = ToolResult {
                call_id: message.needed_string("tool_call_id")?,
                content,
                status: ToolStatus::Worked,
            };
            turn(Speaker::User, vec![Part::ToolResult(result)])
        }
        _ => {
            let wanted = "system, developer, user, assistant or tool";
            return Err(wrong(&message.path_of("role"), &role.into(), wanted));
        }
    };
    message.drop_rest(dropped);
    Ok(turn)
}

const fn turn(speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { speaker, parts }
}

/// What the model thought, said and called, in the order in which it must have come about.
fn read_said(
    message: &mut Object,
    content: Vec<Part>,
    dropped: &mut Vec<String>,
) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    if let Some(text) = message.string("reasoning_content")? {
        let signature = None;
        parts.push(Part::Thought { text, signature });
    }
    parts.extend(content);
    if let Some(refusal) = message.string("refusal")? {
        parts.push(Part::Refusal(refusal));
    }
    let calls = message.array("tool_calls")?.unwrap_or_default();
    let path = message.path_of("tool_calls");
    for (position, call) in calls.into_iter().enumerate() {
        let call = read_call(call, &format!("{path}[{position}]"), dropped)?;
        parts.push(Part::ToolCall(call));
    }
    Ok(parts)
}

fn read_call(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<ToolCall, Malformed> {
    let mut call = Object::of(value, path)?;
    call.skip("type");
    // Only pieces of a stream need it.
    call.skip("index");
    let mut function = call.needed_object("function")?;
    let read = ToolCall {
        id: call.needed_string("id")?,
        name: function.needed_string("name")?,
        arguments: function.string("arguments")?.unwrap_or_default(),
    };
    function.drop_rest(dropped);
    call.drop_rest(dropped);
    Ok(read)
}

fn read_content(
    content: Option<Value>,
    path: &str,
    dropped: &mut Vec<String>,
) -> Result<Vec<Part>, Malformed> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text(text)]),
        Some(Value::Array(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(position, part)| read_part(part, &format!("{path}[{position}]"), dropped))
            .collect(),
        Some(other) => Err(wrong(path, &other, "a string or an array of parts")),
    }
}

fn read_part(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let mut part = Object::of(value, path)?;
    let kind = part.needed_string("type")?;
    let read = match kind.as_str() {
        "text" => Part::Text(part.needed_string("text")?),
        "refusal" => Part::Refusal(part.needed_string("refusal")?),
        "image_url" => read_image(&mut part, dropped)?,
        "input_audio" => read_audio(&mut part, dropped)?,
        "file" => read_file(&mut part, dropped)?,
        _ => {
            let wanted = "text, image_url, input_audio, file or refusal";
            return Err(wrong(&part.path_of("type"), &kind.into(), wanted));
        }
    };
    part.drop_rest(dropped);
    Ok(read)
}

fn read_image(part: &mut Object, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let mut image = part.needed_object("image_url")?;
    let url = image.needed_string("url")?;
    let source = read_source(url, &image.path_of("url"))?;
    image.drop_rest(dropped);
    Ok(Part::Image(source))
}

fn read_audio(part: &mut Object, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let mut audio = part.needed_object("input_audio")?;
    let base64 = audio.needed_string("data")?;
    let format = audio.needed_string("format")?;
    let media_type = media_type_of_audio(&format)
        .ok_or_else(|| wrong(&audio.path_of("format"), &format.into(), "wav or mp3"))?;
    audio.drop_rest(dropped);
    Ok(Part::Audio(Source::Inline {
        media_type: media_type.to_owned(),
        base64,
    }))
}

fn read_file(part: &mut Object, dropped: &mut Vec<String>) -> Result<Part, Malformed> {
    let mut file = part.needed_object("file")?;
    let path = file.path_of("file_data");
    let data = file.string("file_data")?.ok_or_else(|| {
        let wanted = "the file itself as a data URL: this model's provider knows no uploaded files";
        missing(&path, wanted)
    })?;
    let document = Part::Document {
        source: read_source(data, &path)?,
        name: file.string("filename")?,
    };
    file.drop_rest(dropped);
    Ok(document)
}

/// An address, or the bytes that a data URL holds (RFC 2397).
fn read_source(url: String, path: &str) -> Result<Source, Malformed> {
    let Some(data) = url.strip_prefix("data:") else {
        return Ok(Source::Url(url));
    };
    let parted = data.split_once(";base64,");
    let (media_type, base64) = parted.ok_or_else(|| {
        let wanted = "data:MEDIA/TYPE;base64,… or an https address";
        wrong(path, &url.as_str().into(), wanted)
    })?;
    Ok(Source::Inline {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    })
}
