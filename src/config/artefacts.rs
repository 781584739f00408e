//! Reads centroids: those in the binary, the version in force in a folder, or one folder's artefact,
//! each with its static part if it has one that fits.

use std::path::Path;

use crate::centroids::format::{MANIFEST_FILE, VECTORS_FILE};
use crate::centroids::static_part::{STATIC_MANIFEST_FILE, STATIC_VECTORS_FILE};
use crate::centroids::{CentroidSet, EncoderIdentity, Files, FormatError, Manifest};
use crate::encoder::{Encoder, Identity};
use crate::store::versions::Versions;

/// The centroids that ship in the binary.
#[cfg(feature = "embedded-model")]
mod embedded {
    pub(super) const MANIFEST: &[u8] = include_bytes!("../../centroids/assistant/manifest.json");
    pub(super) const VECTORS: &[u8] =
        include_bytes!("../../centroids/assistant/vectors.safetensors");
    pub(super) const STATIC_MANIFEST: &[u8] =
        include_bytes!("../../centroids/assistant/static.manifest.json");
    pub(super) const STATIC_VECTORS: &[u8] =
        include_bytes!("../../centroids/assistant/static.vectors.safetensors");
    pub(super) const LEVELS_MANIFEST: &[u8] =
        include_bytes!("../../centroids/complexity/manifest.json");
    pub(super) const LEVELS_VECTORS: &[u8] =
        include_bytes!("../../centroids/complexity/vectors.safetensors");
}

/// Their name in the configuration.
pub(super) const EMBEDDED_NAME: &str = "assistant";

/// The name in the configuration of the levels of complexity that ship in the binary.
const EMBEDDED_LEVELS_NAME: &str = "embedded";

/// The encoders that centroids must have been trained with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// What embeds prompts.
    pub main: EncoderIdentity,
    /// What embeds them while that has too much to do; without it, the static part is not read.
    pub fixed: Option<EncoderIdentity>,
}

impl Fitting {
    /// To fit these encoders.
    pub fn of(main: &dyn Encoder, fixed: Option<&dyn Encoder>) -> Self {
        Self {
            main: fitting(main.identity()),
            fixed: fixed.map(|fixed| fitting(fixed.identity())),
        }
    }

    /// To fit the main encoder and whichever static one the artefact in a folder was trained with: for
    /// those who move artefacts and do not use them.
    pub fn as_trained(main: EncoderIdentity, folder: &Path) -> Result<Self, String> {
        if !folder.join(STATIC_MANIFEST_FILE).exists() {
            return Ok(main.into());
        }
        let manifest: Manifest = serde_json::from_slice(&read(folder, STATIC_MANIFEST_FILE)?)
            .map_err(|error| {
                let path = folder.join(STATIC_MANIFEST_FILE);
                format!("{} is no manifest of centroids: {error}", path.display())
            })?;
        Ok(Self {
            main,
            fixed: Some(manifest.encoder),
        })
    }
}

impl From<EncoderIdentity> for Fitting {
    fn from(main: EncoderIdentity) -> Self {
        Self { main, fixed: None }
    }
}

/// What centroids must have been trained with to fit an encoder.
pub fn fitting(identity: &Identity) -> EncoderIdentity {
    EncoderIdentity {
        name: identity.name.clone(),
        digest: identity.digest.clone(),
        dimensions: identity.dimensions,
    }
}

/// Reads centroids by their name: those in the binary, or a folder that `semroute train` wrote.
pub fn read_centroids(name: &str, folder: &Path, fitting: &Fitting) -> Result<CentroidSet, String> {
    if name == EMBEDDED_NAME {
        return embedded_centroids(fitting);
    }
    read_current(name, folder, fitting)
}

/// Reads levels of complexity by their name: those in the binary, or a folder that `semroute train` wrote.
pub fn read_levels(name: &str, folder: &Path, fitting: &Fitting) -> Result<CentroidSet, String> {
    if name == EMBEDDED_LEVELS_NAME {
        return embedded_levels(fitting);
    }
    read_current(name, folder, fitting)
}

/// Reads what is in force in a folder.
fn read_current(name: &str, folder: &Path, fitting: &Fitting) -> Result<CentroidSet, String> {
    let versions = Versions::of(&folder.join(name));
    let current = || versions.current_folder().map_err(|error| error.to_string());
    let first = current()?;
    read_artefact(&first, fitting).or_else(|problem| {
        // A folder that is just getting its first versions, or another one in force.
        let now = current()?;
        if now == first {
            Err(problem)
        } else {
            read_artefact(&now, fitting)
        }
    })
}

/// Reads the artefact in a folder.
pub fn read_artefact(folder: &Path, fitting: &Fitting) -> Result<CentroidSet, String> {
    let files = Files {
        manifest: read(folder, MANIFEST_FILE)?,
        vectors: read(folder, VECTORS_FILE)?,
    };
    let named = |error: FormatError| format!("{}: {error}", folder.display());
    let set = CentroidSet::from_files(&files, &fitting.main).map_err(named)?;
    let Some(encoder) = &fitting.fixed else {
        return Ok(set);
    };
    if !folder.join(STATIC_MANIFEST_FILE).exists() {
        return Ok(set);
    }
    let files = Files {
        manifest: read(folder, STATIC_MANIFEST_FILE)?,
        vectors: read(folder, STATIC_VECTORS_FILE)?,
    };
    with_static_part(set, &files, encoder)
        .map_err(|error| format!("{}: the static part: {error}", folder.display()))
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|error| {
        format!(
            "{} cannot be read ({error}); give the folder that `semroute train LABELS --out FOLDER` wrote",
            path.display()
        )
    })
}

/// Adds the static part. One of another encoder is left out, since the set is whole without it: a newer
/// semroute may bring a newer static encoder, and shall start with older sets.
fn with_static_part(
    set: CentroidSet,
    files: &Files,
    encoder: &EncoderIdentity,
) -> Result<CentroidSet, FormatError> {
    match CentroidSet::from_files(files, encoder) {
        Ok(part) => set.with_static_part(part),
        Err(problem @ FormatError::OtherEncoder { .. }) => {
            tracing::warn!(
                %problem,
                "the static part is left out: while the encoder has too much to do, prompts take the \
                 last route"
            );
            Ok(set)
        }
        Err(problem) => Err(problem),
    }
}

#[cfg(feature = "embedded-model")]
fn files(manifest: &[u8], vectors: &[u8]) -> Files {
    Files {
        manifest: manifest.to_vec(),
        vectors: vectors.to_vec(),
    }
}

#[cfg(feature = "embedded-model")]
fn own(error: &FormatError) -> String {
    format!("{error}; the shipped centroids fit `encoder.model: embedded` only: train your own")
}

#[cfg(feature = "embedded-model")]
fn embedded_levels(fitting: &Fitting) -> Result<CentroidSet, String> {
    let levels = files(embedded::LEVELS_MANIFEST, embedded::LEVELS_VECTORS);
    CentroidSet::from_files(&levels, &fitting.main).map_err(|error| own(&error))
}

#[cfg(feature = "embedded-model")]
fn embedded_centroids(fitting: &Fitting) -> Result<CentroidSet, String> {
    let main = files(embedded::MANIFEST, embedded::VECTORS);
    let set = CentroidSet::from_files(&main, &fitting.main).map_err(|error| own(&error))?;
    match &fitting.fixed {
        Some(encoder) => {
            let part = files(embedded::STATIC_MANIFEST, embedded::STATIC_VECTORS);
            with_static_part(set, &part, encoder).map_err(|error| own(&error))
        }
        None => Ok(set),
    }
}

#[cfg(not(feature = "embedded-model"))]
fn embedded_levels(fitting: &Fitting) -> Result<CentroidSet, String> {
    embedded_centroids(fitting)
}

#[cfg(not(feature = "embedded-model"))]
fn embedded_centroids(_: &Fitting) -> Result<CentroidSet, String> {
    Err("this binary was built without the feature `embedded-model`, so it holds no centroids; give a folder".to_owned())
}
