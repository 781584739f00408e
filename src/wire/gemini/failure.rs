//! Errors as Google's APIs write them (<https://google.aip.dev/193>).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::event::FailoverReason;
use crate::wire::failure::{LOGGED_CHARS_MAX, Told};
use crate::wire::json::shortened;

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

/// Reads what a provider answered instead of an answer.
pub(crate) fn read_error(status: u16, body: &str) -> Told {
    let error = Said::of_body(body).unwrap_or_default();
    let is_ours = status == 400 && error.blames_configuration();
    Told {
        reason: is_ours.then_some(FailoverReason::Status4xx),
        retry_after: error.retry_delay(),
        message: Some(error.message).filter(|message| !message.is_empty()),
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

#[cfg(test)]
mod tests;
