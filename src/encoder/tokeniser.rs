//! Text to token ids, by the tokeniser that the model was trained with.
//!
//! Its own padding and truncation are switched off: windows are cut by `windowing`, which knows
//! about weights and says what it left out, and nothing is padded at all.

use std::path::Path;

use tokenizers::Tokenizer;

use super::{Error, FRAME_TOKENS};

pub(super) struct Tokeniser {
    tokenizer: Tokenizer,
    /// The special tokens before and after a window.
    frame: [u32; FRAME_TOKENS],
}

impl Tokeniser {
    /// Reads `tokenizer.json`; `path` is what errors call it.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |detail: String| Error::Damaged {
            path: path.to_owned(),
            detail,
        };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| damaged(e.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|e| damaged(e.to_string()))?;
        let framed = tokenizer
            .encode("", true)
            .map_err(|e| damaged(e.to_string()))?;
        let frame = framed
            .get_ids()
            .try_into()
            .map_err(|_| Error::Unsupported {
                path: path.to_owned(),
                detail: format!(
                    "it frames a text with {} special tokens, expected one before and one after",
                    framed.len()
                ),
            })?;
        Ok(Self { tokenizer, frame })
    }

    pub(super) fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, false);
        encoding
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|problem| Error::Tokenise(problem.to_string()))
    }

    pub(super) fn frame(&self) -> [u32; FRAME_TOKENS] {
        self.frame
    }
}
