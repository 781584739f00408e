//! Wire formats: how conversations are written down.
//!
//! A dialect is a set of pure functions that read and write one format, both ways: the gateway reads
//! requests and writes answers with it, a provider writes requests and reads answers. A format is
//! one folder here and one line in each `match` below; the compiler names every place that misses.
//!
//! What leaves in the format that it came in travels verbatim, except for the few places that must
//! change; those are edited in the text, never by parsing and printing it again.

use std::time::Duration;

use crate::domain::chat::{Answer, Chunk, Delivery, Format, Request};
use crate::domain::event::Failure;

mod json;
mod openai;
pub mod sse;

/// A wire format that semroute can read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions, as OpenAI defined them.
    OpenAi,
}

/// A text that is not what its format asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// The field at fault, where one is.
    pub param: Option<String>,
    /// What is wrong, with the value and the remedy; fit for the caller to read.
    pub message: String,
}

impl Malformed {
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

/// What a text that was made here says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The id of the answer; every piece of a streamed answer bears the same.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// The model that is said to have answered.
    pub model: String,
}

/// What one event of a streamed answer says.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// A piece of the answer.
    Chunk(Chunk),
    /// The answer is whole.
    Done,
    /// The provider gave up in the middle; its words.
    Failed(String),
}

/// Where a piece stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// It opens the answer and names its role.
    First,
    /// Something came before it.
    Later,
}

impl Dialect {
    /// The dialect of a format.
    pub const fn of(format: Format) -> Self {
        match format {
            Format::OpenAi => Self::OpenAi,
        }
    }

    /// The format that it reads and writes.
    pub const fn format(self) -> Format {
        match self {
            Self::OpenAi => Format::OpenAi,
        }
    }

    /// Where requests go, after a provider's base address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/chat/completions",
        }
    }

    /// Reads a caller's request.
    pub fn read_request(self, body: &[u8]) -> Result<Request, Malformed> {
        match self {
            Self::OpenAi => openai::read_request(body),
        }
    }

    /// Writes a request for a provider, to be answered by `model` in the way that `delivery` says,
    /// which need not be the way the caller asked for: a draft to be checked is wanted whole.
    pub fn write_request(self, request: &Request, model: &str, delivery: Delivery) -> String {
        match self {
            Self::OpenAi => openai::write_request(request, model, delivery),
        }
    }

    /// Reads a provider's whole answer.
    pub fn read_answer(self, text: &str) -> Result<Answer, Malformed> {
        match self {
            Self::OpenAi => openai::read_answer(text),
        }
    }

    /// Writes a whole answer for the caller: the provider's own text, where it is in this format.
    pub fn write_answer(self, answer: &Answer, stamp: &Stamp) -> String {
        match self {
            Self::OpenAi => openai::write_answer(answer, stamp),
        }
    }

    /// Reads the data of one event of a provider's streamed answer.
    pub fn read_event(self, data: &str) -> Result<StreamEvent, Malformed> {
        match self {
            Self::OpenAi => openai::read_event(data),
        }
    }

    /// Writes the data of one event of a streamed answer: the provider's own text, where it is in
    /// this format.
    pub fn write_chunk(self, chunk: &Chunk, stamp: &Stamp, position: Position) -> String {
        match self {
            Self::OpenAi => openai::write_chunk(chunk, stamp, position),
        }
    }

    /// The data of the event that ends a streamed answer.
    pub const fn stream_end(self) -> &'static str {
        match self {
            Self::OpenAi => openai::STREAM_END,
        }
    }

    /// Reads what a provider answered instead of an answer. `status` is any but 2xx.
    pub fn read_failure(self, status: u16, body: &str, retry_after: Option<Duration>) -> Failure {
        match self {
            Self::OpenAi => openai::read_failure(status, body, retry_after),
        }
    }

    /// Writes an error in the words of the format.
    pub fn write_error(self, error: &ErrorText<'_>) -> String {
        match self {
            Self::OpenAi => openai::write_error(error),
        }
    }
}

/// The parts of an error that a caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorText<'a> {
    /// One sentence that says what to do.
    pub message: &'a str,
    /// The class of the error, such as `invalid_request_error`.
    pub kind: &'a str,
    /// The field at fault.
    pub param: Option<&'a str>,
    /// The error's own name, such as `model_not_found`.
    pub code: Option<&'a str>,
}
