//! Streamed answers, piece by piece, from a provider's format into the caller's.
//!
//! Readers and writers are little machines, since a piece may mean nothing without those before it:
//! some formats number the blocks of an answer and open and close each, some count tokens at both
//! ends of the stream.

use crate::domain::chat::{Chunk, UsageReport};
use crate::wire::{
    Depth, ErrorText, Inbound, Malformed, Outbound, Stamp, anthropic, gemini, openai,
};

/// What one event of a provider's streamed answer says.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// A piece of the answer.
    Chunk(Chunk),
    /// Nothing that anyone needs to hear.
    Idle,
    /// The answer is whole.
    Done,
    /// The provider gave up in the middle; its words.
    Failed(String),
}

/// Reads a provider's streamed answer.
#[derive(Debug)]
pub struct StreamReader(Reader);

/// One a format.
#[derive(Debug)]
enum Reader {
    OpenAi(openai::StreamReader),
    Anthropic(anthropic::StreamReader),
    Gemini(gemini::StreamReader),
}

impl Outbound {
    /// A reader for one streamed answer.
    pub fn stream_reader(self, depth: Depth) -> StreamReader {
        StreamReader(match self {
            Self::OpenAi => Reader::OpenAi(openai::StreamReader::new(depth)),
            Self::Anthropic => Reader::Anthropic(anthropic::StreamReader::new(depth)),
            Self::Gemini => Reader::Gemini(gemini::StreamReader::default()),
        })
    }
}

impl StreamReader {
    /// Reads the data of the next event.
    pub fn read(&mut self, data: String) -> Result<StreamEvent, Malformed> {
        match &mut self.0 {
            Reader::OpenAi(reader) => reader.read(data),
            Reader::Anthropic(reader) => reader.read(data),
            Reader::Gemini(reader) => reader.read(&data),
        }
    }
}

/// Writes a streamed answer for a caller, as server-sent events.
#[derive(Debug)]
pub struct StreamWriter(Writer);

/// One a format.
#[derive(Debug)]
enum Writer {
    OpenAi(openai::StreamWriter),
    Anthropic(anthropic::StreamWriter),
}

impl Inbound {
    /// A writer for one streamed answer.
    pub fn stream_writer(self, stamp: Stamp, usage: UsageReport) -> StreamWriter {
        StreamWriter(match self {
            Self::OpenAi => Writer::OpenAi(openai::StreamWriter::new(stamp, usage)),
            // This format always tells.
            Self::Anthropic => Writer::Anthropic(anthropic::StreamWriter::new(stamp)),
        })
    }
}

impl StreamWriter {
    /// The events that tell a piece; there may be none. Pieces must come in order.
    pub fn write(&mut self, chunk: Chunk) -> String {
        match &mut self.0 {
            Writer::OpenAi(writer) => writer.write(chunk),
            Writer::Anthropic(writer) => writer.write(chunk),
        }
    }

    /// The events that end an answer. `comment` is written before the last, for whoever reads
    /// comments.
    pub fn end(self, comment: &str) -> String {
        match self.0 {
            Writer::OpenAi(writer) => writer.end(comment),
            Writer::Anthropic(writer) => writer.end(comment),
        }
    }

    /// The event that tells that the answer broke off. No end follows, so that no client takes it
    /// for whole.
    pub fn fail(self, error: &ErrorText<'_>) -> String {
        match self.0 {
            Writer::OpenAi(_) => openai::StreamWriter::fail(error),
            Writer::Anthropic(_) => anthropic::StreamWriter::fail(error),
        }
    }
}
