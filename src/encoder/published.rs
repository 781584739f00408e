//! A model as its authors publish it: what `config.json` and the small files beside it say of its
//! shape. Only what the forward pass needs is read, and what it could not honour is refused.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::manifest::{CONFIG_FILE, Pooling};
use super::{Error, FRAME_TOKENS};

/// The window of a model that states none, as far as its positions reach.
const WINDOW_TOKENS_DEFAULT: usize = 512;

/// The files in which sentence-transformers says how it pools and how much it reads.
pub(super) const POOLING_FILE: &str = "1_Pooling/config.json";
pub(super) const WINDOW_FILE: &str = "sentence_bert_config.json";

/// The shape of a BERT.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) vocab_size: usize,
    pub(super) layer_norm_eps: f32,
}

impl Config {
    /// Reads `config.json`; `path` is what errors call it.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let config: Self = parse(path, bytes)?;
        config.check().map_err(|detail| Error::Unsupported {
            path: path.to_owned(),
            detail,
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let positions = self.position_embedding_type.as_deref();
        let said = [
            ("model_type", self.model_type.as_str(), "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            (
                "position_embedding_type",
                positions.unwrap_or("absolute"),
                "absolute",
            ),
        ];
        for (field, found, expected) in said {
            if found != expected {
                return Err(format!("{field} is \"{found}\", expected \"{expected}\""));
            }
        }
        let counts = [
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size),
            ("vocab_size", self.vocab_size),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{field} is 0"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.max_position_embeddings <= FRAME_TOKENS {
            return Err(format!(
                "max_position_embeddings {} leave no room for text",
                self.max_position_embeddings
            ));
        }
        Ok(())
    }

    /// Checks that a window has positions for all its tokens and room for one of text.
    pub(super) fn check_window(&self, path: &Path, window_tokens: usize) -> Result<(), Error> {
        if (FRAME_TOKENS + 1..=self.max_position_embeddings).contains(&window_tokens) {
            return Ok(());
        }
        Err(Error::Unsupported {
            path: path.to_owned(),
            detail: format!(
                "a window of {window_tokens} tokens, expected {} to {}, the model's positions",
                FRAME_TOKENS + 1,
                self.max_position_embeddings
            ),
        })
    }
}

/// What the small files of a published model say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Published {
    pub(super) config: Config,
    pub(super) pooling: Pooling,
    pub(super) window_tokens: usize,
}

impl Published {
    /// Reads a folder as the Hub keeps it.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let config_path = folder.join(CONFIG_FILE);
        let config = Config::parse(&config_path, &read(&config_path)?)?;
        let pooling = read_pooling(folder.join(POOLING_FILE))?;
        let window_path = folder.join(WINDOW_FILE);
        let window: Option<WindowFile> = read_if_there(&window_path)?;
        let window_tokens = window
            .and_then(|file| file.max_seq_length)
            .unwrap_or_else(|| WINDOW_TOKENS_DEFAULT.min(config.max_position_embeddings));
        config.check_window(&window_path, window_tokens)?;
        Ok(Self {
            config,
            pooling,
            window_tokens,
        })
    }
}

#[derive(Deserialize)]
struct WindowFile {
    #[serde(default)]
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct PoolingFile {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

fn read_pooling(path: PathBuf) -> Result<Pooling, Error> {
    let Some(file) = read_if_there::<PoolingFile>(&path)? else {
        return Ok(Pooling::Mean);
    };
    match (file.pooling_mode_mean_tokens, file.pooling_mode_cls_token) {
        (true, false) => Ok(Pooling::Mean),
        (false, true) => Ok(Pooling::First),
        _ => Err(Error::Unsupported {
            path,
            detail: "it pools by something else than either the mean or the first token".to_owned(),
        }),
    }
}

/// A file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::Missing {
            path: path.to_owned(),
        },
        _ => Error::Unreadable {
            path: path.to_owned(),
            source,
        },
    })
}

fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match read(path) {
        Ok(bytes) => parse(path, &bytes).map(Some),
        Err(Error::Missing { .. }) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|problem| Error::Damaged {
        path: path.to_owned(),
        detail: problem.to_string(),
    })
}
