//! Requests for messages. Only what routing needs is read; the rest of the body stays text and
//! travels as such to providers that speak the same format.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::chat::{
    Format, InText, Message, Messages, OriginalRequest, Request, Role, UsageReport,
};
use crate::wire::Malformed;
use crate::wire::anthropic::needs::read_needs;
use crate::wire::json::{self, Document, Fields, Raw, Wanted, describe, string};
use crate::wire::shared_fields::{as_text, read_delivery, read_model, required};

pub(crate) fn read_request(body: &[u8]) -> Result<Request, Malformed> {
    let text = as_text(body)?;
    let document = Document::read(text, "the body")?;
    let fields = document.fields();
    let (model, model_span) = read_model(&fields)?;
    check_tokens_max(&fields)?;
    read_turns(&fields, Wanted::Check)?;
    let text: Arc<str> = text.into();
    Ok(Request {
        model,
        messages: Messages::in_text(Arc::clone(&text), turns_of),
        delivery: read_delivery(&fields)?,
        usage_report: UsageReport::Wanted,
        schema: read_schema(&fields)?,
        needs: InText::of(Arc::clone(&text), read_needs),
        original: OriginalRequest {
            format: Format::Anthropic,
            text,
            model_span,
            headers: Vec::new(),
        },
    })
}

/// The format requires a limit. 0 is allowed: it asks that the provider's cache be filled and
/// nothing be said.
fn check_tokens_max(fields: &Fields<'_>) -> Result<(), Malformed> {
    let remedy = "give the most tokens that the answer may have, a whole number";
    let value = required(fields, "max_tokens", remedy)?;
    if value.number().is_some() {
        return Ok(());
    }
    let message = format!("`max_tokens` is {}; {remedy}", describe(value));
    Err(Malformed::new("max_tokens", message))
}

/// The schema of the answer, where the caller gave one: in `output_config`, or where it stood while
/// the field was new.
fn read_schema(fields: &Fields<'_>) -> Result<Option<Arc<str>>, Malformed> {
    let config = fields.get("output_config")?;
    let within = config
        .map(|config| object(config, "output_config"))
        .transpose()?;
    let (format, place) = match within {
        Some(config) => (
            inner(&config, "format", "output_config")?,
            "output_config.format",
        ),
        None => (None, ""),
    };
    let (format, place) = match format {
        Some(format) => (format, place),
        None => match fields.get("output_format")? {
            Some(format) => (format, "output_format"),
            None => return Ok(None),
        },
    };
    let format = object(format, place)?;
    let kind = inner(&format, "type", place)?.and_then(string);
    if kind.as_deref() != Some("json_schema") {
        // Formats that are defined later pass through; nothing here can check them.
        return Ok(None);
    }
    let schema = inner(&format, "schema", place)?;
    match schema {
        Some(schema) if schema.get().starts_with('{') => Ok(Some(schema.get().into())),
        _ => {
            let found = schema.map_or_else(|| "missing".to_owned(), describe);
            let message = format!("`{place}.schema` is {found}; give a JSON Schema, an object");
            Err(Malformed::new(format!("{place}.schema"), message))
        }
    }
}

/// The turns of a body that was read before, so that nothing is wrong with them.
fn turns_of(text: &str) -> Vec<Message> {
    Document::read(text, "the body")
        .and_then(|document| read_turns(&document.fields(), Wanted::Text))
        .unwrap_or_default()
}

/// The turns, the instructions first. What tools returned is a turn of its own here, so that nobody
/// takes it for what the person said.
pub(super) fn read_turns(fields: &Fields<'_>, wanted: Wanted) -> Result<Vec<Message>, Malformed> {
    let mut turns = Vec::new();
    if let Some(system) = fields.get("system")? {
        let said = read_content(system, "system", wanted)?;
        turns.push(Message {
            role: Role::System,
            text: said.text,
        });
    }
    let remedy = "give an array with one message or more";
    let value = required(fields, "messages", remedy)?;
    let messages = json::array(value).ok_or_else(|| {
        let message = format!("`messages` is {}; give an array", describe(value));
        Malformed::new("messages", message)
    })?;
    if messages.is_empty() {
        let message = "`messages` is empty; give one message or more";
        return Err(Malformed::new("messages", message));
    }
    for (position, message) in messages.into_iter().enumerate() {
        let said = read_message(message, &format!("messages[{position}]"), wanted)?;
        turns.extend(said);
    }
    Ok(turns)
}

fn read_message(
    value: Raw<'_>,
    place: &str,
    wanted: Wanted,
) -> Result<impl Iterator<Item = Message> + use<>, Malformed> {
    let fields = object(value, place)?;
    let role = read_role(inner(&fields, "role", place)?, place)?;
    let place = format!("{place}.content");
    let content = fields
        .get("content")
        .map_err(|problem| problem.at(&place))?
        .ok_or_else(|| {
            let message = format!("`{place}` is missing; give a string or an array of blocks");
            Malformed::new(&place, message)
        })?;
    let said = read_content(content, &place, wanted)?;
    let spoke = said.returned.is_none() || !said.text.is_empty();
    let returned = said.returned.map(|text| Message {
        role: Role::Tool,
        text,
    });
    let spoken = spoke.then_some(Message {
        role,
        text: said.text,
    });
    Ok(returned.into_iter().chain(spoken))
}

fn read_role(value: Option<Raw<'_>>, place: &str) -> Result<Role, Malformed> {
    match value.and_then(string).as_deref() {
        Some("user") => Ok(Role::User),
        Some("assistant") => Ok(Role::Assistant),
        Some("system") => Ok(Role::System),
        _ => {
            let found = value.map_or_else(|| "missing".to_owned(), describe);
            let message = format!("`{place}.role` is {found}; give user, assistant or system");
            Err(Malformed::new(format!("{place}.role"), message))
        }
    }
}

/// The words of a content.
#[derive(Default)]
struct Said {
    /// Text blocks, each on lines of its own.
    text: String,
    /// The same of what tools returned; nothing, if none did.
    returned: Option<String>,
}

/// The words of a content. Blocks that are no words, pictures and thoughts, are passed over.
fn read_content(value: Raw<'_>, place: &str, wanted: Wanted) -> Result<Said, Malformed> {
    let mut said = Said::default();
    if let Some(text) = json::wanted(value, wanted) {
        said.text = text.into_owned();
        return Ok(said);
    }
    let blocks = json::array(value).ok_or_else(|| {
        let found = describe(value);
        let message = format!(
            "`{place}` is {found}; give a string of whole characters or an array of blocks"
        );
        Malformed::new(place, message)
    })?;
    for (position, block) in blocks.into_iter().enumerate() {
        let place = format!("{place}[{position}]");
        let fields = object(block, &place)?;
        match inner(&fields, "type", &place)?.and_then(string).as_deref() {
            Some("text") => append(&mut said.text, &read_text(&fields, &place, wanted)?),
            Some("tool_result") => {
                let returned = said.returned.get_or_insert_default();
                if let Some(content) = inner(&fields, "content", &place)? {
                    let content = read_content(content, &format!("{place}.content"), wanted)?;
                    append(returned, &content.text);
                }
            }
            Some(_) => {}
            None => {
                let message = format!("`{place}.type` is missing; give the kind of the block");
                return Err(Malformed::new(format!("{place}.type"), message));
            }
        }
    }
    Ok(said)
}

fn read_text<'a>(
    block: &Fields<'a>,
    place: &str,
    wanted: Wanted,
) -> Result<Cow<'a, str>, Malformed> {
    let text = inner(block, "text", place)?;
    text.and_then(|text| json::wanted(text, wanted))
        .ok_or_else(|| {
            let found = text.map_or_else(|| "missing".to_owned(), describe);
            let message = format!("`{place}.text` is {found}; give a string of whole characters");
            Malformed::new(format!("{place}.text"), message)
        })
}

fn append(text: &mut String, piece: &str) {
    if !text.is_empty() && !piece.is_empty() {
        text.push('\n');
    }
    text.push_str(piece);
}

fn object<'a>(value: Raw<'a>, place: &str) -> Result<Fields<'a>, Malformed> {
    Fields::of_object(value, format_args!("`{place}`")).map_err(|problem| problem.at(place))
}

fn inner<'a>(fields: &Fields<'a>, name: &str, place: &str) -> Result<Option<Raw<'a>>, Malformed> {
    fields.get(name).map_err(|problem| problem.within(place))
}

#[cfg(test)]
mod tests;
