//! Wire formats: how conversations are written down.
//!
//! A dialect is a set of pure functions over one format. Callers speak an [`Inbound`] dialect: the
//! gateway reads requests and writes answers, pieces and errors in it. Providers speak an
//! [`Outbound`] one: requests are written and answers, pieces and errors are read in it. A format is
//! one folder here and one line in each `match` below; the compiler names every place that misses.
//!
//! What leaves in the format that it came in travels verbatim, except for the few places that must
//! change; those are edited in the text, never by parsing and printing it again. Between two formats
//! everything is read into the words of [`crate::domain::conversation`] and written anew. What the
//! other format cannot say is listed by the name of its field, and refused where leaving it out
//! would change what was asked.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::chat::{Answer, Delivery, Format, Request};
use crate::domain::conversation::Conversation;
use crate::domain::event::Failure;

mod anthropic;
mod edit;
pub mod embeddings;
mod failure;
mod gemini;
mod json;
mod object;
mod openai;
pub mod overrides;
mod path;
mod rewrite;
mod shared_fields;
mod signed_id;
pub mod sse;
mod stream;

pub use anthropic::{Countable, read_countable};
pub use openai::azure_path;
pub use stream::{StreamEvent, StreamReader, StreamWriter};

/// A format that callers may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// Chat completions, as OpenAI defined them.
    OpenAi,
    /// Messages, as Anthropic defined them.
    Anthropic,
}

/// A format that providers may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// Chat completions, as OpenAI defined them.
    OpenAi,
    /// Messages, as Anthropic defined them.
    Anthropic,
    /// Generated content, as Google defined it for Gemini.
    Gemini,
}

/// A text that is not what its format asks for, or says what another format cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// The field at fault, where one is.
    pub param: Option<String>,
    /// What is wrong, with the value and the remedy; fit for the caller to read.
    pub message: String,
}

impl Malformed {
    /// This is wrong with that field.
    fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            message: message.into(),
        }
    }

    /// The same problem, said of this place.
    fn at(self, place: &str) -> Self {
        Self {
            param: Some(place.to_owned()),
            ..self
        }
    }

    /// The same problem, said of the same field within this place.
    fn within(self, place: &str) -> Self {
        let param = match self.param {
            Some(field) => format!("{place}.{field}"),
            None => place.to_owned(),
        };
        Self {
            message: format!("in `{place}`: {}", self.message),
            param: Some(param),
        }
    }
}

/// A request that says no more than this text, in OpenAI's format.
pub fn question(asked: &str, text: &str) -> Result<Request, Malformed> {
    openai::question(asked, text)
}

/// A request that says no more than these messages, in OpenAI's format.
pub fn conversation(asked: &str, messages: &RawValue) -> Result<Request, Malformed> {
    openai::conversation(asked, messages)
}

/// What a text that was made here says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The request's id, from which the id of the answer is made.
    pub request_id: String,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// The model that is said to have answered.
    pub model: String,
}

/// How a request is to be written for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing<'a> {
    /// What the provider calls the model.
    pub model: &'a str,
    /// How the answer should come, which need not be the way the caller asked for: a draft to be
    /// checked is wanted whole.
    pub delivery: Delivery,
    /// What the server wants beyond its format.
    pub manners: Manners,
}

/// How servers of one format differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// How a streamed answer comes to tell its count of tokens.
    pub stream_usage: StreamUsage,
    /// What the limit of tokens is called.
    pub length_field: LengthField,
}

/// How a streamed answer comes to tell its count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUsage {
    /// If `stream_options.include_usage` asks for it.
    OnDemand,
    /// Always or never; the server may refuse a request that has the option.
    Untold,
}

/// What the limit of tokens is called in OpenAI's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthField {
    /// `max_completion_tokens`, which OpenAI's newer models insist on.
    MaxCompletionTokens,
    /// `max_tokens`, which everybody else knows.
    MaxTokens,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            stream_usage: StreamUsage::OnDemand,
            length_field: LengthField::MaxCompletionTokens,
        }
    }
}

/// A request as another format's reader understood it.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    /// What it asks for.
    pub conversation: Conversation,
    /// Fields that nothing here has a word for.
    pub dropped: Vec<String>,
}

/// A request, written for a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The body.
    pub body: String,
    /// Fields of the caller's request that have no counterpart there, by their names in it.
    pub dropped: Vec<String>,
}

/// How much of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its text, why it ended and what it used; the rest travels as it came.
    Facts,
    /// All of it, to be written in another format.
    Everything,
}

impl Inbound {
    /// The format that it reads and writes.
    pub const fn format(self) -> Format {
        match self {
            Self::OpenAi => Format::OpenAi,
            Self::Anthropic => Format::Anthropic,
        }
    }

    /// Headers of a request that belong to the format and travel with its body.
    pub const fn own_headers(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &[],
            Self::Anthropic => &["anthropic-version", "anthropic-beta"],
        }
    }

    /// The header by which clients of the format learn a request's id.
    pub const fn request_id_header(self) -> &'static str {
        match self {
            Self::OpenAi => "x-request-id",
            Self::Anthropic => "request-id",
        }
    }

    /// Reads of a caller's request what routing needs.
    pub fn read_request(self, body: &[u8]) -> Result<Request, Malformed> {
        match self {
            Self::OpenAi => openai::read_request(body),
            Self::Anthropic => anthropic::read_request(body),
        }
    }

    /// Reads all of a request that [`Inbound::read_request`] has read.
    fn read_conversation(self, text: &str) -> Result<Understood, Malformed> {
        match self {
            Self::OpenAi => openai::read_conversation(text),
            Self::Anthropic => anthropic::read_conversation(text),
        }
    }

    /// Writes a whole answer: the provider's own text, where it is in this format.
    pub fn write_answer(self, answer: Answer, stamp: &Stamp) -> String {
        match self {
            Self::OpenAi => openai::write_answer(answer, stamp),
            Self::Anthropic => anthropic::write_answer(answer, stamp),
        }
    }

    /// The `type` of an error of this status.
    pub const fn error_kind(self, status: u16) -> &'static str {
        match self {
            Self::OpenAi => openai::error_kind(status),
            Self::Anthropic => anthropic::error_kind(status),
        }
    }

    /// Writes an error.
    pub fn write_error(self, error: &ErrorText<'_>) -> String {
        match self {
            Self::OpenAi => openai::write_error(error),
            Self::Anthropic => anthropic::write_error(error),
        }
    }
}

impl Outbound {
    /// The format that it reads and writes.
    pub const fn format(self) -> Format {
        match self {
            Self::OpenAi => Format::OpenAi,
            Self::Anthropic => Format::Anthropic,
            Self::Gemini => Format::Gemini,
        }
    }

    /// How much of an answer must be read for a caller who speaks this format.
    pub fn depth_for(self, caller: Format) -> Depth {
        if self.format() == caller {
            Depth::Facts
        } else {
            Depth::Everything
        }
    }

    /// Headers that every request has, unless its caller or the operator says otherwise.
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenAi | Self::Gemini => &[],
            Self::Anthropic => &[("anthropic-version", "2023-06-01")],
        }
    }

    /// Where requests go, after a provider's base address.
    pub fn path(self, writing: &Writing<'_>) -> String {
        match self {
            Self::OpenAi => "/chat/completions".to_owned(),
            Self::Anthropic => "/messages".to_owned(),
            Self::Gemini => gemini::path(writing),
        }
    }

    /// Writes a request for a provider.
    pub fn write_request(
        self,
        request: &Request,
        writing: &Writing<'_>,
    ) -> Result<Written, Malformed> {
        match self.edited(request, writing) {
            Some(written) => Ok(written),
            None => self.translated(request, writing, |_| ()),
        }
    }

    /// The request in words that the provider's format has, with changes that the caller did not write.
    fn translated(
        self,
        request: &Request,
        writing: &Writing<'_>,
        change: impl FnOnce(&mut Conversation),
    ) -> Result<Written, Malformed> {
        let Some(caller) = Inbound::of(request.original.format) else {
            let message = "no caller speaks the format of this request".to_owned();
            return Err(Malformed {
                param: None,
                message,
            });
        };
        let mut understood = caller.read_conversation(&request.original.text)?;
        change(&mut understood.conversation);
        let mut written = self.write_conversation(&understood.conversation, writing)?;
        written.dropped.extend(understood.dropped);
        written.dropped.sort_unstable();
        written.dropped.dedup();
        Ok(written)
    }

    /// The caller's own text with what must change, where the provider speaks the caller's format.
    fn edited(self, request: &Request, writing: &Writing<'_>) -> Option<Written> {
        match (Inbound::of(request.original.format)?, self) {
            (Inbound::OpenAi, Self::OpenAi) => Some(Written {
                body: openai::edit_request(request, writing),
                dropped: Vec::new(),
            }),
            (Inbound::Anthropic, Self::Anthropic) => {
                Some(anthropic::edit_request(request, writing))
            }
            (Inbound::OpenAi, Self::Anthropic | Self::Gemini)
            | (Inbound::Anthropic, Self::OpenAi | Self::Gemini) => None,
        }
    }

    fn write_conversation(
        self,
        conversation: &Conversation,
        writing: &Writing<'_>,
    ) -> Result<Written, Malformed> {
        match self {
            Self::OpenAi => openai::write_conversation(conversation, writing),
            Self::Anthropic => anthropic::write_conversation(conversation, writing),
            Self::Gemini => gemini::write_conversation(conversation, writing),
        }
    }

    /// Reads a provider's whole answer.
    pub fn read_answer(self, text: String, depth: Depth) -> Result<Answer, Malformed> {
        match self {
            Self::OpenAi => openai::read_answer(text, depth),
            Self::Anthropic => anthropic::read_answer(text, depth),
            // No caller speaks it, so it is always read whole.
            Self::Gemini => gemini::read_answer(&text),
        }
    }

    /// Reads what a provider answered instead of an answer. `status` is any but 2xx.
    pub fn read_failure(self, status: u16, body: &str, retry_after: Option<Duration>) -> Failure {
        let told = match self {
            Self::OpenAi => openai::read_error(status, body),
            Self::Anthropic => anthropic::read_error(status, body),
            Self::Gemini => gemini::read_error(status, body),
        };
        told.into_failure(&failure::Refused {
            format: self.format(),
            status,
            body,
            retry_after,
        })
    }
}

impl Inbound {
    /// The dialect of a format, if callers may speak it.
    pub const fn of(format: Format) -> Option<Self> {
        match format {
            Format::OpenAi => Some(Self::OpenAi),
            Format::Anthropic => Some(Self::Anthropic),
            Format::Gemini => None,
        }
    }
}

/// The parts of an error that a caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorText<'a> {
    /// The HTTP status.
    pub status: u16,
    /// One sentence that says what to do.
    pub message: &'a str,
    /// The field at fault.
    pub param: Option<&'a str>,
    /// The error's own name, such as `model_not_found`.
    pub code: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
}
