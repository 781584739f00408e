//! The sentence encoder inside the process: text in, one unit vector out.
//!
//! A text is tokenised on its caller's side ([`Encoder::tokenise`]), cut in windows that the model
//! can see at once ([`windowing`]), encoded in groups that are formed over all callers ([`queue`]), and
//! pooled back to one vector. [`Encoder`] is the seam: on a CPU the layers of a BERT are ours, with
//! weights of 8 bits and activations of 7; candle runs those that do not suit, the GPUs, and the reference
//! that ours are held against.

mod candle;
pub mod corpus;
pub mod distill;
mod error;
pub mod fixed;
#[cfg(feature = "hub")]
mod hub;
mod kernel;
pub mod manifest;
mod model;
mod native;
mod open;
mod parameters;
mod published;
pub mod quantise;
pub mod queue;
mod smoothing;
mod tokeniser;
mod weights;
pub mod windowing;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::vector::Vectors;

pub use error::Error;
pub use fixed::open_static;
pub use kernel::Kernel;
pub use open::open;
#[expect(
    clippy::module_name_repetitions,
    reason = "the engine holds queues of other kinds too"
)]
pub use queue::EncoderQueue;
pub use queue::{Class, Embedding, Refusal};
pub use windowing::{Passage, Window};

/// Turns windows of tokens into unit vectors.
pub trait Encoder: Send + Sync {
    /// What this encoder is, so that vectors of different encoders are never compared.
    fn identity(&self) -> &Identity;

    /// The token ids of a text, without the special tokens that frame a window.
    fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error>;

    /// One L2-normalised row a window, in the order given. Blocks the calling thread for as long as it
    /// computes, and on a CPU uses no other. A row does not depend on the windows beside it.
    fn encode(&self, windows: &[Window]) -> Result<Vectors, Error>;

    /// How it is best called.
    fn batching(&self) -> Batching {
        Batching::default()
    }
}

/// How an encoder is best called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// How many calls can run beside each other to advantage.
    pub threads_max: usize,
    /// The tokens of one call past which more of them make none of them cheaper.
    pub group_tokens: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            threads_max: 1,
            group_tokens: 1024,
        }
    }
}

/// What an encoder is and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The model's name, as its manifest or repository says it.
    pub name: String,
    /// The SHA-256 of the weights file in lower-case hexadecimal digits: vectors are comparable if and only if
    /// this is the same.
    pub digest: String,
    /// What computes, such as `candle-f32`.
    pub kernel: String,
    /// The length of a vector.
    pub dimensions: usize,
    /// The most tokens of one window, the special tokens that frame it included.
    pub window_tokens: usize,
    /// Where it computes: `cpu`, `cuda:0` or `metal`.
    pub device: String,
}

/// The special tokens that frame a window, one before and one after.
pub const FRAME_TOKENS: usize = 2;

impl Identity {
    /// The most tokens of text that one window holds.
    pub fn content_tokens(&self) -> usize {
        self.window_tokens.saturating_sub(FRAME_TOKENS)
    }
}

/// Which encoder to open, and where it shall run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the weights come from.
    pub model: ModelSource,
    /// Where it runs.
    pub device: DevicePreference,
    /// What computes on the CPU; the fastest that suits, if none is named.
    pub kernel: Option<Kernel>,
}

/// Where an encoder's files come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelSource {
    /// The model compiled into the binary (feature `embedded-model`).
    #[default]
    Embedded,
    /// A folder: one that `semroute models quantize` wrote, or `config.json`, `tokenizer.json` and
    /// `model.safetensors` as the Hugging Face Hub keeps them.
    Path(PathBuf),
    /// A repository of the Hugging Face Hub (feature `hub`).
    Hub(HubModel),
}

/// A repository of the Hugging Face Hub and how to reach it. The configuration reads what the
/// environment says of it; nothing here does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HubModel {
    /// `ORGANISATION/NAME`.
    pub repository: String,
    /// A branch, tag or commit; `main` if there is none. Only a commit gives the same model for ever.
    pub revision: Option<String>,
    /// The token for private repositories.
    pub token: Option<String>,
    /// The base URL of a mirror.
    pub endpoint: Option<String>,
    /// Where the files are kept.
    pub cache: Option<PathBuf>,
    /// Take what the cache holds and open no connection.
    pub offline: bool,
}

impl fmt::Debug for HubModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HubModel")
            .field("repository", &self.repository)
            .field("revision", &self.revision)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish()
    }
}

impl FromStr for ModelSource {
    type Err = Error;

    /// Reads `embedded`, `path:DIR` and `hf:ORG/NAME[@REVISION]`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if let Some(folder) = text.strip_prefix("path:").filter(|rest| !rest.is_empty()) {
            return Ok(Self::Path(PathBuf::from(folder)));
        }
        let unknown = || Error::UnknownModel(text.to_owned());
        let (repository, revision) = match text.strip_prefix("hf:").ok_or_else(unknown)? {
            rest if rest.contains('@') => rest
                .split_once('@')
                .map(|(name, revision)| (name, Some(revision.to_owned())))
                .ok_or_else(unknown)?,
            rest => (rest, None),
        };
        let is_whole = repository
            .split_once('/')
            .is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty());
        if !is_whole || revision.as_deref() == Some("") {
            return Err(unknown());
        }
        Ok(Self::Hub(HubModel {
            repository: repository.to_owned(),
            revision,
            ..HubModel::default()
        }))
    }
}

/// Where the encoder shall run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DevicePreference {
    /// CUDA if it was compiled in and is there, then Metal, then the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl FromStr for DevicePreference {
    type Err = Error;

    /// Reads `auto`, `cpu`, `cuda`, `cuda:NUMBER` and `metal`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownDevice(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                number.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DevicePreference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(number) => write!(formatter, "cuda:{number}"),
            Self::Metal => formatter.write_str("metal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_as_the_configuration_writes_it() {
        assert!(matches!("embedded".parse(), Ok(ModelSource::Embedded)));
        assert!(
            matches!("path:models/mine".parse(), Ok(ModelSource::Path(path)) if path.ends_with("mine"))
        );
        let Ok(ModelSource::Hub(hub)) = "hf:org/name@v1".parse() else {
            panic!("a repository with a revision is understood");
        };
        assert_eq!(
            (hub.repository.as_str(), hub.revision.as_deref()),
            ("org/name", Some("v1"))
        );
        for wrong in [
            "",
            "path:",
            "hf:name",
            "hf:/name",
            "hf:org/name@",
            "all-MiniLM",
        ] {
            assert!(
                wrong.parse::<ModelSource>().is_err(),
                "{wrong:?} names no model"
            );
        }
    }

    #[test]
    fn a_device_reads_as_it_prints() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "metal"] {
            let device: DevicePreference = text.parse().unwrap();
            assert_eq!(device.to_string(), text);
        }
        let problem = "gpu".parse::<DevicePreference>().unwrap_err().to_string();
        assert!(
            problem.contains("\"gpu\"") && problem.contains("cuda:0"),
            "{problem}"
        );
    }

    #[test]
    fn a_token_is_not_printed() {
        let hub = HubModel {
            token: Some("secret".to_owned()),
            ..HubModel::default()
        };
        assert!(!format!("{hub:?}").contains("secret"));
    }
}
