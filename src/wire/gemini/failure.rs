//! Errors as Google's APIs write them (<https://google.aip.dev/193>).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::chat::Format;
use crate::domain::event::{FailoverReason, Failure, FailureKind, UpstreamError};
use crate::wire::json::shortened;

/// How much of a provider's error goes into the log's sentence; the body is kept beside it.
const LOGGED_CHARS_MAX: usize = 300;

/// The longest wait that is believed. A longer one is a mistake, and some clocks cannot hold it.
const WAIT_S_MAX: f64 = 86_400.0;

/// What an error says beyond its HTTP status.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    message: String,
    status: String,
    details: Vec<Value>,
}

impl Said {
    /// The error in a body, which some servers wrap into a list; nothing, if it holds none.
    fn of_body(body: &str) -> Option<Self> {
        let mut body: Value = serde_json::from_str(body).ok()?;
        let error = match &mut body {
            Value::Array(list) => list.first_mut()?.get_mut("error")?.take(),
            other => other.get_mut("error")?.take(),
        };
        serde_json::from_value(error).ok()
    }

    /// The wait that the details ask for: `{"@type": "…/google.rpc.RetryInfo", "retryDelay": "34.1s"}`.
    fn retry_delay(&self) -> Option<Duration> {
        let delays = self
            .details
            .iter()
            .filter_map(|it| it["retryDelay"].as_str());
        let seconds = delays
            .filter_map(|delay| delay.strip_suffix('s')?.parse::<f64>().ok())
            .find(|seconds| (0.0..=WAIT_S_MAX).contains(seconds))?;
        // In whole seconds, as callers are told; less than was asked for would be too early.
        Duration::try_from_secs_f64(seconds.ceil()).ok()
    }

    /// Whether it names our key, our credit or where we are, not what was asked.
    fn blames_configuration(&self) -> bool {
        let reasons = self.details.iter().filter_map(|it| it["reason"].as_str());
        let mut ours = reasons.filter(|reason| reason.starts_with("API_KEY_"));
        self.status == "FAILED_PRECONDITION" || ours.next().is_some()
    }
}

pub(crate) fn read_failure(status: u16, body: &str, retry_after: Option<Duration>) -> Failure {
    let error = Said::of_body(body).unwrap_or_default();
    let said = match error.message.as_str() {
        "" => body.trim(),
        message => message,
    };
    let message = format!(
        "the provider answered {status}: {}",
        shortened(said, LOGGED_CHARS_MAX)
    );
    let is_error = (400..=599).contains(&status);
    Failure {
        kind: kind_of(status, &error),
        message,
        param: None,
        upstream: is_error.then(|| UpstreamError {
            status,
            format: Format::Gemini,
            body: body.into(),
            said: said.into(),
            retry_after: retry_after.or_else(|| error.retry_delay()),
        }),
    }
}

/// The words of an error within an answer.
pub(super) fn words(error: &str) -> String {
    let said: Option<Said> = serde_json::from_str(error).ok();
    let message = said.map(|said| said.message);
    message
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| shortened(error, LOGGED_CHARS_MAX).into_owned())
}

fn kind_of(status: u16, error: &Said) -> FailureKind {
    let reason = match status {
        400 if error.blames_configuration() => FailoverReason::Status4xx,
        // Bad request, content too large, unsupported media type, unprocessable content.
        400 | 413 | 415 | 422 => return FailureKind::Rejected,
        429 => FailoverReason::Status429,
        400..=499 => FailoverReason::Status4xx,
        500..=599 => FailoverReason::Status5xx,
        // A redirect, or a success that is none: the address is not that of an API.
        _ => FailoverReason::Malformed,
    };
    FailureKind::Unavailable(reason)
}

#[cfg(test)]
mod tests;
