//! Reading JSON by its top level only. A body is scanned once, to know that it is JSON and where
//! each field stands; what nobody asks for is never built. Places in the text are kept, so that it
//! can be edited without printing it again.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::{memchr, memmem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::Malformed;

mod scan;

use scan::Scanner;

/// How deep values may be nested. What is deeper cannot be read into a tree by the common JSON
/// readers, ours for schemas included, so a provider would refuse it later and less clearly.
const NESTING_MAX: u32 = 127;

/// How much of a wrong value an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A value of a text that is known to be JSON, as it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Its text.
    pub(super) const fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self(value.get())
    }
}

/// The fields of an object, in order, each with its value's text. A name may stand there twice:
/// [`Fields::get`] refuses it, since readers differ on which of the two they believe, and what is
/// checked here must be what the provider reads.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Fields<'a> {
    /// The fields of a text that is one object and nothing else. `place` names it in errors.
    pub(super) fn of_text(text: &'a str, place: &str) -> Result<Self, Malformed> {
        if let Some(fields) = Self::scanned(text) {
            return Ok(fields);
        }
        // Something is wrong with it; this reader says what.
        let not_json = |error| Malformed {
            param: None,
            message: format!("{place} is not JSON: {error}"),
        };
        if !text.trim_start().starts_with('{') {
            let other: &RawValue = serde_json::from_str(text).map_err(not_json)?;
            return Self::of_object(other.into(), place);
        }
        let fields = serde_json::from_str(text).map_err(not_json)?;
        refuse_deep_nesting(text, place)?;
        Ok(fields)
    }

    /// The fields of a value that must be an object.
    pub(super) fn of_object(value: Raw<'a>, place: impl fmt::Display) -> Result<Self, Malformed> {
        if !value.get().starts_with('{') {
            return Err(Malformed {
                param: None,
                message: format!("{place} is {}; give an object", describe(value)),
            });
        }
        if let Some(fields) = Self::scanned(value.get()) {
            return Ok(fields);
        }
        serde_json::from_str(value.get()).map_err(|error| Malformed {
            param: None,
            message: format!("{place} cannot be read: {}", without_position(&error)),
        })
    }

    /// The fields of an object; nothing, if the text is anything else or nested too deep.
    fn scanned(text: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let fields = Self::next_in(&mut scanner, NESTING_MAX)?;
        scanner.is_done().then_some(fields)
    }

    /// The fields of the object that begins here.
    fn next_in(scanner: &mut Scanner<'a>, depth_max: u32) -> Option<Self> {
        let mut fields = Vec::new();
        if !scanner.takes(b'{') {
            return None;
        }
        if !scanner.takes(b'}') {
            loop {
                let name = name_of(scanner.name()?)?;
                fields.push((name, Raw(scanner.value(depth_max - 1)?)));
                if !scanner.takes(b',') {
                    break;
                }
            }
            if !scanner.takes(b'}') {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// The value of a field; nothing, if it is absent or null.
    pub(super) fn get(&self, name: &str) -> Result<Option<Raw<'a>>, Malformed> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Malformed {
                param: Some(name.to_owned()),
                message: format!("`{name}` is given twice; keep one of them"),
            });
        }
        Ok(first
            .map(|(_, value)| *value)
            .filter(|value| value.get() != "null"))
    }

    /// Whether there is no field.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every value that a field is given, null included.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Raw<'a>> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The value of a field, for readers that must not fail on what they can do without: the last
    /// one, as most readers take it; nothing, if it is absent or null.
    pub(super) fn find(&self, name: &str) -> Option<Raw<'a>> {
        self.all(name).last().filter(|value| value.get() != "null")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((Key(name), value)) = map.next_entry::<_, &RawValue>()? {
                    fields.push((name, value.into()));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A field's name, borrowed unless it holds an escape.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A name without its quotes.
fn name_of(quoted: &str) -> Option<Cow<'_, str>> {
    match quoted.get(1..quoted.len() - 1) {
        Some(name) if !name.contains('\\') => Some(Cow::Borrowed(name)),
        _ => string(Raw(quoted)),
    }
}

/// Where a value stands in the text that it was borrowed from.
pub(super) fn span_in(text: &str, value: Raw<'_>) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + value.get().len()
}

/// The text of a string; nothing, if the value is of another type or holds half a surrogate pair.
pub(super) fn string(value: Raw<'_>) -> Option<Cow<'_, str>> {
    let quoted = value.get().strip_prefix('"')?;
    match quoted.strip_suffix('"') {
        Some(text) if memchr(b'\\', text.as_bytes()).is_none() => Some(Cow::Borrowed(text)),
        _ => {
            let text = serde_json::from_str::<Key<'_>>(value.get()).ok();
            text.map(|Key(text)| text)
        }
    }
}

/// What of a text is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Text,
    /// Only whether it is one: what is read is empty.
    Check,
}

/// The text of a string like [`string`], or only whether it has one.
pub(super) fn wanted(value: Raw<'_>, wanted: Wanted) -> Option<Cow<'_, str>> {
    // Of what may stand in a string, only escapes of characters by their number may mean none.
    let may_mean_none = || holds(value.get(), "\\u");
    match wanted {
        Wanted::Check if value.get().starts_with('"') && !may_mean_none() => {
            Some(Cow::Borrowed(""))
        }
        Wanted::Text | Wanted::Check => string(value),
    }
}

/// Whether a text holds another. Bodies are long, and this looks at many bytes at once.
pub(super) fn holds(text: &str, part: &str) -> bool {
    memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// The elements of an array; nothing, if the value is of another type.
pub(super) fn array(value: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    elements(value, |scanner| scanner.value(NESTING_MAX).map(Raw))
}

/// The elements of an array that are objects, taken apart as they are found, and the others as they are; nothing,
/// if the value is of another type.
pub(super) fn array_of_objects(value: Raw<'_>) -> Option<Vec<Result<Fields<'_>, Raw<'_>>>> {
    elements(value, |scanner| {
        if scanner.is_at(b'{') {
            Fields::next_in(scanner, NESTING_MAX).map(Ok)
        } else {
            scanner.value(NESTING_MAX).map(|other| Err(Raw(other)))
        }
    })
}

fn elements<'a, T>(value: Raw<'a>, next: impl Fn(&mut Scanner<'a>) -> Option<T>) -> Option<Vec<T>> {
    let mut scanner = Scanner::new(value.get());
    let mut elements = Vec::new();
    if !scanner.takes(b'[') {
        return None;
    }
    if !scanner.takes(b']') {
        loop {
            elements.push(next(&mut scanner)?);
            if !scanner.takes(b',') {
                break;
            }
        }
    }
    Some(elements)
}

/// What a value is, with as much of it as helps to find it: `a number (3)`.
pub(super) fn describe(value: Raw<'_>) -> String {
    let text = value.get();
    let kind = match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => return "null".to_owned(),
        _ => "a number",
    };
    format!("{kind} ({})", shortened(text, SHOWN_CHARS_MAX))
}

/// The beginning of a text, with a mark if there is more.
pub(super) fn shortened(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A JSON error without its line and column, which would count from the value's own beginning.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// Refuses a text, known to be JSON, whose values are nested too deep.
fn refuse_deep_nesting(text: &str, place: &str) -> Result<(), Malformed> {
    let mut depth = 0_u32;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if NESTING_MAX < depth {
            return Err(Malformed {
                param: None,
                message: format!(
                    "{place} nests values more than {NESTING_MAX} deep; make it flatter"
                ),
            });
        }
    }
    Ok(())
}

/// Moves past the end of a string whose opening quote was read.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_its_text_wherever_it_stands() {
        let text = " { \"a\" : [1, 2] ,\"mod\\u0065l\":  \"x\" } ";
        let fields = Fields::of_text(text, "the body").unwrap();
        let value = fields.get("model").unwrap().unwrap();
        assert_eq!(&text[span_in(text, value)], "\"x\"");
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_even_if_one_is_spelled_with_an_escape() {
        let fields = Fields::of_text(r#"{"model":"a","mod\u0065l":"b"}"#, "the body").unwrap();
        let problem = fields.get("model").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("model"));
        assert!(problem.message.contains("twice"), "{problem}");
    }

    #[test]
    fn the_deepest_nesting_is_read_and_one_more_level_is_not() {
        let nested = |depth: u32| {
            let inner = depth - 1;
            let inner = inner as usize;
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
        };
        let is_tree = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();

        let deepest = nested(NESTING_MAX);
        assert!(Fields::of_text(&deepest, "the body").is_ok());
        assert!(is_tree(&deepest));

        let deeper = nested(NESTING_MAX + 1);
        let problem = Fields::of_text(&deeper, "the body").unwrap_err();
        assert!(problem.message.contains("127 deep"), "{problem}");
        assert!(!is_tree(&deeper));
    }

    #[test]
    fn a_million_brackets_end_in_an_error_and_not_in_the_stack() {
        let text = "[".repeat(1_000_000);
        assert!(Fields::of_text(&text, "the body").is_err());
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(Fields::of_text(&closed, "the body").is_err());
    }

    #[test]
    fn brackets_and_quotes_inside_strings_nest_nothing() {
        let text = format!(r#"{{"a":"{}\"{}\\"}}"#, "[".repeat(200), "{".repeat(200));
        assert!(Fields::of_text(&text, "the body").is_ok());
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning() {
        let value = RawValue::from_string(format!("\"{}\"", "é".repeat(100))).unwrap();
        let shown = describe(value.as_ref().into());
        assert!(shown.starts_with("a string (\"éé"), "{shown}");
        assert!(shown.chars().count() < 60, "{shown}");
    }
}
