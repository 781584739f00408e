//! Generated content, as Google defined it for Gemini
//! (<https://ai.google.dev/api/generate-content>).
//!
//! Only providers speak it. It differs from the other formats in what it leaves out: results of
//! tools refer to calls by the tool's name, calls have ids only in newer models, a stream ends
//! without saying so, and an answer that calls tools ends with the same word as one that does not.

mod answer;
mod contents;
mod failure;
mod request;
mod stream;
mod thinking;

pub(super) use answer::read_answer;
pub(super) use failure::read_error;
pub(super) use request::{path, write_conversation};
pub(super) use stream::StreamReader;

/// Models of one generation take the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// Gemini 2.5 and older, and the open models: thinking has a budget of tokens, pictures that a
    /// tool returned stand beside its result, and calls need no signature.
    Older,
    /// Gemini 3 and newer: thinking has a level, pictures stand within the tool's result, and the
    /// first call of each of the model's turns needs its signature.
    Newer,
}

/// How the names of older models begin.
const OLDER: [&str; 6] = [
    "gemini-1",
    "gemini-2",
    "gemini-exp",
    "gemini-gemma",
    "gemma",
    "learnlm",
];

impl Generation {
    /// The generation of a model, by its name; an unknown name is taken for a newer model's.
    fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        if OLDER.iter().any(|older| name.starts_with(older)) {
            Self::Older
        } else {
            Self::Newer
        }
    }
}
