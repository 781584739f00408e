//! How a target has done lately, as far as that is known. What is not known is `None` and never 0: a
//! target that nobody asked for half an hour is not a fast one.

use std::time::Duration;

use serde::Serialize;

use crate::domain::name::ModelName;

/// How a target has done lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// Over the long window: at most 20 minutes, and the last 100 answers in it.
    pub long: Pace,
    /// Over the short one: at most 3 minutes of the same.
    pub short: Pace,
    /// The share of its calls in the long window that brought no answer for which it was to blame.
    pub failure_share: Option<f64>,
    /// Output tokens of its answers on the route in question, on average; not known while there are few.
    pub output_tokens: Option<f64>,
    /// The same over all routes.
    pub output_tokens_anywhere: Option<f64>,
    /// Whether it can take one more call.
    pub room: Room,
}

/// How fast a target was over a window. Medians, since one answer that stalled says little of the next.
///
/// Not every answer tells each of these, so each has a count of its own: among a hundred answers that
/// came whole, the time to the first token may be that of the one that was streamed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Median time to the first token.
    pub ttft: Option<Measured>,
    /// Median time per output token after the first.
    pub tpot: Option<Measured>,
    /// 95th percentile of the time from call to end, which every answer tells.
    pub p95: Option<Measured>,
}

/// A time that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// How long.
    pub value: Duration,
    /// The answers that this rests on.
    pub n: usize,
}

impl Measured {
    /// How long, if it rests on at least so many answers.
    pub fn over(self, n_min: usize) -> Option<Duration> {
        (n_min <= self.n).then_some(self.value)
    }
}

/// Whether a target can take one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// It can.
    #[default]
    Free,
    /// As many calls as it may have at a time are running.
    FullConcurrency,
    /// It had as many requests as it may within this minute.
    FullRequests,
    /// It had as many tokens as it may within this minute.
    FullTokens,
}

impl Room {
    /// How it is written in logs, headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::FullConcurrency => "full_concurrency",
            Self::FullRequests => "full_requests",
            Self::FullTokens => "full_tokens",
        }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A target was not asked, since it had no room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Who.
    pub target: ModelName,
    /// Which of its limits was reached.
    pub reason: Room,
}
