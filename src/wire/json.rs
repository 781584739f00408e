//! Reading JSON without building it. A text is scanned once, to know that it is JSON and where each value stands;
//! what nobody asks for is never built. Places in the text are kept, so that it can be edited without printing it
//! again.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::wire::Malformed;

mod scan;

use scan::{Kind, Place, VALUES_MAX};

/// How deep values may be nested. What is deeper cannot be read into a tree by the common JSON
/// readers, ours for schemas included, so a provider would refuse it later and less clearly.
const NESTING_MAX: u32 = 127;

/// How much of a wrong value an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A text that is one JSON object, with the places of all values in it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    places: Vec<Place>,
}

impl<'a> Document<'a> {
    /// Reads a text that must be one object and nothing else. `place` names it in errors.
    pub(super) fn read(text: &'a str, place: &str) -> Result<Self, Malformed> {
        let Some(places) = scan::places(text, NESTING_MAX) else {
            return Err(not_json(text, place));
        };
        let document = Self { text, places };
        Fields::of_object(document.whole(), place)?;
        Ok(document)
    }

    /// Its fields.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields(self.whole())
    }

    const fn whole(&self) -> Raw<'_> {
        Raw {
            document: self,
            number: 0,
        }
    }
}

/// What is wrong with a text that the scanner does not take for JSON.
fn not_json(text: &str, place: &str) -> Malformed {
    let message = match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => format!("{place} is not JSON: {error}"),
        Ok(IgnoredAny) if is_nested_deep(text) => {
            format!("{place} nests values more than {NESTING_MAX} deep; make it flatter")
        }
        Ok(IgnoredAny) => format!("{place} holds more than {VALUES_MAX} values; make it smaller"),
    };
    Malformed {
        param: None,
        message,
    }
}

/// A value of a text that is known to be JSON.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    document: &'a Document<'a>,
    /// Which of the document's values it is.
    number: usize,
}

impl<'a> Raw<'a> {
    /// Its text, as it is written there.
    pub(super) fn get(self) -> &'a str {
        &self.document.text[self.span()]
    }

    /// Where it stands in the text.
    pub(super) fn span(self) -> Range<usize> {
        self.place()
            .map_or(0..0, |place| place.start()..place.end())
    }

    /// A whole number; nothing, if it is anything else.
    pub(super) fn number(self) -> Option<u64> {
        self.get().parse().ok().filter(|_| self.is(Kind::Number))
    }

    fn place(self) -> Option<Place> {
        self.document.places.get(self.number).copied()
    }

    fn is(self, kind: Kind) -> bool {
        self.place().is_some_and(|place| place.kind == kind)
    }

    /// The values directly within it; of an object, names and values in turn.
    fn within(self) -> Elements<'a> {
        Elements {
            next: Self {
                number: self.number + 1,
                ..self
            },
            end: self.place().map_or(0, Place::next),
        }
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// Values that follow each other.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    next: Raw<'a>,
    /// The number of the first value that is none of them.
    end: usize,
}

impl Elements<'_> {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.end <= self.next.number
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        if self.is_empty() {
            return None;
        }
        let found = self.next;
        self.next.number = found.place()?.next();
        Some(found)
    }
}

/// The fields of an object, in order. A name may stand there twice: [`Fields::get`] refuses it, since readers differ
/// on which of the two they believe, and what is checked here must be what the provider reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(Raw<'a>);

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object.
    pub(super) fn of_object(value: Raw<'a>, place: impl fmt::Display) -> Result<Self, Malformed> {
        if value.is(Kind::Object) {
            return Ok(Self(value));
        }
        Err(Malformed {
            param: None,
            message: format!("{place} is {}; give an object", describe(value)),
        })
    }

    /// The value of a field; nothing, if it is absent or null.
    pub(super) fn get(self, name: &str) -> Result<Option<Raw<'a>>, Malformed> {
        let mut values = self.all(name);
        let first = values.next();
        if first.is_some() && values.next().is_some() {
            return Err(Malformed {
                param: Some(name.to_owned()),
                message: format!("`{name}` is given twice; keep one of them"),
            });
        }
        Ok(first.filter(|value| !value.is(Kind::Null)))
    }

    /// Whether there is no field.
    pub(super) fn is_empty(self) -> bool {
        self.0.within().is_empty()
    }

    /// Every field's name and value, in order.
    pub(super) fn pairs(self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        let mut within = self.0.within();
        std::iter::from_fn(move || Some((within.next()?, within.next()?)))
    }

    /// Every value that a field is given, null included.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = Raw<'a>> {
        let mut pairs = self.pairs();
        std::iter::from_fn(move || {
            // A loop, since it is compiled into each of those who look for a field, and there are dozens of names.
            loop {
                let (found, value) = pairs.next()?;
                if is_name(found, name) {
                    return Some(value);
                }
            }
        })
    }

    /// The value of a field, for readers that must not fail on what they can do without: the last
    /// one, as most readers take it; nothing, if it is absent or null.
    pub(super) fn find(self, name: &str) -> Option<Raw<'a>> {
        self.all(name).last().filter(|value| !value.is(Kind::Null))
    }
}

/// Whether a string says this.
#[inline]
fn is_name(found: Raw<'_>, name: &str) -> bool {
    let Some(place) = found.place() else {
        return false;
    };
    if place.kind == Kind::Plain {
        // Most names differ by their length.
        let quoted = || &found.document.text.as_bytes()[place.start()..place.end()];
        return place.end() - place.start() == name.len() + 2
            && quoted()[1..].starts_with(name.as_bytes());
    }
    string(found).is_some_and(|found| found == name)
}

/// A text, borrowed unless it holds an escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a string; nothing, if the value is of another type or holds half a surrogate pair.
pub(super) fn string(value: Raw<'_>) -> Option<Cow<'_, str>> {
    let quoted = value.get();
    match value.place()?.kind {
        Kind::Plain => Some(Cow::Borrowed(&quoted[1..quoted.len() - 1])),
        Kind::Escaped | Kind::Numbered => {
            let read = serde_json::from_str::<Text<'_>>(quoted).ok();
            read.map(|Text(text)| text)
        }
        Kind::Null | Kind::Boolean | Kind::Number | Kind::Array | Kind::Object => None,
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
    match wanted {
        Wanted::Check if value.is(Kind::Plain) || value.is(Kind::Escaped) => {
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
pub(super) fn array(value: Raw<'_>) -> Option<Elements<'_>> {
    value.is(Kind::Array).then(|| value.within())
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

/// Whether a text, known to be JSON, nests values too deep.
fn is_nested_deep(text: &str) -> bool {
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
            return true;
        }
    }
    false
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

    fn read(text: &str) -> Result<Document<'_>, Malformed> {
        Document::read(text, "the body")
    }

    #[test]
    fn a_value_is_found_in_its_text_wherever_it_stands() {
        let text = " { \"a\" : [1, 2] ,\"mod\\u0065l\":  \"x\" } ";
        let document = read(text).unwrap();
        let value = document.fields().get("model").unwrap().unwrap();
        assert_eq!(&text[value.span()], "\"x\"");
        assert_eq!(value.get(), "\"x\"");
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_even_if_one_is_spelled_with_an_escape() {
        let document = read(r#"{"model":"a","mod\u0065l":"b"}"#).unwrap();
        let problem = document.fields().get("model").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("model"));
        assert!(problem.message.contains("twice"), "{problem}");
    }

    #[test]
    fn a_name_is_no_other_that_begins_or_ends_like_it() {
        let document = read(r#"{"models":1,"mode":2,"a model":3,"model\n":4}"#).unwrap();
        assert_eq!(document.fields().all("model").count(), 0);
    }

    #[test]
    fn only_whole_numbers_are_read_as_such() {
        let document = read(r#"{"a":7,"b":"7","c":7.0,"d":-7,"e":99999999999999999999}"#).unwrap();
        let number = |name: &str| document.fields().find(name).unwrap().number();
        assert_eq!(number("a"), Some(7));
        for name in ["b", "c", "d", "e"] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn fields_and_elements_are_those_of_their_own_value() {
        let document = read(r#"{"a":{"b":[{"c":[1,[2]]},{}],"d":0},"b":3}"#).unwrap();
        let fields = document.fields();
        let inner = Fields::of_object(fields.find("a").unwrap(), "").unwrap();
        assert_eq!(inner.find("d").unwrap().get(), "0");
        assert!(inner.find("a").is_none());
        let elements: Vec<&str> = array(inner.find("b").unwrap())
            .unwrap()
            .map(Raw::get)
            .collect();
        assert_eq!(elements, [r#"{"c":[1,[2]]}"#, "{}"]);
        assert!(array(fields.find("b").unwrap()).is_none());
        assert!(!inner.is_empty());
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
        assert!(read(&deepest).is_ok());
        assert!(is_tree(&deepest));

        let deeper = nested(NESTING_MAX + 1);
        let problem = read(&deeper).unwrap_err();
        assert!(problem.message.contains("127 deep"), "{problem}");
        assert!(!is_tree(&deeper));
    }

    #[test]
    fn a_million_brackets_end_in_an_error_and_not_in_the_stack() {
        let text = "[".repeat(1_000_000);
        assert!(read(&text).is_err());
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(read(&closed).is_err());
    }

    #[test]
    fn brackets_and_quotes_inside_strings_nest_nothing() {
        let text = format!(r#"{{"a":"{}\"{}\\"}}"#, "[".repeat(200), "{".repeat(200));
        assert!(read(&text).is_ok());
    }

    #[test]
    fn a_text_holds_so_many_values_and_no_more() {
        // One is the object, one the name, one the list.
        let holding = |n_values: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(n_values - 4));
        assert!(read(&holding(VALUES_MAX)).is_ok());
        let problem = read(&holding(VALUES_MAX + 1)).unwrap_err();
        assert!(problem.message.contains("4194304 values"), "{problem}");
    }

    #[test]
    fn a_name_that_means_no_text_is_no_other_and_stays() {
        let document = read(r#"{"model\ud800":1,"model":"a"}"#).unwrap();
        let model = document.fields().get("model").unwrap().unwrap();
        assert_eq!(string(model).as_deref(), Some("a"));
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning() {
        let text = format!("{{\"a\":\"{}\"}}", "é".repeat(100));
        let document = read(&text).unwrap();
        let shown = describe(document.fields().find("a").unwrap());
        assert!(shown.starts_with("a string (\"éé"), "{shown}");
        assert!(shown.chars().count() < 60, "{shown}");
    }
}
