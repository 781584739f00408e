//! A caller's own text with the few places changed that must: the model, the delivery, whether the
//! count of tokens is wanted, the name of the limit of tokens where a server knows the older one only,
//! and ids of calls that carry what another provider put there. Everything else stays byte for byte.

use crate::domain::chat::{Delivery, OriginalRequest, Request, UsageReport};
use crate::wire::edit::{Edit, apply, redirect};
use crate::wire::json::{Document, Fields, Raw, array, holds, string};
use crate::wire::{LengthField, StreamUsage, Writing, signed_id};

/// The limit of tokens by its newer name, as it stands in a body.
const NEWER_LIMIT: &str = "\"max_completion_tokens\"";

/// The same by its older name.
const OLDER_LIMIT: &str = "\"max_tokens\"";

/// The text with another model's name and nothing else changed.
pub(super) fn name_model(original: &OriginalRequest, model: &str) -> String {
    apply(&original.text, vec![Edit::naming(original, model)])
}

pub(crate) fn edit_request(request: &Request, writing: &Writing<'_>) -> String {
    let text = &request.original.text;
    let mut edits = vec![Edit::naming(&request.original, writing.model)];
    let redirected = request.delivery != writing.delivery;
    let asks_usage = writing.delivery == Delivery::Streamed
        && request.usage_report == UsageReport::Hidden
        && writing.manners.stream_usage == StreamUsage::OnDemand;
    let renames_limit =
        writing.manners.length_field == LengthField::MaxTokens && holds(text, NEWER_LIMIT);
    let is_signed = holds(text, signed_id::MARK);
    // The text was read before, so it is well-formed; it is read again only if need be.
    if (redirected || asks_usage || renames_limit || is_signed)
        && let Ok(document) = Document::read(text, "the body")
    {
        let fields = document.fields();
        if redirected {
            deliver(text, &fields, writing.delivery, &mut edits);
        }
        if asks_usage {
            ask_usage(text, &fields, &mut edits);
        }
        if renames_limit {
            rename_limit(text, &fields, &mut edits);
        }
        if is_signed {
            unsign(&fields, &mut edits);
        }
    }
    apply(text, edits)
}

/// Asks for the answer whole or streamed. Servers refuse options of a stream where there is no
/// stream, but take null for none.
fn deliver(text: &str, fields: &Fields<'_>, delivery: Delivery, edits: &mut Vec<Edit>) {
    redirect(text, fields, delivery, edits);
    if delivery == Delivery::Whole {
        let options = fields.all("stream_options");
        edits.extend(options.map(|old| Edit::replace(old, "null")));
    }
}

/// Adds the question how many tokens a stream used. Without it many servers never say, and what the
/// stream cost could only be guessed.
fn ask_usage(text: &str, fields: &Fields<'_>, edits: &mut Vec<Edit>) {
    const ASKED: &str = r#"{"include_usage":true}"#;
    let Some(options) = fields.all("stream_options").last() else {
        let field = format!("\"stream_options\":{ASKED},");
        edits.push(Edit::first_field(text, 0, field));
        return;
    };
    match Fields::of_object(options, "`stream_options`") {
        Ok(inner) if inner.is_empty() => edits.push(Edit::replace(options, ASKED)),
        Ok(inner) => {
            let n_before = edits.len();
            let asked = inner.all("include_usage");
            edits.extend(asked.map(|old| Edit::replace(old, "true")));
            if edits.len() == n_before {
                let start = options.span().start;
                let field = "\"include_usage\":true,".to_owned();
                edits.push(Edit::first_field(text, start, field));
            }
        }
        Err(_) if options.get() == "null" => edits.push(Edit::replace(options, ASKED)),
        // It is no object; the provider says so better.
        Err(_) => {}
    }
}

/// Gives the limit of tokens its older name. A server that does not know the newer one refuses it, or
/// answers without a limit.
fn rename_limit(text: &str, fields: &Fields<'_>, edits: &mut Vec<Edit>) {
    // Who gives both has said it in words that the server knows.
    if fields.all("max_tokens").next().is_some() {
        return;
    }
    for limit in fields.all("max_completion_tokens") {
        let before = text[..limit.span().start].trim_end();
        let name_end = before.strip_suffix(':').map_or(before, str::trim_end);
        // A name that is spelled with escapes stays; nobody writes it so.
        if name_end.ends_with(NEWER_LIMIT) {
            edits.push(Edit {
                span: name_end.len() - NEWER_LIMIT.len()..name_end.len(),
                text: OLDER_LIMIT.into(),
            });
        }
    }
}

/// Takes out of the ids of calls what they carry for the provider that made them.
fn unsign(fields: &Fields<'_>, edits: &mut Vec<Edit>) {
    for message in fields.all("messages").flat_map(objects) {
        let calls = message.all("tool_calls").flat_map(objects);
        let ids = calls.flat_map(|call| call.all("id"));
        for id in ids.chain(message.all("tool_call_id")) {
            let Some(signed) = string(id) else {
                continue;
            };
            let plain = signed_id::plain(&signed);
            if plain.len() < signed.len() {
                let plain = serde_json::Value::from(plain).to_string();
                edits.push(Edit::replace(id, plain));
            }
        }
    }
}

/// The objects in a list.
fn objects(list: Raw<'_>) -> impl Iterator<Item = Fields<'_>> {
    let items = array(list).into_iter().flatten();
    items.filter_map(|item| Fields::of_object(item, "").ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Inbound, Manners};

    fn edited(body: &str, length_field: LengthField) -> String {
        let request = Inbound::OpenAi.read_request(body.as_bytes()).unwrap();
        let writing = Writing {
            model: "m",
            delivery: Delivery::Whole,
            manners: Manners {
                length_field,
                ..Manners::default()
            },
        };
        edit_request(&request, &writing)
    }

    const ASKED: &str = r#""messages":[{"role":"user","content":"Say \"max_completion_tokens\""}]"#;

    #[test]
    fn a_limit_goes_by_its_older_name_where_the_server_knows_no_other() {
        let body = format!(r#"{{"model":"a","max_completion_tokens" : 7,{ASKED}}}"#);
        let renamed = format!(r#"{{"model":"m","max_tokens" : 7,{ASKED}}}"#);
        let newer = LengthField::MaxCompletionTokens;
        assert_eq!(edited(&body, LengthField::MaxTokens), renamed);
        assert_eq!(edited(&body, newer), body.replace("\"a\"", "\"m\""));
        let both = format!(r#"{{"model":"m","max_tokens":5,"max_completion_tokens":7,{ASKED}}}"#);
        assert_eq!(edited(&both, LengthField::MaxTokens), both);
        let none = format!(r#"{{"model":"m",{ASKED}}}"#);
        assert_eq!(edited(&none, LengthField::MaxTokens), none);
    }

    #[test]
    fn ids_of_calls_lose_what_they_carry_and_words_keep_it() {
        let body = r#"{"model":"m","messages":[
            {"role":"user","content":"what is call_0__sig_AAAA?","tool_call_id":3},
            {"role":"assistant","tool_calls":[{"id":"call_0__sig_AA-_","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b"}]},
            {"role":"tool", "tool_call_id" : "call_0__sig_AA-_","content":"x__sig_y"}]}"#;
        let plain = body.replace("\"call_0__sig_AA-_\"", "\"call_0\"");
        assert_eq!(edited(body, LengthField::MaxCompletionTokens), plain);
    }
}
