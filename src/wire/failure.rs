//! What a provider's error says about whom to ask next, in every format alike.
//!
//! The question is whose fault it is. A request that is too long or makes no sense would be refused
//! by any target, so the caller gets the provider's own words. A key that is not accepted, credit
//! that is used up, a model's name that is not known are faults of the configuration: another
//! target may well answer, and the caller can do nothing about them. The status says which it is,
//! unless the body says it better; how, is the format's own.

use std::time::Duration;

use crate::domain::chat::Format;
use crate::domain::event::{FailoverReason, Failure, FailureKind, UpstreamError};
use crate::wire::json::shortened;

/// How much of a provider's error goes into the log's sentence; the body is kept beside it.
pub(super) const LOGGED_CHARS_MAX: usize = 300;

/// What a provider answered instead of an answer.
pub(super) struct Refused<'a> {
    pub(super) format: Format,
    pub(super) status: u16,
    pub(super) body: &'a str,
    /// The wait that its headers ask for.
    pub(super) retry_after: Option<Duration>,
}

/// What the body of an error tells in the words of its format.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The message for people.
    pub(super) message: Option<String>,
    /// Why another target should be asked, where the body says it better than the status.
    pub(super) reason: Option<FailoverReason>,
    /// The wait that it asks for; headers go before.
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    pub(super) fn into_failure(self, refused: &Refused<'_>) -> Failure {
        let Refused {
            format,
            status,
            body,
            retry_after,
        } = *refused;
        let said = self.message.as_deref().unwrap_or_else(|| body.trim());
        let is_error = (400..=599).contains(&status);
        Failure {
            kind: self
                .reason
                .map_or_else(|| kind_of(status), FailureKind::Unavailable),
            message: format!(
                "the provider answered {status}: {}",
                shortened(said, LOGGED_CHARS_MAX)
            ),
            param: None,
            upstream: is_error.then(|| UpstreamError {
                status,
                format,
                body: body.into(),
                said: said.into(),
                retry_after: retry_after.or(self.retry_after),
            }),
        }
    }
}

/// Whose fault it is by the status alone.
const fn kind_of(status: u16) -> FailureKind {
    let reason = match status {
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
mod tests {
    use super::*;
    use crate::wire::Outbound;

    const FORMATS: [Outbound; 3] = [Outbound::OpenAi, Outbound::Anthropic, Outbound::Gemini];

    #[test]
    fn a_status_says_whether_another_target_may_do_better() {
        use FailoverReason::{Malformed, Status4xx, Status5xx, Status429};
        for format in FORMATS {
            let kind = |status: u16, body| format.read_failure(status, body, None).kind;
            for status in [400, 413, 415, 422] {
                assert_eq!(kind(status, "{}"), FailureKind::Rejected, "{status}");
            }
            for (status, reason) in [
                (401, Status4xx),
                (402, Status4xx),
                (403, Status4xx),
                (404, Status4xx),
                (408, Status4xx),
                (429, Status429),
                (500, Status5xx),
                (503, Status5xx),
                (504, Status5xx),
                (529, Status5xx),
                (302, Malformed),
            ] {
                let expected = FailureKind::Unavailable(reason);
                assert_eq!(kind(status, "no"), expected, "{format:?} {status}");
            }
        }
    }

    #[test]
    fn a_failure_keeps_what_the_provider_said() {
        let wait = Duration::from_secs(3);
        for format in FORMATS {
            for (body, said) in [
                (r#"{"error":{"message":"slow down"}}"#, "slow down"),
                (" busy\n", "busy"),
            ] {
                let failure = format.read_failure(429, body, Some(wait));
                assert_eq!(
                    failure.message,
                    format!("the provider answered 429: {said}")
                );
                let upstream = failure.upstream.unwrap();
                assert_eq!((upstream.status, upstream.retry_after), (429, Some(wait)));
                assert_eq!(upstream.format, format.format());
                assert_eq!(upstream.said.as_ref(), said);
                assert_eq!(upstream.body.as_ref(), body);
            }
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_shown_by_its_beginning_and_a_redirect_is_no_error() {
        let page = "x".repeat(10_000);
        for format in FORMATS {
            let failure = format.read_failure(502, &page, None);
            assert!(failure.message.len() < 400, "{format:?}");
            assert_eq!(format.read_failure(302, "", None).upstream, None);
        }
    }
}
