//! How a provider is reached: what an operator sets, checked before anything is sent.

use std::fmt;
use std::sync::Arc;

use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use reqwest::Url;

use crate::domain::chat::Delivery;
use crate::wire::{Manners, Outbound};

/// How a provider sees us.
const OUR_NAME: &str = concat!("semroute/", env!("CARGO_PKG_VERSION"));

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How to reach a provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it speaks.
    pub dialect: Outbound,
    /// What it wants beyond that.
    pub manners: Manners,
    /// Its address, up to the path of the dialect: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Where below that address requests go.
    pub endpoint: Endpoint,
    /// The key that it knows us by.
    pub api_key: Option<Secret>,
    /// Where the key goes.
    pub key_header: KeyHeader,
    /// Further headers, by name; they replace those that semroute sets itself.
    pub headers: Vec<(String, Secret)>,
}

/// Where below a provider's address requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Where the dialect says.
    OfDialect,
    /// To the deployment of the model's name, as Azure has it.
    AzureDeployment {
        /// The version of the API.
        api_version: String,
    },
}

/// The header that carries a provider's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization`, as a bearer token.
    Bearer,
    /// A header of this name, by itself.
    Named(&'static str),
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SettingsError {
    /// Which one: `base_url`, `api_key`, `headers` or `client`.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// The address that the paths of requests are appended to.
pub(super) fn base(base_url: &str) -> Result<Url, SettingsError> {
    let unfit = |why: &str| SettingsError {
        field: "base_url",
        message: format!("{base_url:?} {why}; give an address such as https://api.openai.com/v1"),
    };
    let mut url =
        Url::parse(base_url.trim()).map_err(|error| unfit(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(unfit("is not an HTTP address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError {
            field: "base_url",
            message: "the address holds a user's name or password; give it as `api_key` or as a header, where it stays secret".to_owned(),
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unfit("has a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The headers of every request, by how its answer is to come: made once, since nothing in them changes.
#[derive(Debug)]
pub(super) struct Headers {
    whole: HeaderMap,
    streamed: HeaderMap,
}

impl Headers {
    /// The headers that these settings ask for.
    pub(super) fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let headers = headers(settings)?;
        let accepting = |kind| {
            let mut headers = headers.clone();
            // The operator's own header stays.
            headers
                .entry(ACCEPT)
                .or_insert(HeaderValue::from_static(kind));
            headers
        };
        Ok(Self {
            whole: accepting("application/json"),
            streamed: accepting("text/event-stream"),
        })
    }

    /// Those of a request whose answer is to come so.
    pub(super) const fn accepting(&self, delivery: Delivery) -> &HeaderMap {
        match delivery {
            Delivery::Whole => &self.whole,
            Delivery::Streamed => &self.streamed,
        }
    }
}

fn headers(settings: &Settings) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for &(name, value) in settings.dialect.headers() {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(OUR_NAME));
    if let Some(Secret(key)) = &settings.api_key {
        if key.trim().is_empty() {
            return Err(SettingsError {
                field: "api_key",
                message: "the key is blank; give one, or leave `api_key` out".to_owned(),
            });
        }
        let (name, value) = match settings.key_header {
            KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.trim())),
            KeyHeader::Named(name) => (HeaderName::from_static(name), key.trim().to_owned()),
        };
        headers.insert(name, secret_value("api_key", &Secret(value.into()))?);
    }
    headers.extend(secret_headers(&settings.headers)?);
    Ok(headers)
}

/// Headers of the operator's own.
pub(in crate::provider) fn secret_headers(
    given: &[(String, Secret)],
) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| SettingsError {
            field: "headers",
            message: format!("{name:?} cannot be the name of a header; use letters, digits and -"),
        })?;
        headers.insert(name, secret_value("headers", value)?);
    }
    Ok(headers)
}

fn secret_value(field: &'static str, Secret(text): &Secret) -> Result<HeaderValue, SettingsError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| SettingsError {
        field,
        message: "the value holds a line break or another character that no header can carry"
            .to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
