//! Embedded rows as a file: what a set was trained on, without the words.
//!
//! A set keeps its rows so that it can be trained again with more of them, and several machines can
//! embed a share each and have them joined. A row is its vector, its label, the digest of its prompt,
//! by which repeats and corrections are found, and the place where a person can look it up. Nobody can
//! read the prompt back from that, though who has a prompt can tell whether it is there.
//!
//! The file is safetensors: `vectors`, `intent`, `prompt`, `file`, `line` and `row`, with one JSON
//! header among the metadata.

mod file;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::centroids::labels::Place;
use crate::centroids::manifest::EncoderIdentity;
use crate::domain::hex;
use crate::domain::name::IntentName;
use crate::vector::Vectors;

/// The file's name beside a set.
pub const ROWS_FILE: &str = "rows.safetensors";

/// How prompts became vectors. Rows are joined only if all of it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    /// The encoder.
    pub encoder: EncoderIdentity,
    /// The arithmetic that computed them: another one rounds otherwise.
    pub kernel: String,
    /// What of a conversation was embedded.
    pub text: String,
    /// The most windows of a prompt.
    pub windows: usize,
}

/// One row but for its vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its intent; none, if it is out of scope.
    pub intent: Option<IntentName>,
    /// The SHA-256 of its prompt.
    pub prompt: [u8; 32],
    /// Where it stands.
    pub place: Place,
}

/// Embedded rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// How they were embedded.
    pub embedding: Embedding,
    /// One unit vector a row.
    pub vectors: Vectors,
    /// The rest of each row.
    pub labels: Vec<Label>,
}

/// A share of rows that several machines embed.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which share.
    pub shard: Shard,
    /// The digest of all rows, by which parts of one whole are told.
    pub whole: String,
    /// How many rows there are in all.
    pub n_whole: usize,
    /// The rows of this share.
    pub rows: Rows,
}

/// One of so many shares: every so many-th row, so that shares take equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Whether a row, counted from 0, is part of it.
    pub const fn holds(self, row: usize) -> bool {
        row % self.of + 1 == self.index
    }

    /// The name of its file.
    pub fn file_name(self) -> String {
        format!("rows-{:05}-of-{:05}.safetensors", self.index, self.of)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no share: write I/N with 1 <= I <= N, such as 3/16");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |digits: &str| digits.parse().map_err(|_| wrong());
        let shard = Self {
            index: number(index)?,
            of: number(of)?,
        };
        if 1 <= shard.index && shard.index <= shard.of {
            Ok(shard)
        } else {
            Err(wrong())
        }
    }
}

/// Why rows cannot be read or joined, and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The file does not read as rows.
    #[error("{0}; the file is cut short or is something else: write it again")]
    Unreadable(String),
    /// There is nothing to join.
    #[error("there is no part to join: give the folder that `semroute train --shard` wrote to")]
    NoPart,
    /// Parts were embedded in different ways.
    #[error(
        "part {shard} was embedded with {found}, the others with {expected}: vectors of the two \
         differ, so embed all parts with the same encoder on the same kind of processor"
    )]
    Mixed {
        /// The part.
        shard: Shard,
        /// How it was embedded.
        found: Box<Embedding>,
        /// How the first was.
        expected: Box<Embedding>,
    },
    /// A part is of other rows.
    #[error(
        "part {shard} belongs to other rows than the first part: embed all parts from the same \
         files"
    )]
    OtherWhole {
        /// The part.
        shard: Shard,
    },
    /// Parts are missing.
    #[error("parts {missing} of {of} are missing: run `semroute train --shard` for each of them")]
    Missing {
        /// Which.
        missing: String,
        /// Of how many.
        of: usize,
    },
}

impl std::fmt::Display for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on {}, text {}, {} windows",
            self.encoder, self.kernel, self.text, self.windows
        )
    }
}

impl Rows {
    /// The SHA-256 of labels and prompts in their order, since that order decides which rows are held
    /// out together. File names and lines do not count.
    pub fn digest(&self) -> String {
        digest(&self.labels)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The rows for which it holds, in their order.
    #[must_use]
    pub fn filter(&self, holds: impl Fn(usize, &Label) -> bool) -> Self {
        let mut kept = Self {
            embedding: self.embedding.clone(),
            vectors: Vectors::new(self.vectors.dimensions()),
            labels: Vec::new(),
        };
        for (row, (vector, label)) in self.vectors.rows().zip(&self.labels).enumerate() {
            if holds(row, label) && kept.vectors.push(vector) {
                kept.labels.push(label.clone());
            }
        }
        kept
    }

    /// The rows that have an intent, and the intent of each; then those out of scope.
    pub fn by_scope(&self) -> (Self, Vec<IntentName>, Self) {
        let within = self.filter(|_, label| label.intent.is_some());
        let outside = self.filter(|_, label| label.intent.is_none());
        let intents = within
            .labels
            .iter()
            .filter_map(|label| label.intent.clone())
            .collect();
        (within, intents, outside)
    }

    /// These rows with newer ones behind them. Where both have a prompt, the newer label counts.
    #[must_use]
    pub fn corrected_by(&self, newer: &Self) -> Self {
        let replaced: BTreeSet<[u8; 32]> = newer.labels.iter().map(|label| label.prompt).collect();
        let mut joined = self.filter(|_, label| !replaced.contains(&label.prompt));
        for (vector, label) in newer.vectors.rows().zip(&newer.labels) {
            if joined.vectors.push(vector) {
                joined.labels.push(label.clone());
            }
        }
        joined
    }

    /// The file of these rows.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        file::write(&Part {
            shard: Shard::WHOLE,
            whole: self.digest(),
            n_whole: self.len(),
            rows: self.clone(),
        })
    }

    /// The rows of a file that holds all of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        join(vec![Part::from_bytes(bytes)?])
    }
}

impl Part {
    /// The file of this part.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        file::write(self)
    }

    /// The part that a file holds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        file::read(bytes)
    }
}

/// [`Rows::digest`] of rows that are not embedded yet.
pub fn digest(labels: &[Label]) -> String {
    let mut hasher = Sha256::new();
    for label in labels {
        let intent = label.intent.as_ref().map_or("", IntentName::as_str);
        hasher.update(intent.as_bytes());
        hasher.update([0]);
        hasher.update(label.prompt);
    }
    hex(&hasher.finalize())
}

/// Joins parts to the rows that they were cut from, in their first order.
pub fn join(mut parts: Vec<Part>) -> Result<Rows, Error> {
    parts.sort_by_key(|part| part.shard.index);
    let (expected, whole, shard, n_whole) = match parts.first() {
        Some(first) => (
            first.rows.embedding.clone(),
            first.whole.clone(),
            first.shard,
            first.n_whole,
        ),
        None => return Err(Error::NoPart),
    };
    for part in &parts {
        if part.rows.embedding != expected {
            return Err(Error::Mixed {
                shard: part.shard,
                found: Box::new(part.rows.embedding.clone()),
                expected: Box::new(expected),
            });
        }
        if part.whole != whole || part.shard.of != shard.of || part.n_whole != n_whole {
            return Err(Error::OtherWhole { shard: part.shard });
        }
    }
    let by_index: BTreeMap<usize, &Part> =
        parts.iter().map(|part| (part.shard.index, part)).collect();
    let missing: Vec<String> = (1..=shard.of)
        .filter(|index| !by_index.contains_key(index))
        .map(|index| index.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(Error::Missing {
            missing: missing.join(", "),
            of: shard.of,
        });
    }
    let mut rows = Rows {
        vectors: Vectors::new(expected.encoder.dimensions),
        embedding: expected,
        labels: Vec::with_capacity(n_whole),
    };
    for row in 0..n_whole {
        let part = by_index.get(&(row % shard.of + 1));
        let place = row / shard.of;
        let found = part
            .and_then(|part| Some((part.rows.vectors.row(place)?, part.rows.labels.get(place)?)));
        match found {
            Some((vector, label)) if rows.vectors.push(vector) => rows.labels.push(label.clone()),
            _ => return Err(Error::Unreadable(format!("row {row} is not in its part"))),
        }
    }
    if rows.digest() == whole {
        Ok(rows)
    } else {
        Err(Error::Unreadable(
            "the rows are not those that the parts say".to_owned(),
        ))
    }
}

/// The names of files, each once.
#[derive(Debug, Default)]
struct FileNames {
    names: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, u32>,
}

impl FileNames {
    fn position(&mut self, name: &Arc<str>) -> u32 {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        let position = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(Arc::clone(name));
        self.positions.insert(Arc::clone(name), position);
        position
    }
}

#[cfg(test)]
mod tests;
