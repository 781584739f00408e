//! Counts tokens of texts, for calls whose provider did not.
//!
//! The vocabulary is `o200k_base`, that of OpenAI's models since GPT-4o: for those the count of a text
//! is theirs. Other vendors have vocabularies of their own, most of which nobody can have, so for
//! their models the count is an estimate whose factor is not known. It is nearer than a rule of so
//! many characters a token, since code, digits and scripts other than Latin count as what they are.
//!
//! The vocabulary takes about a quarter of a second to build and tens of megabytes to keep, so it is
//! built when the first text is counted, and never in a process that has none to count.

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

/// What OpenAI's chat format puts around each message, as they publish it.
const TOKENS_PER_MESSAGE: u64 = 3;

/// What it puts before the answer.
const TOKENS_PER_ANSWER: u64 = 3;

/// How much of a text is cut off at most to be counted by itself. The pattern that splits texts into words
/// takes time that grows with the square of a run of spaces, and gives up on a long one with a panic; in
/// pieces of this size it stays far below that. A cut between words changes no count; one within a
/// word, where there is nothing else, adds a token or two.
const PIECE_BYTES: usize = 4 * 1024;

/// How much text is counted. What is longer is taken to go on as it began, so that a prompt of many
/// megabytes does not hold up other requests.
const COUNTED_BYTES_MAX: usize = 1 << 20;

/// The tokens of a text.
pub fn count(text: &str) -> u64 {
    count_known(text, text.len() as u64)
}

/// The tokens of a text of which only the beginning is known, taken to go on as it began.
pub fn count_known(beginning: &str, whole_bytes: u64) -> u64 {
    let beginning = head(beginning, COUNTED_BYTES_MAX);
    let counted = count_all(beginning);
    let known_bytes = beginning.len() as u64;
    if whole_bytes <= known_bytes || known_bytes == 0 {
        return counted;
    }
    // Widened, since bytes times tokens is more than 64 bits hold.
    let whole = u128::from(counted) * u128::from(whole_bytes);
    u64::try_from(whole.div_ceil(u128::from(known_bytes))).unwrap_or(u64::MAX)
}

/// The tokens of a conversation's texts, with what the chat format puts around them.
pub fn count_messages<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    texts.into_iter().fold(TOKENS_PER_ANSWER, |sum, text| {
        sum.saturating_add(TOKENS_PER_MESSAGE)
            .saturating_add(count(text))
    })
}

fn count_all(text: &str) -> u64 {
    let vocabulary: &CoreBPE = o200k_base_singleton();
    let mut rest = text;
    let mut n_tokens = 0;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(cut(rest));
        n_tokens += vocabulary.count_ordinary(piece) as u64;
        rest = behind;
    }
    n_tokens
}

/// Where to cut a text: before the space of the last whole word that fits, since a word counts together
/// with the space before it.
fn cut(text: &str) -> usize {
    let fitting = head(text, PIECE_BYTES);
    if fitting.len() == text.len() {
        return text.len();
    }
    let ends_word = |at: &usize| {
        let before = at.checked_sub(1).and_then(|at| fitting.as_bytes().get(at));
        before.is_some_and(u8::is_ascii_alphanumeric)
    };
    let mut spaces = fitting.rmatch_indices(' ').map(|(at, _)| at);
    spaces.find(ends_word).unwrap_or(fitting.len())
}

/// As many whole characters from the beginning as so many bytes hold.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::chat::estimated_tokens;

    #[test]
    fn texts_are_counted_as_openai_counts_them() {
        // As two implementations by others count them.
        for (text, n_tokens) in [
            ("", 0),
            ("hello world", 2),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
            ("お誕生日おめでとう", 8),
            ("<|endoftext|>", 7),
        ] {
            assert_eq!(count(text), n_tokens, "{text:?}");
        }
    }

    #[test]
    fn a_conversation_costs_three_tokens_a_message_and_three_for_the_answer() {
        assert_eq!(
            count_messages(["hello world", "hello world"]),
            3 + 2 * (3 + 2)
        );
        assert_eq!(count_messages([]), 3);
    }

    #[test]
    fn runs_that_a_tokeniser_stumbles_over_are_counted() {
        for run in [" ", "\n", "\u{a0}", "a", "\u{301}", "\0", "\t \r\n"] {
            let text = run.repeat((1 << 16) / run.len());
            assert!(0 < count(&text), "{run:?}");
        }
    }

    #[test]
    fn cuts_between_words_change_no_count() {
        let text =
            "The parcel left the depot in Lyon on 12 May; nobody has seen it since. ".repeat(500);
        let whole = o200k_base_singleton().count_ordinary(&text) as u64;
        assert_eq!(count(&text), whole);
    }

    #[test]
    fn cuts_within_words_add_little() {
        let text = "お誕生日おめでとうございます".repeat(2_000);
        let whole = o200k_base_singleton().count_ordinary(&text) as u64;
        assert!(count(&text).abs_diff(whole) * 200 < whole);
    }

    #[test]
    fn what_is_not_kept_is_taken_to_go_on_as_it_began() {
        let kept = "one two three four ".repeat(50);
        let of_kept = count(&kept);
        assert_eq!(count_known(&kept, kept.len() as u64), of_kept);
        assert_eq!(count_known(&kept, 3 * kept.len() as u64), 3 * of_kept);
        assert_eq!(count_known("", 1_000), 0);
        assert_eq!(count_known("a", u64::MAX), u64::MAX);
    }

    #[test]
    fn an_estimate_is_near_the_count_of_a_vocabulary() {
        for text in [
            "The parcel left the depot in Lyon on 12 May; nobody has seen it since. ",
            "昨日は雨が降っていたので、家で本を読んで過ごしました。",
            "我们昨天一起去了图书馆，借了几本关于历史的书。",
            "어제는 비가 와서 집에서 책을 읽으며 시간을 보냈습니다.",
            "Вчера шёл дождь, поэтому мы остались дома и читали книги.",
            "fn main() { let total: u64 = items.iter().map(|item| item.price).sum(); }",
            "The committee's recommendations were published in the spring; see page 214.",
        ] {
            let (counted, estimated) = (count(text), estimated_tokens(text));
            assert!(
                counted * 2 <= estimated * 3 && estimated <= counted * 2,
                "{text}: {counted} counted, {estimated} estimated"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_has_a_token_at_least_and_one_a_byte_at_most(text in "\\PC{0,200}|[\\s\\S]{0,200}") {
            let n_tokens = count(&text);
            prop_assert!(n_tokens <= text.len() as u64);
            prop_assert_eq!(n_tokens == 0, text.is_empty());
        }
    }
}
