//! Cuts the tokens of a text into windows that the model can see at once, and says how much each
//! window counts in the text's vector.
//!
//! Passages that follow one another with the same weight are one run of tokens, so that a
//! conversation of short turns does not pay for a window a turn. A run is cut in nearly equal
//! pieces: full windows and a rest would leave three words without context. What does not fit is
//! left out, the passages of least weight first, then the ends of the others.

use super::{Encoder, Error};

/// The most windows of one text, unless told otherwise: 4 × 254 tokens are about 750 words. Past
/// that the mean of ever more windows says ever less of what is asked, and each one costs as much
/// as twenty short prompts.
pub const WINDOWS_MAX: usize = 4;

/// The characters that are read for each token that may be kept. English has four to five a token,
/// code with its indentation five to six; eight leave room, and a prompt of 1 MB costs no more to
/// tokenise than one of two pages.
pub const CHARACTERS_PER_TOKEN: usize = 8;

/// A piece of text and how much it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The words.
    pub text: String,
    /// How much a token of it counts beside one of another passage. Without a weight above zero it
    /// is left out.
    pub weight: f32,
}

impl Passage {
    /// A passage that counts like any other.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            weight: 1.0,
        }
    }
}

/// A passage in the model's vocabulary.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenisedPassage {
    /// The ids in order, without special tokens.
    pub tokens: Vec<u32>,
    /// The weight of the passage.
    pub weight: f32,
}

/// What the model sees at once, without the special tokens that frame it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// The ids in order.
    pub tokens: Vec<u32>,
}

/// The windows of one text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Windowed {
    /// In the order of the text.
    pub windows: Vec<Window>,
    /// What each window's vector counts: its tokens times the weight of its passage.
    pub weights: Vec<f32>,
    /// How many tokens the windows hold together.
    pub tokens: usize,
    /// Whether something was left out.
    pub truncated: bool,
}

/// How much of a text may be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most tokens of text in one window.
    pub content_tokens: usize,
    /// The most windows of one text.
    pub windows_max: usize,
}

impl Limits {
    fn characters_max(self) -> usize {
        self.content_tokens
            .saturating_mul(self.windows_max)
            .saturating_mul(CHARACTERS_PER_TOKEN)
    }
}

/// Tokenises as much of the passages as may be encoded, and cuts it into windows. A text without a
/// word has no windows.
pub fn prepare(
    encoder: &dyn Encoder,
    passages: &[Passage],
    windows_max: usize,
) -> Result<Windowed, Error> {
    let limits = Limits {
        content_tokens: encoder.identity().content_tokens(),
        windows_max,
    };
    let mut characters_left = limits.characters_max();
    let mut left_out = false;
    let mut tokenised = vec![TokenisedPassage::default(); passages.len()];
    for index in heaviest_first(passages.iter().map(|passage| passage.weight)) {
        let passage = &passages[index];
        let bounded = bound(&passage.text, characters_left);
        characters_left -= bounded.characters;
        left_out |= bounded.truncated;
        tokenised[index] = TokenisedPassage {
            tokens: encoder.tokenise(bounded.text)?,
            weight: passage.weight,
        };
    }
    let mut windowed = plan(&tokenised, limits);
    windowed.truncated |= left_out;
    Ok(windowed)
}

/// Cuts tokenised passages into windows.
pub fn plan(passages: &[TokenisedPassage], limits: Limits) -> Windowed {
    let mut windowed = Windowed::default();
    if limits.content_tokens == 0 {
        windowed.truncated = passages.iter().any(|passage| !passage.tokens.is_empty());
        return windowed;
    }
    let runs = runs(passages);
    let shares = share_windows(&runs, limits);
    for (run, share) in runs.iter().zip(shares) {
        let kept = run.tokens.len().min(share * limits.content_tokens);
        windowed.truncated |= kept < run.tokens.len();
        for piece in nearly_equal_pieces(&run.tokens[..kept], share) {
            windowed.tokens += piece.len();
            windowed.weights.push(as_weight(piece.len()) * run.weight);
            windowed.windows.push(Window {
                tokens: piece.to_vec(),
            });
        }
    }
    windowed
}

/// The beginning of a text.
struct Bounded<'text> {
    text: &'text str,
    characters: usize,
    truncated: bool,
}

/// At most so many characters of a text, from its first word on.
fn bound(text: &str, characters_max: usize) -> Bounded<'_> {
    let text = text.trim();
    // A character has at least one byte, so a text of few bytes needs no count.
    let cut = (characters_max < text.len())
        .then(|| text.char_indices().nth(characters_max))
        .flatten();
    match cut {
        Some((end, _)) => Bounded {
            text: &text[..end],
            characters: characters_max,
            truncated: true,
        },
        None => Bounded {
            text,
            characters: text.chars().count(),
            truncated: false,
        },
    }
}

/// The positions of what counts at all, the heaviest first, equal ones in their order.
fn heaviest_first(weights: impl Iterator<Item = f32>) -> Vec<usize> {
    let mut counted: Vec<(usize, f32)> = weights
        .enumerate()
        .filter(|(_, weight)| 0.0 < *weight && weight.is_finite())
        .collect();
    counted.sort_by(|left, right| right.1.total_cmp(&left.1));
    counted.into_iter().map(|(index, _)| index).collect()
}

/// Joins neighbours of equal weight; drops what is empty or counts for nothing.
fn runs(passages: &[TokenisedPassage]) -> Vec<TokenisedPassage> {
    let mut runs: Vec<TokenisedPassage> = Vec::new();
    let counted = passages
        .iter()
        .filter(|passage| 0.0 < passage.weight && passage.weight.is_finite())
        .filter(|passage| !passage.tokens.is_empty());
    for passage in counted {
        match runs.last_mut() {
            Some(last) if last.weight.total_cmp(&passage.weight).is_eq() => {
                last.tokens.extend_from_slice(&passage.tokens);
            }
            _ => runs.push(passage.clone()),
        }
    }
    runs
}

/// How many windows each run gets: all that it needs while there are some, the heaviest first.
fn share_windows(runs: &[TokenisedPassage], limits: Limits) -> Vec<usize> {
    let mut shares = vec![0; runs.len()];
    let mut windows_left = limits.windows_max;
    for index in heaviest_first(runs.iter().map(|run| run.weight)) {
        let needed = runs[index].tokens.len().div_ceil(limits.content_tokens);
        shares[index] = needed.min(windows_left);
        windows_left -= shares[index];
    }
    shares
}

/// So many pieces, none more than one token longer than another.
fn nearly_equal_pieces(tokens: &[u32], pieces: usize) -> impl Iterator<Item = &[u32]> {
    let border = move |piece: usize| tokens.len() * piece / pieces.max(1);
    (0..pieces).map(move |piece| &tokens[border(piece)..border(piece + 1)])
}

fn as_weight(tokens: usize) -> f32 {
    // A window holds at most some thousands of tokens.
    u16::try_from(tokens).map_or(f32::from(u16::MAX), f32::from)
}

#[cfg(test)]
mod tests;
