//! The static encoder: a fixed vector a token, and a text's vector is the direction of their sum.
//!
//! It knows neither order nor context and is right less often than the model that it was distilled
//! from, but it takes microseconds in the caller's own task. So it is what a prompt falls back to when
//! the model's queue is too long to wait in. Its vectors are its own: they are compared with nothing
//! that another encoder made. It has no tokeniser either but asks that of its model.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::distill::SUFFIX;
use super::manifest::{
    MANIFEST_FILE, Origin, Quantisation, TOKENISER_FILE, WEIGHTS_FILE, check_digest, parse_form,
    sha256,
};
use super::published::read;
use super::weights::{Matrix, Weights};
use super::{Encoder, Error, Identity, ModelSource, Window};
use crate::vector::{self, Vectors};

/// The name of the table in the weights file.
pub(super) const TABLE: &str = "tokens";

/// What computes.
const KERNEL: &str = "static-int8";

/// A static encoder's folder in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticManifest {
    /// The version of this form.
    pub format: u32,
    /// The encoder's name.
    pub name: String,
    /// The model that it was distilled from: its page, and the digest of the weights that were used.
    pub source: Origin,
    /// The licence, which is that of the model.
    pub licence: String,
    /// How many tokens have a vector.
    pub tokens: usize,
    /// The length of a vector.
    pub dimensions: usize,
    /// The most tokens of a window, special ones included: as the model's, so that both see the same text.
    pub window_tokens: usize,
    /// How the table is stored.
    pub quantisation: Quantisation,
    /// The SHA-256 of the model's `tokenizer.json`, whose numbers the rows go by.
    pub tokeniser_sha256: String,
    /// The SHA-256 of each file.
    pub files: BTreeMap<String, String>,
}

/// Opens the static encoder of a model that is open: that in the binary, or the one in the folder
/// beside the model's, whose name adds `-static`. `None` if there is none.
pub fn open_static(
    source: &ModelSource,
    model: &Arc<dyn Encoder>,
) -> Result<Option<Arc<dyn Encoder>>, Error> {
    let files = match source {
        ModelSource::Embedded => embedded()?,
        ModelSource::Path(folder) => Files::beside(folder)?,
        ModelSource::Hub(_) => None,
    };
    let Some(files) = files else {
        return Ok(None);
    };
    Ok(Some(Arc::new(StaticEncoder::load(&files, model)?)))
}

/// A static encoder's files, found and checked.
struct Files {
    folder: PathBuf,
    manifest: StaticManifest,
    table: Cow<'static, [u8]>,
}

impl Files {
    fn beside(model: &Path) -> Result<Option<Self>, Error> {
        let folder = folder_beside(model);
        let manifest_path = folder.join(MANIFEST_FILE);
        let bytes = match read(&manifest_path) {
            Ok(bytes) => bytes,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let manifest: StaticManifest = parse_form(&manifest_path, &bytes)?;
        let path = folder.join(WEIGHTS_FILE);
        let table = read(&path)?;
        check_digest(&manifest.files, WEIGHTS_FILE, &path, &table)?;
        let found = sha256(&read(&model.join(TOKENISER_FILE))?);
        if found != manifest.tokeniser_sha256 {
            return Err(Error::Digest {
                path: model.join(TOKENISER_FILE),
                expected: manifest.tokeniser_sha256,
                found,
            });
        }
        Ok(Some(Self {
            folder,
            manifest,
            table: Cow::Owned(table),
        }))
    }
}

/// The folder of a model's static encoder.
pub fn folder_beside(model: &Path) -> PathBuf {
    let mut name = model.file_name().map(OsString::from).unwrap_or_default();
    name.push(SUFFIX);
    model.with_file_name(name)
}

/// The one compiled in. As with the model's files, a test holds its digests, and not every start.
#[cfg(feature = "embedded-model")]
fn embedded() -> Result<Option<Files>, Error> {
    const MANIFEST: &[u8] = include_bytes!("../../models/all-MiniLM-L6-v2-static/manifest.json");
    let folder = PathBuf::from("embedded");
    Ok(Some(Files {
        manifest: parse_form(&folder.join(MANIFEST_FILE), MANIFEST)?,
        folder,
        table: Cow::Borrowed(include_bytes!(
            "../../models/all-MiniLM-L6-v2-static/model.safetensors"
        )),
    }))
}

#[cfg(not(feature = "embedded-model"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with the feature there is one, which may not be read"
)]
fn embedded() -> Result<Option<Files>, Error> {
    Ok(None)
}

/// A table of vectors, and the model whose tokens they stand for.
struct StaticEncoder {
    identity: Identity,
    model: Arc<dyn Encoder>,
    table: Matrix,
}

impl StaticEncoder {
    fn load(files: &Files, model: &Arc<dyn Encoder>) -> Result<Self, Error> {
        let manifest = &files.manifest;
        let running = model.identity();
        if manifest.source.weights_sha256 != running.digest {
            return Err(Error::OtherEncoder {
                path: files.folder.clone(),
                expected: manifest.source.weights_sha256.clone(),
                found: running.digest.clone(),
            });
        }
        let path = files.folder.join(WEIGHTS_FILE);
        let shape = [manifest.tokens, manifest.dimensions];
        let table = Weights::parse(&path, &files.table)?.matrix(TABLE, shape)?;
        let digest = manifest.files.get(WEIGHTS_FILE).cloned();
        Ok(Self {
            identity: Identity {
                name: manifest.name.clone(),
                digest: digest.unwrap_or_default(),
                kernel: KERNEL.to_owned(),
                dimensions: manifest.dimensions,
                window_tokens: manifest.window_tokens,
                device: "cpu".to_owned(),
            },
            model: Arc::clone(model),
            table,
        })
    }

    /// Adds up a window's tokens.
    fn sum(&self, window: &Window, sum: &mut [f32]) -> Result<(), Error> {
        let most = self.identity.content_tokens();
        let found = window.tokens.len();
        if most < found {
            return Err(Error::WindowTooLong { found, most });
        }
        for token in &window.tokens {
            let row = usize::try_from(*token).ok();
            row.and_then(|row| self.table.add_row(row, sum))
                .ok_or(Error::UnknownToken {
                    token: *token,
                    vocabulary: self.table.rows,
                })?;
        }
        Ok(())
    }
}

impl Encoder for StaticEncoder {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.model.tokenise(text)
    }

    fn encode(&self, windows: &[Window]) -> Result<Vectors, Error> {
        let width = self.identity.dimensions;
        let mut vectors = vec![0.0; windows.len() * width];
        for (index, (window, row)) in windows
            .iter()
            .zip(vectors.chunks_exact_mut(width))
            .enumerate()
        {
            if window.tokens.is_empty() {
                return Err(Error::NoTokens { index });
            }
            self.sum(window, row)?;
            vector::normalise(row);
        }
        if vectors.is_empty() {
            return Ok(Vectors::new(width));
        }
        Vectors::from_flat(width, vectors)
            .ok_or_else(|| Error::Compute("a vector is not whole".to_owned()))
    }
}

#[cfg(test)]
mod tests;
