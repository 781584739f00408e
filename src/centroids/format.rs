//! An artefact's bytes: a set becomes two files and comes back, and nothing else touches the layout.
//!
//! `manifest.json` says what the set is; `vectors.safetensors` holds its numbers: `prototypes`, a
//! row each, their `bias`, the `means` of the intents, and `scope_direction` where scope is told by
//! one. The manifest holds the digest of that file, so a file of another set, a half-written one or
//! a flipped bit is an error with a remedy and never a wrong answer.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::centroids::classify::{CentroidSet, Prototypes};
use crate::centroids::manifest::{
    EncoderIdentity, FORMAT_VERSION, Manifest, Rule, ScopeRule, VectorsEntry,
};
use crate::centroids::sha256_hex;
use crate::vector::{Vectors, norm};

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The vectors' file name.
pub const VECTORS_FILE: &str = "vectors.safetensors";

/// How far the length of a row may be from 1. Rounding leaves about 1e-7 at 384 dimensions; a row
/// that was never normalised is off by far more.
const NORM_TOLERANCE: f32 = 1e-3;

/// The two files of an artefact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `manifest.json`.
    pub manifest: Vec<u8>,
    /// `vectors.safetensors`.
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
    /// Another version of semroute wrote it.
    #[error(
        "the centroids are of format version {found}, and this semroute reads {FORMAT_VERSION}: \
         train them again with this one, or use the semroute that wrote them"
    )]
    OtherVersion {
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
    /// The part for the static encoder does not belong to the set.
    #[error(
        "the part of the centroids {name:?} for the static encoder knows other intents than they do: \
         train them again with `semroute train`"
    )]
    OtherIntents {
        /// The set.
        name: String,
    },
    /// The file of vectors does not read as one.
    #[error(
        "vectors.safetensors cannot be read ({0}): the file is cut short or is something else; \
         copy the folder again, or train again with `semroute train`"
    )]
    Vectors(String),
    /// The vectors are not those that the manifest was written with.
    #[error(
        "vectors.safetensors has the digest {found}, its manifest says {expected}: the file was \
         changed or belongs to another set; copy the folder again, or train again with \
         `semroute train`"
    )]
    WrongDigest {
        /// The digest that the manifest says.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// A tensor is not there, or not of the shape that the manifest says.
    #[error(
        "vectors.safetensors has no tensor {tensor:?} of {rows} rows and {dimensions} columns of \
         32-bit floats, as its manifest says: train again with `semroute train`"
    )]
    Shape {
        /// The tensor.
        tensor: &'static str,
        /// The rows it should have.
        rows: usize,
        /// The columns it should have.
        dimensions: usize,
    },
    /// A row that is compared by cosine is no unit vector, or a number is none.
    #[error(
        "row {row} of {tensor} in vectors.safetensors has the length {length}: train again with \
         `semroute train`"
    )]
    Length {
        /// The tensor.
        tensor: &'static str,
        /// The row, from 0.
        row: usize,
        /// Its length.
        length: f32,
    },
    /// A number of the manifest cannot be used.
    #[error("{field} is {value} in manifest.json, {wanted}: train again with `semroute train`")]
    Number {
        /// The field.
        field: &'static str,
        /// What it says.
        value: f32,
        /// What it should be.
        wanted: &'static str,
    },
}

/// The names of the tensors.
const PROTOTYPES: &str = "prototypes";
const BIAS: &str = "bias";
const MEANS: &str = "means";
const SCOPE_DIRECTION: &str = "scope_direction";

impl CentroidSet {
    /// The set as files.
    pub fn to_files(&self) -> Result<Files, Error> {
        let mut manifest = serde_json::to_vec_pretty(&self.manifest)?;
        manifest.push(b'\n');
        Ok(Files {
            manifest,
            vectors: self.to_bytes()?,
        })
    }

    /// The set that the files hold, if it was made for this encoder and is whole.
    pub fn from_files(files: &Files, running: &EncoderIdentity) -> Result<Self, Error> {
        check_version(&files.manifest)?;
        let manifest: Manifest = serde_json::from_slice(&files.manifest)?;
        check_encoder(&manifest, running)?;
        check_intents(&manifest)?;
        check_numbers(&manifest)?;
        let tensors = SafeTensors::deserialize(&files.vectors)
            .map_err(|error| Error::Vectors(error.to_string()))?;
        let found = sha256_hex([files.vectors.as_slice()]);
        if found != manifest.vectors.digest {
            return Err(Error::WrongDigest {
                expected: manifest.vectors.digest,
                found,
            });
        }
        let n_of_intent: Vec<usize> = manifest.intents.iter().map(|it| it.n_prototypes).collect();
        let n_prototypes = n_of_intent.iter().copied().fold(0, usize::saturating_add);
        let dimensions = manifest.encoder.dimensions;
        let read = |tensor, rows, columns| read_tensor(&tensors, tensor, rows, columns);
        let vectors = read(PROTOTYPES, n_prototypes, dimensions)?;
        let bias = read(BIAS, n_prototypes, 1)?;
        let means = read(MEANS, n_of_intent.len(), dimensions)?;
        let scope_direction = match manifest.scope.rule {
            ScopeRule::Direction { .. } => {
                let direction = read(SCOPE_DIRECTION, 1, dimensions)?;
                Some(direction.as_flat().to_vec())
            }
            ScopeRule::Score | ScopeRule::Energy | ScopeRule::Cosine => None,
        };
        check_lengths(&manifest, &vectors)?;
        let prototypes = Prototypes::new(vectors, bias.as_flat().to_vec(), n_of_intent);
        Ok(Self {
            prototypes: prototypes
                .ok_or(Error::Shape {
                    tensor: PROTOTYPES,
                    rows: n_prototypes,
                    dimensions,
                })?
                .indexed(),
            manifest,
            means,
            scope_direction,
            static_part: None,
        })
    }

    /// The digest that names this set in records: it changes whenever any part of the set does.
    pub fn digest(&self) -> Result<String, Error> {
        // The manifest holds the digest of the vectors.
        Ok(sha256_hex([serde_json::to_vec(&self.manifest)?.as_slice()]))
    }

    /// A set of what training found, with the digest of its vectors entered.
    pub(super) fn from_parts(
        manifest: Manifest,
        prototypes: Prototypes,
        means: Vectors,
        scope_direction: Option<Vec<f32>>,
    ) -> Result<Self, Error> {
        check_lengths(&manifest, prototypes.vectors())?;
        check_numbers(&manifest)?;
        let mut set = Self {
            manifest,
            prototypes,
            means,
            scope_direction,
            static_part: None,
        };
        let vectors = set.to_bytes()?;
        set.manifest.vectors = VectorsEntry {
            digest: sha256_hex([vectors.as_slice()]),
        };
        Ok(set)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let vectors = self.prototypes.vectors();
        let mut parts = vec![
            (PROTOTYPES, as_bytes(vectors.as_flat()), vectors.len()),
            (BIAS, as_bytes(self.prototypes.bias()), vectors.len()),
            (MEANS, as_bytes(self.means.as_flat()), self.means.len()),
        ];
        if let Some(direction) = &self.scope_direction {
            parts.push((SCOPE_DIRECTION, as_bytes(direction), 1));
        }
        let mut views = Vec::with_capacity(parts.len());
        for (name, bytes, rows) in &parts {
            let columns = bytes.len() / size_of::<f32>() / (*rows).max(1);
            let view = TensorView::new(Dtype::F32, vec![*rows, columns], bytes)
                .map_err(|error| Error::Vectors(error.to_string()))?;
            views.push((*name, view));
        }
        safetensors::serialize(views, None).map_err(|error| Error::Vectors(error.to_string()))
    }
}

/// The version is read before anything else, so that what changed since does not hide it.
fn check_version(manifest: &[u8]) -> Result<(), Error> {
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: u64,
    }
    let Version {
        format_version: found,
    } = serde_json::from_slice(manifest)?;
    if found == u64::from(FORMAT_VERSION) {
        Ok(())
    } else {
        Err(Error::OtherVersion { found })
    }
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

fn check_numbers(manifest: &Manifest) -> Result<(), Error> {
    let temperature = manifest.temperature;
    if !(temperature.is_finite() && 0.0 < temperature) {
        return Err(Error::Number {
            field: "temperature",
            value: temperature,
            wanted: "not a number above 0",
        });
    }
    let threshold = manifest.scope.threshold;
    if !threshold.is_finite() {
        return Err(Error::Number {
            field: "scope.threshold",
            value: threshold,
            wanted: "not a finite number",
        });
    }
    Ok(())
}

/// Rows that are compared by cosine must have length 1, weights any finite one. A row with a number
/// that is none has no length either, so one check finds both.
fn check_lengths(manifest: &Manifest, vectors: &Vectors) -> Result<(), Error> {
    let is_right = |length: f32| match manifest.rule {
        Rule::Centroid | Rule::KMeans { .. } | Rule::Nearest => {
            (length - 1.0).abs() < NORM_TOLERANCE
        }
        Rule::Whitened { .. } | Rule::Logistic { .. } => length.is_finite(),
    };
    for (row, values) in vectors.rows().enumerate() {
        let length = norm(values);
        if !is_right(length) {
            return Err(Error::Length {
                tensor: PROTOTYPES,
                row,
                length,
            });
        }
    }
    Ok(())
}

fn as_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn read_tensor(
    tensors: &SafeTensors<'_>,
    tensor: &'static str,
    rows: usize,
    dimensions: usize,
) -> Result<Vectors, Error> {
    let wrong = || Error::Shape {
        tensor,
        rows,
        dimensions,
    };
    let view = tensors.tensor(tensor).map_err(|_| wrong())?;
    if view.dtype() != Dtype::F32 || view.shape() != [rows, dimensions] {
        return Err(wrong());
    }
    let (floats, _) = view.data().as_chunks::<{ size_of::<f32>() }>();
    let values: Vec<f32> = floats
        .iter()
        .map(|float| f32::from_le_bytes(*float))
        .collect();
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::Length {
            tensor,
            row: position / dimensions.max(1),
            length: f32::NAN,
        });
    }
    Vectors::from_flat(dimensions, values).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
