//! Errors as Anthropic writes them.

use serde::Serialize;

use crate::domain::event::FailoverReason;
use crate::wire::ErrorText;
use crate::wire::failure::Told;
use crate::wire::json::{Document, Fields, string};

/// What Anthropic says, as a bad request, when there is no money left.
const OUT_OF_CREDIT: &str = "credit balance is too low";

/// Reads what a provider answered instead of an answer.
pub(crate) fn read_error(status: u16, body: &str) -> Told {
    let document = Document::read(body, "the error").ok();
    let error = document.as_ref().and_then(|it| inner_error(&it.fields()));
    let message = error.as_ref().and_then(message_of);
    let type_word = error
        .as_ref()
        .and_then(|error| error.find("type").and_then(string));
    let said = message.as_deref().unwrap_or(body);
    Told {
        reason: reason_of(status, type_word.as_deref(), said),
        message,
        retry_after: None,
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

/// What an error's type and words say better than its status.
fn reason_of(status: u16, type_word: Option<&str>, said: &str) -> Option<FailoverReason> {
    match (status, type_word) {
        // Proxies before the API change the status, never the type.
        (400..=599, Some("overloaded_error")) => Some(FailoverReason::Status5xx),
        (400..=599, Some("rate_limit_error")) => Some(FailoverReason::Status429),
        (
            400..=499,
            Some("authentication_error" | "permission_error" | "billing_error" | "not_found_error"),
        ) => Some(FailoverReason::Status4xx),
        (400, _) if said.contains(OUT_OF_CREDIT) => Some(FailoverReason::Status4xx),
        _ => None,
    }
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

    fn error(type_word: &str, message: &str) -> String {
        json!({ "type": "error", "error": { "type": type_word, "message": message } }).to_string()
    }

    #[test]
    fn the_type_says_more_than_the_status() {
        use FailoverReason::{Status4xx, Status5xx, Status429};
        for (status, type_word, reason) in [
            (400, "overloaded_error", Some(Status5xx)),
            (503, "rate_limit_error", Some(Status429)),
            (400, "billing_error", Some(Status4xx)),
            (400, "authentication_error", Some(Status4xx)),
            (400, "invalid_request_error", None),
        ] {
            let told = read_error(status, &error(type_word, "no"));
            assert_eq!(told.reason, reason, "{type_word}");
        }
    }

    #[test]
    fn an_empty_account_is_not_the_callers_fault() {
        let message = "Your credit balance is too low to access the Anthropic API.";
        let told = read_error(400, &error("invalid_request_error", message));
        assert_eq!(told.reason, Some(FailoverReason::Status4xx));
        assert_eq!(told.message.as_deref(), Some(message));
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
