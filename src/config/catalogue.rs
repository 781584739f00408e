//! What is known of each model's price, limits and abilities, and who said so: the model's own keys,
//! the operator's catalogue, or the one that ships. What nobody said stays unknown.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::catalogue::{Catalogue, Entry, Found, Shelf, read};
use crate::config::models::{self, AbilityName};
use crate::config::problem::{Problem, suggestion};
use crate::config::providers::Provider;
use crate::config::{Config, Loaded};
use crate::domain::model::{Abilities, Ability, Limits, Price};
use crate::domain::name::ModelName;
use crate::domain::quantity::PicoUsd;

/// The catalogue that ships; `semroute models prices` writes it.
const BUILT_IN: &str = include_str!("../../models/catalogue.json");

/// The longest catalogue that is read: some hundred times the one that ships.
pub const CATALOGUE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// In place of an entry's name: look nothing up.
const NO_ENTRY: &str = "none";

/// What is known of all models.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Of each, by its name.
    pub models: BTreeMap<ModelName, Known>,
    /// Prices that a reader of the configuration might take for known.
    pub warnings: Vec<Problem>,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// Who bills for it, where its provider's address says so.
    pub vendor: Option<&'static str>,
    /// List price.
    pub price: Fact<Price>,
    /// Tokens of prompt and answer together.
    pub context: Fact<u64>,
    /// Tokens of the answer.
    pub output_max: Fact<u64>,
    /// What it can do.
    pub abilities: Fact<Abilities>,
}

/// Something that may be known, and who said so.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fact<T> {
    /// The model's own keys.
    Config(T),
    /// This entry of the operator's catalogue.
    File(T, String),
    /// This entry of the catalogue that ships.
    BuiltIn(T, String),
    /// Nobody.
    #[default]
    Unknown,
}

impl<T: Copy> Fact<T> {
    /// What is known.
    pub fn value(&self) -> Option<T> {
        match self {
            Self::Config(value) | Self::File(value, _) | Self::BuiltIn(value, _) => Some(*value),
            Self::Unknown => None,
        }
    }

    fn of(own: Option<T>, entry: Option<&(String, Entry)>, part: fn(&Entry) -> Option<T>) -> Self {
        if let Some(own) = own {
            return Self::Config(own);
        }
        let Some((name, entry)) = entry else {
            return Self::Unknown;
        };
        match (part(entry), entry.shelf) {
            (Some(value), Shelf::File) => Self::File(value, name.clone()),
            (Some(value), Shelf::BuiltIn) => Self::BuiltIn(value, name.clone()),
            (None, _) => Self::Unknown,
        }
    }
}

impl<T> Fact<T> {
    /// Who said it, and in which entry.
    pub fn origin(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Config(_) => ("config", None),
            Self::File(_, entry) => ("catalogue file", Some(entry)),
            Self::BuiltIn(_, entry) => ("built-in", Some(entry)),
            Self::Unknown => ("unknown", None),
        }
    }
}

impl Known {
    /// The limits, as the engine wants them.
    pub fn limits(&self) -> Limits {
        Limits {
            context_tokens: self.context.value(),
            output_tokens_max: self.output_max.value(),
        }
    }
}

/// The catalogue that ships, read when it is first wanted.
pub fn built_in() -> Result<&'static Catalogue, String> {
    static CATALOGUE: OnceLock<Result<Catalogue, String>> = OnceLock::new();
    CATALOGUE
        .get_or_init(|| read(BUILT_IN, Shelf::BuiltIn))
        .as_ref()
        .map_err(|problem| format!("the catalogue that ships cannot be read: {problem}"))
}

/// Finds out what is known of all models of a configuration.
pub fn facts(loaded: &Loaded, problems: &mut Vec<Problem>) -> Facts {
    let config = &loaded.config;
    let mut facts = Facts::default();
    let own = match file(loaded) {
        Ok(own) => own,
        Err(message) => {
            problems.push(Problem::new("catalogue", message));
            None
        }
    };
    let shelf = if wants_catalogue(config) {
        shelf(own)
    } else {
        Ok(Catalogue::default())
    };
    let shelf = shelf.unwrap_or_else(|message| {
        problems.push(Problem::new("catalogue", message));
        Catalogue::default()
    });
    for (name, model) in &config.models {
        let path = format!("models.{name}");
        let vendor = config
            .providers
            .get(&model.provider)
            .and_then(Provider::vendor);
        let asked = Asked {
            model,
            upstream: model.name.as_deref().unwrap_or(name.as_str()),
            vendor,
        };
        let entry = match asked.entry(&shelf) {
            Ok(entry) => entry,
            Err(Refused::Wrong(message)) => {
                problems.push(Problem::new(format!("{path}.catalogue"), message));
                None
            }
            Err(Refused::Unknown(message)) => {
                if model.price.is_none() {
                    let path = format!("{path}.price");
                    facts.warnings.push(Problem::new(path, message));
                }
                None
            }
        };
        let price = price(model.price, &path, problems);
        let known = known(model, vendor, price, entry.as_ref());
        facts.models.insert(name.clone(), known);
    }
    facts
}

/// Whether any model could be in a catalogue: reading it is saved where all follow a script.
fn wants_catalogue(config: &Config) -> bool {
    config.models.values().any(|model| {
        let provider = config.providers.get(&model.provider);
        model.catalogue.is_some() || provider.and_then(Provider::vendor).is_some()
    })
}

/// The catalogue that ships, with the operator's entries over it.
fn shelf(own: Option<Catalogue>) -> Result<Catalogue, String> {
    let built_in = built_in()?;
    Ok(match own {
        Some(own) => built_in.overlaid(own),
        None => built_in.clone(),
    })
}

/// The operator's own catalogue.
fn file(loaded: &Loaded) -> Result<Option<Catalogue>, String> {
    let Some(path) = &loaded.config.catalogue else {
        return Ok(None);
    };
    let path = loaded.folder.join(path);
    let told = |problem: String| format!("{}: {problem}", path.display());
    let size = std::fs::metadata(&path)
        .map_err(|error| told(format!("it cannot be read: {error}")))?
        .len();
    if CATALOGUE_BYTES_MAX < size {
        return Err(told(format!(
            "it has {size} bytes; a catalogue has at most {CATALOGUE_BYTES_MAX}"
        )));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| told(format!("it cannot be read: {error}")))?;
    let catalogue = read(&text, Shelf::File).map_err(|problem| {
        told(format!(
            "{problem}; `semroute models prices` writes a catalogue from LiteLLM's price file"
        ))
    })?;
    Ok(Some(catalogue))
}

/// A model whose entry is looked for.
struct Asked<'a> {
    model: &'a models::Model,
    upstream: &'a str,
    vendor: Option<&'static str>,
}

/// Why there is no entry.
enum Refused {
    /// The configuration names one that is not there.
    Wrong(String),
    /// One would have been expected, but no price can be told.
    Unknown(String),
}

impl Asked<'_> {
    fn entry(&self, among: &Catalogue) -> Result<Option<(String, Entry)>, Refused> {
        match (self.model.catalogue.as_deref(), self.vendor) {
            (Some(NO_ENTRY), _) | (None, None) => Ok(None),
            (Some(name), _) => {
                let entry = among.get(name).cloned().ok_or_else(|| {
                    let hint = nearest(name, among);
                    Refused::Wrong(format!("the catalogue has no entry {name:?}{hint}"))
                })?;
                Ok(Some((name.to_owned(), entry)))
            }
            (None, Some(vendor)) => self.found(vendor, among),
        }
    }

    fn found(&self, vendor: &str, among: &Catalogue) -> Result<Option<(String, Entry)>, Refused> {
        let upstream = self.upstream;
        match among.find(vendor, upstream) {
            Found::Entry { name, entry } => Ok(Some((name, entry))),
            Found::Ambiguous { names } => Err(Refused::Unknown(format!(
                "is unknown: {} have {upstream:?} at different prices; name one with `catalogue`, or give the price",
                names.join(", ")
            ))),
            Found::Nothing => Err(Refused::Unknown(format!(
                "is unknown: the catalogue has no {upstream:?} of {vendor}; give the price, or name an entry with `catalogue`"
            ))),
        }
    }
}

/// A hint at what was meant. A catalogue is too long to be listed where nothing is near.
fn nearest(name: &str, shelf: &Catalogue) -> String {
    let names = shelf.entries().map(|(name, _)| name);
    let hint = suggestion(name, names);
    if hint.contains("did you mean") {
        hint
    } else {
        "; `semroute models list` shows those in use, models/catalogue.json has all".to_owned()
    }
}

fn known(
    model: &models::Model,
    vendor: Option<&'static str>,
    price: Option<Price>,
    entry: Option<&(String, Entry)>,
) -> Known {
    let own_abilities = model.abilities.as_deref().map(abilities);
    Known {
        vendor,
        price: Fact::of(price, entry, |entry| entry.price),
        context: Fact::of(model.context, entry, |entry| entry.limits.context_tokens),
        output_max: Fact::of(model.output_max, entry, |entry| {
            entry.limits.output_tokens_max
        }),
        abilities: Fact::of(own_abilities, entry, |entry| {
            Some(entry.abilities).filter(|it| *it != Abilities::default())
        }),
    }
}

/// An operator who lists abilities lists all of them.
fn abilities(listed: &[AbilityName]) -> Abilities {
    let ability = |name| Ability::told(Some(listed.contains(&name)));
    Abilities {
        tools: ability(AbilityName::Tools),
        images: ability(AbilityName::Images),
        json_schema: ability(AbilityName::JsonSchema),
        reasoning: ability(AbilityName::Reasoning),
    }
}

fn price(price: Option<models::Price>, path: &str, problems: &mut Vec<Problem>) -> Option<Price> {
    let price = price?;
    let mut per_token = |field: &str, usd: Option<f64>| {
        PicoUsd::per_token(usd?)
            .map_err(|message| {
                problems.push(Problem::new(format!("{path}.price.{field}"), message));
            })
            .ok()
    };
    let input = per_token("input", Some(price.input));
    let output = per_token("output", Some(price.output));
    Some(Price {
        cached_read: per_token("cached_read", price.cached_read),
        cache_write: per_token("cache_write", price.cache_write),
        input: input?,
        output: output?,
    })
}
