//! Requests for chat completions. Only what routing needs is read; the rest of the body, fields
//! that nobody here has heard of included, stays text and travels as such.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::domain::chat::{
    Delivery, Format, InText, Message, Messages, Needs, OriginalRequest, Request, Role, UsageReport,
};
use crate::wire::Malformed;
use crate::wire::json::{self, Document, Fields, Raw, Wanted, describe, string};
use crate::wire::openai::needs::read_needs;
use crate::wire::rewrite::quoted;
use crate::wire::shared_fields::{as_text, read_delivery, read_model, refuse_blank, required};

/// The schema that `response_format: {type: json_object}` stands for.
const ANY_OBJECT: &str = r#"{"type":"object"}"#;

/// The schema of a JSON answer that the caller gave none for.
const ANY_JSON: &str = "{}";

pub(crate) fn read_request(body: &[u8]) -> Result<Request, Malformed> {
    let text = as_text(body)?;
    let document = Document::read(text, "the body")?;
    let fields = document.fields();
    let (model, model_span) = read_model(&fields)?;
    read_messages(&fields, Wanted::Check)?;
    let text: Arc<str> = text.into();
    Ok(Request {
        model,
        messages: Messages::in_text(Arc::clone(&text), messages_of),
        delivery: read_delivery(&fields)?,
        usage_report: read_usage_report(&fields),
        schema: read_schema(&fields)?,
        needs: InText::of(Arc::clone(&text), read_needs),
        original: OriginalRequest {
            format: Format::OpenAi,
            text,
            model_span,
            headers: Vec::new(),
        },
    })
}

/// A request that says no more than this text: what [`read_request`] would find in its body, which is written
/// and not read.
pub(crate) fn question(model: &str, text: &str) -> Result<Request, Malformed> {
    refuse_blank(model)?;
    let before = r#"{"model":"#;
    let named = quoted(model);
    let said = quoted(text);
    let body = format!(r#"{before}{named},"messages":[{{"role":"user","content":{said}}}]}}"#);
    let body: Arc<str> = body.into();
    let turn = Message {
        role: Role::User,
        text: text.to_owned(),
    };
    Ok(Request {
        model: model.to_owned(),
        messages: Messages::in_text(Arc::clone(&body), messages_of).known_to_be(vec![turn]),
        delivery: Delivery::Whole,
        usage_report: UsageReport::Hidden,
        schema: None,
        needs: InText::of(Arc::clone(&body), read_needs).known_to_be(Needs::default()),
        original: OriginalRequest {
            format: Format::OpenAi,
            text: body,
            model_span: before.len()..before.len() + named.len(),
            headers: Vec::new(),
        },
    })
}

/// A request that says no more than these messages, which stand in it as they came: what a reader would trip over,
/// half of a surrogate pair or a number without bounds, must not meet a writer of values first.
pub(crate) fn conversation(model: &str, messages: &RawValue) -> Result<Request, Malformed> {
    let named = quoted(model);
    let said = messages.get();
    read_request(format!(r#"{{"model":{named},"messages":{said}}}"#).as_bytes())
}

/// Whether the caller asked for the piece that tells the count of tokens. What is no such question is
/// left to the provider to refuse.
fn read_usage_report(fields: &Fields<'_>) -> UsageReport {
    let options = fields.find("stream_options");
    let options = options.and_then(|it| Fields::of_object(it, "`stream_options`").ok());
    let asked = options.and_then(|it| it.find("include_usage").map(Raw::get));
    match asked {
        Some("true") => UsageReport::Wanted,
        _ => UsageReport::Hidden,
    }
}

fn read_schema(fields: &Fields<'_>) -> Result<Option<Arc<str>>, Malformed> {
    let Some(value) = fields.get("response_format")? else {
        return Ok(None);
    };
    let format = Fields::of_object(value, "`response_format`")
        .map_err(|problem| problem.at("response_format"))?;
    let kind = format
        .get("type")
        .map_err(|problem| problem.within("response_format"))?
        .and_then(string);
    match kind.as_deref() {
        Some("json_object") => Ok(Some(ANY_OBJECT.into())),
        Some("json_schema") => read_json_schema(&format).map(Some),
        // Formats that others define pass through; nothing here can check them.
        _ => Ok(None),
    }
}

fn read_json_schema(format: &Fields<'_>) -> Result<Arc<str>, Malformed> {
    const PLACE: &str = "response_format.json_schema";
    let value = format
        .get("json_schema")
        .map_err(|problem| problem.within("response_format"))?
        .ok_or_else(|| {
            malformed(
                PLACE,
                "`response_format.json_schema` is missing; give an object with `name` and `schema`",
            )
        })?;
    let named = Fields::of_object(value, "`response_format.json_schema`")
        .map_err(|problem| problem.at(PLACE))?;
    let schema = named
        .get("schema")
        .map_err(|problem| problem.within(PLACE))?;
    match schema {
        None => Ok(ANY_JSON.into()),
        Some(schema) if schema.get().starts_with(['{', 't', 'f']) => Ok(schema.get().into()),
        Some(schema) => Err(malformed(
            "response_format.json_schema.schema",
            &format!(
                "`response_format.json_schema.schema` is {}; give a JSON Schema, an object",
                describe(schema)
            ),
        )),
    }
}

/// The messages of a body that was read before, so that nothing is wrong with them.
fn messages_of(text: &str) -> Vec<Message> {
    Document::read(text, "the body")
        .and_then(|document| read_messages(&document.fields(), Wanted::Text))
        .unwrap_or_default()
}

fn read_messages(fields: &Fields<'_>, wanted: Wanted) -> Result<Vec<Message>, Malformed> {
    let remedy = "give an array with one message or more";
    let value = required(fields, "messages", remedy)?;
    let messages = json::array(value).ok_or_else(|| {
        let found = describe(value);
        malformed("messages", &format!("`messages` is {found}; give an array"))
    })?;
    if messages.is_empty() {
        return Err(malformed(
            "messages",
            "`messages` is empty; give one message or more",
        ));
    }
    messages
        .enumerate()
        .map(|(position, message)| {
            read_message(message, format_args!("messages[{position}]"), wanted)
        })
        .collect()
}

fn read_message(
    value: Raw<'_>,
    place: fmt::Arguments<'_>,
    wanted: Wanted,
) -> Result<Message, Malformed> {
    let fields = object(value, place)?;
    let role = fields
        .get("role")
        .map_err(|problem| problem.within(&place.to_string()))
        .and_then(|role| read_role(role, place))?;
    let content = fields
        .get("content")
        .map_err(|problem| problem.within(&place.to_string()))?;
    let text = match content {
        Some(content) => read_content(content, format_args!("{place}.content"), wanted)?,
        // An assistant that only calls tools says nothing, and a tool may return nothing.
        None if matches!(role, Role::Assistant | Role::Tool) => String::new(),
        None => {
            return Err(malformed(
                &format!("{place}.content"),
                &format!("`{place}.content` is missing; give a string or an array of parts"),
            ));
        }
    };
    Ok(Message { role, text })
}

fn read_role(value: Option<Raw<'_>>, place: fmt::Arguments<'_>) -> Result<Role, Malformed> {
    const ROLES: &str = "system, developer, user, assistant, tool or function";
    let name = value.and_then(string);
    match name.as_deref() {
        Some("system" | "developer") => Ok(Role::System),
        Some("user") => Ok(Role::User),
        Some("assistant") => Ok(Role::Assistant),
        Some("tool" | "function") => Ok(Role::Tool),
        _ => {
            let found = value.map_or_else(|| "missing".to_owned(), describe);
            Err(malformed(
                &format!("{place}.role"),
                &format!("`{place}.role` is {found}; give {ROLES}"),
            ))
        }
    }
}

/// The text of a message's content. Parts that are no text, images and sound, are passed over.
pub(super) fn read_content(
    value: Raw<'_>,
    place: fmt::Arguments<'_>,
    wanted: Wanted,
) -> Result<String, Malformed> {
    if let Some(text) = json::wanted(value, wanted) {
        return Ok(text.into_owned());
    }
    let parts = json::array(value).ok_or_else(|| {
        let remedy = "give a string of whole characters or an array of parts";
        let found = describe(value);
        malformed(
            &place.to_string(),
            &format!("`{place}` is {found}; {remedy}"),
        )
    })?;
    let mut text = String::new();
    for (position, part) in parts.enumerate() {
        let place = format_args!("{place}[{position}]");
        if let Some(piece) = read_part(part, place, wanted)? {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&piece);
        }
    }
    Ok(text)
}

/// The text of a part of a content; nothing, if it is no text.
fn read_part<'a>(
    value: Raw<'a>,
    place: fmt::Arguments<'_>,
    wanted: Wanted,
) -> Result<Option<Cow<'a, str>>, Malformed> {
    let fields = object(value, place)?;
    let kind = fields
        .get("type")
        .map_err(|problem| problem.within(&place.to_string()))?;
    if kind.and_then(string).as_deref() != Some("text") {
        return Ok(None);
    }
    let text = fields
        .get("text")
        .map_err(|problem| problem.within(&place.to_string()))?;
    let piece = text
        .and_then(|text| json::wanted(text, wanted))
        .ok_or_else(|| {
            let found = text.map_or_else(|| "missing".to_owned(), describe);
            malformed(
                &format!("{place}.text"),
                &format!("`{place}.text` is {found}; give a string"),
            )
        })?;
    Ok(Some(piece))
}

fn object<'a>(value: Raw<'a>, place: fmt::Arguments<'_>) -> Result<Fields<'a>, Malformed> {
    Fields::of_object(value, format_args!("`{place}`"))
        .map_err(|problem| problem.at(&place.to_string()))
}

fn malformed(param: &str, message: &str) -> Malformed {
    Malformed {
        param: Some(param.to_owned()),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
