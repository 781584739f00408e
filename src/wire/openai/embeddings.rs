//! Requests for embeddings and their answers, as OpenAI defined them. Both travel verbatim, but for the
//! model's name; so of a request only that is read, and of an answer only what it used.
//!
//! <https://platform.openai.com/docs/api-reference/embeddings>

use serde::Deserialize;
use serde_json::Value;

use crate::domain::chat::{Format, OriginalRequest, Usage};
use crate::domain::embeddings::{TextsToEmbed, Vectors};
use crate::wire::Malformed;
use crate::wire::json::{Document, Fields};
use crate::wire::openai::edit::name_model;
use crate::wire::shared_fields::{as_text, read_model};

pub(crate) fn read_embeddings_request(body: &[u8]) -> Result<TextsToEmbed, Malformed> {
    let text = as_text(body)?;
    let document = Document::read(text, "the body")?;
    let fields = document.fields();
    let (model, model_span) = read_model(&fields)?;
    Ok(TextsToEmbed {
        model,
        original: OriginalRequest {
            format: Format::OpenAi,
            text: text.into(),
            model_span,
            headers: Vec::new(),
        },
    })
}

pub(crate) fn write_embeddings_request(request: &TextsToEmbed, model: &str) -> String {
    name_model(&request.original, model)
}

/// An answer, which must be an object with `data`: what else comes with a status of success is a
/// page or an error.
pub(crate) fn read_embeddings_answer(text: String) -> Result<Vectors, Malformed> {
    let document = Document::read(&text, "the answer")?;
    let fields = document.fields();
    if fields
        .find("data")
        .is_none_or(|it| !it.get().starts_with('['))
    {
        return Err(Malformed::new("data", "the answer has no list in `data`"));
    }
    let usage = read_usage(&fields);
    Ok(Vectors { text, usage })
}

/// The tokens of the texts. Some servers tell the total alone, which is the same: nothing is written.
fn read_usage(fields: &Fields<'_>) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(default)]
        prompt_tokens: Value,
        #[serde(default)]
        total_tokens: Value,
    }

    let counted: Counted = serde_json::from_str(fields.find("usage")?.get()).ok()?;
    let n_tokens = counted.prompt_tokens.as_u64();
    n_tokens
        .or_else(|| counted.total_tokens.as_u64())
        .map(|n_tokens| Usage::of(n_tokens, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_request_but_its_model_stays_byte_for_byte() {
        let body =
            r#"{ "input": ["\u00e9", [1,2]], "model" : "a\u0062",  "dimensions":64, "x": 1.50 }"#;
        let request = read_embeddings_request(body.as_bytes()).unwrap();
        assert_eq!(request.model, "ab");
        let written = write_embeddings_request(&request, "upstream \"1\"");
        assert_eq!(written, body.replace(r#""a\u0062""#, r#""upstream \"1\"""#));
    }

    #[test]
    fn a_request_names_one_model() {
        for body in [
            "{}",
            r#"{"model":1}"#,
            r#"{"model":" "}"#,
            r#"{"model":"a","model":"b"}"#,
        ] {
            let problem = read_embeddings_request(body.as_bytes()).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some("model"), "{body}");
        }
        assert!(read_embeddings_request(b"[]").is_err());
    }

    #[test]
    fn the_tokens_of_the_texts_are_read_where_they_are_told() {
        for (usage, expected) in [
            (r#"{"prompt_tokens":8,"total_tokens":9}"#, Some(8)),
            (r#"{"total_tokens":9}"#, Some(9)),
            (r#"{"prompt_tokens":-1}"#, None),
            ("null", None),
        ] {
            let text = format!(r#"{{"data":[],"usage":{usage}}}"#);
            let answer = read_embeddings_answer(text.clone()).unwrap();
            assert_eq!(answer.text, text);
            assert_eq!(answer.usage, expected.map(|n| Usage::of(n, 0)), "{usage}");
        }
    }

    #[test]
    fn what_has_no_vectors_is_no_answer() {
        for text in ["<html>", "[]", "{}", r#"{"data":{}}"#, r#"{"error":{}}"#] {
            assert!(read_embeddings_answer(text.to_owned()).is_err(), "{text}");
        }
    }
}
