//! `tokenizer.json` of a BERT, read in a fifth of the time that the crate takes for it.
//!
//! It is read strictly: a field that is not expected, or a part of another kind, and the file is left
//! to the crate. What is not looked at afterwards is read by the crate's own types, so that a file that
//! is read here is one that the crate can read later.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use tokenizers::{
    DecoderWrapper, Encoding, PaddingParams, PostProcessor, PostProcessorWrapper, TruncationParams,
};

/// The only version of the format.
#[derive(serde::Deserialize)]
enum Version {
    #[serde(rename = "1.0")]
    One,
}

/// The whole file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description<'file> {
    #[serde(rename = "version")]
    _version: Version,
    #[serde(rename = "truncation")]
    _truncation: Option<TruncationParams>,
    #[serde(rename = "padding")]
    _padding: Option<PaddingParams>,
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Normaliser,
    #[serde(rename = "pre_tokenizer")]
    _pre_tokenizer: Splitter,
    post_processor: PostProcessorWrapper,
    #[serde(rename = "decoder")]
    _decoder: Option<DecoderWrapper>,
    #[serde(borrow)]
    pub(super) model: Model<'file>,
}

impl Description<'_> {
    /// The special tokens around a text.
    pub(super) fn frame(&self) -> Option<Vec<u32>> {
        let framed = self
            .post_processor
            .process(Encoding::default(), None, true)
            .ok()?;
        Some(framed.get_ids().to_vec())
    }
}

/// A token that is found in the text itself, before anything else is done to it.
#[derive(serde::Deserialize)]
pub(super) struct AddedToken {
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    pub(super) token: tokenizers::AddedToken,
}

/// What is done to a text before it is split. Neither Chinese characters nor accents are ASCII.
#[derive(serde::Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub(super) enum Normaliser {
    #[serde(rename = "BertNormalizer")]
    Bert {
        clean_text: bool,
        #[serde(rename = "handle_chinese_chars")]
        _handle_chinese_chars: bool,
        #[serde(rename = "strip_accents")]
        _strip_accents: Option<bool>,
        lowercase: bool,
    },
}

/// How a text is split in words.
#[derive(serde::Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Splitter {
    #[serde(rename = "BertPreTokenizer")]
    Bert {},
}

#[derive(serde::Deserialize)]
enum ModelKind {
    WordPiece,
}

/// How a word is split in tokens.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model<'file> {
    #[serde(rename = "type")]
    _kind: ModelKind,
    pub(super) unk_token: String,
    pub(super) continuing_subword_prefix: String,
    pub(super) max_input_chars_per_word: usize,
    #[serde(borrow)]
    pub(super) vocab: Vocabulary<'file>,
}

/// The tokens and their ids in the order of the file.
pub(super) struct Vocabulary<'file>(pub(super) Vec<(Cow<'file, str>, u32)>);

impl<'de: 'file, 'file> Deserialize<'de> for Vocabulary<'file> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Vocabulary<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("tokens with their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Token(token), id)) = map.next_entry()? {
                    entries.push((token, id));
                }
                Ok(Vocabulary(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A token of the vocabulary, borrowed from the file unless an escape stands in it.
#[derive(serde::Deserialize)]
struct Token<'file>(#[serde(borrow)] Cow<'file, str>);
