//! What the headers of an answer tell, all of it from the record.

use std::sync::Arc;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::caller::Envelope;
use crate::domain::decimal::Decimal;
use crate::domain::record::{Cost, Intent, Outcome, Record, as_micros, as_millis};
use crate::engine::Plan;
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
        .map_or_else(new_request_id, ToOwned::to_owned)
}

fn new_request_id() -> String {
    let mut text = Uuid::encode_buffer();
    Uuid::now_v7()
        .hyphenated()
        .encode_lower(&mut text)
        .to_owned()
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

/// What is written on a request outside its body, as far as a rule of the plan looks at it.
pub(super) fn envelope<B>(plan: &Plan, request: &Request<B>) -> Envelope {
    let host = plan.looks_at_host.then(|| host(request)).flatten();
    let wanted = plan.headers_wanted.iter();
    let values = wanted.flat_map(|name| {
        let values = request.headers().get_all(&**name).iter();
        values.map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (Arc::clone(name), text.into_owned())
        })
    });
    Envelope {
        host,
        headers: values.collect(),
    }
}

/// The host asked, without its port, in lower case.
fn host<B>(request: &Request<B>) -> Option<Arc<str>> {
    let named = request.headers().get(HOST);
    let named = named.and_then(|value| value.to_str().ok());
    let authority: Authority = match named {
        Some(named) => named.trim().parse().ok()?,
        None => request.uri().authority()?.clone(),
    };
    Some(authority.host().to_ascii_lowercase().into())
}

/// Tells the request's id under the name that clients of its format look for.
pub(super) fn name_request(dialect: Inbound, headers: &mut HeaderMap) {
    let name = dialect.request_id_header();
    // The one that stands there already has this name in most formats.
    if name != REQUEST_ID
        && let Some(id) = headers.get(REQUEST_ID).cloned()
    {
        headers.insert(HeaderName::from_static(name), id);
    }
}

/// The names that answers tell, read once and not for every answer.
mod names {
    use axum::http::HeaderName;

    macro_rules! names {
        ($($NAME:ident = $text:literal),+ $(,)?) => {
            $(pub(super) const $NAME: HeaderName = HeaderName::from_static($text);)+
        };
    }

    names! {
        ASSISTANT = "x-semroute-assistant",
        ATTEMPTS = "x-semroute-attempts",
        COST = "x-semroute-cost-usd",
        DROPPED = "x-semroute-dropped",
        ESCALATIONS = "x-semroute-escalations",
        FAILOVERS = "x-semroute-failovers",
        INTENT = "x-semroute-intent",
        OVERHEAD = "x-semroute-overhead-ms",
        CHOSEN = "x-semroute-chosen",
        REASON = "x-semroute-reason",
        ROUTE = "x-semroute-route",
        SIMULATED = "x-semroute-simulated",
        TARGET = "x-semroute-target",
        VERDICT = "x-semroute-verdict",
    }
}

/// How much is told of fields that were left out. Proxies and clients take a few kilobytes of headers in all.
const DROPPED_CHARS_MAX: usize = 1024;

/// About as many as there are, so that they find room at once.
const HEADERS: usize = 16;

/// Makes room in the headers of an answer for what is told. They are still empty, so nothing has to move.
pub(super) fn make_room(headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
}

/// Writes what is known when the answer begins.
pub(super) fn write(record: &Record, headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    let mut set = |name: HeaderName, value: &[u8]| {
        // Names and numbers that were checked when they were read always fit.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    };
    set(REQUEST_ID, record.request_id.as_bytes());
    if let Some(assistant) = &record.assistant {
        set(names::ASSISTANT, assistant.as_str().as_bytes());
    }
    if let Some(intent) = &record.intent {
        set(names::INTENT, intent_told(intent).as_bytes());
    }
    if let Some(decision) = &record.decision {
        set(names::ROUTE, decision.route.as_str().as_bytes());
        set(names::REASON, decision.reason.as_str().as_bytes());
        set(names::CHOSEN, decision.chosen.as_str().as_bytes());
    }
    if let Some(served_by) = record.served_by() {
        set(names::TARGET, served_by.target.as_str().as_bytes());
        if !served_by.dropped.is_empty() {
            set(names::DROPPED, dropped_told(&served_by.dropped).as_bytes());
        }
    }
    if let Some(verdict) = record.verdicts.last() {
        let word = if verdict.passes() { "passed" } else { "failed" };
        set(
            names::VERDICT,
            format!("{}:{word}", verdict.check).as_bytes(),
        );
    }
    let overhead = Decimal::full::<3>(as_micros(record.timings.overhead()));
    set(names::OVERHEAD, overhead.as_bytes());
    if record.simulated {
        set(names::SIMULATED, b"true");
    }
    match (&record.outcome, record.cost_usd) {
        (Outcome::Pending, _) => {}
        (_, Cost::Known(amount)) => set(names::COST, amount.as_decimal().as_bytes()),
        (_, Cost::Unknown) => set(names::COST, b"unknown"),
    }
    for (name, count) in [
        (names::ATTEMPTS, record.attempts.len()),
        (names::ESCALATIONS, record.escalations.len()),
        (names::FAILOVERS, record.failovers.len()),
    ] {
        headers.insert(name, counted(count));
    }
}

/// A count. Nearly always there is one attempt and none of the others, and those values need no memory.
fn counted(count: usize) -> HeaderValue {
    match count {
        0 => HeaderValue::from_static("0"),
        1 => HeaderValue::from_static("1"),
        _ => HeaderValue::from(count),
    }
}

/// Names of fields, as far as they fit: the record has them all.
fn dropped_told(fields: &[String]) -> String {
    let mut told = String::new();
    for field in fields {
        if DROPPED_CHARS_MAX < told.len() + field.len() {
            told.push_str(", ...");
            break;
        }
        if !told.is_empty() {
            told.push_str(", ");
        }
        let visible = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        told.extend(field.chars().map(visible));
    }
    told
}

fn intent_told(intent: &Intent) -> String {
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
    format!("{name};score={:.2}{by}", intent.score)
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
