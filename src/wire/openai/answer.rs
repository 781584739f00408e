//! Answers of chat completions, whole and in pieces.
//!
//! Reading is lenient where a provider's liberty does no harm: a missing or odd count of tokens is
//! an unknown one, and a piece without choices adds nothing. An answer without choices is refused,
//! since there is nothing to hand on.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::chat::{Answer, Chunk, Format, Original, Usage};
use crate::wire::json::{Fields, array, describe, string};
use crate::wire::openai::failure::error_message;
use crate::wire::openai::request::read_content;
use crate::wire::{Malformed, Position, Stamp, StreamEvent};

pub(crate) const STREAM_END: &str = "[DONE]";

/// The end that is written where the answer does not say why it ended.
const FINISH_DEFAULT: &str = "stop";

pub(crate) fn read_answer(text: &str) -> Result<Answer, Malformed> {
    let fields = Fields::of_text(text, "the answer")?;
    if let Some(message) = error_message(&fields) {
        return Err(Malformed {
            param: Some("error".to_owned()),
            message: format!("the answer is an error under a status of success: {message}"),
        });
    }
    let choice = first_choice(&fields)?.ok_or_else(|| Malformed {
        param: Some("choices".to_owned()),
        message: "the answer has no `choices`".to_owned(),
    })?;
    Ok(Answer {
        text: read_text(&choice, "message")?,
        finish: read_finish(&choice),
        usage: read_usage(&fields),
        original: Some(original(text)),
    })
}

pub(crate) fn read_event(data: &str) -> Result<StreamEvent, Malformed> {
    if data.trim() == STREAM_END {
        return Ok(StreamEvent::Done);
    }
    let fields = Fields::of_text(data, "the piece")?;
    if let Some(message) = error_message(&fields) {
        return Ok(StreamEvent::Failed(message));
    }
    let choice = first_choice(&fields)?;
    let text = match &choice {
        Some(choice) => read_text(choice, "delta")?,
        None => String::new(),
    };
    Ok(StreamEvent::Chunk(Chunk {
        text,
        finish: choice.as_ref().and_then(read_finish),
        usage: read_usage(&fields),
        original: Some(original(data)),
    }))
}

pub(crate) fn write_answer(answer: &Answer, stamp: &Stamp) -> String {
    if let Some(text) = own_text(answer.original.as_ref()) {
        return text.to_owned();
    }
    let message = json!({ "role": "assistant", "content": answer.text, "refusal": null });
    let finish = answer.finish.as_deref().unwrap_or(FINISH_DEFAULT);
    let mut whole = stamped("chat.completion", stamp);
    whole.insert(
        "choices".to_owned(),
        json!([{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }]),
    );
    insert_usage(&mut whole, answer.usage);
    Value::Object(whole).to_string()
}

pub(crate) fn write_chunk(chunk: &Chunk, stamp: &Stamp, position: Position) -> String {
    if let Some(text) = own_text(chunk.original.as_ref()) {
        return text.to_owned();
    }
    let delta = match position {
        Position::First => json!({ "role": "assistant", "content": chunk.text }),
        Position::Later if chunk.text.is_empty() => json!({}),
        Position::Later => json!({ "content": chunk.text }),
    };
    let mut piece = stamped("chat.completion.chunk", stamp);
    piece.insert(
        "choices".to_owned(),
        json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": chunk.finish }]),
    );
    insert_usage(&mut piece, chunk.usage);
    Value::Object(piece).to_string()
}

/// The text that something was read from, if it was written in this format.
fn own_text(original: Option<&Original>) -> Option<&str> {
    let original = original?;
    match original.format {
        Format::OpenAi => Some(&original.text),
    }
}

fn stamped(object: &str, stamp: &Stamp) -> Map<String, Value> {
    [
        ("id", Value::from(stamp.id.as_str())),
        ("object", object.into()),
        ("created", stamp.created_unix_s.into()),
        ("model", stamp.model.as_str().into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn insert_usage(fields: &mut Map<String, Value>, usage: Option<Usage>) {
    if let Some(usage) = usage {
        fields.insert(
            "usage".to_owned(),
            json!({
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.total(),
            }),
        );
    }
}

fn original(text: &str) -> Original {
    Original {
        format: Format::OpenAi,
        text: Arc::from(text),
    }
}

/// The choice whose text counts: where several were asked for, the one that says it is the first.
fn first_choice<'a>(fields: &Fields<'a>) -> Result<Option<Fields<'a>>, Malformed> {
    let Some(value) = fields.find("choices") else {
        return Ok(None);
    };
    let choices = array(value).ok_or_else(|| Malformed {
        param: Some("choices".to_owned()),
        message: format!("`choices` is {}; it should be an array", describe(value)),
    })?;
    for choice in choices {
        let choice =
            Fields::of_object(choice, "`choices[…]`").map_err(|problem| problem.at("choices"))?;
        match choice.find("index").map(RawValue::get) {
            None | Some("0") => return Ok(Some(choice)),
            Some(_) => {}
        }
    }
    Ok(None)
}

/// The text of a choice, in its `message` or `delta`; a choice that only calls tools has none.
fn read_text(choice: &Fields<'_>, holder: &str) -> Result<String, Malformed> {
    let place = format!("choices[0].{holder}");
    let Some(message) = choice.find(holder) else {
        return Ok(String::new());
    };
    let message =
        Fields::of_object(message, &format!("`{place}`")).map_err(|problem| problem.at(&place))?;
    match message.find("content") {
        None => Ok(String::new()),
        Some(content) => read_content(content, &format!("{place}.content")),
    }
}

fn read_finish(choice: &Fields<'_>) -> Option<String> {
    let finish = choice.find("finish_reason").and_then(string)?;
    Some(finish.into_owned())
}

/// Tokens as the provider counted them; unknown where it gave no two whole numbers.
fn read_usage(fields: &Fields<'_>) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Counted {
        prompt_tokens: u64,
        completion_tokens: u64,
    }

    let counted: Counted = serde_json::from_str(fields.find("usage")?.get()).ok()?;
    Some(Usage::of(counted.prompt_tokens, counted.completion_tokens))
}

#[cfg(test)]
mod tests;
