//! The record of one request: what came, what was decided and why, who was asked, what it cost.
//!
//! It is the only source of the log line, the metrics and the response headers, so the three cannot
//! disagree. It stands among the words, below the modules that observe and write it, and holds
//! nothing but words. Readers of the JSON ignore fields that they do not know; `version` rises when
//! a field changes its meaning.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::caller::{ConversationId, Metadata, Tenant};
use crate::domain::chat::Usage;
use crate::domain::complexity::Rating;
use crate::domain::decision::{Decided, Undecided};
use crate::domain::event::{ErrorType, Escalation, Failover, FailoverReason, Purpose, Verdict};
use crate::domain::name::{AssistantName, IntentName, ModelName};
use crate::domain::quantity::PicoUsd;
use crate::domain::standing::Refusal;

/// The version of the record's schema.
pub const RECORD_VERSION: u32 = 2;

/// Everything that is known of one request.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Record {
    /// The version of this schema.
    pub version: u32,
    /// The id that the caller was told.
    pub request_id: String,
    /// When it came, RFC 3339, UTC.
    pub time: WallTime,
    /// The path asked.
    pub endpoint: &'static str,
    /// On whose behalf; nobody's, if the key was missing or is not known.
    pub tenant: Option<Tenant>,
    /// What the caller says of the request, for its own books.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The conversation that the request belongs to, as the caller calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The assistant asked for, once it is known to exist.
    pub assistant: Option<AssistantName>,
    /// Digest of the configuration in force.
    #[serde(serialize_with = "shared")]
    pub config_digest: Arc<str>,
    /// Digest of the centroids in force.
    #[serde(serialize_with = "shared")]
    pub centroid_digest: Arc<str>,
    /// The encoder in use.
    #[serde(serialize_with = "shared")]
    pub encoder: Arc<EncoderUsed>,
    /// The prompt, as far as the log's policy keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What of it was embedded.
    pub text: Option<TextUsed>,
    /// The nearest intents.
    pub intent: Option<Intent>,
    /// How much the prompt asks of a model, where that was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<Rating>,
    /// The route and why.
    pub decision: Option<Box<Decided>>,
    /// The route that has nobody to ask, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Box<Undecided>>,
    /// Every call to a model, in order.
    pub attempts: Vec<Attempt>,
    /// What the checks found, in order.
    pub verdicts: Vec<Verdict>,
    /// Drafts that failed a check.
    pub escalations: Vec<Escalation>,
    /// Targets that could not answer.
    pub failovers: Vec<Failover>,
    /// Targets that were not asked, since they had no room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Time per stage.
    pub timings: Timings,
    /// What the answers cost together; unknown as soon as one part is.
    pub cost_usd: Cost,
    /// Whether any answer came from a simulated model.
    pub simulated: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// What many records share is written into each.
fn shared<T: Serialize + ?Sized, S: Serializer>(
    value: &Arc<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.serialize(serializer)
}

/// A time of day, as the time since 1970 in UTC. It is written out only where somebody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WallTime(pub Duration);

/// RFC 3339 in UTC, to the millisecond.
impl std::fmt::Display for WallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            // Past the year 9999.
            Err(_) => Ok(()),
        }
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which encoder embedded the prompt, or would have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EncoderUsed {
    /// The model's name.
    pub name: String,
    /// Digest of its weights.
    pub digest: String,
    /// The arithmetic in use.
    pub kernel: String,
}

/// How much text was embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextUsed {
    /// Tokens that the encoder saw.
    pub tokens: usize,
    /// Windows that they were split into.
    pub windows: usize,
    /// Whether the prompt went on past the last window.
    pub truncated: bool,
    /// How many prompts the encoder worked on together, this one included.
    pub batch_size: usize,
}

/// Where the prompt lies among the intents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intent {
    /// The nearest intent.
    pub name: IntentName,
    /// The calibrated probability that a prompt in scope belongs to it, 0 to 1.
    pub score: f32,
    /// How far the second's probability is behind.
    pub margin: f32,
    /// The cosine with the mean of the intent's training prompts, −1 to 1.
    pub similarity: f32,
    /// How clearly the prompt belongs to any intent at all; more is clearer.
    pub scope_score: f32,
    /// The share of training prompts in scope that, held out, belonged less clearly: the conformal
    /// p-value of being in scope, 0 to 1.
    pub p_value: f32,
    /// Below this scope score a prompt is out of scope.
    pub threshold: f32,
    /// Whether it is.
    pub out_of_scope: bool,
    /// The intents behind the first.
    pub runners_up: Vec<RunnerUp>,
    /// Which encoder it rests on; not written where it is the main one, as nearly always.
    #[serde(skip_serializing_if = "IntentEncoder::is_main")]
    pub encoder: IntentEncoder,
}

/// Which encoder an intent rests on. Scores of the two are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentEncoder {
    /// The one that the configuration names.
    #[default]
    Main,
    /// Its static encoder, while it had too much to do.
    Static,
}

impl IntentEncoder {
    /// Whether it is the one that the configuration names.
    pub const fn is_main(&self) -> bool {
        matches!(self, Self::Main)
    }
}

/// An intent that was not the nearest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunnerUp {
    /// The intent.
    pub name: IntentName,
    /// Its probability.
    pub score: f32,
}

/// One call to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// Who was asked.
    pub target: ModelName,
    /// What for.
    pub purpose: Purpose,
    /// How it went.
    pub result: AttemptResult,
    /// The provider's HTTP status, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Tokens, as the provider counted them.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost_usd: Cost,
    /// Time to the first token, in milliseconds.
    pub ttft_ms: Option<f64>,
    /// Mean time between output tokens after the first, those of reasoning left out, in milliseconds.
    pub tpot_ms: Option<f64>,
    /// From call to end, in milliseconds.
    pub total_ms: f64,
    /// Fields of the request that the provider was not told, since its wire format has no word for
    /// them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// What the operator sets differently for this model, by its keys in the configuration; never a
    /// value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
}

impl Attempt {
    /// A call that begins. Until it is told otherwise, it counts as abandoned.
    pub const fn begun(target: ModelName, purpose: Purpose) -> Self {
        Self {
            target,
            purpose,
            result: AttemptResult::Abandoned,
            status: None,
            usage: None,
            cost_usd: Cost::Unknown,
            ttft_ms: None,
            tpot_ms: None,
            total_ms: 0.0,
            dropped: Vec::new(),
            overridden: Vec::new(),
        }
    }
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "reason")]
pub enum AttemptResult {
    /// The answer came whole.
    Answered,
    /// The target could not answer.
    Failed(FailoverReason),
    /// The provider refused the request.
    Rejected,
    /// The provider was not asked: its wire format cannot say what the request asks for.
    Unsayable,
    /// The caller left before the answer was whole.
    Abandoned,
}

/// Money, where the price and the tokens are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// So much.
    Known(PicoUsd),
    /// The price or the tokens are not known. It is never written as 0.
    Unknown,
}

impl Default for Cost {
    fn default() -> Self {
        Self::Known(PicoUsd::ZERO)
    }
}

impl Cost {
    /// Both together, unknown as soon as one is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(left), Self::Known(right)) => Self::Known(left + right),
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(amount) => amount.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(amount) => amount.serialize(serializer),
            Self::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

/// Time per stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Waiting for the encoder.
    pub queue: Duration,
    /// In the encoder, with the rest of its batch.
    pub encode: Duration,
    /// Finding the nearest intent.
    pub classify: Duration,
    /// Choosing the route.
    pub decide: Duration,
    /// Checking drafts.
    pub verify: Duration,
    /// Waiting for providers.
    pub upstream: Duration,
    /// From the request's arrival to the end of the answer.
    pub total: Duration,
}

impl Timings {
    /// What semroute itself added.
    pub const fn overhead(&self) -> Duration {
        self.total.saturating_sub(self.upstream)
    }
}

/// A duration in milliseconds, to the microsecond.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 microseconds are 285 years"
)]
pub fn as_millis(duration: Duration) -> f64 {
    as_micros(duration) as f64 / 1e3
}

/// A duration in microseconds, rounded.
pub fn as_micros(duration: Duration) -> u64 {
    let rounded = duration.saturating_add(Duration::from_nanos(500));
    u64::try_from(rounded.as_micros()).unwrap_or(u64::MAX)
}

impl Serialize for Timings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Timings", 8)?;
        fields.serialize_field("queue_ms", &as_millis(self.queue))?;
        fields.serialize_field("encode_ms", &as_millis(self.encode))?;
        fields.serialize_field("classify_ms", &as_millis(self.classify))?;
        fields.serialize_field("decide_ms", &as_millis(self.decide))?;
        fields.serialize_field("verify_ms", &as_millis(self.verify))?;
        fields.serialize_field("upstream_ms", &as_millis(self.upstream))?;
        fields.serialize_field("total_ms", &as_millis(self.total))?;
        fields.serialize_field("overhead_ms", &as_millis(self.overhead()))?;
        fields.end()
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// Not yet.
    #[default]
    Pending,
    /// The caller got an answer.
    Answered,
    /// The caller got the decision that was asked for.
    Decided,
    /// The caller got a draft that no check accepted, marked as such.
    AnsweredRejected,
    /// The caller got an error.
    Failed {
        /// The HTTP status.
        status: u16,
        /// Whose fault it was.
        error_type: ErrorType,
        /// The error's code.
        code: &'static str,
    },
    /// The caller left.
    Abandoned,
}

impl Record {
    /// The call whose answer the caller gets: the last one that did not fail.
    pub fn served_by(&self) -> Option<&Attempt> {
        self.attempts.iter().rfind(|attempt| {
            !matches!(
                attempt.result,
                AttemptResult::Failed(_) | AttemptResult::Rejected | AttemptResult::Unsayable
            )
        })
    }
}

impl Outcome {
    /// How it is written in metrics and log lines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Decided => "decided",
            Self::AnsweredRejected => "answered_rejected",
            Self::Failed { .. } => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_cost_makes_the_sum_unknown_and_never_zero() {
        let known = Cost::Known(PicoUsd::per_token(1.0).unwrap());
        assert_eq!(known.plus(Cost::Unknown), Cost::Unknown);
        assert_eq!(
            serde_json::to_string(&Cost::Unknown).unwrap(),
            "\"unknown\""
        );
    }

    #[test]
    fn a_duration_is_rounded_to_the_microsecond() {
        for (nanos, micros) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2)] {
            assert_eq!(as_micros(Duration::from_nanos(nanos)), micros, "{nanos}");
        }
        assert!((as_millis(Duration::from_nanos(1_234_567)) - 1.235).abs() < f64::EPSILON);
        assert_eq!(as_micros(Duration::MAX), u64::MAX);
    }

    #[test]
    fn overhead_is_what_is_left_without_the_providers() {
        let timings = Timings {
            upstream: Duration::from_millis(90),
            total: Duration::from_millis(100),
            ..Timings::default()
        };
        assert_eq!(timings.overhead(), Duration::from_millis(10));
    }
}
