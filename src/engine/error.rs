//! Why a request brought no answer, in words that its caller can act on. How each becomes a status and
//! a body is one table in the gateway.

use std::time::Duration;

use crate::cascade::Defeat;
use crate::domain::decision::{Out, Removed, Weighed};
use crate::domain::event::{ErrorType, FailoverReason, Failure, FailureKind, Fault};
use crate::routing::NoCandidate;

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The request is wrong in one place.
    #[error("{message}")]
    Invalid {
        /// The field, if it is one.
        param: Option<String>,
        /// What is wrong with it and what to do.
        message: String,
    },
    /// It is not known who asks.
    #[error("{0}")]
    Unauthenticated(KeyProblem),
    /// There is no such assistant, or not for this caller.
    #[error("there is no assistant or model called {asked:?}; there is {}", one_of(.known))]
    UnknownModel {
        /// What was asked for.
        asked: String,
        /// What there is for this caller.
        known: Vec<String>,
    },
    /// The body is too long.
    #[error(
        "the request's body is longer than {bytes_max} bytes, which is the most that is accepted"
    )]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body did not come in time.
    #[error("the request's body did not come within {}s; send all of it, and at once", .limit.as_secs_f64())]
    BodyTooSlow {
        /// What was waited for it, or for its next piece.
        limit: Duration,
    },
    /// The body is of a kind that is not read.
    #[error("{0}")]
    UnsupportedMedia(Media),
    /// The encoder has more to do than it can.
    #[error(
        "the encoder has more to do than it can finish in time; try again later, or send fewer texts at once"
    )]
    Overloaded,
    /// Policy, or what the models are known to be unable to do, leaves nobody to ask.
    #[error("{}", nobody(.0))]
    NoCandidate(NoCandidate),
    /// Every model that could have answered has as much to do as it may.
    #[error(
        "every model that could answer has as much to do as it may; try again {}",
        when(*.retry_after)
    )]
    TargetsFull {
        /// When one of them has room again, where that is known.
        retry_after: Option<Duration>,
    },
    /// The request took too long.
    #[error("no answer came within {}s, the limit of this route or server", .limit.as_secs_f64())]
    DeadlineExceeded {
        /// The limit.
        limit: Duration,
    },
    /// No model could answer, or one refused the request.
    #[error("{}", upstream_message(.0))]
    Upstream(Failure),
    /// Every draft failed its check.
    #[error("no model's answer satisfied the requested schema; the last one failed at {:?} ({})", .0.path, .0.keyword)]
    CascadeExhausted(Fault),
    /// semroute itself is at fault.
    #[error("an internal error; the log has the details under this request's id")]
    Internal {
        /// For the log.
        detail: String,
    },
}

/// Why a key does not tell who asks. No message repeats one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// There is none.
    #[error(
        "no API key came with the request; send one as `Authorization: Bearer KEY`, `x-api-key: KEY` or `api-key: KEY`"
    )]
    Missing,
    /// Another scheme takes its place.
    #[error(
        "the header `Authorization` is no bearer token; send the API key as `Authorization: Bearer KEY`, `x-api-key: KEY` or `api-key: KEY`"
    )]
    NotBearer,
    /// Nobody has it.
    #[error(
        "the API key is not known here; send a key of your team as `Authorization: Bearer KEY`, `x-api-key: KEY` or `api-key: KEY`"
    )]
    Unknown,
    /// There are several, and it is not for us to choose.
    #[error(
        "the request carries API keys that differ; send one, in `Authorization: Bearer KEY`, `x-api-key` or `api-key`, or the same in each"
    )]
    Differing,
}

fn when(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!("in {}s", whole_seconds(wait)),
        None => "later".to_owned(),
    }
}

/// Seconds after which it is worth trying again: a moment early would be in vain.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(0 < wait.subsec_nanos())
}

/// Names in a row, or that there is none.
fn one_of(known: &[String]) -> String {
    match known {
        [] => "none that you may ask".to_owned(),
        known => known.join(", "),
    }
}

/// What a body must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Media {
    /// Something other than JSON, by its `content-type`.
    #[error(
        "the content-type {0:?} is not read; send JSON, with the content-type application/json"
    )]
    Kind(String),
    /// Compressed, by its `content-encoding`.
    #[error("the content-encoding {0:?} is not read; send the body uncompressed")]
    Encoding(String),
}

/// What the last candidate of a request lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacking {
    /// The policy's leave.
    Policy,
    /// An ability.
    Ability,
    /// A context that is long enough.
    Context,
    /// A figure that the route asks for: a price, a measured quality.
    Figures,
}

impl Lacking {
    /// Figures can be told, so what removed a model for good comes last.
    fn of(nobody: &NoCandidate) -> Self {
        let lacks_figure = |(_, out): &(Weighed, Out)| *out != Out::NoWeight;
        if nobody.out.iter().any(lacks_figure) || nobody.removed.is_empty() {
            return Self::Figures;
        }
        match nobody.removed.last().map(|it| &*it.by) {
            Some(Removed::ABILITY) => Self::Ability,
            Some(Removed::CONTEXT) => Self::Context,
            _ => Self::Policy,
        }
    }
}

/// Why there is nobody to ask, and what removed the last.
fn nobody(nobody: &NoCandidate) -> String {
    let last = nobody.removed.last();
    match (Lacking::of(nobody), last) {
        (Lacking::Figures, _) => {
            let (last, out) = nobody
                .out
                .last()
                .map_or(("none", Out::NoSamples), |(it, out)| {
                    (it.model.as_str(), *out)
                });
            format!(
                "no model of the route can be chosen: of the last, {last}, {}",
                out.said()
            )
        }
        (Lacking::Policy, Some(last)) => format!(
            "no model may answer this request: the policy's rule \"{}\" removed the last one, {}, since {}",
            last.by, last.model, last.why
        ),
        (_, Some(last)) => format!(
            "no model can answer this request: of the last one, {}, it is known that {}",
            last.model, last.why
        ),
        (_, None) => "the route has no model".to_owned(),
    }
}

/// What a caller may read about a failed call: the provider's own words stay in the log, since they
/// may name hosts and accounts.
fn upstream_message(failure: &Failure) -> String {
    match (failure.kind, &failure.upstream) {
        (FailureKind::Unsayable, _) => failure.message.clone(),
        (FailureKind::Rejected, Some(upstream)) => {
            format!(
                "the model's provider refused the request with status {}",
                upstream.status
            )
        }
        (FailureKind::Rejected, None) => "the model refused the request".to_owned(),
        (FailureKind::Unavailable(reason), _) => {
            format!("no model could answer; the last one failed with {reason}")
        }
    }
}

impl Error {
    /// The error that a lost cascade is told as; `free_in` is when a target that was full is so no longer.
    pub fn of_defeat(defeat: Defeat, limit: Duration, free_in: Option<Duration>) -> Self {
        match defeat {
            Defeat::DraftsRejected(fault) => Self::CascadeExhausted(fault),
            Defeat::Upstream(Failure {
                kind: FailureKind::Unavailable(FailoverReason::TargetFull),
                ..
            }) => Self::TargetsFull {
                retry_after: free_in,
            },
            Defeat::Upstream(failure) => Self::Upstream(failure),
            Defeat::DeadlinePassed => Self::DeadlineExceeded { limit },
        }
    }

    /// Whose fault it is.
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Invalid { .. }
            | Self::Unauthenticated(_)
            | Self::UnknownModel { .. }
            | Self::TooLarge { .. }
            | Self::BodyTooSlow { .. }
            | Self::UnsupportedMedia(_) => ErrorType::Caller,
            Self::Upstream(failure) => match failure.kind {
                FailureKind::Rejected | FailureKind::Unsayable => ErrorType::Caller,
                FailureKind::Unavailable(_) => ErrorType::Provider,
            },
            Self::CascadeExhausted(_)
            | Self::DeadlineExceeded { .. }
            | Self::TargetsFull { .. } => ErrorType::Provider,
            Self::NoCandidate(nobody) => match Lacking::of(nobody) {
                Lacking::Policy => ErrorType::Policy,
                Lacking::Ability | Lacking::Context => ErrorType::Caller,
                Lacking::Figures => ErrorType::Semroute,
            },
            Self::Overloaded | Self::Internal { .. } => ErrorType::Semroute,
        }
    }

    /// What the log says, where it says more than the caller may read.
    pub fn detail(&self) -> String {
        match self {
            Self::Upstream(failure) => failure.message.clone(),
            Self::CascadeExhausted(fault) => fault.message.clone(),
            Self::Internal { detail } => detail.clone(),
            other => other.to_string(),
        }
    }

    /// After how many seconds it is worth trying again, where that is known.
    pub fn retry_after_secs(&self) -> Option<u64> {
        let wait = match self {
            Self::Upstream(failure) => failure.upstream.as_ref()?.retry_after,
            Self::TargetsFull { retry_after } => *retry_after,
            _ => None,
        };
        wait.map(whole_seconds)
    }

    /// The field of the request at fault, where one is.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } => param.as_deref(),
            Self::UnknownModel { .. } => Some("model"),
            Self::Upstream(failure) => failure.param.as_deref(),
            _ => None,
        }
    }

    /// The HTTP status. The table of the API's errors lists it with type and code.
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid { .. } => 400,
            Self::Unauthenticated(_) => 401,
            Self::UnknownModel { .. } => 404,
            Self::TooLarge { .. } => 413,
            Self::BodyTooSlow { .. } => 408,
            Self::UnsupportedMedia(_) => 415,
            Self::Overloaded | Self::TargetsFull { .. } => 503,
            Self::NoCandidate(nobody) => match Lacking::of(nobody) {
                Lacking::Policy => 403,
                Lacking::Ability | Lacking::Context => 400,
                Lacking::Figures => 503,
            },
            Self::DeadlineExceeded { .. } => 504,
            Self::Upstream(failure) => upstream_status(failure),
            Self::CascadeExhausted(_) => 502,
            Self::Internal { .. } => 500,
        }
    }

    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::Unauthenticated(_) => "invalid_api_key",
            Self::UnknownModel { .. } => "model_not_found",
            Self::TooLarge { .. } => "request_too_large",
            Self::BodyTooSlow { .. } => "request_timeout",
            Self::UnsupportedMedia(Media::Kind(_)) => "unsupported_content_type",
            Self::UnsupportedMedia(Media::Encoding(_)) => "unsupported_content_encoding",
            Self::Overloaded => "overloaded",
            Self::NoCandidate(nobody) => match Lacking::of(nobody) {
                Lacking::Policy => "policy_denied",
                Lacking::Ability => "unsupported_by_models",
                Lacking::Context => "context_length_exceeded",
                Lacking::Figures => "no_candidate",
            },
            Self::TargetsFull { .. } => "targets_full",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Upstream(failure) => match failure.kind {
                FailureKind::Rejected => "upstream_rejected",
                FailureKind::Unsayable => "unsupported_by_provider",
                FailureKind::Unavailable(_) => "upstream_unavailable",
            },
            Self::CascadeExhausted(_) => "cascade_exhausted",
            Self::Internal { .. } => "internal_error",
        }
    }
}

/// A refusal keeps the provider's status, and so does 429, since its caller must slow down. Everything
/// else that went wrong behind the gateway is 502.
fn upstream_status(failure: &Failure) -> u16 {
    match (failure.kind, &failure.upstream) {
        (FailureKind::Unsayable, _) => 400,
        (FailureKind::Rejected, Some(upstream)) if (400..500).contains(&upstream.status) => {
            upstream.status
        }
        (FailureKind::Unavailable(_), Some(upstream)) if upstream.status == 429 => 429,
        _ => 502,
    }
}
