//! Makes a catalogue of a price file: LiteLLM's, a published list, or one of our own.
//!
//! A single odd entry is no reason to do without the thousand others, so entries that cannot be used
//! are left out and told with the reason. A file that is none of the three is refused.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use serde_json::{Map, Value};

use crate::catalogue::format::Line;
use crate::catalogue::{Catalogue, Entry, Shelf};

/// What came of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What could be used.
    pub catalogue: Catalogue,
    /// What could not.
    pub skipped: Vec<Skipped>,
    /// Entries whose price rises with the length of the prompt; the catalogue has the lower one.
    pub tiered: Vec<String>,
}

/// An entry that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What the file calls it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Reads a price file.
pub fn import(text: &str) -> Result<Imported, String> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(document) = document else {
        return Err("it is not an object of models by name".to_owned());
    };
    let (as_of, models, reader): (_, _, Reader) = match document.get("models") {
        Some(Value::Object(models)) => {
            let as_of = document.get("as_of").and_then(Value::as_str);
            (as_of.map(str::to_owned), models, own_entry)
        }
        Some(_) => return Err("models: should be an object of models by name".to_owned()),
        None => (None, &document, litellm_entry),
    };
    let mut imported = Imported {
        catalogue: Catalogue::default(),
        skipped: Vec::new(),
        tiered: Vec::new(),
    };
    for (name, value) in models {
        imported.add(name, value, reader);
    }
    if imported.catalogue.is_empty() {
        let reason = imported.skipped.first().map_or_else(
            || "it is empty".to_owned(),
            |skipped| format!("{}: {}, for one", skipped.name, skipped.reason),
        );
        return Err(format!(
            "no model in it can be used ({reason}); give LiteLLM's \
             model_prices_and_context_window.json or a catalogue of semroute's"
        ));
    }
    imported.catalogue.as_of = as_of;
    Ok(imported)
}

/// Reads one entry: the name that it gets here and the line, or the reason to leave it out.
type Reader = fn(&str, &Map<String, Value>) -> Result<(String, Line), String>;

impl Imported {
    fn add(&mut self, name: &str, value: &Value, reader: Reader) {
        match usable(name, value, reader) {
            Ok((here, entry)) => {
                let mut keys = value.as_object().into_iter().flat_map(Map::keys);
                let is_tiered = keys.any(|key| key.contains("_cost_per_token_above_"));
                if self.put(name, &here, entry) && is_tiered {
                    self.tiered.push(here);
                }
            }
            Err(reason) => self.skip(name, reason),
        }
    }

    /// Whether there was a place for it.
    fn put(&mut self, name: &str, here: &str, entry: Entry) -> bool {
        match self.catalogue.entries.entry(here.to_owned()) {
            Place::Vacant(place) => {
                place.insert(entry);
                true
            }
            Place::Occupied(place) => {
                let reason = if place.get().price == entry.price {
                    "another entry of the same name and price came before"
                } else {
                    "another entry of the same name and a different price came before"
                };
                self.skip(name, reason.to_owned());
                false
            }
        }
    }

    fn skip(&mut self, name: &str, reason: String) {
        self.skipped.push(Skipped {
            name: name.to_owned(),
            reason,
        });
    }

    /// The reasons, each with the names that it holds for, the commonest first.
    pub fn reasons(&self) -> Vec<(&str, Vec<&str>)> {
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for skipped in &self.skipped {
            by_reason
                .entry(&skipped.reason)
                .or_default()
                .push(&skipped.name);
        }
        let mut reasons: Vec<_> = by_reason.into_iter().collect();
        reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        reasons
    }
}

fn usable(name: &str, value: &Value, reader: Reader) -> Result<(String, Entry), String> {
    let Value::Object(fields) = value else {
        return Err("it is not an object".to_owned());
    };
    let (here, line) = reader(name, fields)?;
    let entry = line.entry(Shelf::BuiltIn)?;
    match entry.price {
        Some(_) => Ok((here, entry)),
        None => Err("it has no price".to_owned()),
    }
}

fn own_entry(name: &str, fields: &Map<String, Value>) -> Result<(String, Line), String> {
    if !name.contains('/') {
        return Err("its name is not VENDOR/MODEL".to_owned());
    }
    for key in [
        "input",
        "output",
        "input_usd_per_mtok",
        "output_usd_per_mtok",
    ] {
        if let Some(value) = fields.get(key)
            && !value.is_number()
        {
            return Err("its price is not a number".to_owned());
        }
    }
    let line: Line =
        serde_json::from_value(Value::Object(fields.clone())).map_err(|error| error.to_string())?;
    if line.input.is_none() || line.output.is_none() {
        return Err("it has no price".to_owned());
    }
    Ok((name.to_owned(), line))
}

/// The entry that only shows what entries look like.
const LITELLM_SAMPLE: &str = "sample_spec";

fn litellm_entry(name: &str, fields: &Map<String, Value>) -> Result<(String, Line), String> {
    if name == LITELLM_SAMPLE {
        return Err("it only shows what entries look like".to_owned());
    }
    match fields.get("mode").and_then(Value::as_str) {
        Some("chat" | "responses" | "completion") => {}
        Some(mode) => return Err(format!("its mode is {mode}")),
        None => return Err("it has no mode".to_owned()),
    }
    let input = per_million(fields, "input_cost_per_token")?;
    let output = per_million(fields, "output_cost_per_token")?;
    let (Some(input), Some(output)) = (input, output) else {
        return Err("it has no price".to_owned());
    };
    if input == 0.0 && output == 0.0 {
        // There it stands for what is free and for what nobody looked up alike.
        return Err("its price is 0, which there means free or not known".to_owned());
    }
    let said = |key: &str| fields.get(key).and_then(Value::as_bool);
    let limit = |key: &str| fields.get(key).and_then(Value::as_u64);
    let output_max = limit("max_output_tokens");
    let line = Line {
        input: Some(input),
        output: Some(output),
        // A price of 0 stands there for free and for unknown alike; without one the prompt's own holds.
        cached_read: per_million(fields, "cache_read_input_token_cost")?.filter(|usd| 0.0 < *usd),
        cache_write: per_million(fields, "cache_creation_input_token_cost")?
            .filter(|usd| 0.0 < *usd),
        // The old field means the context only where neither of the new ones is given.
        context: limit("max_input_tokens").or_else(|| match output_max {
            None => limit("max_tokens"),
            Some(_) => None,
        }),
        output_max,
        tools: said("supports_function_calling"),
        images: said("supports_vision"),
        json_schema: said("supports_response_schema"),
        reasoning: said("supports_reasoning"),
        source: fields
            .get("source")
            .and_then(Value::as_str)
            .map(str::to_owned),
        ..Line::default()
    };
    Ok((litellm_name(name, fields)?, line))
}

/// A price a million tokens from one a token. The product of the two is off in the last digit often
/// enough (0.15 would be 0.15000000000000002), so it is rounded to what a price can be here.
fn per_million(fields: &Map<String, Value>, key: &str) -> Result<Option<f64>, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(per_token) if 0.0 <= per_token => Ok(Some((per_token * 1e12).round() / 1e6)),
            Some(_) => Err("its price is less than 0".to_owned()),
            None => Err("its price is not a number".to_owned()),
        },
    }
}

/// Our name for an entry: whose it is, and what they call it.
fn litellm_name(name: &str, fields: &Map<String, Value>) -> Result<String, String> {
    let provider = fields
        .get("litellm_provider")
        .and_then(Value::as_str)
        .filter(|provider| !provider.is_empty())
        .ok_or("it does not say whose it is")?;
    let model = name
        .strip_prefix(provider)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(name);
    let vendor = match provider {
        "fireworks_ai" => "fireworks",
        "together_ai" => "together",
        "cohere_chat" => "cohere",
        "text-completion-openai" => "openai",
        "azure_ai" | "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        other if other.starts_with("vertex_ai") => "vertex",
        other => other,
    };
    // Some names begin with a shorter form of the provider's.
    let model = ["cohere/", "vertex_ai/", "azure/", "bedrock/", "openai/"]
        .into_iter()
        .filter(|prefix| prefix.trim_end_matches('/') == vendor || *prefix == "vertex_ai/")
        .find_map(|prefix| model.strip_prefix(prefix))
        .unwrap_or(model);
    Ok(format!("{vendor}/{model}"))
}
