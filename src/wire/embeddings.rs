//! Embeddings over the wire. One format knows them, OpenAI's; providers of others are never asked.

use crate::domain::embeddings::{TextsToEmbed, Vectors};
use crate::wire::{Malformed, Outbound, openai};

/// Reads of a caller's request which model is asked for.
pub fn read_request(body: &[u8]) -> Result<TextsToEmbed, Malformed> {
    openai::read_embeddings_request(body)
}

/// A provider's side of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedder {
    /// As OpenAI defined it.
    OpenAi,
}

impl Outbound {
    /// How to ask for embeddings; nothing, where the format has no word for them that is spoken here.
    pub const fn embedder(self) -> Option<Embedder> {
        match self {
            Self::OpenAi => Some(Embedder::OpenAi),
            Self::Anthropic | Self::Gemini => None,
        }
    }
}

impl Embedder {
    /// Where requests go, after a provider's base address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/embeddings",
        }
    }

    /// The caller's own text with the provider's name for the model.
    pub fn write_request(self, request: &TextsToEmbed, model: &str) -> String {
        match self {
            Self::OpenAi => openai::write_embeddings_request(request, model),
        }
    }

    /// Reads what the vectors cost in tokens.
    pub fn read_answer(self, text: String) -> Result<Vectors, Malformed> {
        match self {
            Self::OpenAi => openai::read_embeddings_answer(text),
        }
    }
}
