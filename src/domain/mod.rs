//! The words that every other module speaks: conversations, models, names, quantities, events and
//! the record of a request. Nothing here decides or acts.

pub mod caller;
pub mod chat;
pub mod complexity;
pub mod conversation;
pub mod decimal;
pub mod decision;
pub mod embeddings;
pub mod event;
pub mod feedback;
pub mod logged;
pub mod model;
pub mod name;
pub mod quality;
pub mod quantity;
pub mod record;
pub mod standing;

/// Lower-case hexadecimal digits: how digests are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
