//! Text to token ids, by the tokeniser that the model was trained with.
//!
//! Its own padding and truncation are switched off: windows are cut by `windowing`, which knows
//! about weights and says what it left out, and nothing is padded at all.
//!
//! Most prompts are ASCII and most models split words by `WordPiece`; for those there is a short way
//! (`wordpiece`). The crate `tokenizers` takes every other text and every other file, and is what the
//! short way is tested against. Where there is a short way, the crate's tokeniser is made when the
//! first text needs it, because making it takes a seventh of the time that a start may take.

mod description;
#[cfg(test)]
mod tests;
mod trie;
mod wordpiece;

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use tokenizers::Tokenizer;

use self::description::Description;
use self::wordpiece::WordPiece;
use super::{Error, FRAME_TOKENS};

pub(super) struct Tokeniser {
    kind: Kind,
    /// The special tokens before and after a window.
    frame: [u32; FRAME_TOKENS],
}

enum Kind {
    /// The short way first.
    Short(Box<WordPiece>, Box<Late>),
    /// A file that the short way does not know.
    Thorough(Box<Tokenizer>),
}

impl Tokeniser {
    /// Reads `tokenizer.json`; `path` is what errors call it.
    pub(super) fn parse(path: &Path, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        let framed_by = |ids: &[u32]| {
            ids.try_into().map_err(|_| Error::Unsupported {
                path: path.to_owned(),
                detail: format!(
                    "it frames a text with {} special tokens, expected one before and one after",
                    ids.len()
                ),
            })
        };
        if let Some((frame, words)) = short_way(&bytes) {
            return Ok(Self {
                frame: framed_by(&frame)?,
                kind: Kind::Short(Box::new(words), Box::new(Late::new(bytes))),
            });
        }
        let damaged = |detail: String| Error::Damaged {
            path: path.to_owned(),
            detail,
        };
        let tokenizer = thorough(&bytes).map_err(damaged)?;
        let framed = tokenizer
            .encode("", true)
            .map_err(|e| damaged(e.to_string()))?;
        Ok(Self {
            frame: framed_by(framed.get_ids())?,
            kind: Kind::Thorough(Box::new(tokenizer)),
        })
    }

    pub(super) fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        match &self.kind {
            Kind::Short(words, late) => match words.tokenise(text) {
                Some(tokens) => Ok(tokens),
                None => encode(late.tokenizer()?, text),
            },
            Kind::Thorough(tokenizer) => encode(tokenizer, text),
        }
    }

    pub(super) fn frame(&self) -> [u32; FRAME_TOKENS] {
        self.frame
    }
}

/// The special tokens around a text and the short way through it; `None` if the file is not, from its
/// first field to its last, one that the short way knows.
fn short_way(bytes: &[u8]) -> Option<(Vec<u32>, WordPiece)> {
    let description: Description<'_> = serde_json::from_slice(bytes).ok()?;
    Some((description.frame()?, WordPiece::new(&description)?))
}

/// The crate's tokeniser, without what would cut or lengthen a text.
fn thorough(bytes: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| e.to_string())?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    Ok(tokenizer)
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Error> {
    tokenizer
        .encode_fast(text, false)
        .map(|encoding| encoding.get_ids().to_vec())
        .map_err(|problem| Error::Tokenise(problem.to_string()))
}

/// The crate's tokeniser, made when it is first asked for.
struct Late {
    bytes: Cow<'static, [u8]>,
    made: OnceLock<Result<Tokenizer, String>>,
}

impl Late {
    fn new(bytes: Cow<'static, [u8]>) -> Self {
        Self {
            bytes,
            made: OnceLock::new(),
        }
    }

    fn tokenizer(&self) -> Result<&Tokenizer, Error> {
        let made = self.made.get_or_init(|| thorough(&self.bytes));
        made.as_ref()
            .map_err(|problem| Error::Tokenise(problem.clone()))
    }
}
