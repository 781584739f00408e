//! The prose of simulated models, and how it is counted and cut.

use crate::domain::chat::{Answer, Body, Chunk, Delta, Request, Role};

/// How many words of the prompt an answer repeats: enough to see that it was read.
const WORDS_REPEATED: usize = 12;

/// How much of them: a prompt without spaces is one word, and may be an image.
const CHARS_REPEATED: usize = 240;

/// The rule by which simulated models count tokens: so many bytes are one, the last one rounded up.
/// It is near the mean of real tokenisers on English, and the same for every text and machine.
const BYTES_PER_TOKEN: usize = 4;

/// The longest piece of a stream. Text without spaces, such as JSON, is cut there.
const PIECE_BYTES_MAX: usize = 16;

/// An answer that says what it is and what it was asked.
pub(super) fn reply(model: &str, request: &Request) -> String {
    let asked = request
        .messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User);
    let prompt = asked.map_or("", |message| message.text.as_str());
    let mut words = prompt.split_whitespace();
    let repeated: Vec<&str> = words.by_ref().take(WORDS_REPEATED).collect();
    let mut repeated = repeated.join(" ");
    let end = repeated.char_indices().nth(CHARS_REPEATED);
    let is_cut = end.is_some() || words.next().is_some();
    repeated.truncate(end.map_or(repeated.len(), |(end, _)| end));
    let ellipsis = if is_cut { " …" } else { "" };
    format!("[simulated {model}] No model was asked. You wrote: {repeated}{ellipsis}")
}

/// How many tokens a text has.
pub(super) fn tokens(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// An answer, piece by piece; the last piece brings its end and its count of tokens.
pub(super) fn pieces(answer: Answer) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = cut(&answer.text)
        .map(|piece| Chunk {
            text: piece.to_owned(),
            finish: None,
            usage: None,
            body: Body::Read(vec![Delta::Text(piece.to_owned())]),
        })
        .collect();
    chunks.push(Chunk {
        text: String::new(),
        finish: answer.finish,
        usage: answer.usage,
        body: Body::Read(Vec::new()),
    });
    chunks
}

/// A text, cut behind each space and wherever a piece would grow too long.
fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .map(|(start, character)| (start + character.len_utf8(), character))
            .find(|(end, character)| *character == ' ' || PIECE_BYTES_MAX <= *end)
            .map_or(rest.len(), |(end, _)| end);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_repeated_only_so_far_as_to_see_that_it_was_read() {
        let said = |prompt: &str| {
            let body = serde_json::json!({
                "model": "m", "messages": [{ "role": "user", "content": prompt }],
            });
            let body = body.to_string();
            let request = crate::wire::Inbound::OpenAi.read_request(body.as_bytes());
            reply("small", &request.unwrap())
        };
        assert!(said("two words").ends_with("two words"));
        assert!(said(&"a word ".repeat(20)).ends_with("a word …"));
        assert!(said(&"é".repeat(1 << 20)).chars().count() < 2 * CHARS_REPEATED);
    }

    #[test]
    fn four_bytes_are_a_token() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("abcd"), 1);
        assert_eq!(tokens("abcde"), 2);
        assert_eq!(tokens("漢字"), 2);
    }

    #[test]
    fn the_pieces_of_a_text_are_short_and_make_it_up_again() {
        for text in [
            "",
            "one two  three",
            "漢字仮名交じり文を切る",
            "{\"a\":\"bbbbbbbbbbbbbbbbbbbbbbbb\"}",
        ] {
            let pieces: Vec<&str> = cut(text).collect();
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES_MAX + 4));
        }
        assert_eq!(cut("one two").collect::<Vec<_>>(), ["one ", "two"]);
    }
}
