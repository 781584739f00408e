//! Intents as directions: a prompt belongs to the intent whose prototype its embedding is nearest.
//!
//! Everything here works on vectors and bytes; who embeds the prompts and who reads the files is
//! another layer's matter. [`labels`] reads what people labelled, [`rows`] keeps what became of it
//! in the encoder, [`train`](mod@train) makes a set of it and says how sure it is,
//! [`format`](mod@format) turns a set into an artefact and back, [`classify`] finds the nearest
//! intent and is the only code that knows how prototypes lie in memory.
//!
//! Training reads top down: [`train`](mod@train) deals rows to folds (`sample`), has the `rules`
//! fitted and compared on rows that they did not see (`select`), makes their scores probabilities
//! (`calibrate`), finds what tells scope (`scope`), and lists what in the data looks wrong
//! ([`review`]). [`drift`] says later whether traffic still looks like those rows.

mod calibrate;
pub mod classify;
pub mod drift;
pub mod format;
mod index;
pub mod labels;
pub mod manifest;
pub mod review;
pub mod rows;
mod rules;
mod sample;
mod scope;
mod select;
mod shortlist;
pub mod static_part;
pub mod train;

pub use classify::CentroidSet;
pub use format::{Error as FormatError, Files};
pub use labels::{Labels, read as read_labels};
pub use manifest::{EncoderIdentity, Manifest};
pub use rows::Rows;
pub use train::{Error as TrainError, Examples, Provenance, Trained, Training, Wanted, train};

use sha2::{Digest, Sha256};

use crate::domain::hex;

/// The SHA-256 of the parts one after the other, in lower-case hexadecimal digits.
fn sha256_hex<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows stay far below 2^53"
)]
const fn as_f64(count: usize) -> f64 {
    count as f64
}
