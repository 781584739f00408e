//! A whole conversation, as no provider in particular writes it.
//!
//! It is built only when a request goes to a provider that speaks another format than the caller:
//! then everything must be understood, field by field, to be said in other words. A request that
//! leaves in the format that it came in is never read this far.
//!
//! Only what at least two formats can say has a place here. What a reader finds and cannot place,
//! it lists by name, so that nothing is lost in silence.

use serde_json::Value;

/// Everything that a request asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// Instructions that stand before all turns and that the caller did not write.
    pub instructions: Option<String>,
    /// The turns so far, instructions of the application included, in the caller's order.
    pub turns: Vec<Turn>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it should call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at a time.
    pub parallel_tool_calls: Option<ParallelCalls>,
    /// How it should choose its words.
    pub sampling: Sampling,
    /// What form the answer must have.
    pub structure: Option<Structure>,
    /// How long it should think.
    pub thinking: Option<Thinking>,
    /// How many answers are wanted; one, unless told otherwise.
    pub choices: Option<u64>,
    /// Whether the answer should say how probable its tokens were, and how many alternatives to
    /// each are wanted.
    pub logprobs: Option<u64>,
    /// The caller's own name for the person who asks, for the provider's abuse checks.
    pub user: Option<String>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said and done in it.
    pub parts: Vec<Part>,
}

/// Who speaks in a turn. What tools returned is a part of the user's turn or a turn of its own, as
/// the format has it; here it is a part wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The application's own instructions.
    System,
    /// The person, or the application on her behalf: results of tools too.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn or of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image(Source),
    /// A document, a PDF as a rule.
    Document {
        /// Where it is.
        source: Source,
        /// Its file name, where one is told.
        name: Option<String>,
    },
    /// A recording.
    Audio(Source),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool returned.
    ToolResult(ToolResult),
    /// The model thinks aloud.
    Thought {
        /// Its words.
        text: String,
        /// By which its provider knows its own words again; opaque, and worth nothing elsewhere.
        signature: Option<String>,
    },
    /// The model declines.
    Refusal(String),
}

/// Where the bytes of something other than text are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At an address that the provider can fetch.
    Url(String),
    /// Here.
    Inline {
        /// Their kind, such as `image/png`.
        media_type: String,
        /// In base64, with the standard alphabet.
        base64: String,
    },
}

/// A call to a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// By which its result refers to it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the text of a JSON object.
    pub arguments: String,
}

/// What a tool returned.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// Words and pictures.
    pub content: Vec<Part>,
    /// Whether the tool worked.
    pub status: ToolStatus,
}

/// Whether a tool worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolStatus {
    /// It did, or nobody said otherwise.
    Worked,
    /// It did not.
    Failed,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON Schema of its arguments; `None` where it takes none.
    pub parameters: Option<Value>,
    /// Whether the arguments must satisfy the schema to the letter, where the format can say so.
    pub strict: Option<bool>,
}

/// Which tools the model should call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    Nothing,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// Whether the model may call several tools at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParallelCalls {
    /// It may.
    Allowed,
    /// One call at a time.
    Forbidden,
}

/// How the model should choose its words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// The most tokens of the answer, its reasoning included.
    pub tokens_max: Option<u64>,
    /// Spread of the distribution.
    pub temperature: Option<f64>,
    /// Share of the distribution's mass that is kept.
    pub top_p: Option<f64>,
    /// Tokens of the distribution that are kept.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// What chance follows from.
    pub seed: Option<i64>,
    /// How far words that occurred are avoided.
    pub presence_penalty: Option<f64>,
    /// How far words are avoided by how often they occurred.
    pub frequency_penalty: Option<f64>,
}

/// What form an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Structure {
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    Schema {
        /// What the schema is called, where the format has a name for it.
        name: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// Whether it must be satisfied to the letter, where the format can say so.
        strict: Option<bool>,
    },
}

/// How long the model should think before it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Off,
    /// As long as it likes.
    Adaptive,
    /// About so hard.
    Effort(Effort),
    /// At most so many tokens.
    Budget(u64),
}

/// How hard the model should think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Next to nothing.
    Minimal,
    /// Little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    Max,
}
