//! What vendors publish about their models: prices, limits, abilities.
//!
//! An entry is named `VENDOR/MODEL`, by whom the money goes to and what that vendor calls the model. A
//! price is a statement about a bill, so finding none is better than finding a wrong one: a name is
//! never guessed, and what several vendors sell at different prices has none.

mod format;
mod import;
mod vendor;

use std::collections::BTreeMap;

use crate::domain::model::{Abilities, Ability, Limits, Price};

pub use format::{read, write};
pub use import::{Imported, Skipped, import};
pub use vendor::of_host;

/// Models by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// When the facts held, in the words of whoever gathered them.
    pub as_of: Option<String>,
    entries: BTreeMap<String, Entry>,
}

/// What is published about one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// List price.
    pub price: Option<Price>,
    /// How much it takes and gives.
    pub limits: Limits,
    /// What it can do.
    pub abilities: Abilities,
    /// The page that says so.
    pub source: Option<String>,
    /// Where the entry stands.
    pub shelf: Shelf,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shelf {
    /// In the catalogue that ships.
    #[default]
    BuiltIn,
    /// In a file of the operator's.
    File,
}

/// What a catalogue says about a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This.
    Entry {
        /// The entry's name; of several that agree, the first.
        name: String,
        /// The entry; of several, what they agree on.
        entry: Entry,
    },
    /// Several vendors sell it, at different prices.
    Ambiguous {
        /// The names of their entries.
        names: Vec<String>,
    },
    /// Nothing.
    Nothing,
}

impl Catalogue {
    /// So many models.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry of this very name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// This catalogue with another's entries in place of those of the same names.
    #[must_use]
    pub fn overlaid(&self, other: Self) -> Self {
        let mut all = self.clone();
        all.entries.extend(other.entries);
        all
    }

    /// What is known of a model that a vendor calls by this name.
    ///
    /// Of a vendor that has entries, only those count. Of one that has none and passes others' models
    /// on, such as Azure or OpenRouter, it is the model's bare name that is looked for. Each time a
    /// name that ends with a date stands back for the same name without it.
    pub fn find(&self, vendor: &str, model: &str) -> Found {
        let undated = without_date(model);
        for model in [Some(model), undated].into_iter().flatten() {
            let name = format!("{vendor}/{model}");
            if let Some(entry) = self.entries.get(&name) {
                let entry = entry.clone();
                return Found::Entry { name, entry };
            }
        }
        if self.has_vendor(vendor) {
            return Found::Nothing;
        }
        [Some(model), undated]
            .into_iter()
            .flatten()
            .map(|model| self.find_bare(bare(model)))
            .find(|found| *found != Found::Nothing)
            .unwrap_or(Found::Nothing)
    }

    fn has_vendor(&self, vendor: &str) -> bool {
        let prefix = format!("{vendor}/");
        self.entries
            .range(prefix.clone()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(&prefix))
    }

    fn find_bare(&self, model: &str) -> Found {
        let named = || self.entries.iter().filter(|(name, _)| bare(name) == model);
        let Some((name, first)) = named().next() else {
            return Found::Nothing;
        };
        if named().any(|(_, entry)| entry.price != first.price) {
            return Found::Ambiguous {
                names: named().map(|(name, _)| name.clone()).collect(),
            };
        }
        let entry = named().fold(first.clone(), |agreed, (_, entry)| agreed.agreed(entry));
        Found::Entry {
            name: name.clone(),
            entry,
        }
    }
}

impl Entry {
    /// What both entries say; what they say differently is not known.
    fn agreed(self, other: &Self) -> Self {
        let limit = |one: Option<u64>, other| one.filter(|it| Some(*it) == other);
        let ability = |one: Ability, other| if one == other { one } else { Ability::Unknown };
        Self {
            limits: Limits {
                context_tokens: limit(self.limits.context_tokens, other.limits.context_tokens),
                output_tokens_max: limit(
                    self.limits.output_tokens_max,
                    other.limits.output_tokens_max,
                ),
            },
            abilities: Abilities {
                tools: ability(self.abilities.tools, other.abilities.tools),
                images: ability(self.abilities.images, other.abilities.images),
                json_schema: ability(self.abilities.json_schema, other.abilities.json_schema),
                reasoning: ability(self.abilities.reasoning, other.abilities.reasoning),
            },
            ..self
        }
    }
}

/// A model's name without those who made it or pass it on.
fn bare(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A name without the date at its end, `-2025-08-07` or `-20250807`; nothing if there is none.
fn without_date(name: &str) -> Option<&str> {
    ["-dddd-dd-dd", "-dddddddd"].into_iter().find_map(|shape| {
        let (start, end) = name.split_at_checked(name.len().checked_sub(shape.len())?)?;
        let is_date = end
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, shape)| byte == shape || (shape == b'd' && byte.is_ascii_digit()));
        (is_date && !start.is_empty()).then_some(start)
    })
}

#[cfg(test)]
mod tests;
