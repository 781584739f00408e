//! Words of ASCII text to tokens: what `BertNormalizer`, `BertPreTokenizer` and `WordPiece` of the
//! crate `tokenizers` come to where a byte is a character, in one pass.
//!
//! Accents and Chinese characters do not occur, control characters send a text the long way, and so
//! does a text that holds one of the added tokens, such as `[SEP]`. What is left is to fold case, to cut at spaces and
//! around punctuation, and to take from each word the longest token that it begins with until nothing is left.

use super::description::{Description, Normaliser};
use super::trie::{BEGINNING, CONTINUATION, Trie};

/// What stands before a token that goes on with a word.
const CONTINUATION_PREFIX: &str = "##";

/// Text has about five bytes a token; one more reservation than needed costs more than the memory.
const BYTES_PER_TOKEN: usize = 4;

/// What a character is to the splitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Character {
    Space,
    /// A word of its own: its token.
    Mark(u32),
    /// Part of a word.
    Letter,
    /// Left to the crate.
    Other,
}

/// Whether capital letters are told from small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Folded,
    Kept,
}

#[derive(Debug)]
pub(super) struct WordPiece {
    case: Case,
    /// By byte.
    characters: [Character; 256],
    trie: Trie,
    unknown: u32,
    letters_max: usize,
    /// Tokens that are found in the text itself.
    added: Vec<Vec<u8>>,
    /// The bytes that they begin with, each once.
    added_begin: Vec<u8>,
}

impl WordPiece {
    /// `None` if the description has something in it that is not done here.
    pub(super) fn new(description: &Description<'_>) -> Option<Self> {
        let model = &description.model;
        let Normaliser::Bert {
            clean_text,
            lowercase,
            ..
        } = description.normalizer;
        let is_known = clean_text
            && model.continuing_subword_prefix == CONTINUATION_PREFIX
            && 0 < model.max_input_chars_per_word
            && description
                .added_tokens
                .iter()
                .all(|it| !it.token.normalized);
        if !is_known {
            return None;
        }
        let mut entries = model.vocab.0.iter();
        let (_, unknown) = entries.rfind(|(token, _)| *token == model.unk_token)?;
        let added: Vec<Vec<u8>> = description
            .added_tokens
            .iter()
            .map(|it| it.token.content.clone().into_bytes())
            .filter(|it| !it.is_empty())
            .collect();
        let mut added_begin: Vec<u8> = added.iter().filter_map(|it| it.first().copied()).collect();
        added_begin.sort_unstable();
        added_begin.dedup();
        let mut words = Self {
            case: if lowercase { Case::Folded } else { Case::Kept },
            characters: characters(*unknown),
            trie: Trie::with_room(model.vocab.0.len()),
            unknown: *unknown,
            letters_max: model.max_input_chars_per_word,
            added,
            added_begin,
        };
        for (token, id) in &model.vocab.0 {
            words.learn(token.as_bytes(), *id)?;
        }
        Some(words)
    }

    /// Takes a token of the vocabulary. One that no piece of ASCII text is spelt like is passed over.
    fn learn(&mut self, token: &[u8], id: u32) -> Option<()> {
        if let [mark] = token
            && matches!(self.character(*mark), Character::Mark(_))
        {
            self.characters[usize::from(*mark)] = Character::Mark(id);
            return Some(());
        }
        let (root, letters) = match token.strip_prefix(CONTINUATION_PREFIX.as_bytes()) {
            Some(rest) => (CONTINUATION, rest),
            None => (BEGINNING, token),
        };
        if letters.is_empty() || !letters.iter().all(u8::is_ascii_alphanumeric) {
            return Some(());
        }
        self.trie.insert(root, letters, id)
    }

    /// The tokens of a text; `None` if it is one for the crate.
    pub(super) fn tokenise(&self, text: &str) -> Option<Vec<u32>> {
        if self.holds_added_token(text.as_bytes()) {
            return None;
        }
        let folded;
        let bytes = match self.case {
            Case::Folded => {
                folded = text.to_ascii_lowercase();
                folded.as_bytes()
            }
            Case::Kept => text.as_bytes(),
        };
        let mut tokens = Vec::with_capacity(bytes.len() / BYTES_PER_TOKEN + 1);
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first() {
            rest = match self.character(*first) {
                Character::Letter => {
                    let is_letter = |byte: &u8| self.character(*byte) == Character::Letter;
                    let end = behind.iter().position(|byte| !is_letter(byte));
                    let (word, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
                    self.split(word, &mut tokens);
                    behind
                }
                Character::Space => behind,
                Character::Mark(id) => {
                    tokens.push(id);
                    behind
                }
                Character::Other => return None,
            };
        }
        Some(tokens)
    }

    fn character(&self, byte: u8) -> Character {
        self.characters[usize::from(byte)]
    }

    /// Adds the tokens of a word, or the unknown one if any part of it is none.
    fn split(&self, word: &[u8], tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut root = BEGINNING;
        let mut rest = word;
        if self.letters_max < word.len() {
            tokens.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let Some(found) = self.trie.longest(root, rest) else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(found.id);
            rest = &rest[found.length..];
            root = CONTINUATION;
        }
    }

    fn holds_added_token(&self, bytes: &[u8]) -> bool {
        let may_hold = self.added_begin.iter().any(|first| bytes.contains(first));
        may_hold && {
            let holds = |token: &Vec<u8>| bytes.windows(token.len()).any(|it| it == token);
            self.added.iter().any(holds)
        }
    }
}

fn characters(unknown: u32) -> [Character; 256] {
    std::array::from_fn(|code| match u8::try_from(code) {
        Ok(b' ' | b'\t' | b'\n' | b'\r') => Character::Space,
        Ok(byte) if byte.is_ascii_punctuation() => Character::Mark(unknown),
        Ok(byte) if byte.is_ascii_alphanumeric() => Character::Letter,
        _ => Character::Other,
    })
}
