//! Reads the body of a request: whole, within limits of length and time, or not at all.
//!
//! A body must say that it is JSON, or say nothing of its kind. A page that a person visits may have the browser send
//! forms and plain text to any address, one on loopback included, and nobody is asked; JSON it may not.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::{Instant, timeout, timeout_at};

use crate::engine::{Error, Media};

/// The longest body that is read. It holds a long conversation with images in it; past it a caller could
/// fill the memory with one request.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The longest pause between two pieces of a body. A line that stalls for longer is dead, and a caller that stalls on
/// purpose must not hold a connection for nothing.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The longest that a body may take in all: what the longest one takes over a line of 1 Mbit/s.
const BODY_WAIT_MAX: Duration = Duration::from_mins(5);

/// How much of a refused body is still taken from the line, and for how long. A connection that is closed while its
/// client writes is reset, and the client never reads why.
const DISCARDED_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
const DISCARDING_MAX: Duration = Duration::from_secs(10);

/// The body of a request, or why it was not read.
pub(super) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Error> {
    let whole = match acceptable(headers, &body) {
        Ok(()) => collect(&mut body).await,
        Err(error) => Err(error),
    };
    if whole.is_err() && !body.is_end_stream() {
        discard(body);
    }
    whole
}

/// Reads a value from a JSON text; a field at fault is named.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let unfit = |param, problem: &serde_json::Error| Error::Invalid {
        param,
        message: format!("the request's body cannot be read: {problem}"),
    };
    let text = std::str::from_utf8(text).map_err(|problem| Error::Invalid {
        param: None,
        message: format!(
            "the request's body is not UTF-8 from byte {} on; send JSON in UTF-8",
            problem.valid_up_to()
        ),
    })?;
    // A list would be read as the fields in their order.
    if text.trim_start().starts_with('[') {
        return Err(Error::Invalid {
            param: None,
            message: "the request's body is a list; give an object".to_owned(),
        });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|problem| {
        // A reader of types stops at the first field that it cannot use, and what comes after may be no JSON at all.
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => unfit(field_at_fault(&problem), problem.inner()),
            Err(problem) => unfit(None, &problem),
        }
    })?;
    json.end().map_err(|problem| unfit(None, &problem))?;
    Ok(value)
}

/// The path of the wrong value. Of a field that is missing or unknown only the message has the name.
fn field_at_fault(problem: &serde_path_to_error::Error<serde_json::Error>) -> Option<String> {
    let message = problem.inner().to_string();
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    let path = problem.path().to_string();
    match (path.as_str(), named) {
        (".", named) => named.map(ToOwned::to_owned),
        (path, Some(named)) if !path.ends_with(named) => Some(format!("{path}.{named}")),
        (path, _) => Some(path.to_owned()),
    }
}

/// Refuses what is known to be unfit before a byte of it was read.
fn acceptable(headers: &HeaderMap, body: &Body) -> Result<(), Error> {
    if let Some(kind) = text(headers, &CONTENT_TYPE).filter(|kind| !is_json(kind)) {
        return Err(Error::UnsupportedMedia(Media::Kind(kind.into_owned())));
    }
    let is_encoded = |coding: &Cow<'_, str>| !coding.eq_ignore_ascii_case("identity");
    if let Some(coding) = text(headers, &CONTENT_ENCODING).filter(is_encoded) {
        return Err(Error::UnsupportedMedia(Media::Encoding(
            coding.into_owned(),
        )));
    }
    // What the client says that it will send.
    if (BODY_BYTES_MAX as u64) < body.size_hint().lower() {
        return Err(TOO_LARGE);
    }
    Ok(())
}

const TOO_LARGE: Error = Error::TooLarge {
    bytes_max: BODY_BYTES_MAX,
};

/// A header's value; nothing, if it is absent or blank.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, str>> {
    let value = headers.get(name)?.as_bytes();
    let text = match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty()).then_some(text)
}

/// Whether a media type is `application/json` or a kind of it, with any parameters.
fn is_json(kind: &str) -> bool {
    const JSON: &str = "application/json";
    // What nearly every client says.
    if kind == JSON {
        return true;
    }
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == JSON || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn collect(body: &mut Body) -> Result<Bytes, Error> {
    let until = Instant::now() + BODY_WAIT_MAX;
    let n_bytes_said = usize::try_from(body.size_hint().lower()).unwrap_or(BODY_BYTES_MAX);
    let Some(first) = next_piece(body, until).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= BODY_BYTES_MAX {
        // Most bodies come in one piece, which needs no copy.
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(n_bytes_said.min(BODY_BYTES_MAX));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if BODY_BYTES_MAX < whole.len() + bytes.len() {
            return Err(TOO_LARGE);
        }
        whole.extend_from_slice(&bytes);
        piece = next_piece(body, until).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of a body, if it comes in time; nothing at its end.
async fn next_piece(body: &mut Body, until: Instant) -> Result<Option<Bytes>, Error> {
    loop {
        // Mostly the body came along with the head, and a timer would be made for nothing.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => frame_in_time(body, until).await?,
        };
        match frame {
            None => return Ok(None),
            // Trailers say nothing that is asked for.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(problem)) => {
                return Err(Error::Invalid {
                    param: None,
                    message: format!("the request's body broke off: {problem}"),
                });
            }
        }
    }
}

type NextFrame = Option<Result<Frame<Bytes>, axum::Error>>;

async fn frame_in_time(body: &mut Body, until: Instant) -> Result<NextFrame, Error> {
    let pause_ends = Instant::now() + PAUSE_MAX;
    let limit = if until < pause_ends {
        BODY_WAIT_MAX
    } else {
        PAUSE_MAX
    };
    timeout_at(pause_ends.min(until), body.frame())
        .await
        .map_err(|_| Error::BodyTooSlow { limit })
}

/// Takes the rest of a refused body from the line while the refusal is being sent.
#[expect(
    clippy::disallowed_methods,
    reason = "it ends by itself soon, and nothing is lost if it does not"
)]
pub(super) fn discard(mut body: Body) {
    tokio::spawn(timeout(DISCARDING_MAX, async move {
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let n_bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(n_bytes) {
                Some(less) => left = less,
                None => return,
            }
        }
    }));
}

#[cfg(test)]
mod tests;
