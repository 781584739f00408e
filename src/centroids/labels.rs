//! Labelled prompts, one JSON object a line, as people write them by hand or export them.
//!
//! A row that cannot be used is set aside with its line and what is wrong with it, and the rest is
//! read on, so that one look at the list mends the whole file. Keys that are not known are ignored,
//! for exports carry more than is needed here.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::chat::{Message, Role};
use crate::domain::name::IntentName;

/// The label of rows that belong to no intent.
pub const OUT_OF_SCOPE: &str = "oos";

/// What people call the prompt and its intent elsewhere, and what they are called here. A near miss
/// in spelling is found without this list.
const OTHER_WORDS: [(&str, &[&str]); 2] = [
    ("intent", &["label", "class", "category", "target", "y"]),
    (
        "text",
        &[
            "prompt",
            "query",
            "utterance",
            "question",
            "input",
            "content",
            "sentence",
        ],
    ),
];

/// How alike two keys must be (Jaro–Winkler) before one is offered for the other: `intnet` and
/// `intents` are, `id` is not.
const LIKENESS_MIN: f64 = 0.8;

/// What was read from files of labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// The rows that can be used, in order.
    pub rows: Vec<Row>,
    /// The rows that cannot.
    pub rejected: Vec<Rejection>,
}

/// A labelled prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// The prompt.
    pub prompt: PromptSource,
    /// What it is about, or [`OUT_OF_SCOPE`].
    pub intent: IntentName,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the reader was told.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A prompt as it was labelled.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptSource {
    /// A text of its own.
    Text(String),
    /// A conversation, whose part to embed the encoder's settings choose.
    Messages(Vec<Message>),
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// A prompt that stands in two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// Where it stands first, and its label there.
    pub first: (Place, IntentName),
    /// Where it stands again, and its label there.
    pub again: (Place, IntentName),
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, first_intent) = &self.first;
        let (again, again_intent) = &self.again;
        if first_intent == again_intent {
            return write!(f, "{again}: the same prompt as {first}");
        }
        write!(
            f,
            "{again}: the prompt is labelled {again_intent} here and {first_intent} at {first}; keep one"
        )
    }
}

/// Reads a file of labels. `name` is what its rows' places are called by.
pub fn read(name: &str, text: &[u8]) -> Labels {
    read_labelled_by("intent", name, text)
}

/// Reads a file whose labels stand under another key than `intent`, such as a public data set.
pub fn read_labelled_by(key: &str, name: &str, text: &[u8]) -> Labels {
    let file: Arc<str> = name.into();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut labels = Labels::default();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let place = Place {
            file: Arc::clone(&file),
            line: index + 1,
        };
        match read_row(line, key) {
            Ok((prompt, intent)) => labels.rows.push(Row {
                place,
                prompt,
                intent,
            }),
            Err(problem) => labels.rejected.push(Rejection { place, problem }),
        }
    }
    labels
}

impl Labels {
    /// Adds another file's rows behind these.
    pub fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.rejected.extend(other.rejected);
    }

    /// Takes out every row that says again what an earlier one said, label included.
    pub fn take_duplicates(&mut self) -> Vec<Repeat> {
        let repeats = self.repeats(|first, again| first == again);
        let mut rest = repeats.iter().map(|repeat| &repeat.again.0).peekable();
        // Repeats come in the order of the rows.
        self.rows
            .retain(|row| rest.next_if(|place| **place == row.place).is_none());
        repeats
    }

    /// Prompts that carry two different labels, of which one must be wrong.
    pub fn contradictions(&self) -> Vec<Repeat> {
        self.repeats(|first, again| first != again)
    }

    /// Parts the rows that have an intent from those that are out of scope.
    pub fn split_out_of_scope(self) -> (Vec<Row>, Vec<Row>) {
        self.rows
            .into_iter()
            .partition(|row| row.intent.as_str() != OUT_OF_SCOPE)
    }

    fn repeats(&self, wanted: impl Fn(&IntentName, &IntentName) -> bool) -> Vec<Repeat> {
        let mut seen: HashMap<String, Vec<&Row>> = HashMap::new();
        let mut repeats = Vec::new();
        for row in &self.rows {
            let earlier = seen.entry(row.prompt.canonical()).or_default();
            let found = earlier
                .iter()
                .find(|first| wanted(&first.intent, &row.intent));
            repeats.extend(found.map(|first| Repeat {
                first: (first.place.clone(), first.intent.clone()),
                again: (row.place.clone(), row.intent.clone()),
            }));
            if earlier.iter().all(|first| first.intent != row.intent) {
                earlier.push(row);
            }
        }
        repeats
    }
}

impl PromptSource {
    /// The SHA-256 of the prompt: the same if and only if the prompts are.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical()).into()
    }

    /// One text that is the same if and only if the prompts are.
    fn canonical(&self) -> String {
        match self {
            Self::Text(text) => format!("text:{text}"),
            Self::Messages(messages) => {
                let mut canonical = String::new();
                for Message { role, text } in messages {
                    // Writing to a String cannot fail.
                    let _ = writeln!(canonical, "{role:?}:{}:{text}", text.len());
                }
                canonical
            }
        }
    }
}

fn read_row(line: &[u8], key: &str) -> Result<(PromptSource, IntentName), String> {
    let text = std::str::from_utf8(line).map_err(|error| {
        format!(
            "not UTF-8 at byte {} of the line: save the file as UTF-8",
            error.valid_up_to()
        )
    })?;
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        format!("not a JSON object: {error}; each line is one, as in {EXAMPLE}")
    })?;
    let prompt = match (object.get("text"), object.get("messages")) {
        (Some(_), Some(_)) => return Err("has both text and messages: keep one of them".to_owned()),
        (Some(text), None) => read_text(text)?,
        (None, Some(messages)) => read_messages(messages)?,
        (None, None) => return Err(missing(&object, "text", " (or messages)")),
    };
    let label = object.get(key).ok_or_else(|| missing(&object, key, ""))?;
    let label = label
        .as_str()
        .ok_or_else(|| format!("{key} is {}: a text is wanted", kind(label)))?;
    let intent = label
        .parse()
        .map_err(|problem| format!("{key}: {problem}"))?;
    Ok((prompt, intent))
}

/// A line as it should be.
const EXAMPLE: &str = r#"{"text": "…", "intent": "…"}"#;

fn read_text(value: &Value) -> Result<PromptSource, String> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("text is {}: a text is wanted", kind(value)))?;
    if text.trim().is_empty() {
        return Err("text is empty: there is nothing to embed".to_owned());
    }
    Ok(PromptSource::Text(text.to_owned()))
}

fn read_messages(value: &Value) -> Result<PromptSource, String> {
    let turns = value
        .as_array()
        .ok_or_else(|| format!("messages is {}: a list is wanted", kind(value)))?;
    let messages = turns
        .iter()
        .enumerate()
        .map(|(index, turn)| {
            read_message(turn).map_err(|problem| format!("messages[{index}]{problem}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let says_something =
        |message: &Message| message.role == Role::User && !message.text.trim().is_empty();
    if !messages.iter().any(says_something) {
        return Err(
            "messages holds no text of the role user: there is nothing to embed".to_owned(),
        );
    }
    Ok(PromptSource::Messages(messages))
}

fn read_message(turn: &Value) -> Result<Message, String> {
    let object = turn
        .as_object()
        .ok_or_else(|| format!(" is {}: an object is wanted", kind(turn)))?;
    let field = |key: &str| {
        let value = object
            .get(key)
            .ok_or_else(|| format!(": {}", missing(object, key, "")))?;
        value
            .as_str()
            .ok_or_else(|| format!(".{key} is {}: a text is wanted", kind(value)))
    };
    let role = match field("role")? {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            return Err(format!(
                ".role is {other:?}: system, user, assistant or tool are known"
            ));
        }
    };
    Ok(Message {
        role,
        text: field("content")?.to_owned(),
    })
}

/// Says that a key is missing, and which one may have been meant for it.
fn missing(object: &Map<String, Value>, key: &str, or: &str) -> String {
    let others = OTHER_WORDS
        .iter()
        .find(|(known, _)| *known == key)
        .map_or(&[][..], |(_, others)| others);
    let likeness = |candidate: &str| {
        if others.contains(&candidate) {
            1.0
        } else {
            strsim::jaro_winkler(candidate, key)
        }
    };
    let known = ["text", "messages", "intent", "role", "content"];
    let nearest = object
        .keys()
        .filter(|candidate| {
            !known.contains(&candidate.as_str()) || others.contains(&candidate.as_str())
        })
        .map(|candidate| (likeness(&candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| LIKENESS_MIN <= *likeness)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((_, candidate)) => {
            format!("has no {key}{or}: is {candidate:?} meant for it? Name it {key:?}")
        }
        None => format!("has no {key}{or}: each line is like {EXAMPLE}"),
    }
}

/// What a JSON value is, for a message.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
