//! Vectors of texts that were embedded lately, by the digest of the text.
//!
//! A prompt that comes again, as those of tests, retries and templates do, costs a look-up instead of
//! milliseconds. Callers who ask the same at once share one encoding: the first one's; should it fail
//! or its caller leave, the next one's. Nobody else's prompt can be told from here but by the time that an
//! answer takes, and vectors never leave the process.

use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::{Class, Embedding, Refusal};
use crate::encoder::windowing::Passage;

/// What is remembered.
pub(super) struct Memory {
    vectors: Cache<Key, Arc<Embedding>>,
}

/// The digest of a text and who waits for it: an interactive caller never waits for a bulk one.
pub(super) type Key = [u8; 32];

/// A vector, and whether it was there already.
pub(super) enum Recalled {
    Fresh(Arc<Embedding>),
    Remembered(Arc<Embedding>),
}

impl Memory {
    /// Of so many texts at most.
    pub(super) fn of(texts: usize) -> Self {
        Self {
            vectors: Cache::new(texts),
        }
    }

    /// The vector under the key, or what `encode` makes, which is then remembered. A refusal is not.
    pub(super) async fn recall_or(
        &self,
        key: Key,
        encode: impl Future<Output = Result<Embedding, Refusal>>,
    ) -> Result<Recalled, Refusal> {
        let mut is_fresh = false;
        let encode = async {
            let embedding = encode.await?;
            is_fresh = true;
            Ok(Arc::new(embedding))
        };
        let embedding = self.vectors.get_or_insert_async(&key, encode).await?;
        Ok(if is_fresh {
            Recalled::Fresh(embedding)
        } else {
            Recalled::Remembered(embedding)
        })
    }
}

/// The key of a text.
pub(super) fn key(passages: &[Passage], class: Class) -> Key {
    let mut digest = Sha256::new();
    digest.update([u8::from(class == Class::Bulk)]);
    for passage in passages {
        // The length keeps passages apart.
        digest.update(passage.text.len().to_le_bytes());
        digest.update(passage.text.as_bytes());
        digest.update(passage.weight.to_le_bytes());
    }
    digest.finalize().into()
}
