//! From an error to what the caller reads: the one table of statuses, types and codes.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::event::{FailureKind, Fault};
use crate::engine::Error;
use crate::gateway::BODY_BYTES_MAX;
use crate::wire::Malformed;

/// The `type` of an error in OpenAI's shape, which its SDKs choose the exception by.
fn kind(status: u16) -> &'static str {
    match status {
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

/// The answer that tells an error.
pub(super) fn respond(error: &Error) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match upstream_body(error) {
        Some(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        None => (status, Json(body(error))).into_response(),
    };
    if let Error::Upstream(failure) = error
        && let Some(retry_after) = failure.upstream.as_ref().and_then(|it| it.retry_after)
    {
        let seconds = HeaderValue::from(retry_after.as_secs());
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// An error as the body of an answer or as the data of an event.
pub(super) fn body(error: &Error) -> serde_json::Value {
    let param = match error {
        Error::Invalid { param, .. } => param.as_deref(),
        Error::UnknownModel { .. } => Some("model"),
        _ => None,
    };
    json!({ "error": {
        "message": error.to_string(),
        "type": kind(error.status()),
        "param": param,
        "code": error.code(),
    }})
}

/// A provider's own words about a request that it refused, if they are JSON: they name the field at
/// fault, and its callers know how to read them.
fn upstream_body(error: &Error) -> Option<String> {
    let Error::Upstream(failure) = error else {
        return None;
    };
    let upstream = failure.upstream.as_ref()?;
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&upstream.body).is_ok();
    (failure.kind == FailureKind::Rejected && is_json).then(|| upstream.body.to_string())
}

/// There is nothing at this path.
pub(super) fn not_found(path: &str) -> Response {
    let message =
        format!("there is nothing at {path}; see docs/api.md for the paths that there are");
    plain(StatusCode::NOT_FOUND, &message, "no_such_path")
}

/// The path is there, but not for this method.
pub(super) fn wrong_method(method: &Method, path: &str) -> Response {
    let message = format!("{path} does not answer to {method}");
    plain(
        StatusCode::METHOD_NOT_ALLOWED,
        &message,
        "method_not_allowed",
    )
}

fn plain(status: StatusCode, message: &str, code: &str) -> Response {
    let body = json!({ "error": {
        "message": message, "type": kind(status.as_u16()), "param": null, "code": code,
    }});
    (status, Json(body)).into_response()
}

/// A body that could not be read from the connection.
pub(super) fn unreadable(rejection: &BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::TooLarge {
            bytes_max: BODY_BYTES_MAX,
        };
    }
    Error::Invalid {
        param: None,
        message: format!("the request's body could not be read: {rejection}"),
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Invalid {
            param: malformed.param,
            message: malformed.message,
        }
    }
}

/// Every error with its status, type and code, as the documentation lists them.
pub fn error_table() -> Vec<(u16, &'static str, &'static str)> {
    use std::time::Duration;

    use crate::domain::event::{FailoverReason, Failure, UpstreamError};

    let failure = |kind, status: Option<u16>| {
        Error::Upstream(Failure {
            kind,
            message: String::new(),
            upstream: status.map(|status| UpstreamError {
                status,
                body: "".into(),
                retry_after: None,
            }),
        })
    };
    let invalid = Error::Invalid {
        param: None,
        message: String::new(),
    };
    let unknown = Error::UnknownModel {
        asked: String::new(),
        known: Vec::new(),
    };
    let fault = Fault {
        path: String::new(),
        keyword: String::new(),
        message: String::new(),
    };
    [
        invalid,
        unknown,
        Error::TooLarge { bytes_max: 0 },
        failure(FailureKind::Rejected, Some(422)),
        failure(
            FailureKind::Unavailable(FailoverReason::Status429),
            Some(429),
        ),
        failure(FailureKind::Unavailable(FailoverReason::Connect), None),
        Error::CascadeExhausted(fault),
        Error::Overloaded,
        Error::DeadlineExceeded {
            limit: Duration::ZERO,
        },
        Error::Internal {
            detail: String::new(),
        },
    ]
    .iter()
    .map(|error| (error.status(), kind(error.status()), error.code()))
    .collect()
}
