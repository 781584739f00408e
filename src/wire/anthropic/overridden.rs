//! A body of this format with what a target is asked differently, where the caller wrote it.
//!
//! Settings hang together here: a model that thinks takes few temperatures, a budget must fit the limit. So
//! the caller's settings are understood, those of the operator put over them, and both written; where the
//! two differ, the body is changed. Everything else stays as the caller wrote it.

use serde_json::{Map, Value};

use crate::domain::chat::Delivery;
use crate::domain::conversation::{Conversation, Tool};
use crate::wire::anthropic::{read_conversation, write_conversation};
use crate::wire::json::{Document, Fields, array};
use crate::wire::overrides::{Overrides, Parameters, SystemPrompt, Word};
use crate::wire::rewrite::{Change, Changes, rewritten};
use crate::wire::{Malformed, Manners, Writing, Written};

/// The fields that settings stand in.
const SETTINGS: [&str; 10] = [
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "tool_choice",
];

pub(crate) fn override_request(
    written: Written,
    overrides: &Overrides,
    model: &str,
) -> Result<Written, Malformed> {
    let document = Document::read(&written.body, "the body")?;
    let fields = document.fields();
    let mut changes = Changes::new();
    if let Some(system) = &overrides.system {
        changes.push((
            "system".to_owned(),
            Change::Set(with_system(fields, system)),
        ));
    }
    let mut dropped = written.dropped;
    if !overrides.parameters.is_empty() {
        let settings = Settings { fields, model };
        let untold = settings.change(&overrides.parameters, &mut changes)?;
        dropped.extend(untold);
        dropped.sort_unstable();
        dropped.dedup();
    }
    Ok(Written {
        body: rewritten(fields, &changes),
        dropped,
    })
}

fn with_system(fields: Fields<'_>, system: &SystemPrompt) -> String {
    let own = fields.find("system");
    match system.pieces(usize::from(own.is_some())).first() {
        Some(piece) => piece.around_content(own),
        None => system.alone_quoted(),
    }
}

/// The settings of a caller's body.
struct Settings<'a> {
    fields: Fields<'a>,
    model: &'a str,
}

impl Settings<'_> {
    /// Adds what must change in the body, and returns what the model cannot be told.
    fn change(
        &self,
        parameters: &Parameters,
        changes: &mut Changes,
    ) -> Result<Vec<String>, Malformed> {
        let mut conversation = self.read(parameters);
        let (before, untold) = self.write(&conversation)?;
        parameters.apply(&mut conversation);
        let (after, dropped) = self.write(&conversation)?;
        for name in SETTINGS {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                changes.push((name.to_owned(), self.changed(name, old, new)));
            }
        }
        for word in parameters.words() {
            let gone: &[&str] = match word {
                Word::Tools => &["tools", "mcp_servers", "tool_choice"],
                Word::ToolChoice => &["tool_choice"],
                Word::Structure => &["output_format"],
                _ => &[],
            };
            changes.retain(|(name, _)| !gone.contains(&name.as_str()));
            let gone = gone
                .iter()
                .map(|name| ((*name).to_owned(), Change::Removed));
            changes.extend(gone);
        }
        // What the caller's own body was not heeded in, it says itself; what goes for the operator's sake is
        // told.
        let is_told =
            |name: &String| !untold.contains(name) || parameters.names().any(|ours| ours == name);
        Ok(dropped.into_iter().filter(is_told).collect())
    }

    /// What the caller's settings say. Settings that are newer than this reader are none to it. The turns
    /// matter to a model's thinking only.
    fn read(&self, parameters: &Parameters) -> Conversation {
        let thinks = parameters.words().any(|word| word == Word::Effort);
        let wider = thinks.then(|| self.read_fields(&["messages"])).flatten();
        let mut read = wider.or_else(|| self.read_fields(&[])).unwrap_or_default();
        let tools = self.fields.find("tools").and_then(array);
        // How tools are called is written only where there is one, whichever.
        if tools.is_some_and(|tools| !tools.is_empty()) {
            read.tools = vec![Tool {
                name: String::new(),
                description: None,
                parameters: None,
                strict: None,
            }];
        }
        read
    }

    fn read_fields(&self, more: &[&str]) -> Option<Conversation> {
        let names = SETTINGS.iter().chain(more);
        let found = names.filter_map(|name| {
            let value = self.fields.find(name)?;
            Some(format!("\"{name}\":{}", value.get()))
        });
        let body = format!("{{{}}}", found.collect::<Vec<_>>().join(","));
        read_conversation(&body).ok().map(|read| read.conversation)
    }

    fn write(
        &self,
        conversation: &Conversation,
    ) -> Result<(Map<String, Value>, Vec<String>), Malformed> {
        let writing = Writing {
            model: self.model,
            delivery: Delivery::Whole,
            manners: Manners::default(),
        };
        let written = write_conversation(conversation, &writing)?;
        let fields = serde_json::from_str(&written.body).unwrap_or_default();
        Ok((fields, written.dropped))
    }

    /// A field's new value. Of an object only what differs is changed, since the caller may say more in it.
    fn changed(&self, name: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
        let nothing = Map::new();
        let object = |value: Option<&Value>| match value {
            Some(Value::Object(fields)) => Some(fields.clone()),
            Some(_) => None,
            None => Some(nothing.clone()),
        };
        let there = self.fields.find(name);
        let there = there.and_then(|value| Fields::of_object(value, "a setting").ok());
        let (Some(there), Some(old), Some(new)) = (there, object(old), object(new)) else {
            return Change::to(new);
        };
        let added = new.keys().filter(|name| !old.contains_key(*name));
        let differing = old
            .keys()
            .chain(added)
            .filter(|name| old.get(*name) != new.get(*name));
        let changes: Changes = differing
            .map(|name| (name.clone(), Change::to(new.get(name))))
            .collect();
        match rewritten(there, &changes).as_str() {
            "{}" => Change::Removed,
            text => Change::Set(text.to_owned()),
        }
    }
}
