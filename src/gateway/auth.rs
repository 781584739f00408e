//! Who a caller is, by the key that it sends.
//!
//! Three headers can hold one, since each family of clients has its own. The check returns the
//! engine's error and no answer: each endpoint tells errors in the shape that its clients read.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::caller::{KeyLabel, Tenant};
use crate::engine::access::Access;
use crate::engine::error::KeyProblem;
use crate::engine::{Error, Plan};

/// Where Anthropic's clients put the key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Where Azure's clients put it.
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// On whose behalf a request comes, and with which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) tenant: Tenant,
    /// What the configuration calls the key, where keys are asked for.
    pub(super) key: Option<KeyLabel>,
}

/// On whose behalf a request comes. Where no key is asked for, none is looked at: clients must send
/// something, and what they send is nobody's concern.
pub(super) fn caller(plan: &Plan, headers: &HeaderMap) -> Result<Caller, Error> {
    match &plan.access {
        Access::Anyone => Ok(Caller {
            tenant: Tenant::Anonymous,
            key: None,
        }),
        Access::KeyHolders(ring) => presented(headers)
            .and_then(|key| ring.holder(key).ok_or(KeyProblem::Unknown))
            .map(|holder| Caller {
                tenant: Tenant::Team(holder.team.clone()),
                key: Some(holder.key.clone()),
            })
            .map_err(Error::Unauthenticated),
    }
}

/// The one key that a request carries.
fn presented(headers: &HeaderMap) -> Result<&[u8], KeyProblem> {
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(bearer);
    let plain = [X_API_KEY, API_KEY];
    let plain = plain.iter().flat_map(|name| headers.get_all(name));
    let plain = plain.map(|value| value.as_bytes().trim_ascii());
    let mut keys = bearers.chain(plain).filter(|key| !key.is_empty());
    match keys.next() {
        Some(key) if keys.all(|other| other == key) => Ok(key),
        Some(_) => Err(KeyProblem::Differing),
        None if headers.get_all(AUTHORIZATION).iter().any(is_other_scheme) => {
            Err(KeyProblem::NotBearer)
        }
        None => Err(KeyProblem::Missing),
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not count.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && token.first().is_none_or(|c| *c == b' ');
    is_bearer.then(|| token.trim_ascii())
}

fn is_other_scheme(value: &HeaderValue) -> bool {
    bearer(value).is_none() && !value.as_bytes().trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Result<String, KeyProblem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        presented(&map).map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn each_family_of_clients_has_its_header() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer  k "),
            ("authorization", "BEARER k"),
            ("x-api-key", "k"),
            ("api-key", " k "),
        ] {
            assert_eq!(of(&[(name, value)]), Ok("k".to_owned()), "{name}: {value}");
        }
    }

    #[test]
    fn the_same_key_twice_is_one_and_two_are_a_question() {
        let same = [("authorization", "Bearer k"), ("x-api-key", "k")];
        assert_eq!(of(&same), Ok("k".to_owned()));
        for differing in [
            [("authorization", "Bearer k"), ("x-api-key", "l")],
            [("x-api-key", "k"), ("api-key", "l")],
            [("authorization", "Bearer k"), ("authorization", "Bearer l")],
        ] {
            assert_eq!(of(&differing), Err(KeyProblem::Differing));
        }
    }

    #[test]
    fn an_empty_key_is_none_and_another_scheme_is_told() {
        for headers in [
            &[][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer")],
            &[("x-api-key", "")],
            &[("authorization", "")],
        ] {
            assert_eq!(of(headers), Err(KeyProblem::Missing), "{headers:?}");
        }
        for value in ["Basic a2V5", "k", "Bearerk", "Bear"] {
            assert_eq!(of(&[("authorization", value)]), Err(KeyProblem::NotBearer));
        }
        let beside = [("authorization", "Basic a2V5"), ("x-api-key", "k")];
        assert_eq!(of(&beside), Ok("k".to_owned()));
    }
}
