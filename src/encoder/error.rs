//! What can go wrong between a model's files and a vector. Each message says what was met and what
//! to do about it, because an operator reads it at start-up, without the source at hand.

use std::io;
use std::path::PathBuf;

use super::Kernel;

/// Why an encoder cannot be opened or cannot encode.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "encoder.model: \"{0}\" names no model; write `embedded`, `path:DIR` or \
         `hf:ORGANISATION/NAME@REVISION`"
    )]
    UnknownModel(String),

    #[error("encoder.device: \"{0}\" is no device; write `auto`, `cpu`, `cuda:0` or `metal`")]
    UnknownDevice(String),

    #[error("encoder.device: {device} cannot be used ({detail}); write `auto` or `cpu`")]
    Device { device: String, detail: String },

    #[error(
        "{wanted} needs the feature `{feature}`, which this binary was built without; build it \
         with `--features {feature}`, or choose another"
    )]
    NotCompiledIn {
        wanted: String,
        feature: &'static str,
    },

    #[error(
        "{} is missing; an encoder's folder holds either what `semroute models quantize` writes, or \
         config.json, tokenizer.json and model.safetensors",
        path.display()
    )]
    Missing { path: PathBuf },

    #[error("{} cannot be read ({source}); check that it is a file and its permissions", path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    #[error("{} cannot be written ({source}); check the folder and the space left", path.display())]
    Unwritable { path: PathBuf, source: io::Error },

    #[error(
        "{} is not the file that its manifest describes: its SHA-256 is {found}, expected {expected}; \
         it was changed, or cut off in a copy: fetch it again, or run `semroute models quantize`",
        path.display()
    )]
    Digest {
        path: PathBuf,
        expected: String,
        found: String,
    },

    #[error("{} is damaged or cut off ({detail}); fetch it again", path.display())]
    Damaged { path: PathBuf, detail: String },

    #[error("{} describes an encoder that cannot run here: {detail}", path.display())]
    Unsupported { path: PathBuf, detail: String },

    #[error(
        "{}: the tensor \"{tensor}\" has the shape {found:?}, expected {expected:?}; the weights and \
         config.json belong to different models",
        path.display()
    )]
    Shape {
        path: PathBuf,
        tensor: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },

    #[error(
        "hf:{repository} cannot be fetched ({detail}); check the name, the revision, the connection \
         and, for a private repository, the token"
    )]
    Hub { repository: String, detail: String },

    #[error(
        "\"{0}\" is no kernel; write `avx512-vnni`, `avx-vnni`, `avx2`, `portable` or \
         `candle`, or leave it out for the fastest"
    )]
    UnknownKernel(String),

    #[error(
        "this processor cannot run the kernel `{0}`; leave the variable out for the \
         fastest that it can"
    )]
    KernelUnavailable(Kernel),

    #[error(
        "{} belongs to the encoder of the digest {expected}, which is not the one in use ({found}); \
         make it again with `semroute models distill`",
        path.display()
    )]
    OtherEncoder {
        path: PathBuf,
        expected: String,
        found: String,
    },

    #[error("{wanted} dimensions cannot be kept; give 1 to {most}, those of the encoder")]
    Dimensions { wanted: usize, most: usize },

    #[error("the text cannot be tokenised ({0})")]
    Tokenise(String),

    #[error("text {index} has no words to embed; remove it, or give it some")]
    NoTokens { index: usize },

    #[error("a window of {found} tokens is longer than the {most} that the model can see at once")]
    WindowTooLong { found: usize, most: usize },

    #[error("the token {token} is not in the vocabulary of {vocabulary}")]
    UnknownToken { token: u32, vocabulary: usize },

    #[error(
        "the thread of the encoder cannot be started ({0}); check the limits on threads and memory"
    )]
    Thread(io::Error),

    #[error("the encoder failed ({0})")]
    Compute(String),
}
