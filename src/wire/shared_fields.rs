//! What requests say alike in every format that callers speak: the model, the
//! delivery and the tools.

use std::ops::Range;
use std::sync::Arc;

use crate::domain::chat::{Delivery, Need, Needs, estimated_tokens};
use crate::wire::Malformed;
use crate::wire::json::{Fields, Raw, array, describe, string};

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

/// What to do where no assistant is named.
const NAME_ONE: &str = "name the assistant that is to answer";

/// The assistant that is asked, and where its name stands in the body, quotes included.
pub(super) fn read_model(fields: &Fields<'_>) -> Result<(String, Range<usize>), Malformed> {
    let value = required(fields, "model", NAME_ONE)?;
    let name = string(value).ok_or_else(|| {
        let message = format!("`model` is {}; give a string", describe(value));
        Malformed::new("model", message)
    })?;
    refuse_blank(&name)?;
    Ok((name.into_owned(), value.span()))
}

/// A blank name cannot be an assistant's.
pub(super) fn refuse_blank(model: &str) -> Result<(), Malformed> {
    if model.trim().is_empty() {
        let message = format!("`model` is blank; {NAME_ONE}");
        return Err(Malformed::new("model", message));
    }
    Ok(())
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

/// Takes the lists of tools in these fields into account. An empty list is no need.
pub(super) fn add_tools(needs: &mut Needs, fields: &Fields<'_>, names: &[&str]) {
    for tools in names.iter().flat_map(|name| fields.all(name)) {
        if array(tools).is_some_and(|tools| !tools.is_empty()) {
            needs.tools = Need::Yes;
            needs.beside_tokens += estimated_tokens(tools.get());
        }
    }
}

/// The first of these fields that names somebody.
pub(super) fn first_name(fields: &Fields<'_>, names: &[&str]) -> Option<Arc<str>> {
    let mut told = names
        .iter()
        .filter_map(|name| fields.find(name).and_then(string));
    told.find(|name| !name.trim().is_empty()).map(Arc::from)
}

/// The objects in these lists.
pub(super) fn objects<'a>(
    lists: impl Iterator<Item = Raw<'a>>,
) -> impl Iterator<Item = Fields<'a>> {
    let items = lists.filter_map(array).flatten();
    items.filter_map(|item| Fields::of_object(item, "an item").ok())
}
