//! Intents as directions: a prompt belongs to the intent whose prototype its embedding is nearest.
//!
//! Everything here works on vectors and bytes; who embeds the prompts and who reads the files is
//! another layer's matter. [`labels`] reads what people labelled, [`train`](mod@train) makes a set
//! of it and says how sure it is, [`format`](mod@format) turns a set into an artefact and back, [`classify`]
//! finds the nearest intent and is the only code that knows how prototypes lie in memory.

pub mod classify;
pub mod format;
pub mod labels;
pub mod manifest;
mod threshold;
pub mod train;

pub use classify::CentroidSet;
pub use format::{Error as FormatError, Files};
pub use labels::{Labels, read as read_labels};
pub use manifest::{EncoderIdentity, Manifest};
pub use train::{Error as TrainError, Examples, Provenance, Training, train};

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of the parts one after the other, in lower-case hexadecimal digits.
fn sha256_hex<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut digits = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
