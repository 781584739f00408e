//! Reads a configuration: file, environment, types. The only reader of the environment.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::check::problems_of_shape;
use crate::config::value::SecretRef;
use crate::config::{Config, Problem, Problems};
use crate::domain::hex;

/// What runs where no config is given: simulated models, so that routing can be seen without a key.
pub const EMBEDDED: &str = include_str!("default.yaml");

/// The longest config that is read: far above any written by a person.
const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A configuration, and what it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the operator wrote.
    pub config: Config,
    /// SHA-256 of its text.
    pub digest: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
}

/// What the environment says, read through this and nothing else.
#[derive(Clone, Copy)]
pub struct Environment {
    lookup: fn(&str) -> Option<String>,
}

impl Environment {
    /// The environment of the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    pub const fn of_process() -> Self {
        Self {
            lookup: |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
        }
    }

    /// One that a test makes up.
    pub const fn from_lookup(lookup: fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// The value of a variable; none if it is empty, since an empty key is no key.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// The secret that a reference points to.
    pub fn secret(&self, reference: &SecretRef, folder: &Path) -> Result<String, String> {
        match reference {
            SecretRef::Env(name) => self.get(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it, or name another")
            }),
            SecretRef::File(path) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                match text.trim() {
                    "" => Err(format!("{} is empty", path.display())),
                    secret => Ok(secret.to_owned()),
                }
            }
        }
    }
}

/// Reads the configuration at a path, or the embedded one.
pub fn load(path: Option<&Path>) -> Result<Loaded, Problems> {
    let Some(path) = path else {
        return parse(EMBEDDED, PathBuf::from("."));
    };
    let one = |message: String| Problems(vec![Problem::new("", message)]);
    let bytes = std::fs::read(path).map_err(|error| {
        one(format!(
            "{} cannot be read: {error}; `semroute init` writes a config to begin with",
            path.display()
        ))
    })?;
    if CONFIG_BYTES_MAX < bytes.len() {
        return Err(one(format!(
            "{} has {} bytes; a config has at most {CONFIG_BYTES_MAX}",
            path.display(),
            bytes.len()
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| one(format!("{} is not UTF-8: {error}", path.display())))?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    parse(&text, folder)
}

/// Reads a configuration from its text.
pub fn parse(text: &str, folder: PathBuf) -> Result<Loaded, Problems> {
    let document: Value = serde_saphyr::from_str(text)
        .map_err(|error| Problems(vec![Problem::new("", format!("not YAML: {error}"))]))?;
    let problems = problems_of_shape(&document);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let config = serde_path_to_error::deserialize(&document).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Problems(vec![Problem::new(path, error.into_inner().to_string())])
    })?;
    Ok(Loaded {
        config,
        digest: hex(&Sha256::digest(text)),
        folder,
    })
}
