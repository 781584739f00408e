//! Whole answers of chat completions.
//!
//! Reading is lenient where a provider's liberty does no harm: a missing or odd count of tokens is
//! an unknown one. An answer without choices is refused, since there is nothing to hand on.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::chat::{Answer, Body, Completion, Finish, Format, Holds, Original, Usage};
use crate::domain::conversation::{Part, ToolCall};
use crate::wire::json::{Document, Fields, Raw, Wanted, array, describe, string};
use crate::wire::openai::failure::error_message;
use crate::wire::openai::request::read_content;
use crate::wire::openai::words::{read_finish, write_finish};
use crate::wire::openai::written::write_call;
use crate::wire::{Depth, Malformed, Stamp};

/// Where servers put what a model thinks aloud: most, and some of the newer ones.
const THOUGHT_FIELDS: [&str; 2] = ["reasoning_content", "reasoning"];

pub(crate) fn read_answer(text: String, depth: Depth) -> Result<Answer, Malformed> {
    let document = Document::read(&text, "the answer")?;
    let fields = document.fields();
    if let Some(message) = error_message(&fields) {
        return Err(Malformed::new(
            "error",
            format!("the answer is an error under a status of success: {message}"),
        ));
    }
    let choice = first_choice(&fields)?
        .ok_or_else(|| Malformed::new("choices", "the answer has no `choices`"))?;
    let said = read_text(&choice, "message")?;
    let finish = finish_of(&choice);
    let usage = read_usage(&fields);
    let completion = match depth {
        Depth::Facts => None,
        Depth::Everything => Some(read_completion(&fields, &choice, &said)?),
    };
    let calls_tools = completion.as_ref().is_some_and(|completion| {
        let mut parts = completion.parts.iter();
        parts.any(|part| matches!(part, Part::ToolCall(_)))
    });
    Ok(Answer {
        text: said,
        finish: finish.map(|finish| told_finish(finish, calls_tools)),
        usage,
        body: match completion {
            Some(completion) => Body::Read(completion),
            None => Body::Original(original(text, Holds::Content)),
        },
    })
}

/// Where a tool was forced, some servers say that the model stopped though it calls one.
pub(super) fn told_finish(finish: Finish, calls_tools: bool) -> Finish {
    match finish {
        Finish::Stop if calls_tools => Finish::ToolCalls,
        other => other,
    }
}

fn read_completion(
    fields: &Fields<'_>,
    choice: &Fields<'_>,
    said: &str,
) -> Result<Completion, Malformed> {
    let word = |name: &str| fields.find(name).and_then(string).map(Cow::into_owned);
    let message = choice.find("message");
    let message = message.and_then(|it| Fields::of_object(it, "`message`").ok());
    let mut parts = Vec::new();
    if let Some(text) = message.as_ref().and_then(thought) {
        let signature = None;
        parts.push(Part::Thought { text, signature });
    }
    if !said.is_empty() {
        parts.push(Part::Text(said.to_owned()));
    }
    if let Some(message) = &message {
        let refusal = message.find("refusal").and_then(string);
        parts.extend(refusal.map(|text| Part::Refusal(text.into_owned())));
        parts.extend(read_calls(message)?.into_iter().map(Part::ToolCall));
    }
    Ok(Completion {
        id: word("id"),
        model: word("model"),
        parts,
    })
}

/// What a message or a piece of one holds of the model's thinking.
pub(super) fn thought(message: &Fields<'_>) -> Option<String> {
    let mut found = THOUGHT_FIELDS
        .iter()
        .filter_map(|name| message.find(name).and_then(string));
    found.find(|text| !text.is_empty()).map(Cow::into_owned)
}

/// The calls of a message. One that cannot be read makes the answer none: without it the caller would
/// wait for a tool that nobody named.
fn read_calls(message: &Fields<'_>) -> Result<Vec<ToolCall>, Malformed> {
    let Some(calls) = message.find("tool_calls") else {
        return Ok(Vec::new());
    };
    let pieces = read_pieces(calls.get(), "choices[0].message.tool_calls")?;
    let calls = pieces.into_iter().enumerate().map(|(position, piece)| {
        let function = piece.function.unwrap_or_default();
        let name = function.name.clone().ok_or_else(|| {
            let param = format!("choices[0].message.tool_calls[{position}].function.name");
            let message = format!("`{param}` is missing");
            Malformed::new(param, message)
        })?;
        // Results refer to calls by their ids, so there must be one.
        let id = piece.id.filter(|id| !id.is_empty());
        Ok(ToolCall {
            id: id.unwrap_or_else(|| format!("call_{position}")),
            name,
            arguments: function.arguments_text().unwrap_or_default(),
        })
    });
    calls.collect()
}

/// The calls of a message or of a piece of one.
pub(super) fn read_pieces(calls: &str, place: &str) -> Result<Vec<CallPiece>, Malformed> {
    serde_json::from_str(calls)
        .map_err(|problem| Malformed::new(place, format!("`{place}` cannot be read: {problem}")))
}

/// A call to a tool, or a piece of one.
#[derive(Deserialize)]
pub(super) struct CallPiece {
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionPiece>,
}

/// What a call says of its function.
#[derive(Default, Deserialize)]
pub(super) struct FunctionPiece {
    pub(super) name: Option<String>,
    #[serde(default)]
    arguments: Value,
}

impl FunctionPiece {
    /// The arguments as a text, which they should be; some servers send the object itself.
    pub(super) fn arguments_text(self) -> Option<String> {
        match self.arguments {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

pub(crate) fn write_answer(answer: Answer, stamp: &Stamp) -> String {
    let completion = match answer.body {
        Body::Original(original) => return original.text,
        Body::Read(completion) => completion,
    };
    let finish = answer.finish.as_ref().map_or("stop", write_finish);
    let mut whole = stamped("chat.completion", stamp);
    whole.insert(
        "choices".to_owned(),
        json!([{
            "index": 0,
            "message": write_message(&completion.parts),
            "logprobs": null,
            "finish_reason": finish,
        }]),
    );
    if let Some(usage) = answer.usage {
        whole.insert("usage".to_owned(), write_usage(usage));
    }
    Value::Object(whole).to_string()
}

fn write_message(parts: &[Part]) -> Value {
    let mut message = Map::from_iter([("role".to_owned(), Value::from("assistant"))]);
    let (mut content, mut thoughts) = (String::new(), String::new());
    let (mut refusal, mut calls) = (Value::Null, Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => content.push_str(text),
            Part::Thought { text, .. } => thoughts.push_str(text),
            Part::Refusal(text) => refusal = text.as_str().into(),
            Part::ToolCall(call) => calls.push(write_call(call)),
            // No model answers with these in any format that is read here.
            Part::Image(_) | Part::Document { .. } | Part::Audio(_) | Part::ToolResult(_) => {}
        }
    }
    let only_calls = content.is_empty() && !calls.is_empty();
    let content = if only_calls {
        Value::Null
    } else {
        content.into()
    };
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), refusal);
    if !thoughts.is_empty() {
        message.insert("reasoning_content".to_owned(), thoughts.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    Value::Object(message)
}

/// The fields that every answer and every piece of one has.
pub(super) fn stamped(object: &str, stamp: &Stamp) -> Map<String, Value> {
    [
        ("id", Value::from(format!("chatcmpl-{}", stamp.request_id))),
        ("object", object.into()),
        ("created", stamp.created_unix_s.into()),
        ("model", stamp.model.as_str().into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

pub(super) fn write_usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.cached_input_tokens },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
    })
}

pub(super) const fn original(text: String, holds: Holds) -> Original {
    Original {
        format: Format::OpenAi,
        text,
        holds,
    }
}

/// The choice whose text counts: where several were asked for, the one that says it is the first.
pub(super) fn first_choice<'a>(fields: &Fields<'a>) -> Result<Option<Fields<'a>>, Malformed> {
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
        match choice.find("index").map(Raw::get) {
            None | Some("0") => return Ok(Some(choice)),
            Some(_) => {}
        }
    }
    Ok(None)
}

/// The text of a choice, in its `message` or `delta`; a choice that only calls tools has none.
pub(super) fn read_text(choice: &Fields<'_>, holder: &str) -> Result<String, Malformed> {
    let Some(message) = choice.find(holder) else {
        return Ok(String::new());
    };
    let place = format_args!("choices[0].{holder}");
    let message = Fields::of_object(message, format_args!("`{place}`"))
        .map_err(|problem| problem.at(&place.to_string()))?;
    match message.find("content") {
        None => Ok(String::new()),
        Some(content) => read_content(content, format_args!("{place}.content"), Wanted::Text),
    }
}

pub(super) fn finish_of(choice: &Fields<'_>) -> Option<Finish> {
    let word = choice.find("finish_reason").and_then(string)?;
    Some(read_finish(&word))
}

/// Tokens as the provider counted them; unknown where it gave no two whole numbers. Details that are
/// none are no reason to do without those two.
pub(super) fn read_usage(fields: &Fields<'_>) -> Option<Usage> {
    let counted = Fields::of_object(fields.find("usage")?, "`usage`").ok()?;
    let count = |name: &str| counted.find(name).and_then(Raw::number);
    let detail = |of: &str, name: &str| {
        let details = Fields::of_object(counted.find(of)?, "").ok()?;
        details.find(name).and_then(Raw::number)
    };
    let (input, output) = (count("prompt_tokens")?, count("completion_tokens")?);
    // No prompt has none: this is a server that does not count.
    if input == 0 {
        return None;
    }
    // The latter is DeepSeek's own word.
    let cached = detail("prompt_tokens_details", "cached_tokens")
        .or_else(|| count("prompt_cache_hit_tokens"));
    let reasoning = detail("completion_tokens_details", "reasoning_tokens").unwrap_or_default();
    let mut usage = Usage::of(input, output);
    // Some, such as xAI, count reasoning beside the answer; their total tells. It is billed as output.
    let beside = usage.total().saturating_add(reasoning);
    let is_beside = count("total_tokens") == Some(beside);
    if is_beside || usage.output_tokens < reasoning {
        usage.output_tokens = usage.output_tokens.saturating_add(reasoning);
    }
    Some(Usage {
        cached_input_tokens: cached.unwrap_or_default().min(usage.input_tokens),
        reasoning_tokens: reasoning,
        ..usage
    })
}

#[cfg(test)]
mod tests;
