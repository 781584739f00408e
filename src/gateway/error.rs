//! From an error to what the caller reads: the one table of statuses, types and codes.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::domain::chat::Format;
use crate::domain::decision::{Out, Removed, Weighed};
use crate::domain::event::{FailoverReason, Failure, FailureKind, Fault, UpstreamError};
use crate::domain::name::ModelName;
use crate::engine::error::KeyProblem;
use crate::engine::{Error, Media};
use crate::routing::NoCandidate;
use crate::wire::{ErrorText, Inbound, Malformed};

/// The answer that tells an error, in OpenAI's format.
pub(super) fn respond(error: &Error) -> Response {
    respond_in(Inbound::OpenAi, error, "")
}

/// The answer that tells an error, in the caller's format.
pub(super) fn respond_in(dialect: Inbound, error: &Error, request_id: &str) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = body(dialect, error, request_id);
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    if let Error::Unauthenticated(_) = error {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    if let Some(seconds) = error.retry_after_secs() {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// An error as the body of an answer.
pub(super) fn body(dialect: Inbound, error: &Error, request_id: &str) -> String {
    let refusal = refusal(error);
    if let Some(upstream) = refusal
        && upstream.format == dialect.format()
        && is_json(&upstream.body)
    {
        return upstream.body.to_string();
    }
    let message = match refusal {
        Some(upstream) if !upstream.said.is_empty() => upstream.said.to_string(),
        _ => error.to_string(),
    };
    dialect.write_error(&ErrorText {
        message: &message,
        ..text(error, "", request_id)
    })
}

/// An error as a part of a larger answer.
pub(super) fn value(error: &Error) -> serde_json::Value {
    let body = body(Inbound::OpenAi, error, "");
    serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body))
}

/// What an error says, for whoever writes it in a stream.
pub(super) fn text<'a>(error: &'a Error, message: &'a str, request_id: &'a str) -> ErrorText<'a> {
    ErrorText {
        status: error.status(),
        message,
        param: error.param(),
        code: Some(error.code()),
        request_id,
    }
}

/// A provider's own words about a request that it refused: they name the field at fault, and are
/// about nothing but what the caller sent.
fn refusal(error: &Error) -> Option<&UpstreamError> {
    let Error::Upstream(failure) = error else {
        return None;
    };
    let upstream = failure.upstream.as_ref()?;
    (failure.kind == FailureKind::Rejected).then_some(upstream)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// There is nothing at this path.
pub(super) fn not_found(path: &str) -> Response {
    let message =
        format!("there is nothing at {path}; see docs/api.md for the paths that there are");
    plain(path, StatusCode::NOT_FOUND, &message, "no_such_path")
}

/// The path is there, but not for this method.
pub(super) fn wrong_method(method: &Method, path: &str) -> Response {
    let message = format!("{path} does not answer to {method}");
    plain(
        path,
        StatusCode::METHOD_NOT_ALLOWED,
        &message,
        "method_not_allowed",
    )
}

/// The format in which callers of a path expect errors, paths that there are not included.
fn dialect_at(path: &str) -> Inbound {
    let is_message = path
        .strip_prefix("/v1/messages")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_message {
        Inbound::Anthropic
    } else {
        Inbound::OpenAi
    }
}

fn plain(path: &str, status: StatusCode, message: &str, code: &str) -> Response {
    let body = dialect_at(path).write_error(&ErrorText {
        status: status.as_u16(),
        message,
        param: None,
        code: Some(code),
        request_id: "",
    });
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
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
    let row = |error: &Error| {
        let kind = Inbound::OpenAi.error_kind(error.status());
        (error.status(), kind, error.code())
    };
    one_of_each()
        .iter()
        .chain(&without_candidates())
        .map(row)
        .collect()
}

/// An error of every kind that has a row of its own.
fn one_of_each() -> Vec<Error> {
    let words = String::new;
    let limit = Duration::ZERO;
    vec![
        Error::Invalid {
            param: None,
            message: words(),
        },
        Error::Unauthenticated(KeyProblem::Missing),
        Error::UnknownModel {
            asked: words(),
            known: Vec::new(),
        },
        Error::TooLarge { bytes_max: 0 },
        Error::BodyTooSlow { limit },
        Error::UnsupportedMedia(Media::Kind(words())),
        Error::UnsupportedMedia(Media::Encoding(words())),
        upstream(FailureKind::Unsayable, None),
        upstream(FailureKind::Rejected, Some(422)),
        upstream(
            FailureKind::Unavailable(FailoverReason::Status429),
            Some(429),
        ),
        upstream(FailureKind::Unavailable(FailoverReason::Connect), None),
        Error::CascadeExhausted(Fault {
            path: words(),
            keyword: words(),
            message: words(),
        }),
        Error::Overloaded,
        Error::TargetsFull { retry_after: None },
        Error::DeadlineExceeded { limit },
        Error::Internal { detail: words() },
    ]
}

/// Nobody is left, for each reason that removes or rules out the last model.
fn without_candidates() -> Vec<Error> {
    let Ok(model) = "model".parse::<ModelName>() else {
        return Vec::new();
    };
    let removed = |by: &str| {
        Error::NoCandidate(NoCandidate {
            removed: vec![Removed {
                model: model.clone(),
                by: by.into(),
                why: "".into(),
            }],
            out: Vec::new(),
        })
    };
    let out = NoCandidate {
        removed: Vec::new(),
        out: vec![(Weighed::new(model.clone()), Out::QualityUnknown)],
    };
    vec![
        removed(Removed::ABILITY),
        removed(Removed::CONTEXT),
        removed("policy[0]"),
        Error::NoCandidate(out),
    ]
}

/// The error of a provider that failed so, with this status if it answered.
fn upstream(kind: FailureKind, status: Option<u16>) -> Error {
    Error::Upstream(Failure {
        kind,
        message: String::new(),
        param: None,
        upstream: status.map(|status| UpstreamError {
            status,
            format: Format::OpenAi,
            body: "".into(),
            said: "".into(),
            retry_after: None,
        }),
    })
}
