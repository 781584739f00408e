//! Ids of tool calls that carry what their provider must get back with the call.
//!
//! Gemini signs the calls that its models make and, from version 3 on, refuses a conversation in
//! which a call of the current turn comes back without its signature. Callers keep of a call its id,
//! its tool and its arguments and nothing else, so the signature travels in the id: the id, a mark,
//! and the signature in base64 with the alphabet of URLs, which every format's ids may hold.
//!
//! Such an id is long, and some providers bound ids at 40 characters. What goes to any provider but
//! the one that signed is therefore [`plain`].

/// Stands between id and signature. No provider's own ids hold it.
pub(super) const MARK: &str = "__sig_";

/// An id that carries a signature; the id alone, if the signature is no base64 and so could not be
/// given back as it came.
pub(super) fn sign(id: &str, signature: &str) -> String {
    let body = signature.trim_end_matches('=');
    let is_whole = !signature.is_empty() && signature.len().is_multiple_of(4);
    let is_base64 = body
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    if !is_whole || !is_base64 {
        return id.to_owned();
    }
    let url_safe = body.replace('+', "-").replace('/', "_");
    format!("{id}{MARK}{url_safe}")
}

/// The id without what it carries.
pub(super) fn plain(id: &str) -> &str {
    id.split_once(MARK).map_or(id, |(plain, _)| plain)
}

/// The signature that an id carries, as it came.
pub(super) fn signature(id: &str) -> Option<String> {
    let (_, url_safe) = id.split_once(MARK)?;
    let mut signature = url_safe.replace('-', "+").replace('_', "/");
    while !signature.len().is_multiple_of(4) {
        signature.push('=');
    }
    Some(signature)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_given_back_as_it_came_is_not_carried() {
        assert_eq!(sign("call_0", ""), "call_0");
        assert_eq!(sign("call_0", "not base64!!"), "call_0");
        assert_eq!(sign("call_0", "abc"), "call_0");
        assert_eq!(signature("call_0"), None);
    }

    proptest! {
        #[test]
        fn a_signature_comes_back_as_it_went_and_the_id_is_fit_for_every_format(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            id in "[A-Za-z0-9-]{1,20}",
        ) {
            let given = STANDARD.encode(bytes);
            let signed = sign(&id, &given);
            prop_assert!(signed.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
            prop_assert_eq!(plain(&signed), id);
            prop_assert_eq!(signature(&signed), Some(given));
        }
    }
}
