//! Answers of generated content, and what they share with the pieces of one.
//!
//! A whole answer and a piece of one have the same shape. Parts that are neither words, thoughts nor
//! calls (code that the provider ran, for one) come only if a request asks for them, which none that
//! is written here does.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::chat::{Answer, Body, Completion, Finish, Usage};
use crate::domain::conversation::{Part, ToolCall};
use crate::wire::gemini::failure;
use crate::wire::{Malformed, signed_id};

/// The longest part of an answer's id that goes into the ids of its calls. With it they stay below the
/// 40 characters that some providers allow, to whom the conversation may go next.
const ANSWER_ID_CHARS_MAX: usize = 28;

/// An answer, or a piece of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<Box<RawValue>>,
    model_version: Option<String>,
    #[serde(rename = "responseId")]
    id: Option<String>,
    error: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
    index: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Content {
    parts: Option<Vec<ContentPart>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContentPart {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    args: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

impl Response {
    /// Reads the text of an answer or of a piece of one.
    pub(super) fn of(text: &str, place: &str) -> Result<Self, Malformed> {
        serde_json::from_str(text).map_err(|error| Malformed {
            param: None,
            message: format!("{place} cannot be read: {error}"),
        })
    }

    /// The provider's words, if this is an error.
    pub(super) fn error(&self) -> Option<String> {
        self.error.as_ref().map(|error| failure::words(error.get()))
    }

    /// Whether there is an answer in it, or the reason why there is none.
    fn says_anything(&self) -> bool {
        self.candidate().is_some() || self.is_blocked()
    }

    /// The prompt was refused before any model saw it.
    fn is_blocked(&self) -> bool {
        let feedback = self.prompt_feedback.as_ref();
        feedback.is_some_and(|feedback| feedback.block_reason.is_some())
    }

    fn candidate(&self) -> Option<&Candidate> {
        let mut candidates = self.candidates.iter().flatten();
        candidates.find(|candidate| candidate.index.unwrap_or_default() == 0)
    }

    /// What it holds, in order. `n_calls_before` calls came in earlier pieces of the same answer.
    pub(super) fn parts(&self, n_calls_before: usize) -> Vec<Part> {
        let content = self.candidate().and_then(|it| it.content.as_ref());
        let given = content.and_then(|content| content.parts.as_deref());
        let mut n_calls = n_calls_before;
        let mut parts = Vec::new();
        for part in given.unwrap_or_default() {
            if let Some(call) = &part.function_call {
                parts.push(Part::ToolCall(self.call(call, part, n_calls)));
                n_calls += 1;
            }
            let Some(text) = part.text.clone().filter(|text| !text.is_empty()) else {
                continue;
            };
            parts.push(if part.thought == Some(true) {
                let signature = None;
                Part::Thought { text, signature }
            } else {
                Part::Text(text)
            });
        }
        parts
    }

    fn call(&self, call: &FunctionCall, part: &ContentPart, call_idx: usize) -> ToolCall {
        let given = call.id.as_deref();
        let given = given.filter(|id| !id.is_empty() && !id.contains(signed_id::MARK));
        let id = given.map_or_else(|| self.id_of_call(call_idx), str::to_owned);
        ToolCall {
            id: match &part.thought_signature {
                Some(signature) => signed_id::sign(&id, signature),
                None => id,
            },
            name: call.name.clone(),
            arguments: call
                .args
                .as_ref()
                .map_or_else(|| "{}".to_owned(), |args| compact(args.get())),
        }
    }

    /// An id for a call that the provider gave none: unlike those of other answers, and the same
    /// however often the answer is read.
    fn id_of_call(&self, call_idx: usize) -> String {
        let answer = self.id.as_deref().unwrap_or_default();
        let fit = answer
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(ANSWER_ID_CHARS_MAX);
        let answer: String = fit.collect();
        match answer.as_str() {
            "" => format!("call_{call_idx}"),
            answer => format!("call_{call_idx}_{answer}"),
        }
    }

    /// Why the model stopped. An answer that calls tools ends with the word of one that does not.
    pub(super) fn finish(&self, n_calls: usize) -> Option<Finish> {
        if self.is_blocked() {
            return Some(Finish::Filtered);
        }
        let word = self.candidate()?.finish_reason.as_deref()?;
        match word {
            "FINISH_REASON_UNSPECIFIED" => None,
            "STOP" if 0 < n_calls => Some(Finish::ToolCalls),
            "STOP" => Some(Finish::Stop),
            "MAX_TOKENS" => Some(Finish::Length),
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Some(Finish::Filtered),
            other => Some(Finish::Other(other.to_owned())),
        }
    }

    /// Tokens as the provider counted them; unknown where it gave no whole numbers. Thoughts and what
    /// its own tools read are counted apart there.
    pub(super) fn usage(&self) -> Option<Usage> {
        #[derive(Deserialize)]
        struct Counted {
            #[serde(rename = "promptTokenCount")]
            prompt: u64,
            #[serde(rename = "toolUsePromptTokenCount", default)]
            tool_use: u64,
            #[serde(rename = "cachedContentTokenCount", default)]
            cached: u64,
            #[serde(rename = "candidatesTokenCount", default)]
            answer: u64,
            #[serde(rename = "thoughtsTokenCount", default)]
            thoughts: u64,
        }

        let counted: Counted = serde_json::from_str(self.usage_metadata.as_ref()?.get()).ok()?;
        Some(Usage {
            cached_input_tokens: counted.cached,
            reasoning_tokens: counted.thoughts,
            ..Usage::of(
                counted.prompt.saturating_add(counted.tool_use),
                counted.answer.saturating_add(counted.thoughts),
            )
        })
    }
}

/// A JSON text without the blanks between its values: whole answers are indented.
fn compact(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    let (mut is_text, mut is_escaped) = (false, false);
    for char in json.chars() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            ' ' | '\t' | '\r' | '\n' if !is_text => continue,
            _ => {}
        }
        written.push(char);
    }
    written
}

/// How many of these parts are calls.
pub(super) fn n_calls(parts: &[Part]) -> usize {
    let is_call = |part: &&Part| matches!(part, Part::ToolCall(_));
    parts.iter().filter(is_call).count()
}

/// The words in these parts.
pub(super) fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

pub(crate) fn read_answer(text: &str) -> Result<Answer, Malformed> {
    let response = Response::of(text, "the answer")?;
    if let Some(words) = response.error() {
        let message = format!("the answer is an error under a status of success: {words}");
        return Err(Malformed::new("error", message));
    }
    if !response.says_anything() {
        return Err(Malformed::new(
            "candidates",
            "the answer has no `candidates`",
        ));
    }
    let parts = response.parts(0);
    Ok(Answer {
        text: text_of(&parts),
        finish: response.finish(n_calls(&parts)),
        usage: response.usage(),
        body: Body::Read(Completion {
            id: response.id,
            model: response.model_version,
            parts,
        }),
    })
}

#[cfg(test)]
mod tests;
