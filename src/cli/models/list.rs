//! `semroute models list`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::cli::report::{Reporter, table};
use crate::config::catalogue::{Fact, Known, facts};
use crate::config::{Config, Problems, load};
use crate::domain::model::{Abilities, Ability, Price};
use crate::domain::name::ModelName;
use crate::domain::quantity::PicoUsd;

#[derive(Debug, Args)]
pub(super) struct List {
    /// The configuration; the embedded one, if it is left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &List, reporter: Reporter) -> Result<(), Failure> {
    let loaded = load(arguments.config.as_deref())?;
    let mut problems = Vec::new();
    let facts = facts(&loaded, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    for warning in &facts.warnings {
        reporter.warning(&warning.to_string());
    }
    let models = facts.models.iter();
    if arguments.json {
        let models: Vec<Value> = models
            .map(|(name, known)| document(name, known, &loaded.config))
            .collect();
        reporter.json(&json!({ "models": models }))?;
    } else {
        let rows = models
            .map(|(name, known)| row(name, known, &loaded.config))
            .collect();
        reporter.result(&table(&HEADER, rows))?;
        reporter.note("prices in US dollars per million tokens; ? is unknown");
    }
    Ok(())
}

const HEADER: [&str; 10] = [
    "model",
    "provider",
    "upstream",
    "input",
    "output",
    "cached",
    "write",
    "context",
    "abilities",
    "from",
];

/// What is not known, in a table.
const UNKNOWN: &str = "?";

fn row(name: &ModelName, known: &Known, config: &Config) -> Vec<String> {
    let price = known.price.value();
    let usd = |of: fn(Price) -> Option<PicoUsd>| {
        price.and_then(of).map_or_else(
            || UNKNOWN.to_owned(),
            |it| it.as_usd_per_million().to_string(),
        )
    };
    let limit = |fact: &Fact<u64>| {
        let value = fact.value();
        value.map_or_else(|| UNKNOWN.to_owned(), |it| it.to_string())
    };
    let (provider, upstream) = served_by(name, config);
    vec![
        name.to_string(),
        provider,
        upstream,
        usd(|price| Some(price.input)),
        usd(|price| Some(price.output)),
        usd(|price| price.cached_read),
        usd(|price| price.cache_write),
        limit(&known.context),
        listed(known.abilities.value().unwrap_or_default()),
        origins(known),
    ]
}

/// What a model can do, and in brackets what nobody said.
fn listed(abilities: Abilities) -> String {
    let words = abilities
        .named()
        .into_iter()
        .filter_map(|(name, ability)| match ability {
            Ability::Yes => Some(name.to_owned()),
            Ability::No => None,
            Ability::Unknown => Some(format!("{name}?")),
        });
    words.collect::<Vec<_>>().join(" ")
}

/// Who said what: once, where all of it comes from the same place.
fn origins(known: &Known) -> String {
    let parts = [
        ("price", known.price.origin()),
        ("context", known.context.origin()),
        ("abilities", known.abilities.origin()),
    ];
    let word = |(place, entry): (&str, Option<&str>)| match entry {
        Some(entry) => format!("{place} {entry}"),
        None => place.to_owned(),
    };
    let first = parts[0].1;
    if parts.iter().all(|(_, origin)| *origin == first) {
        return word(first);
    }
    let told = parts
        .into_iter()
        .filter(|(_, origin)| origin.0 != "unknown")
        .map(|(part, origin)| format!("{part}: {}", word(origin)));
    told.collect::<Vec<_>>().join(", ")
}

fn served_by(name: &ModelName, config: &Config) -> (String, String) {
    let model = config.models.get(name);
    let upstream = model.and_then(|model| model.name.clone());
    (
        model.map_or_else(String::new, |model| model.provider.to_string()),
        upstream.unwrap_or_else(|| name.to_string()),
    )
}

fn document(name: &ModelName, known: &Known, config: &Config) -> Value {
    let (provider, upstream) = served_by(name, config);
    json!({
        "name": name,
        "provider": provider,
        "upstream_name": upstream,
        "vendor": known.vendor,
        "price": fact(&known.price, price),
        "context": fact(&known.context, Value::from),
        "output_max": fact(&known.output_max, Value::from),
        "abilities": fact(&known.abilities, |abilities| {
            let said = abilities.named().into_iter();
            said.map(|(name, ability)| (name.to_owned(), ability.said().into()))
                .collect::<Map<_, _>>()
                .into()
        }),
    })
}

/// A value and who said so; a value that is not known is null.
fn fact<T: Copy>(fact: &Fact<T>, written: impl Fn(T) -> Value) -> Value {
    let (from, entry) = fact.origin();
    json!({ "value": fact.value().map(written), "from": from, "entry": entry })
}

fn price(price: Price) -> Value {
    let usd = |price: Option<PicoUsd>| price.map(PicoUsd::as_usd_per_million);
    json!({
        "input": usd(Some(price.input)),
        "output": usd(Some(price.output)),
        "cached_read": usd(price.cached_read),
        "cache_write": usd(price.cache_write),
    })
}
