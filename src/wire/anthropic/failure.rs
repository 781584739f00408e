//! Errors as Anthropic writes them, and what a provider's error says about whom to ask next.
//!
//! The question is whose fault it is. A request that makes no sense would be refused by any target,
//! so the caller gets the provider's own words. A key that is not accepted, credit that is used up,
//! a model's name that is not known are faults of the configuration: another target may well answer.

use std::time::Duration;

use serde::Serialize;

use crate::domain::chat::Format;
use crate::domain::event::{FailoverReason, Failure, FailureKind, UpstreamError};
use crate::wire::ErrorText;
use crate::wire::json::{Document, Fields, shortened, string};

/// How much of a provider's error goes into the log's sentence; the body is kept beside it.
const LOGGED_CHARS_MAX: usize = 300;

/// What Anthropic says, as a bad request, when there is no money left.
const OUT_OF_CREDIT: &str = "credit balance is too low";

pub(crate) fn read_failure(status: u16, body: &str, retry_after: Option<Duration>) -> Failure {
    let document = Document::read(body, "the error").ok();
    let error = document.as_ref().and_then(|it| inner_error(&it.fields()));
    let message = error.as_ref().and_then(message_of);
    let said = message.as_deref().unwrap_or_else(|| body.trim());
    let type_word = error
        .as_ref()
        .and_then(|error| error.find("type").and_then(string));
    let is_error = (400..=599).contains(&status);
    Failure {
        kind: kind_of(status, type_word.as_deref(), said),
        message: format!(
            "the provider answered {status}: {}",
            shortened(said, LOGGED_CHARS_MAX)
        ),
        param: None,
        upstream: is_error.then(|| UpstreamError {
            status,
            format: Format::Anthropic,
            body: body.into(),
            said: said.into(),
            retry_after,
        }),
    }
}

/// The error within the fields of an answer or of an event; nothing, if they hold none.
pub(super) fn inner_error<'a>(fields: &Fields<'a>) -> Option<Fields<'a>> {
    let error = fields.find("error")?;
    Fields::of_object(error, "`error`").ok()
}

/// What an error says.
pub(super) fn message_of(error: &Fields<'_>) -> Option<String> {
    let message = error.find("message").and_then(string)?;
    Some(message.into_owned())
}

fn kind_of(status: u16, type_word: Option<&str>, said: &str) -> FailureKind {
    let reason = match (status, type_word) {
        // Proxies before the API change the status, never the type.
        (400..=599, Some("overloaded_error")) => FailoverReason::Status5xx,
        (400..=599, Some("rate_limit_error")) => FailoverReason::Status429,
        (
            400..=499,
            Some("authentication_error" | "permission_error" | "billing_error" | "not_found_error"),
        ) => FailoverReason::Status4xx,
        (400, _) if said.contains(OUT_OF_CREDIT) => FailoverReason::Status4xx,
        // Bad request, content too large, unsupported media type, unprocessable content.
        (400 | 413 | 415 | 422, _) => return FailureKind::Rejected,
        (429, _) => FailoverReason::Status429,
        (400..=499, _) => FailoverReason::Status4xx,
        (500..=599, _) => FailoverReason::Status5xx,
        // A redirect, or a success that is none: the address is not that of an API.
        _ => FailoverReason::Malformed,
    };
    FailureKind::Unavailable(reason)
}

pub(crate) fn write_error(error: &ErrorText<'_>) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        r#type: &'static str,
        error: Inner<'a>,
        request_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'static str,
        message: &'a str,
    }

    let whole = Whole {
        r#type: "error",
        error: Inner {
            r#type: error_kind(error.status),
            message: error.message,
        },
        // What has no id is no request to the API: a path that there is not.
        request_id: Some(error.request_id).filter(|id| !id.is_empty()),
    };
    // A struct of strings is always JSON.
    serde_json::to_string(&whole).unwrap_or_default()
}

/// The `type` of an error of this status.
pub(crate) const fn error_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kind(status: u16, body: &str) -> FailureKind {
        read_failure(status, body, None).kind
    }

    fn error(type_word: &str, message: &str) -> String {
        json!({ "type": "error", "error": { "type": type_word, "message": message } }).to_string()
    }

    #[test]
    fn a_status_says_whether_another_target_may_do_better() {
        use FailoverReason::{Malformed, Status4xx, Status5xx, Status429};
        for status in [400, 413, 415, 422] {
            assert_eq!(kind(status, "no"), FailureKind::Rejected, "{status}");
        }
        for (status, reason) in [
            (401, Status4xx),
            (402, Status4xx),
            (403, Status4xx),
            (404, Status4xx),
            (429, Status429),
            (500, Status5xx),
            (504, Status5xx),
            (529, Status5xx),
            (302, Malformed),
        ] {
            assert_eq!(
                kind(status, ""),
                FailureKind::Unavailable(reason),
                "{status}"
            );
        }
    }

    #[test]
    fn the_type_says_more_than_the_status() {
        use FailoverReason::{Status4xx, Status5xx, Status429};
        for (status, type_word, reason) in [
            (400, "overloaded_error", Status5xx),
            (503, "rate_limit_error", Status429),
            (400, "billing_error", Status4xx),
            (400, "authentication_error", Status4xx),
        ] {
            let body = error(type_word, "no");
            assert_eq!(
                kind(status, &body),
                FailureKind::Unavailable(reason),
                "{type_word}"
            );
        }
        assert_eq!(
            kind(400, &error("invalid_request_error", "prompt is too long")),
            FailureKind::Rejected
        );
    }

    #[test]
    fn an_empty_account_is_not_the_callers_fault() {
        let message = "Your credit balance is too low to access the Anthropic API.";
        assert_eq!(
            kind(400, &error("invalid_request_error", message)),
            FailureKind::Unavailable(FailoverReason::Status4xx)
        );
    }

    #[test]
    fn a_failure_keeps_what_the_provider_said() {
        let body = error("rate_limit_error", "slow down");
        let wait = Duration::from_secs(3);
        let failure = read_failure(429, &body, Some(wait));
        assert_eq!(failure.message, "the provider answered 429: slow down");
        let upstream = failure.upstream.unwrap();
        assert_eq!((upstream.status, upstream.retry_after), (429, Some(wait)));
        assert_eq!(upstream.said.as_ref(), "slow down");
        assert_eq!(upstream.body.as_ref(), body);
        assert_eq!(read_failure(302, "", None).upstream, None);
    }

    #[test]
    fn an_error_has_the_type_of_its_status_and_the_id_of_its_request() {
        for (status, type_word) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (405, "invalid_request_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let text = write_error(&ErrorText {
                status,
                message: "no \"x\"",
                param: Some("model"),
                code: None,
                request_id: "r1",
            });
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap(),
                json!({ "type": "error", "request_id": "r1",
                    "error": { "type": type_word, "message": "no \"x\"" } })
            );
        }
    }
}
