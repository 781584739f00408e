//! Texts to be embedded by a provider, and the vectors that it makes of them. Nothing here reads either:
//! both travel as they came.

use crate::domain::chat::{OriginalRequest, Usage};

/// A request for vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct TextsToEmbed {
    /// The model asked for.
    pub model: String,
    /// The body, and where in it the model's name stands.
    pub original: OriginalRequest,
}

/// The vectors of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// All of it, as the provider wrote it.
    pub text: String,
    /// Tokens of the texts, where the provider told.
    pub usage: Option<Usage>,
}
