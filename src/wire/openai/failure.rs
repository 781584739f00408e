//! Errors as OpenAI writes them, and what a provider's status says about whom to ask next.
//!
//! The question is whose fault it is. A request that is too long or makes no sense would be refused
//! by any target, so the caller gets the provider's own words. A key that is not accepted, credit
//! that is used up, a model's name that is not known are faults of the configuration: another
//! target may well answer, and the caller can do nothing about them.

use std::time::Duration;

use serde_json::json;

use crate::domain::chat::Format;
use crate::domain::event::{FailoverReason, Failure, FailureKind, UpstreamError};
use crate::wire::ErrorText;
use crate::wire::json::{Document, Fields, shortened, string};

/// How much of a provider's error goes into the log's sentence; the body is kept beside it.
const LOGGED_CHARS_MAX: usize = 300;

pub(crate) fn read_failure(status: u16, body: &str, retry_after: Option<Duration>) -> Failure {
    let document = Document::read(body, "the error").ok();
    let fields = document.as_ref().map(Document::fields);
    let said = fields.as_ref().and_then(error_message);
    let said = said.as_deref().unwrap_or_else(|| body.trim());
    let message = format!(
        "the provider answered {status}: {}",
        shortened(said, LOGGED_CHARS_MAX)
    );
    let is_error = (400..=599).contains(&status);
    Failure {
        kind: kind_of(status, fields.as_ref()),
        message,
        param: None,
        upstream: is_error.then(|| UpstreamError {
            status,
            format: Format::OpenAi,
            body: body.into(),
            said: said.into(),
            retry_after,
        }),
    }
}

pub(crate) fn write_error(error: &ErrorText<'_>) -> String {
    json!({
        "error": {
            "message": error.message,
            "type": error_kind(error.status),
            "param": error.param,
            "code": error.code,
        }
    })
    .to_string()
}

/// The `type` of an error, which OpenAI's SDKs show beside their exception.
pub(crate) const fn error_kind(status: u16) -> &'static str {
    match status {
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

/// The message of an error object; nothing, if the fields hold no error.
pub(super) fn error_message(fields: &Fields<'_>) -> Option<String> {
    let error = fields.find("error")?;
    let inner = Fields::of_object(error, "`error`").ok();
    let message = inner.and_then(|inner| inner.find("message").and_then(string));
    let text = message.or_else(|| string(error));
    Some(text.map_or_else(|| error.get().to_owned(), std::borrow::Cow::into_owned))
}

fn kind_of(status: u16, fields: Option<&Fields<'_>>) -> FailureKind {
    let reason = match status {
        400 if blames_configuration(fields) => FailoverReason::Status4xx,
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

/// Whether an error that some servers send as a bad request names our key or the model's name.
fn blames_configuration(fields: Option<&Fields<'_>>) -> bool {
    let code = fields
        .and_then(|fields| fields.find("error"))
        .and_then(|error| Fields::of_object(error, "`error`").ok())
        .and_then(|error| error.find("code").and_then(string));
    matches!(code.as_deref(), Some("model_not_found" | "invalid_api_key"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::{Inbound, Outbound};

    #[test]
    fn a_status_says_whether_another_target_may_do_better() {
        use FailoverReason::{Malformed, Status4xx, Status5xx, Status429};
        let kind = |status: u16| Outbound::OpenAi.read_failure(status, "no", None).kind;
        for status in [400, 413, 415, 422] {
            assert_eq!(kind(status), FailureKind::Rejected, "{status}");
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
            (529, Status5xx),
            (302, Malformed),
        ] {
            assert_eq!(kind(status), FailureKind::Unavailable(reason), "{status}");
        }
    }

    #[test]
    fn a_bad_request_that_is_about_the_configuration_is_not_blamed_on_the_caller() {
        let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
        assert_eq!(
            Outbound::OpenAi.read_failure(400, body, None).kind,
            FailureKind::Unavailable(FailoverReason::Status4xx)
        );
    }

    #[test]
    fn a_failure_keeps_what_the_provider_said() {
        let body = r#"{"error":{"message":"slow down","type":"rate_limit"}}"#;
        let wait = Duration::from_secs(3);
        let failure = Outbound::OpenAi.read_failure(429, body, Some(wait));
        assert_eq!(failure.message, "the provider answered 429: slow down");
        let upstream = failure.upstream.unwrap();
        assert_eq!((upstream.status, upstream.retry_after), (429, Some(wait)));
        assert_eq!(upstream.body.as_ref(), body);

        let page = "x".repeat(10_000);
        let failure = Outbound::OpenAi.read_failure(502, &page, None);
        assert!(failure.message.len() < 400);
        assert_eq!(Outbound::OpenAi.read_failure(302, "", None).upstream, None);
    }

    #[test]
    fn an_error_has_all_four_fields_even_where_two_are_null() {
        let text = Inbound::OpenAi.write_error(&ErrorText {
            message: "no \"x\"",
            status: 404,
            request_id: "1",
            param: None,
            code: Some("model_not_found"),
        });
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({ "error": { "message": "no \"x\"", "type": "not_found_error",
                "param": null, "code": "model_not_found" } })
        );
    }
}
