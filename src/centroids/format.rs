//! An artefact's bytes: a set becomes two files and comes back, and nothing else touches the layout.
//!
//! `manifest.json` says what the set is; `vectors.bin` holds its rows as 32-bit floats, little
//! endian, row after row, with nothing before or after. The manifest holds the digest of the
//! vectors, so a file of another set, a half-written one or a flipped bit is an error with a remedy
//! and never a wrong answer.

use crate::centroids::classify::{CentroidSet, Prototypes};
use crate::centroids::manifest::{EncoderIdentity, FORMAT_VERSION, Manifest, VectorsEntry};
use crate::centroids::sha256_hex;
use crate::vector::{Vectors, norm};

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The vectors' file name.
pub const VECTORS_FILE: &str = "vectors.bin";

/// The bytes of a 32-bit float.
const FLOAT_BYTES: usize = 4;

/// How far the length of a row may be from 1. Rounding leaves about 1e-7 at 384 dimensions; a row
/// that was never normalised is off by far more.
const NORM_TOLERANCE: f32 = 1e-3;

/// The two files of an artefact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `manifest.json`.
    pub manifest: Vec<u8>,
    /// `vectors.bin`.
    pub vectors: Vec<u8>,
}

/// Why an artefact cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest does not read as one.
    #[error(
        "manifest.json is not a manifest of centroids: {0}; train it again with `semroute train`"
    )]
    Manifest(#[from] serde_json::Error),
    /// A newer semroute wrote it.
    #[error(
        "the centroids are of format version {found}, and this semroute reads up to \
         {FORMAT_VERSION}: use a newer semroute, or train them again with this one"
    )]
    NewerVersion {
        /// The version found.
        found: u64,
    },
    /// Its vectors mean nothing to the encoder in use.
    #[error(
        "the centroids {name:?} were trained with {trained}, the server runs {running}: train them \
         again with `semroute train LABELS --out DIR`, or set encoder.model to the one they \
         were trained with"
    )]
    OtherEncoder {
        /// The set.
        name: String,
        /// Its encoder.
        trained: Box<EncoderIdentity>,
        /// The encoder in use.
        running: Box<EncoderIdentity>,
    },
    /// The rows are not as long as the encoder's vectors.
    #[error(
        "the centroids {name:?} have {found} dimensions, the encoder's vectors {expected}: train \
         them again with `semroute train`"
    )]
    WrongDimension {
        /// The set.
        name: String,
        /// Dimensions of the set.
        found: usize,
        /// Dimensions of the encoder.
        expected: usize,
    },
    /// There is no intent, or an intent without a prototype.
    #[error(
        "the centroids {name:?} hold no prototype {of_what}: train them again with `semroute train`"
    )]
    Empty {
        /// The set.
        name: String,
        /// What has none.
        of_what: String,
    },
    /// An intent stands there twice.
    #[error(
        "manifest.json names the intent {intent:?} twice: train the centroids again with \
        `semroute train`"
    )]
    RepeatedIntent {
        /// The intent.
        intent: String,
    },
    /// The file of vectors has another length than the manifest says.
    #[error(
        "vectors.bin has {found} bytes where its manifest says {expected}: the file is cut \
         short or belongs to another set; copy the folder again, or train again with \
         `semroute train`"
    )]
    Truncated {
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// The vectors are not those that the manifest was written with.
    #[error(
        "vectors.bin has the digest {found}, its manifest says {expected}: the file was changed or \
         belongs to another set; copy the folder again, or train again with `semroute train`"
    )]
    WrongDigest {
        /// The digest that the manifest says.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// A row is no unit vector.
    #[error(
        "row {row} of vectors.bin has the length {length}, not 1: train again with `semroute train`"
    )]
    NotNormalised {
        /// The row, from 0.
        row: usize,
        /// Its length.
        length: f32,
    },
    /// The threshold cannot be compared with a cosine.
    #[error(
        "the threshold {value} in manifest.json is not between -1 and 1: train again with \
        `semroute train`"
    )]
    Threshold {
        /// The threshold.
        value: f32,
    },
}

impl CentroidSet {
    /// The set as files.
    pub fn to_files(&self) -> Result<Files, Error> {
        let vectors = to_bytes(self.prototypes.vectors());
        let mut manifest = serde_json::to_vec_pretty(&self.manifest)?;
        manifest.push(b'\n');
        Ok(Files { manifest, vectors })
    }

    /// The set that the files hold, if it was made for this encoder and is whole.
    pub fn from_files(files: &Files, running: &EncoderIdentity) -> Result<Self, Error> {
        check_version(&files.manifest)?;
        let manifest: Manifest = serde_json::from_slice(&files.manifest)?;
        check_encoder(&manifest, running)?;
        check_intents(&manifest)?;
        let found = sha256_hex([files.vectors.as_slice()]);
        let vectors = from_bytes(&manifest, &files.vectors)?;
        if found != manifest.vectors.digest {
            return Err(Error::WrongDigest {
                expected: manifest.vectors.digest,
                found,
            });
        }
        Self::from_parts(manifest, vectors)
    }

    /// The digest that names this set in records: it changes whenever any part of the set does.
    pub fn digest(&self) -> Result<String, Error> {
        // The manifest holds the digest of the vectors.
        Ok(sha256_hex([self.to_files()?.manifest.as_slice()]))
    }

    /// A set of a manifest and the rows that it describes. The digest of the rows is written here.
    pub(super) fn from_parts(mut manifest: Manifest, vectors: Vectors) -> Result<Self, Error> {
        let threshold = manifest.threshold.value;
        if !(-1.0..=1.0).contains(&threshold) {
            return Err(Error::Threshold { value: threshold });
        }
        check_rows(&vectors)?;
        manifest.vectors = VectorsEntry {
            digest: sha256_hex([to_bytes(&vectors).as_slice()]),
        };
        let n_of_intent = manifest
            .intents
            .iter()
            .map(|entry| entry.n_prototypes)
            .collect();
        let empty = || Error::Empty {
            name: manifest.name.clone(),
            of_what: "at all".to_owned(),
        };
        let prototypes = Prototypes::new(vectors, n_of_intent).ok_or_else(empty)?;
        Ok(Self {
            manifest,
            prototypes,
        })
    }
}

/// Refuses what a newer version wrote before its fields are read, which may mean something else.
fn check_version(manifest: &[u8]) -> Result<(), Error> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        format_version: u64,
    }
    let found = serde_json::from_slice::<Versioned>(manifest)?.format_version;
    if u64::from(FORMAT_VERSION) < found {
        return Err(Error::NewerVersion { found });
    }
    Ok(())
}

fn check_encoder(manifest: &Manifest, running: &EncoderIdentity) -> Result<(), Error> {
    if manifest.encoder.digest != running.digest {
        return Err(Error::OtherEncoder {
            name: manifest.name.clone(),
            trained: Box::new(manifest.encoder.clone()),
            running: Box::new(running.clone()),
        });
    }
    if manifest.encoder.dimensions != running.dimensions {
        return Err(Error::WrongDimension {
            name: manifest.name.clone(),
            found: manifest.encoder.dimensions,
            expected: running.dimensions,
        });
    }
    Ok(())
}

fn check_intents(manifest: &Manifest) -> Result<(), Error> {
    let empty = |of_what: String| Error::Empty {
        name: manifest.name.clone(),
        of_what,
    };
    if manifest.intents.is_empty() {
        return Err(empty("at all".to_owned()));
    }
    let mut seen = std::collections::HashSet::new();
    for entry in &manifest.intents {
        if entry.n_prototypes == 0 {
            return Err(empty(format!("of the intent {}", entry.name)));
        }
        if !seen.insert(&entry.name) {
            return Err(Error::RepeatedIntent {
                intent: entry.name.to_string(),
            });
        }
    }
    Ok(())
}

/// A row that is not finite has no length either, so one check finds both.
fn check_rows(vectors: &Vectors) -> Result<(), Error> {
    for (row, values) in vectors.rows().enumerate() {
        let length = norm(values);
        let is_unit = (length - 1.0).abs() < NORM_TOLERANCE;
        if !is_unit {
            return Err(Error::NotNormalised { row, length });
        }
    }
    Ok(())
}

fn to_bytes(vectors: &Vectors) -> Vec<u8> {
    vectors
        .as_flat()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn from_bytes(manifest: &Manifest, bytes: &[u8]) -> Result<Vectors, Error> {
    let dimensions = manifest.encoder.dimensions;
    let n_rows = manifest
        .intents
        .iter()
        .map(|entry| entry.n_prototypes)
        .fold(0, usize::saturating_add);
    let expected = n_rows
        .saturating_mul(dimensions)
        .saturating_mul(FLOAT_BYTES);
    let truncated = || Error::Truncated {
        expected,
        found: bytes.len(),
    };
    if bytes.len() != expected {
        return Err(truncated());
    }
    let (floats, _) = bytes.as_chunks::<FLOAT_BYTES>();
    let values = floats
        .iter()
        .map(|float| f32::from_le_bytes(*float))
        .collect();
    Vectors::from_flat(dimensions, values).ok_or_else(truncated)
}

#[cfg(test)]
mod tests;
