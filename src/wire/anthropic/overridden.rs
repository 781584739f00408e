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

/// A setting, or a part of one that is an object.
type Place = (&'static str, Option<&'static str>);

/// Where the format says what a word says.
const fn places(word: Word) -> &'static [Place] {
    match word {
        Word::TokensMax => &[("max_tokens", None)],
        Word::Temperature => &[("temperature", None)],
        Word::TopP => &[("top_p", None)],
        Word::TopK => &[("top_k", None)],
        Word::Stop => &[("stop_sequences", None)],
        Word::Effort => &[("thinking", None), ("output_config", Some("effort"))],
        Word::User => &[("metadata", Some("user_id"))],
        Word::ParallelCalls => &[("tool_choice", Some("disable_parallel_tool_use"))],
        Word::Tools | Word::ToolChoice => &[("tool_choice", None)],
        Word::Structure => &[("output_config", Some("format"))],
        Word::Seed
        | Word::PresencePenalty
        | Word::FrequencyPenalty
        | Word::Choices
        | Word::Logprobs => &[],
    }
}

/// What goes with a word that can only be taken out, beside its places.
const fn taken_out(word: Word) -> &'static [&'static str] {
    match word {
        Word::Tools => &["tools", "mcp_servers"],
        Word::Structure => &["output_format"],
        _ => &[],
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.shift_remove(name),
    };
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
        let (mut before, untold) = self.write(&conversation)?;
        parameters.apply(&mut conversation);
        let (mut after, dropped) = self.write(&conversation)?;
        self.keep_unknown_choice(parameters, &mut after);
        for place in parameters.words().flat_map(places) {
            self.overlay(*place, &mut before);
        }
        for name in SETTINGS {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                changes.push((name.to_owned(), self.changed(name, old, new)));
            }
        }
        for name in parameters.words().flat_map(taken_out) {
            changes.retain(|(changed, _)| changed != name);
            changes.push(((*name).to_owned(), Change::Removed));
        }
        // What the caller's own body was not heeded in, it says itself; what goes for the operator's sake is
        // told.
        let is_told =
            |name: &String| !untold.contains(name) || parameters.names().any(|ours| ours == name);
        Ok(dropped.into_iter().filter(is_told).collect())
    }

    /// Makes the settings before say what the body says in this place. The writer may have left it out or
    /// written it in another way, and where it does the same of the operator's, that is yet to be done.
    fn overlay(&self, (name, part): Place, before: &mut Map<String, Value>) {
        let there = self.value(name);
        let Some(part) = part else {
            put(before, name, there.map(|it| self.typed(name, it)));
            return;
        };
        let Some(Value::Object(mut there)) = there else {
            return;
        };
        let mut said = match before.shift_remove(name) {
            Some(Value::Object(said)) => said,
            _ => Map::new(),
        };
        put(&mut said, part, there.shift_remove(part));
        let is_said = !said.is_empty();
        put(before, name, is_said.then_some(Value::Object(said)));
    }

    /// A whole setting as it counts for a change: of thinking that is understood, what a writer has words for,
    /// since the rest may stay beside any of them.
    fn typed(&self, name: &str, mut value: Value) -> Value {
        if let ("thinking", Value::Object(fields)) = (name, &mut value)
            && self.is_understood(name)
        {
            fields.retain(|name, _| matches!(name.as_str(), "type" | "budget_tokens"));
        }
        value
    }

    /// How a tool is chosen in a way that is newer than this reader stays so beside what the operator says of
    /// several calls at a time.
    fn keep_unknown_choice(&self, parameters: &Parameters, after: &mut Map<String, Value>) {
        const NAME: &str = "tool_choice";
        let is_ours = |word| matches!(word, Word::ToolChoice | Word::Tools);
        let is_kept = !self.is_understood(NAME) && !parameters.words().any(is_ours);
        if let (true, Some(Value::Object(_)), Some(Value::Object(choice))) =
            (is_kept, self.value(NAME), after.get_mut(NAME))
        {
            choice.shift_remove("type");
        }
    }

    fn value(&self, name: &str) -> Option<Value> {
        let value = self.fields.find(name)?;
        serde_json::from_str(value.get()).ok()
    }

    fn is_understood(&self, name: &str) -> bool {
        self.read_fields(&[name]).is_some()
    }

    /// What the caller's settings say. Those that are newer than this reader are none to it, and do not keep
    /// it from the others. The turns matter to a model's thinking only.
    fn read(&self, parameters: &Parameters) -> Conversation {
        let mut names = SETTINGS.to_vec();
        if self.read_fields(&names).is_none() {
            names.retain(|name| self.is_understood(name));
        }
        let thinks = parameters.words().any(|word| word == Word::Effort);
        let with_turns = || self.read_fields(&[&names[..], &["messages"]].concat());
        let wider = thinks.then(with_turns).flatten();
        let mut read = wider
            .or_else(|| self.read_fields(&names))
            .unwrap_or_default();
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

    fn read_fields(&self, names: &[&str]) -> Option<Conversation> {
        let found = names.iter().filter_map(|name| {
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
    /// One that loses its type is nothing without it.
    fn changed(&self, name: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
        if new.is_none() && old.is_some_and(|old| old.get("type").is_some()) {
            return Change::Removed;
        }
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
