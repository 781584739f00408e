//! What the headers of an answer tell, all of it from the record.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::record::{Outcome, Record, as_millis};
use crate::wire::Inbound;

/// The header by which a caller names a request, and is told its name.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A caller's own id is kept up to this length; it ends up in every log line.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The caller's own id of the request, if it can stand in a log, or a new one that sorts by time.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

/// The headers of a request that belong to its format.
pub(super) fn belonging_to(dialect: Inbound, headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let own = dialect.own_headers().iter();
    own.filter_map(|name| {
        // A client may send a list as several headers of one name.
        let values = headers.get_all(*name).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| (*name, values.join(",")))
    })
    .collect()
}

/// Tells the request's id under the name that clients of its format look for.
pub(super) fn name_request(dialect: Inbound, headers: &mut HeaderMap) {
    if let Some(id) = headers.get(REQUEST_ID).cloned() {
        headers.insert(HeaderName::from_static(dialect.request_id_header()), id);
    }
}

/// Writes what is known when the answer begins.
pub(super) fn write(record: &Record, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: String| {
        // Names and numbers that were checked when they were read always fit.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-request-id", record.request_id.clone());
    if let Some(assistant) = &record.assistant {
        set("x-semroute-assistant", assistant.to_string());
    }
    if let Some(intent) = &record.intent {
        let name = if intent.out_of_scope {
            "none"
        } else {
            intent.name.as_str()
        };
        let by = if intent.encoder.is_main() {
            ""
        } else {
            ";encoder=static"
        };
        set(
            "x-semroute-intent",
            format!("{name};score={:.2}{by}", intent.score),
        );
    }
    if let Some(decision) = &record.decision {
        set("x-semroute-route", decision.route.to_string());
        set("x-semroute-reason", decision.reason.to_string());
    }
    if let Some(served_by) = record.served_by() {
        set("x-semroute-target", served_by.target.to_string());
        if !served_by.dropped.is_empty() {
            set("x-semroute-dropped", served_by.dropped.join(", "));
        }
    }
    set("x-semroute-attempts", record.attempts.len().to_string());
    set(
        "x-semroute-escalations",
        record.escalations.len().to_string(),
    );
    set("x-semroute-failovers", record.failovers.len().to_string());
    if let Some(verdict) = record.verdicts.last() {
        let word = if verdict.passes() { "passed" } else { "failed" };
        set("x-semroute-verdict", format!("{}:{word}", verdict.check));
    }
    set(
        "x-semroute-overhead-ms",
        format!("{:.3}", as_millis(record.timings.overhead())),
    );
    if record.simulated {
        set("x-semroute-simulated", "true".to_owned());
    }
    if record.outcome != Outcome::Pending {
        set("x-semroute-cost-usd", record.cost_usd.to_string());
    }
}

/// What is known only when a stream has ended: the trailing comment.
pub(super) fn trailer(record: &Record) -> Value {
    let usage = record.served_by().and_then(|attempt| attempt.usage);
    json!({ "semroute": {
        "request_id": record.request_id,
        "cost_usd": record.cost_usd,
        "usage": usage,
        "overhead_ms": as_millis(record.timings.overhead()),
        "total_ms": as_millis(record.timings.total),
    }})
}
