//! About how many tokens a text has, told by its bytes.
//!
//! To count them takes a vocabulary, and with it hundreds of times as long; what is decided by the
//! estimate, whether a prompt is short or fits a model's window, does not depend on the last token.

/// What OpenAI's chat format puts around each message, as they publish it. Others put something similar.
pub(super) const TOKENS_PER_MESSAGE: u64 = 3;

/// About how many tokens a text has. Four characters of ASCII are taken for a token, two of other
/// alphabets, and one of Chinese, Japanese or Korean, as is one emoji. English comes out right or a little
/// high, code and digits up to a third low.
pub fn estimated_tokens(text: &str) -> u64 {
    // Sums of few bytes fit a narrow number, and the machine adds many of those at once.
    let chunks = text.as_bytes().chunks(32);
    let quarters: u64 = chunks
        .map(|bytes| u64::from(bytes.iter().map(|byte| quarters(*byte)).sum::<u8>()))
        .sum();
    quarters.div_ceil(4)
}

/// How many quarters of a token a character has, told by its first byte. The others have none.
const fn quarters(byte: u8) -> u8 {
    match byte {
        0x00..=0x7F => 1,
        0x80..=0xBF => 0,
        // Latin with marks, Greek, Cyrillic, Arabic, the scripts of India, signs.
        0xC0..=0xE2 => 2,
        // From U+3000 on: Chinese, Japanese, Korean; then emoji.
        0xE3..=0xFF => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_four_ascii_characters_two_of_other_alphabets_or_one_chinese() {
        for (text, n_tokens) in [
            ("", 0),
            ("a", 1),
            ("hello world", 3),
            ("привет", 3),
            ("お誕生日おめでとう", 9),
            ("안녕하세요", 5),
            ("ab中", 2),
            ("👋", 1),
        ] {
            assert_eq!(estimated_tokens(text), n_tokens, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_has_no_more_tokens_than_characters_and_a_quarter_at_least(text in "\\PC{0,200}") {
            let n_chars = text.chars().count() as u64;
            let n_tokens = estimated_tokens(&text);
            prop_assert!(n_chars.div_ceil(4) <= n_tokens && n_tokens <= n_chars);
        }
    }
}
