//! The catalogue's own format: JSON with one model a line, so that a changed price is a changed line.
//!
//! It can also read the longer names that published price lists have for the same things.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Entry, Shelf};
use crate::domain::model::{Abilities, Ability, Limits, Price};
use crate::domain::quantity::PicoUsd;

/// The format that is written.
const FORMAT: u32 = 1;

/// The unit of all prices.
const UNIT: &str = "USD per million tokens";

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    format: Option<u32>,
    #[serde(default)]
    as_of: Option<String>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    models: Lines,
}

/// The models of a file. A name that stands there twice is an error: which of the two counts?
struct Lines(BTreeMap<String, Line>);

/// One model, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Line {
    #[serde(alias = "input_usd_per_mtok")]
    pub(super) input: Option<f64>,
    #[serde(alias = "output_usd_per_mtok")]
    pub(super) output: Option<f64>,
    #[serde(alias = "cache_read_usd_per_mtok")]
    pub(super) cached_read: Option<f64>,
    #[serde(alias = "cache_write_usd_per_mtok")]
    pub(super) cache_write: Option<f64>,
    #[serde(alias = "context_tokens")]
    pub(super) context: Option<u64>,
    #[serde(alias = "max_output_tokens")]
    pub(super) output_max: Option<u64>,
    pub(super) tools: Option<bool>,
    #[serde(alias = "vision")]
    pub(super) images: Option<bool>,
    pub(super) json_schema: Option<bool>,
    pub(super) reasoning: Option<bool>,
    pub(super) source: Option<String>,
    /// Who sells it and under which name, which the entry's own name says already; and when it ends.
    #[serde(rename = "provider")]
    pub(super) _provider: Option<String>,
    #[serde(rename = "model")]
    pub(super) _model: Option<String>,
    #[serde(rename = "deprecates")]
    pub(super) _deprecates: Option<String>,
}

/// Reads a catalogue. What is wrong is told with its place.
pub fn read(text: &str, shelf: Shelf) -> Result<Catalogue, String> {
    if !text.trim_start().starts_with('{') {
        return Err("it is not an object; write {\"models\": {…}}".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let file: File = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", error.into_inner())
    })?;
    deserializer.end().map_err(|error| error.to_string())?;
    if let Some(format) = file.format.filter(|format| *format != FORMAT) {
        return Err(format!(
            "format: {format} is not known here; write {FORMAT}, or use a newer semroute"
        ));
    }
    if let Some(unit) = file.unit.filter(|unit| unit != UNIT) {
        return Err(format!(
            "unit: {unit:?} is not known; give prices in {UNIT:?}"
        ));
    }
    let entries = file.models.0.into_iter().map(|(name, line)| {
        check_name(&name)?;
        let entry = line
            .entry(shelf)
            .map_err(|problem| format!("models.{name}: {problem}"))?;
        Ok((name, entry))
    });
    Ok(Catalogue {
        as_of: file.as_of,
        entries: entries.collect::<Result<_, String>>()?,
    })
}

/// Writes a catalogue, one model a line, by name.
pub fn write(catalogue: &Catalogue) -> Result<String, serde_json::Error> {
    use std::fmt::Write;

    let mut text = format!("{{\n\"format\": {FORMAT},\n");
    // Writing to a string cannot fail.
    if let Some(as_of) = &catalogue.as_of {
        let _ = writeln!(text, "\"as_of\": {},", serde_json::to_string(as_of)?);
    }
    let _ = write!(text, "\"unit\": \"{UNIT}\",\n\"models\": {{");
    for (position, (name, entry)) in catalogue.entries().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let name = serde_json::to_string(name)?;
        let line = serde_json::to_string(&Line::of(entry))?;
        let _ = write!(text, "{comma}\n{name}: {line}");
    }
    text.push_str("\n}}\n");
    Ok(text)
}

fn check_name(name: &str) -> Result<(), String> {
    match name.split_once('/') {
        Some((whose, model)) if !whose.is_empty() && !model.is_empty() => Ok(()),
        _ => Err(format!(
            "models: {name:?} is no name of an entry; write VENDOR/MODEL, as in \"openai/gpt-5-mini\""
        )),
    }
}

impl Line {
    pub(super) fn entry(self, place: Shelf) -> Result<Entry, String> {
        Ok(Entry {
            price: self.price()?,
            limits: Limits {
                context_tokens: self.context,
                output_tokens_max: self.output_max,
            },
            abilities: Abilities {
                tools: Ability::told(self.tools),
                images: Ability::told(self.images),
                json_schema: Ability::told(self.json_schema),
                reasoning: Ability::told(self.reasoning),
            },
            source: self.source,
            shelf: place,
        })
    }

    fn price(&self) -> Result<Option<Price>, String> {
        let per_token = |field: &str, usd: Option<f64>| {
            usd.map(PicoUsd::per_token)
                .transpose()
                .map_err(|problem| format!("{field}: {problem}"))
        };
        let cached_read = per_token("cached_read", self.cached_read)?;
        let cache_write = per_token("cache_write", self.cache_write)?;
        match (
            per_token("input", self.input)?,
            per_token("output", self.output)?,
        ) {
            (Some(input), Some(output)) => Ok(Some(Price {
                input,
                output,
                cached_read,
                cache_write,
            })),
            (None, None) if cached_read.is_none() && cache_write.is_none() => Ok(None),
            (None, _) => Err("input: is missing; a price has input and output, or none".to_owned()),
            (_, None) => {
                Err("output: is missing; a price has input and output, or none".to_owned())
            }
        }
    }

    fn of(entry: &Entry) -> Self {
        let usd = |price: Option<PicoUsd>| price.map(PicoUsd::as_usd_per_million);
        Self {
            input: usd(entry.price.map(|price| price.input)),
            output: usd(entry.price.map(|price| price.output)),
            cached_read: usd(entry.price.and_then(|price| price.cached_read)),
            cache_write: usd(entry.price.and_then(|price| price.cache_write)),
            context: entry.limits.context_tokens,
            output_max: entry.limits.output_tokens_max,
            tools: entry.abilities.tools.said(),
            images: entry.abilities.images.said(),
            json_schema: entry.abilities.json_schema.said(),
            reasoning: entry.abilities.reasoning.said(),
            source: entry.source.clone(),
            ..Self::default()
        }
    }
}

impl Serialize for Line {
    /// What is not known is not written, and a whole number of dollars without a point.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, usd) in [
            ("input", self.input),
            ("output", self.output),
            ("cached_read", self.cached_read),
            ("cache_write", self.cache_write),
        ] {
            if let Some(usd) = usd {
                map.serialize_entry(key, &plain(usd))?;
            }
        }
        for (key, limit) in [("context", self.context), ("output_max", self.output_max)] {
            if let Some(limit) = limit {
                map.serialize_entry(key, &limit)?;
            }
        }
        for (key, said) in [
            ("tools", self.tools),
            ("images", self.images),
            ("json_schema", self.json_schema),
            ("reasoning", self.reasoning),
        ] {
            if let Some(said) = said {
                map.serialize_entry(key, &said)?;
            }
        }
        if let Some(source) = &self.source {
            map.serialize_entry("source", source)?;
        }
        map.end()
    }
}

/// A number as a person would write it.
fn plain(number: f64) -> serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "prices are checked to lie between 0 and a million"
    )]
    let whole = number.trunc() as u64;
    if number.fract() == 0.0 {
        whole.into()
    } else {
        number.into()
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LinesVisitor;

        impl<'de> Visitor<'de> for LinesVisitor {
            type Value = Lines;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Lines, M::Error> {
                let mut lines = BTreeMap::new();
                while let Some((name, line)) = map.next_entry::<String, Line>()? {
                    if lines.contains_key(&name) {
                        let message = format!("{name:?} stands there twice; keep one of them");
                        return Err(de::Error::custom(message));
                    }
                    lines.insert(name, line);
                }
                Ok(Lines(lines))
            }
        }

        deserializer.deserialize_map(LinesVisitor)
    }
}
