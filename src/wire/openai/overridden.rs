//! A body of this format with what a target is asked differently. Fields that are not named stay as they
//! are written.

use serde_json::{Map, Value};

use crate::domain::conversation::Conversation;
use crate::wire::json::{Document, Fields, Raw, array, string};
use crate::wire::object::Object;
use crate::wire::openai::conversation::read_settings;
use crate::wire::openai::words::LIMITS;
use crate::wire::overrides::{Overrides, SystemPrompt};
use crate::wire::rewrite::{Change, Changes, rewritten};
use crate::wire::{LengthField, Malformed};

/// What parameters say, as far as other formats have words for them.
pub(crate) fn read_parameters(fields: Map<String, Value>) -> Result<Conversation, Malformed> {
    let mut body = Object::of(Value::Object(fields), "")?;
    read_settings(&mut body)
}

pub(crate) fn override_request(
    body: &str,
    overrides: &Overrides,
    length_field: LengthField,
) -> Result<String, Malformed> {
    let document = Document::read(body, "the body")?;
    let fields = document.fields();
    let mut changes = Changes::new();
    if let (Some(system), Some(messages)) = (&overrides.system, fields.find("messages")) {
        let messages = with_system(messages, system);
        changes.push(("messages".to_owned(), Change::Set(messages)));
    }
    let parameters = &overrides.parameters;
    let gone: Vec<&str> = parameters
        .fields()
        .flat_map(|(name, value)| beside(name, value))
        .copied()
        .collect();
    changes.extend(gone.iter().map(|it| ((*it).to_owned(), Change::Removed)));
    for (name, value) in parameters.fields().filter(|(it, _)| !gone.contains(it)) {
        if LIMITS.contains(&name) {
            let name = match length_field {
                LengthField::MaxCompletionTokens => LIMITS[0],
                LengthField::MaxTokens => LIMITS[1],
            };
            for limit in LIMITS {
                let value = value.filter(|_| limit == name);
                changes.push((limit.to_owned(), Change::to(value)));
            }
        } else {
            changes.push((name.to_owned(), Change::to(value)));
        }
    }
    Ok(rewritten(fields, &changes))
}

/// What says something of a field that is taken out, and is refused without it.
fn beside(name: &str, value: Option<&Value>) -> &'static [&'static str] {
    match (name, value) {
        ("tools", None) => &["tool_choice", "parallel_tool_calls"],
        ("functions", None) => &["function_call"],
        _ => &[],
    }
}

/// The messages with another system prompt.
fn with_system(messages: Raw<'_>, system: &SystemPrompt) -> String {
    let messages: Vec<Raw<'_>> = array(messages).into_iter().flatten().collect();
    let n_own = messages.iter().take_while(|it| is_own(**it)).count();
    let pieces = system.pieces(n_own);
    let mut written = Vec::new();
    if pieces.is_empty() {
        let text = system.alone_quoted();
        written.push(format!(r#"{{"role":"system","content":{text}}}"#));
    }
    for (message, piece) in messages.iter().zip(&pieces) {
        if let Ok(fields) = Fields::of_object(*message, "a message") {
            let content = piece.around_content(fields.find("content"));
            let changes = [("content".to_owned(), Change::Set(content))];
            written.push(rewritten(fields, &changes));
        }
    }
    let rest = messages[n_own..].iter().map(|it| it.get().to_owned());
    written.extend(rest);
    format!("[{}]", written.join(","))
}

/// Whether a message speaks in the application's name.
fn is_own(message: Raw<'_>) -> bool {
    let fields = Fields::of_object(message, "a message").ok();
    let role = fields.and_then(|fields| fields.find("role").and_then(string));
    matches!(role.as_deref(), Some("system" | "developer"))
}
