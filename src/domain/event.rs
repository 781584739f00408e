//! What can happen to a request: it is routed, it escalates, it fails over.
//!
//! The three are different kinds of event and are never merged. *Routing* optimises: it picks a
//! route before anything was asked. *Escalation* verifies: a draft failed a check, so a stronger
//! model is asked. *Failover* keeps the service up: a target could not answer, so another one does.
//! Each has its closed list of reasons, which names headers, log fields and metric labels alike.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::domain::chat::Format;
use crate::domain::name::ModelName;

/// Gives a fieldless enum the one spelling that JSON, metric labels and headers share.
macro_rules! spelled {
    ($Name:ident { $($Variant:ident => $text:literal),+ $(,)? }) => {
        impl $Name {
            /// How it is written in logs, headers and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $text),+ }
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

/// Why a route was chosen. Which of the route's models is asked first is another matter: see
/// [`ChosenReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoutedReason {
    /// A rule decided that does not look at what the prompt means.
    Rule,
    /// A rule named the prompt's intent.
    Intent,
    /// A rule named how much the prompt asks of a model.
    Complexity,
    /// The intent is known, but no rule names it.
    Default,
    /// No intent is near enough.
    OutOfScope,
    /// The conversation holds no text to embed.
    NoText,
    /// The encoder had more to do than its bound on waiting allows.
    EncoderSaturated,
    /// The encoder could not embed this prompt.
    EncoderFailed,
}

spelled!(RoutedReason {
    Rule => "rule",
    Intent => "intent",
    Complexity => "complexity",
    Default => "default",
    OutOfScope => "out_of_scope",
    NoText => "no_text",
    EncoderSaturated => "encoder_saturated",
    EncoderFailed => "encoder_failed",
});

/// Why a route asks this model first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChosenReason {
    /// The route names it.
    Pinned,
    /// It is the first of those that the route names which policy and load leave.
    StandIn,
    /// It is the first tier of a cascade.
    Cascade,
    /// Chance, by its weight.
    Weighted,
    /// Chance, by its weight, once for this user, header or conversation.
    Sticky,
    /// It is the first in order that keeps to the time per token asked for.
    Priority,
    /// Nobody keeps to that time, and it comes nearest.
    LeastSlow,
    /// It is the fastest.
    Fastest,
    /// It was the fastest, and nobody is faster by the margin asked for.
    Incumbent,
    /// It costs the least of those that are good enough.
    Cheapest,
    /// Nobody is measured to be good enough, and it is the best measured.
    BestMeasured,
    /// It has the highest score.
    Score,
    /// Nobody knows how it does, and chance sent this request to find out.
    Probe,
    /// The choice would have cost more than the route allows.
    CostGuard,
    /// The choice would have taken longer than the route allows.
    TimeGuard,
}

spelled!(ChosenReason {
    Pinned => "pinned",
    StandIn => "stand_in",
    Cascade => "cascade",
    Weighted => "weighted",
    Sticky => "sticky",
    Priority => "priority",
    LeastSlow => "least_slow",
    Fastest => "fastest",
    Incumbent => "incumbent",
    Cheapest => "cheapest",
    BestMeasured => "best_measured",
    Score => "score",
    Probe => "probe",
    CostGuard => "cost_guard",
    TimeGuard => "time_guard",
});

/// A check that a draft goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The draft must satisfy the request's JSON Schema.
    JsonSchema,
}

spelled!(Check { JsonSchema => "json_schema" });

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The check.
    pub check: Check,
    /// What is wrong with the draft; nothing, if it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

impl Verdict {
    /// Whether the draft may be answered.
    pub const fn passes(&self) -> bool {
        self.fault.is_none()
    }
}

/// Where and how a draft breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// JSON Pointer to the place in the draft; empty for the whole of it.
    pub path: String,
    /// The schema's keyword that fails, or `parse` where the draft is no JSON.
    pub keyword: String,
    /// One sentence for the log.
    pub message: String,
}

/// A draft failed its check and a stronger model was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// Whose draft failed.
    pub from: ModelName,
    /// Who was asked instead.
    pub to: ModelName,
    /// The check that failed.
    pub reason: Check,
    /// Where and how.
    pub fault: Fault,
}

/// A target could not answer and another one was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failover {
    /// Who could not answer.
    pub from: ModelName,
    /// Who was asked instead.
    pub to: ModelName,
    /// Why.
    pub reason: FailoverReason,
}

/// Why a target could not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailoverReason {
    /// It has as much to do as it may, so it was not asked.
    TargetFull,
    /// No connection came about.
    Connect,
    /// The connection broke before the answer began.
    Reset,
    /// The first token took too long.
    TimeoutFirstToken,
    /// The gap between two pieces of the answer was too long.
    TimeoutBetweenTokens,
    /// The provider asked us to slow down.
    Status429,
    /// The provider refused us, not the request: our key, our credit, the model's name.
    Status4xx,
    /// The provider failed.
    Status5xx,
    /// The stream ended before the answer did.
    StreamCut,
    /// The provider answered something that its wire format does not allow.
    Malformed,
}

spelled!(FailoverReason {
    TargetFull => "target_full",
    Connect => "connect",
    Reset => "reset",
    TimeoutFirstToken => "timeout_first_token",
    TimeoutBetweenTokens => "timeout_between_tokens",
    Status429 => "status_429",
    Status4xx => "status_4xx",
    Status5xx => "status_5xx",
    StreamCut => "stream_cut",
    Malformed => "malformed",
});

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether another target could do better.
    pub kind: FailureKind,
    /// One sentence for the log; it may name hosts and is not for callers.
    pub message: String,
    /// The field of the request that it is about, where it is about one.
    pub param: Option<String>,
    /// What the provider answered, if it answered.
    pub upstream: Option<UpstreamError>,
}

impl Failure {
    /// A failure that another target may not have.
    pub fn unavailable(reason: FailoverReason, message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unavailable(reason),
            message: message.into(),
            param: None,
            upstream: None,
        }
    }

    /// A request that the target cannot be asked. The message is fit for the caller.
    pub fn unsayable(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unsayable,
            message: message.into(),
            param: None,
            upstream: None,
        }
    }
}

/// Whether another target could do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The target is at fault: another one may answer.
    Unavailable(FailoverReason),
    /// The request is at fault: any target would refuse it.
    Rejected,
    /// The request asks for something that the target's wire format cannot say, and without which the
    /// answer would be another. The failure's message is fit for the caller.
    Unsayable,
}

/// An error as a provider answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// What the body is written in.
    pub format: Format,
    /// The body.
    pub body: Arc<str>,
    /// The provider's own sentence in it.
    pub said: Arc<str>,
    /// How long the provider asks callers to wait.
    pub retry_after: Option<Duration>,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The answer itself: nothing checks it.
    Answer,
    /// A draft that a check will look at.
    Draft,
    /// Asked because a draft failed its check.
    Escalation,
    /// Asked because another target could not answer.
    Failover,
    /// Vectors are wanted.
    Embeddings,
}

spelled!(Purpose {
    Answer => "answer",
    Draft => "draft",
    Escalation => "escalation",
    Failover => "failover",
    Embeddings => "embeddings",
});

/// Whose fault an error is, so that an objective can leave out what callers did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    /// The request was wrong.
    Caller,
    /// The operator's policy leaves nobody who may answer.
    Policy,
    /// A provider failed.
    Provider,
    /// semroute failed.
    Semroute,
}

spelled!(ErrorType {
    Caller => "caller",
    Policy => "policy",
    Provider => "provider",
    Semroute => "semroute",
});
