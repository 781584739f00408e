//! What requests say alike in every format that callers speak: the model and the delivery.

use std::ops::Range;

use crate::domain::chat::Delivery;
use crate::wire::Malformed;
use crate::wire::json::{Fields, Raw, describe, string};

/// A request's body as a text.
pub(super) fn as_text(body: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(body).map_err(|error| Malformed {
        param: None,
        message: format!(
            "the body is not UTF-8: byte {} is no part of a character; send JSON in UTF-8",
            error.valid_up_to()
        ),
    })
}

/// The assistant that is asked, and where its name stands in the body, quotes included.
pub(super) fn read_model(fields: &Fields<'_>) -> Result<(String, Range<usize>), Malformed> {
    let remedy = "name the assistant that is to answer";
    let value = required(fields, "model", remedy)?;
    let name = string(value).ok_or_else(|| {
        let message = format!("`model` is {}; give a string", describe(value));
        Malformed::new("model", message)
    })?;
    if name.trim().is_empty() {
        let message = format!("`model` is blank; {remedy}");
        return Err(Malformed::new("model", message));
    }
    Ok((name.into_owned(), value.span()))
}

/// Whether the answer is wanted piece by piece.
pub(super) fn read_delivery(fields: &Fields<'_>) -> Result<Delivery, Malformed> {
    let Some(value) = fields.get("stream")? else {
        return Ok(Delivery::Whole);
    };
    match value.get() {
        "true" => Ok(Delivery::Streamed),
        "false" => Ok(Delivery::Whole),
        _ => {
            let message = format!("`stream` is {}; give true or false", describe(value));
            Err(Malformed::new("stream", message))
        }
    }
}

/// The value of a field that must be there.
pub(super) fn required<'a>(
    fields: &Fields<'a>,
    name: &str,
    remedy: &str,
) -> Result<Raw<'a>, Malformed> {
    fields.get(name)?.ok_or_else(|| {
        let message = format!("`{name}` is missing; {remedy}");
        Malformed::new(name, message)
    })
}
