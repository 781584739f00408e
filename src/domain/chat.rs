//! Conversations, as no provider in particular writes them.
//!
//! A request or an answer keeps the text that it was read from. When it leaves in the format that it
//! came in, that text travels verbatim, so fields that semroute does not know reach the other side
//! byte for byte.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::domain::conversation::Part;

mod estimate;
mod in_text;
mod needs;

pub use estimate::estimated_tokens;
pub use in_text::InText;
pub use needs::{Need, Needs};

/// A wire format that a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Chat completions, as OpenAI defined them.
    OpenAi,
    /// Messages, as Anthropic defined them.
    Anthropic,
    /// Generated content, as Google defined it for Gemini.
    Gemini,
}

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The assistant asked for.
    pub model: String,
    /// The conversation so far.
    pub messages: Messages,
    /// Whether the answer is wanted piece by piece.
    pub delivery: Delivery,
    /// Whether a streamed answer should tell how many tokens it used.
    pub usage_report: UsageReport,
    /// The JSON Schema that the answer must satisfy, as the caller wrote it.
    pub schema: Option<Arc<str>>,
    /// What it asks for beside words.
    pub needs: InText<Needs>,
    /// The body, and where in it the model's name stands.
    pub original: OriginalRequest,
}

impl Request {
    /// What it asks for beside words. The first to ask has the body read for it.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// About how many tokens the prompt has: the texts of its messages, the descriptions of its tools,
    /// earlier calls to them and documents of plain text. Images, other documents and sound are not counted.
    pub fn tokens_estimate(&self) -> u64 {
        let beside = self.needs().beside_tokens;
        self.messages.tokens_estimate().saturating_add(beside)
    }
}

/// How an answer is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In one piece.
    Whole,
    /// Piece by piece, as server-sent events.
    Streamed,
}

/// Whether the caller of a stream wants to be told how many tokens it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageReport {
    /// It asked for it, or its format always tells.
    Wanted,
    /// It did not, and its client may not expect the piece that tells.
    Hidden,
}

/// A request's body, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct OriginalRequest {
    /// What it is written in.
    pub format: Format,
    /// The whole body.
    pub text: Arc<str>,
    /// Where the JSON value of `model` stands in it, quotes included.
    pub model_span: Range<usize>,
    /// Headers that belong to the format and travel with the body to a provider that speaks it.
    pub headers: Vec<(&'static str, String)>,
}

/// The turns of a conversation, read when somebody first asks for them.
#[derive(Clone)]
pub struct Messages {
    turns: InText<Vec<Message>>,
    tokens: OnceLock<u64>,
}

impl Messages {
    /// The turns that this reader finds in a text.
    pub const fn in_text(text: Arc<str>, read: fn(&str) -> Vec<Message>) -> Self {
        Self {
            turns: InText::of(text, read),
            tokens: OnceLock::new(),
        }
    }

    /// The same, by whoever wrote the text and knows what stands in it.
    #[must_use]
    pub(crate) fn known_to_be(self, turns: Vec<Message>) -> Self {
        Self {
            turns: self.turns.known_to_be(turns),
            ..self
        }
    }

    /// About how many tokens their texts have, with what stands around each. It is worked out once.
    pub fn tokens_estimate(&self) -> u64 {
        *self.tokens.get_or_init(|| {
            let texts = self.iter().map(|turn| estimated_tokens(&turn.text));
            texts.map(|n| n + estimate::TOKENS_PER_MESSAGE).sum()
        })
    }
}

impl Deref for Messages {
    type Target = [Message];

    fn deref(&self) -> &[Message] {
        &self.turns
    }
}

impl PartialEq for Messages {
    fn eq(&self, other: &Self) -> bool {
        self.turns == other.turns
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.turns.fmt(f)
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, text parts only, one after the other on lines of their own.
    pub text: String,
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The application's own instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What a tool returned.
    Tool,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text of the first choice.
    pub text: String,
    /// Why the model stopped.
    pub finish: Option<Finish>,
    /// Tokens that it used.
    pub usage: Option<Usage>,
    /// All of it.
    pub body: Body<Completion>,
}

/// A piece of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// What this piece adds to the text of the first choice.
    pub text: String,
    /// Why the model stopped, in the last piece.
    pub finish: Option<Finish>,
    /// Tokens that it used, usually in the last piece. A later count replaces an earlier one.
    pub usage: Option<Usage>,
    /// All of it.
    pub body: Body<Vec<Delta>>,
}

/// The whole of an answer or of a piece of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<T> {
    /// As it came, in the caller's own format: it travels verbatim.
    Original(Original),
    /// Understood, to be said in the caller's format.
    Read(T),
}

/// The text of an answer or of a piece of one, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Original {
    /// What it is written in.
    pub format: Format,
    /// The text.
    pub text: String,
    /// Whether there is anything in it but the count of tokens. Some formats put that into a piece
    /// of its own, which callers get only if they asked for it.
    pub holds: Holds,
}

/// What a piece of an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Something of the answer.
    Content,
    /// The count of tokens and nothing else.
    UsageOnly,
}

/// A whole answer, as no provider in particular writes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Completion {
    /// The provider's id for it.
    pub id: Option<String>,
    /// The provider's name for the model that answered.
    pub model: Option<String>,
    /// What the model said, thought and called, in order.
    pub parts: Vec<Part>,
}

/// What a piece of a streamed answer adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// Words.
    Text(String),
    /// Words that the model thinks aloud.
    Thought(String),
    /// By which the provider knows the thought before it again.
    ThoughtSignature(String),
    /// Words by which the model declines.
    Refusal(String),
    /// A call to a tool begins.
    ToolCallBegun {
        /// Which call of the answer it is, counted from 0.
        call_idx: usize,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
    },
    /// The call's arguments go on.
    ToolCallArguments {
        /// Which call of the answer it is.
        call_idx: usize,
        /// A piece of the text of a JSON object.
        json: String,
    },
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// One of the request's stop texts came up.
    StopText(Option<String>),
    /// The answer reached its limit of tokens.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// It declined, or its provider withheld the answer.
    Filtered,
    /// A word that only its provider's format has.
    Other(String),
}

/// Tokens that a call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Tokens of the prompt, those read from and written to the provider's cache included.
    pub input_tokens: u64,
    /// Tokens of the answer, those of its reasoning included.
    pub output_tokens: u64,
    /// Of the prompt's tokens, those that the provider had in its cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_input_tokens: u64,
    /// Of the prompt's tokens, those that the provider put into its cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Of the answer's tokens, those that the model thought with.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// Who counted.
    #[serde(skip_serializing_if = "Counter::is_provider")]
    pub counted_by: Counter,
}

/// Who counted the tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// The provider, whose bill it is.
    #[default]
    Provider,
    /// semroute, from the texts: the provider said nothing, so this is an estimate.
    Semroute,
}

impl Counter {
    /// Whether it was the provider.
    pub const fn is_provider(&self) -> bool {
        matches!(self, Self::Provider)
    }

    /// How it is written in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Semroute => "semroute",
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls it by"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// So many tokens, as the provider counted them.
    pub fn of(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            ..Self::default()
        }
    }

    /// Each count with its name in metrics: the third and the fourth are parts of the first, the last is
    /// a part of the second.
    pub const fn kinds(self) -> [(&'static str, u64); 5] {
        [
            ("input", self.input_tokens),
            ("output", self.output_tokens),
            ("cached_input", self.cached_input_tokens),
            ("cache_write", self.cache_write_tokens),
            ("reasoning", self.reasoning_tokens),
        ]
    }

    /// Both together.
    pub const fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
