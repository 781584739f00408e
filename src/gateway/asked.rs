//! What a caller asks for in headers of ours: metadata, conversation, dry run.
//!
//! A header that cannot be read is an error rather than passed over: whoever books costs by metadata
//! must learn at once that there is none. A request without any of them costs one look at the names of its headers.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::caller::{ConversationId, Metadata};
use crate::engine::Error;

const METADATA: HeaderName = HeaderName::from_static("x-semroute-metadata");

/// The same, as `TrueFoundry`'s gateway calls it.
const METADATA_ALIAS: HeaderName = HeaderName::from_static("x-tfy-metadata");

const CONVERSATION: HeaderName = HeaderName::from_static("x-semroute-conversation");

/// Asks for the decision instead of an answer, and marks an answer that is one.
pub(super) const DRY_RUN: HeaderName = HeaderName::from_static("x-semroute-dry-run");

/// The most of a header's value that an error repeats.
const EXCERPT_CHARS_MAX: usize = 80;

/// What a caller asks for in headers of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) metadata: Metadata,
    pub(super) conversation: Option<ConversationId>,
    pub(super) dry_run: DryRun,
}

/// Whether models are asked, where the endpoint would ask them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DryRun {
    /// Models are asked.
    #[default]
    No,
    /// The caller wants the decision, and nobody is asked.
    Yes,
}

/// How the names of these headers begin.
const OURS: [&str; 2] = ["x-semroute-", "x-tfy-"];

/// Reads them all.
pub(super) fn read(headers: &HeaderMap) -> Result<Asked, Error> {
    let is_ours = |name: &HeaderName| OURS.iter().any(|ours| name.as_str().starts_with(ours));
    if !headers.keys().any(is_ours) {
        return Ok(Asked::default());
    }
    Ok(Asked {
        metadata: metadata(headers)?,
        conversation: conversation(headers)?,
        dry_run: dry_run(headers)?,
    })
}

fn metadata(headers: &HeaderMap) -> Result<Metadata, Error> {
    let mut given = [METADATA, METADATA_ALIAS].into_iter().flat_map(|name| {
        let values = headers.get_all(&name).iter();
        values.map(move |value| (name.clone(), value))
    });
    let Some((first, value)) = given.next() else {
        return Ok(Metadata::default());
    };
    let metadata = pairs(&first, value)?;
    for (name, value) in given {
        if pairs(&name, value)? != metadata {
            return Err(invalid(
                &name,
                value,
                &format!(
                    "says something else than the `{first}` before it; send one of them, or the same in both"
                ),
            ));
        }
    }
    Ok(metadata)
}

fn conversation(headers: &HeaderMap) -> Result<Option<ConversationId>, Error> {
    one(&CONVERSATION, headers)?
        .map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .parse()
                .map_err(|problem: String| invalid(&CONVERSATION, value, &problem))
        })
        .transpose()
}

fn dry_run(headers: &HeaderMap) -> Result<DryRun, Error> {
    match one(&DRY_RUN, headers)? {
        None => Ok(DryRun::No),
        Some(value) => match value.as_bytes() {
            b"true" => Ok(DryRun::Yes),
            b"false" => Ok(DryRun::No),
            _ => {
                let problem = "it is neither `true` nor `false`; write one of them";
                Err(invalid(&DRY_RUN, value, problem))
            }
        },
    }
}

/// The value of a header that stands in a request at most once.
fn one<'h>(name: &HeaderName, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(_), Some(second)) => Err(invalid(name, second, "it comes twice; send it once")),
        (first, _) => Ok(first),
    }
}

/// Metadata, from the JSON object of one header.
fn pairs(name: &HeaderName, value: &HeaderValue) -> Result<Metadata, Error> {
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        invalid(
            name,
            value,
            "it is not UTF-8; write other letters as \\u00e4",
        )
    })?;
    let Pairs(pairs) = serde_json::from_str(text).map_err(|problem| {
        let example = r#"write a JSON object of texts, such as {"project": "search"}"#;
        invalid(
            name,
            value,
            &format!("it cannot be read: {problem}; {example}"),
        )
    })?;
    let mut metadata = Metadata::default();
    for (key, raw) in pairs {
        scalar(raw)
            .map_err(|what| {
                format!(
                    "the value of {key:?} is {what}; give a text, a number or a boolean, or leave the key out"
                )
            })
            .and_then(|text| metadata.add(key, text))
            .map_err(|problem| invalid(name, value, &problem))?;
    }
    Ok(metadata)
}

/// A text as it is; numbers and booleans as they are written. Anything else is named.
fn scalar(raw: &RawValue) -> Result<String, &'static str> {
    match raw.get().bytes().next() {
        Some(b'"') => serde_json::from_str(raw.get()).map_err(|_| "no text that can be read"),
        Some(b'{') => Err("an object"),
        Some(b'[') => Err("a list"),
        Some(b'n') => Err("null"),
        _ => Ok(raw.get().to_owned()),
    }
}

/// The pairs of a JSON object, those that repeat a key included, which a map would hide.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A header's value is at fault: which one, what it is, and what is wrong with it.
fn invalid(name: &HeaderName, value: &HeaderValue, problem: &str) -> Error {
    let text = String::from_utf8_lossy(value.as_bytes());
    let excerpt: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    let rest = if excerpt.len() < text.len() {
        "…"
    } else {
        ""
    };
    Error::Invalid {
        param: Some(name.to_string()),
        message: format!("the header `{name}` is {excerpt:?}{rest}: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Result<Asked, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(*name, value);
        }
        read(&map).map_err(|error| match error {
            Error::Invalid { param, message } => format!("{}: {message}", param.unwrap()),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn without_headers_nothing_is_asked() {
        assert_eq!(asked(&[]), Ok(Asked::default()));
        assert_eq!(asked(&[("x-other", "true")]), Ok(Asked::default()));
    }

    #[test]
    fn every_header_that_is_read_is_looked_for() {
        for name in [METADATA, METADATA_ALIAS, CONVERSATION, DRY_RUN] {
            assert!(
                OURS.iter().any(|ours| name.as_str().starts_with(ours)),
                "{name}"
            );
        }
    }

    #[test]
    fn metadata_keeps_texts_numbers_and_booleans_as_they_are_written() {
        let text = r#"{"team": "séarch", "n": 1.50, "big": 123456789012345678901234567890, "on": true, "q": "a\"b"}"#;
        let metadata = asked(&[("x-semroute-metadata", text)]).unwrap().metadata;
        for (key, value) in [
            ("team", "séarch"),
            ("n", "1.50"),
            ("big", "123456789012345678901234567890"),
            ("on", "true"),
            ("q", "a\"b"),
        ] {
            assert_eq!(metadata.get(key), Some(value), "{key}");
        }
        assert_eq!(metadata.get("none"), None);
    }

    #[test]
    fn metadata_that_cannot_be_kept_is_told_with_header_value_and_remedy() {
        let many = (0..17).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>();
        let many = format!("{{{}}}", many.join(","));
        let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(65));
        let long_value = format!(r#"{{"k":"{}"}}"#, "v".repeat(513));
        for (text, words) in [
            ("project=search", "write a JSON object"),
            ("", "write a JSON object"),
            ("[1]", "write a JSON object"),
            (r#"{"a":{"b":1}}"#, "\"a\" is an object; give a text"),
            (r#"{"a":["b"]}"#, "\"a\" is a list"),
            (r#"{"a":null}"#, "\"a\" is null"),
            (r#"{"a":1,"a":1}"#, "twice"),
            (r#"{"":1}"#, "empty key"),
            (many.as_str(), "more than 16 keys"),
            (long_key.as_str(), "at most 64"),
            (long_value.as_str(), "at most 512"),
        ] {
            let problem = asked(&[("x-semroute-metadata", text)]).unwrap_err();
            let begin: String = text.chars().take(10).collect();
            let begin =
                format!("x-semroute-metadata: the header `x-semroute-metadata` is {begin:?}");
            let begin = begin.trim_end_matches('"');
            assert!(problem.starts_with(begin), "{problem}");
            assert!(problem.contains(words), "{problem}");
            assert!(problem.len() < 600, "{problem}");
        }
    }

    #[test]
    fn metadata_may_come_under_either_name_but_must_not_differ() {
        let alias = asked(&[("x-tfy-metadata", r#"{"a":1}"#)]).unwrap();
        assert_eq!(alias.metadata.get("a"), Some("1"));
        let ours = ("x-semroute-metadata", r#"{"a":1}"#);
        assert_eq!(
            asked(&[ours, ("x-tfy-metadata", r#"{ "a": 1 }"#)]),
            Ok(alias)
        );
        let problem = asked(&[ours, ("x-tfy-metadata", r#"{"a":2}"#)]).unwrap_err();
        assert!(problem.starts_with("x-tfy-metadata: "), "{problem}");
        assert!(problem.contains("`x-semroute-metadata`"), "{problem}");
    }

    #[test]
    fn a_conversation_has_a_name_that_fits_a_line() {
        let named = asked(&[("x-semroute-conversation", "c-1")]);
        let conversation = named.unwrap().conversation;
        assert_eq!(
            conversation.as_ref().map(ConversationId::as_str),
            Some("c-1")
        );
        for text in ["", "a b", "ü", &"c".repeat(129)] {
            let problem = asked(&[("x-semroute-conversation", text)]).unwrap_err();
            assert!(
                problem.starts_with("x-semroute-conversation: "),
                "{problem}"
            );
        }
        let twice = [
            ("x-semroute-conversation", "a"),
            ("x-semroute-conversation", "b"),
        ];
        assert!(asked(&twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_dry_run_is_true_or_false() {
        let dry_run = |text| asked(&[("x-semroute-dry-run", text)]).map(|asked| asked.dry_run);
        assert_eq!(dry_run("true"), Ok(DryRun::Yes));
        assert_eq!(dry_run("false"), Ok(DryRun::No));
        for text in ["", "1", "yes", "True", "true,true"] {
            let problem = dry_run(text).unwrap_err();
            assert!(problem.contains("neither `true` nor `false`"), "{problem}");
        }
    }
}
