//! Errors as OpenAI writes them.

use serde_json::json;

use crate::domain::event::FailoverReason;
use crate::wire::ErrorText;
use crate::wire::failure::Told;
use crate::wire::json::{Document, Fields, string};

/// Reads what a provider answered instead of an answer.
pub(crate) fn read_error(status: u16, body: &str) -> Told {
    let Ok(document) = Document::read(body, "the error") else {
        return Told::default();
    };
    let fields = document.fields();
    let is_ours = status == 400 && blames_configuration(&fields);
    Told {
        message: error_message(&fields),
        reason: is_ours.then_some(FailoverReason::Status4xx),
        retry_after: None,
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

/// Whether an error that some servers send as a bad request names our key or the model's name.
fn blames_configuration(fields: &Fields<'_>) -> bool {
    let code = fields
        .find("error")
        .and_then(|error| Fields::of_object(error, "`error`").ok())
        .and_then(|error| error.find("code").and_then(string));
    matches!(code.as_deref(), Some("model_not_found" | "invalid_api_key"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::Inbound;

    #[test]
    fn a_bad_request_that_is_about_the_configuration_is_not_blamed_on_the_caller() {
        let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
        assert_eq!(
            read_error(400, body).reason,
            Some(FailoverReason::Status4xx)
        );
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
