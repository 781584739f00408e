//! Turns as `contents`.
//!
//! A result of a tool names the tool, so its call is looked for in the turns before it. All results
//! of one turn's calls must stand together in a content of nothing else, whereas other formats give
//! each a message of its own or mix them with words.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::domain::conversation::{
    Conversation, Part, Source, Speaker, ToolCall, ToolResult, ToolStatus,
};
use crate::wire::gemini::Generation;
use crate::wire::{Malformed, signed_id};

/// What stands in for the signature of a call that has none: it was made by another provider's model
/// or written by hand. Google names this word for that purpose
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The fields `systemInstruction` and `contents` for these turns.
pub(super) fn write(
    conversation: &Conversation,
    generation: Generation,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, Malformed> {
    let instructions = conversation.instructions.as_deref();
    let mut writer = Writer {
        generation,
        tools: BTreeMap::new(),
        system: instructions.and_then(words).into_iter().collect(),
        contents: Vec::new(),
        shown: Vec::new(),
        dropped,
    };
    for turn in &conversation.turns {
        match turn.speaker {
            Speaker::System => writer.instruct(&turn.parts)?,
            Speaker::User => writer.user_turn(&turn.parts)?,
            Speaker::Assistant => writer.said(&turn.parts)?,
        }
    }
    writer.finish()
}

/// One content: who speaks and what it holds.
struct Content {
    voice: Voice,
    parts: Vec<Value>,
}

/// Who speaks in a content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// The person.
    User,
    /// The tools.
    Tools,
    /// The model.
    Model,
}

struct Writer<'a> {
    generation: Generation,
    /// The tools that were called, by the ids of the calls.
    tools: BTreeMap<&'a str, &'a str>,
    system: Vec<Value>,
    contents: Vec<Content>,
    /// What tools returned beside text, to be shown once all their results are there.
    shown: Vec<Value>,
    dropped: &'a mut Vec<String>,
}

impl<'a> Writer<'a> {
    /// Instructions stand apart from the conversation, whatever turn they came in.
    fn instruct(&mut self, parts: &[Part]) -> Result<(), Malformed> {
        for part in parts {
            let Part::Text(text) = part else {
                let message = "a system message holds more than text, which this model's provider does not take; move it into a user's message";
                return Err(Malformed::new("messages", message));
            };
            self.system.extend(words(text));
        }
        Ok(())
    }

    /// Results of tools come first, right behind the calls that they answer.
    fn user_turn(&mut self, parts: &[Part]) -> Result<(), Malformed> {
        for part in parts {
            if let Part::ToolResult(result) = part {
                let written = self.result(result)?;
                self.push(Voice::Tools, written);
            }
        }
        for part in parts {
            if !matches!(part, Part::ToolResult(_))
                && let Some(written) = self.part(part)?
            {
                self.push(Voice::User, written);
            }
        }
        Ok(())
    }

    fn said(&mut self, parts: &'a [Part]) -> Result<(), Malformed> {
        for part in parts {
            let written = match part {
                Part::ToolCall(call) => {
                    let id = signed_id::plain(&call.id);
                    self.tools.insert(id, &call.name);
                    Some(write_call(call)?)
                }
                other => self.part(other)?,
            };
            if let Some(part) = written {
                self.push(Voice::Model, part);
            }
        }
        Ok(())
    }

    fn push(&mut self, voice: Voice, part: Value) {
        if voice != Voice::Tools && !self.shown.is_empty() {
            let parts = std::mem::take(&mut self.shown);
            self.contents.push(Content {
                voice: Voice::User,
                parts,
            });
        }
        match self.contents.last_mut() {
            Some(last) if last.voice == voice => last.parts.push(part),
            _ => self.contents.push(Content {
                voice,
                parts: vec![part],
            }),
        }
    }

    /// A part that is neither a call nor a result; nothing for one that says nothing here.
    fn part(&mut self, part: &Part) -> Result<Option<Value>, Malformed> {
        match part {
            Part::Text(text) | Part::Refusal(text) => Ok(words(text)),
            Part::Image(source) => file(source, Medium::Image).map(Some),
            Part::Audio(source) => file(source, Medium::Audio).map(Some),
            Part::Document { source, name } => {
                if name.is_some() {
                    self.dropped.push("filename".to_owned());
                }
                file(source, Medium::Document).map(Some)
            }
            // Models take back no thoughts in words; what they need of them is in the signatures.
            Part::Thought { .. } => {
                self.dropped.push("thinking".to_owned());
                Ok(None)
            }
            Part::ToolCall(_) | Part::ToolResult(_) => {
                let message = "a tool's call or result stands in a turn where none can; give calls in the assistant's turns and results in the user's";
                Err(Malformed::new("messages", message))
            }
        }
    }

    fn result(&mut self, result: &ToolResult) -> Result<Value, Malformed> {
        let id = signed_id::plain(&result.call_id);
        let name = *self.tools.get(id).ok_or_else(|| {
            let message = format!(
                "a tool's result answers the call {id:?}, which no turn before it makes; keep the assistant's turn with that call in `messages`"
            );
            Malformed::new("messages", message)
        })?;
        let mut texts: Vec<&str> = Vec::new();
        let mut others = Vec::new();
        for part in &result.content {
            match part {
                Part::Text(text) => texts.push(text),
                other => others.extend(self.part(other)?),
            }
        }
        let response = returned(&texts.join("\n"), result.status);
        let mut written = json!({ "id": id, "name": name, "response": response });
        match self.generation {
            Generation::Older => self.shown.append(&mut others),
            Generation::Newer if others.is_empty() => {}
            Generation::Newer => written["parts"] = others.into(),
        }
        Ok(json!({ "functionResponse": written }))
    }

    fn finish(mut self) -> Result<Map<String, Value>, Malformed> {
        if !self.shown.is_empty() {
            let parts = std::mem::take(&mut self.shown);
            let voice = Voice::User;
            self.contents.push(Content { voice, parts });
        }
        if self.contents.is_empty() {
            let message = "`messages` holds no words but the system's, which this model's provider does not answer; give a user's message";
            return Err(Malformed::new("messages", message));
        }
        let mut body = Map::new();
        if !self.system.is_empty() {
            let instruction = json!({ "parts": self.system });
            body.insert("systemInstruction".to_owned(), instruction);
        }
        let generation = self.generation;
        let contents = self.contents.into_iter();
        let contents = contents.map(|content| write_content(content, generation));
        body.insert("contents".to_owned(), contents.collect());
        Ok(body)
    }
}

fn write_content(mut content: Content, generation: Generation) -> Value {
    let role = match content.voice {
        Voice::User | Voice::Tools => "user",
        Voice::Model => "model",
    };
    // Of calls that were made at the same time, the model signs the first only.
    let mut parts = content.parts.iter_mut();
    let first_call = parts.find(|part| part.get("functionCall").is_some());
    if let (Generation::Newer, Some(Value::Object(call))) = (generation, first_call) {
        call.entry("thoughtSignature")
            .or_insert_with(|| NO_SIGNATURE.into());
    }
    json!({ "role": role, "parts": content.parts })
}

/// A part of words; a blank text is none, since the provider refuses it.
fn words(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({ "text": text }))
}

fn write_call(call: &ToolCall) -> Result<Value, Malformed> {
    let arguments = match call.arguments.trim() {
        "" => Some(json!({})),
        text => serde_json::from_str(text).ok().filter(Value::is_object),
    };
    let arguments = arguments.ok_or_else(|| {
        let message = format!(
            "the arguments of the call {:?} are no JSON object, which is all that this model's provider takes",
            signed_id::plain(&call.id)
        );
        Malformed::new("messages", message)
    })?;
    let id = signed_id::plain(&call.id);
    let mut part = Map::new();
    let written = json!({ "id": id, "name": call.name, "args": arguments });
    part.insert("functionCall".to_owned(), written);
    if let Some(signature) = signed_id::signature(&call.id) {
        part.insert("thoughtSignature".to_owned(), signature.into());
    }
    Ok(Value::Object(part))
}

/// What a tool returned, as an object: its own, if it returned one, and else under the names that
/// the format's documentation uses.
fn returned(text: &str, status: ToolStatus) -> Value {
    match status {
        ToolStatus::Failed => json!({ "error": text }),
        ToolStatus::Worked => serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({ "output": text })),
    }
}

/// What a file is to the model.
#[derive(Clone, Copy)]
enum Medium {
    Image,
    Audio,
    Document,
}

/// Endings of names of files, and the media types that they stand for.
const ENDINGS: [(&str, &str); 11] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
];

/// A file by its bytes, or by an address: the provider fetches public ones itself
/// (<https://ai.google.dev/gemini-api/docs/file-input-methods>).
fn file(source: &Source, medium: Medium) -> Result<Value, Malformed> {
    match source {
        Source::Inline { media_type, base64 } => {
            Ok(json!({ "inlineData": { "mimeType": media_type, "data": base64 } }))
        }
        Source::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
            let mut data = json!({ "fileUri": url });
            if let Some(media_type) = media_type_of(url, medium) {
                data["mimeType"] = media_type.into();
            }
            Ok(json!({ "fileData": data }))
        }
        Source::Url(url) => {
            let shown: String = url.chars().take(40).collect();
            let message = format!(
                "the address {shown:?} of a file is none that this model's provider can fetch; give an https address, or the bytes as data:MEDIA/TYPE;base64,…"
            );
            Err(Malformed::new("messages", message))
        }
    }
}

/// The media type that an address tells by its ending; a document without one is taken for a PDF.
fn media_type_of(url: &str, medium: Medium) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit(['.', '/']).next().unwrap_or_default();
    let known = ENDINGS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(ending));
    match (known, medium) {
        (Some((_, media_type)), _) => Some(media_type),
        (None, Medium::Document) => Some("application/pdf"),
        (None, Medium::Image | Medium::Audio) => None,
    }
}

#[cfg(test)]
mod tests;
