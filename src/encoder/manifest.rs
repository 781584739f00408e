//! What a model's folder says of itself: `manifest.json`, beside the files that it describes.
//!
//! It names where the weights come from and under which licence, so that nobody ships a model of
//! unknown origin, and the digest of every file, so that a copy that was cut off or mixed up is an
//! error at start-up rather than a router that is quietly wrong.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;

/// The form of `manifest.json` that is written and read here.
pub const FORMAT: u32 = 1;

/// The file's name in a model's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The tokeniser's file name.
pub const TOKENISER_FILE: &str = "tokenizer.json";
/// The file name of the model's shape.
pub const CONFIG_FILE: &str = "config.json";

/// An encoder's folder in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub format: u32,
    /// The model's name.
    pub name: String,
    /// Where the weights come from.
    pub source: Origin,
    /// The licence of the weights, as SPDX names it.
    pub licence: String,
    /// The length of a vector.
    pub dimensions: usize,
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// The most tokens that the model was tuned to see at once, special ones included.
    pub window_tokens: usize,
    /// How the weights are stored.
    pub quantisation: Quantisation,
    /// The SHA-256 of each file, in lower-case hexadecimal digits.
    pub files: BTreeMap<String, String>,
}

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The address of the model's page.
    pub url: String,
    /// The SHA-256 of the weights that these were made from.
    pub weights_sha256: String,
}

/// How the vectors of a window's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one's, that of the special token in front.
    First,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantisation {
    /// Matrices as 8-bit integers with a scale for each row, everything else as 32-bit floats.
    #[serde(rename = "int8-per-row")]
    Int8PerRow,
    /// Likewise, and matrices that read a layer's normalised rows have a factor for each input as well.
    #[serde(rename = "int8-per-row-and-input")]
    Int8PerRowAndInput,
}

impl Manifest {
    /// Reads a manifest; `path` is what errors call it.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        parse_form(path, bytes)
    }

    /// Whether `bytes` are the file of this name; gives its digest back. `path` is what errors call it.
    pub fn check(&self, name: &str, path: &Path, bytes: &[u8]) -> Result<String, Error> {
        check_digest(&self.files, name, path, bytes)
    }
}

/// Reads a manifest of either kind, if it is of the form that is known here.
pub(super) fn parse_form<M: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<M, Error> {
    // The version first: a newer form may differ in every other field.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged = |problem: serde_json::Error| Error::Damaged {
        path: path.to_owned(),
        detail: problem.to_string(),
    };
    let version: Version = serde_json::from_slice(bytes).map_err(damaged)?;
    if version.format != FORMAT {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            detail: format!(
                "its format is {}, and this version of semroute reads {FORMAT}; run \
                 `semroute models` of this version, or update semroute",
                version.format
            ),
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Whether `bytes` have the digest that a manifest gives for the file of this name.
pub(super) fn check_digest(
    files: &BTreeMap<String, String>,
    name: &str,
    path: &Path,
    bytes: &[u8],
) -> Result<String, Error> {
    let expected = files.get(name).ok_or_else(|| Error::Damaged {
        path: path.with_file_name(MANIFEST_FILE),
        detail: format!("it gives no digest of {name}"),
    })?;
    let found = sha256(bytes);
    if *expected == found {
        return Ok(found);
    }
    Err(Error::Digest {
        path: path.to_owned(),
        expected: expected.clone(),
        found,
    })
}

/// The SHA-256 in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(bytes);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            name: "small".to_owned(),
            source: Origin {
                url: "https://example.org/small".to_owned(),
                weights_sha256: sha256(b"original"),
            },
            licence: "Apache-2.0".to_owned(),
            dimensions: 4,
            pooling: Pooling::Mean,
            window_tokens: 16,
            quantisation: Quantisation::Int8PerRow,
            files: BTreeMap::from([(WEIGHTS_FILE.to_owned(), sha256(b"weights"))]),
        }
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let bytes = serde_json::to_vec(&manifest()).unwrap();
        assert_eq!(
            Manifest::parse(Path::new("manifest.json"), &bytes).unwrap(),
            manifest()
        );
    }

    #[test]
    fn a_newer_form_is_refused_by_its_version_and_not_by_its_fields() {
        let bytes = br#"{"format": 2, "anything": []}"#;
        let problem = Manifest::parse(Path::new("m/manifest.json"), bytes).unwrap_err();
        assert!(matches!(&problem, Error::Unsupported { .. }), "{problem}");
        assert!(problem.to_string().contains("format is 2"), "{problem}");
    }

    #[test]
    fn a_file_that_was_changed_is_told_by_its_digest() {
        let path = Path::new("m/model.safetensors");
        assert!(manifest().check(WEIGHTS_FILE, path, b"weights").is_ok());
        let problem = manifest().check(WEIGHTS_FILE, path, b"weight").unwrap_err();
        assert!(matches!(problem, Error::Digest { .. }), "{problem}");
    }

    #[test]
    fn a_file_that_the_manifest_does_not_know_is_refused() {
        let problem = manifest().check(CONFIG_FILE, Path::new("m/config.json"), b"{}");
        assert!(
            problem
                .unwrap_err()
                .to_string()
                .contains("no digest of config.json")
        );
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }
}
