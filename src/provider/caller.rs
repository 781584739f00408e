//! The one HTTP client that speaks to providers, over any dialect.
//!
//! It does not retry and follows no redirects: whom to ask next, and whether, is decided above. Every
//! way in which a call can fail becomes a [`Failure`] that says whether another target could do
//! better. Messages of failures never hold the key, the extra headers or the query of the address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::domain::chat::{Answer, Delivery};
use crate::domain::event::{FailoverReason, Failure, FailureKind};
use crate::provider::{Call, ChunkStream, Provider};
use crate::wire::Dialect;

mod reading;
mod retry_after;

/// How long a connection may take to come about. A host that is up answers within three round trips,
/// and none on earth is a second away; a host that is down should be left soon.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Idle connections kept open to one host. More would only be needed by more callers at a time than
/// one process serves; a further one is opened when it is needed and closed afterwards.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// The longest whole answer. The longest outputs are some 0.5 MiB of text; log probabilities of
/// every token multiply that by fifty.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much of an error's body is kept. Errors of APIs are sentences, those of proxies are pages.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How a provider sees us.
const USER_AGENT: &str = concat!("semroute/", env!("CARGO_PKG_VERSION"));

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

/// Connections to providers, kept open and shared by all callers; a clone shares them too.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// Opens the client; it connects when it is first used. Proxies named in the environment are
    /// not used, since only the configuration says whom semroute speaks to.
    pub fn open() -> Result<Self, SettingsError> {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_WAIT_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map(Self)
            .map_err(|error| SettingsError {
                field: "client",
                message: format!(
                    "the HTTP client cannot start: {}; check the system's certificates",
                    causes(&error)
                ),
            })
    }
}

/// How to reach a provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it speaks.
    pub dialect: Dialect,
    /// Its address, up to the path of the dialect: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// Further headers, by name; they replace those that semroute sets itself.
    pub headers: Vec<(String, Secret)>,
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

/// A provider behind HTTP.
#[derive(Debug)]
pub struct Caller {
    client: reqwest::Client,
    dialect: Dialect,
    url: Url,
    headers: HeaderMap,
}

impl Caller {
    /// A caller with these settings. Nothing is sent yet.
    pub fn open(client: &HttpClient, settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            client: client.0.clone(),
            dialect: settings.dialect,
            url: endpoint(&settings.base_url, settings.dialect)?,
            headers: headers(settings)?,
        })
    }

    /// Sends a call and waits for the head of the reply, which must be one of success.
    async fn send(
        &self,
        call: &Call<'_>,
        delivery: Delivery,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let accepted = match delivery {
            Delivery::Whole => "application/json",
            Delivery::Streamed => "text/event-stream",
        };
        let body = self
            .dialect
            .write_request(call.request, call.model, delivery);
        let sending = self
            .client
            .post(self.url.clone())
            .header(ACCEPT, accepted)
            .headers(self.headers.clone())
            .body(body)
            .send();
        let response = timeout_at(deadline, sending)
            .await
            .map_err(|_| self.too_slow(FailoverReason::TimeoutFirstToken))?
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response, deadline).await)
    }

    /// Reads why the provider refused. What cannot be read of its reasons is left out: the status
    /// alone says what to do.
    async fn refused(&self, response: Response, deadline: Instant) -> Failure {
        let status: StatusCode = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after::read(value, response.headers()));
        let read = timeout_at(deadline, reading::read_start(response, ERROR_BYTES_MAX)).await;
        let body = read.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        self.dialect
            .read_failure(status.as_u16(), &text, retry_after)
    }

    async fn call_whole(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let deadline = deadline_in(call.timeouts.whole);
        let response = self.send(&call, Delivery::Whole, deadline).await?;
        let body = timeout_at(deadline, reading::read_whole(response, ANSWER_BYTES_MAX))
            .await
            .map_err(|_| self.too_slow(FailoverReason::TimeoutBetweenTokens))?
            .map_err(|fault| self.unread(&fault))?;
        let text = std::str::from_utf8(&body).map_err(|_| {
            let message = format!("{} answered in bytes that are not UTF-8", self.url);
            unavailable(FailoverReason::Malformed, message)
        })?;
        self.dialect.read_answer(text).map_err(|problem| {
            let message = format!("{} answered what is no answer: {problem}", self.url);
            unavailable(FailoverReason::Malformed, message)
        })
    }

    async fn call_streamed(&self, call: Call<'_>) -> Result<ChunkStream, Failure> {
        let deadline = deadline_in(call.timeouts.first_token);
        let response = self.send(&call, Delivery::Streamed, deadline).await?;
        if let Some(kind) = other_than_events(&response) {
            let message = format!("{} answered {kind} where a stream was asked for", self.url);
            return Err(unavailable(FailoverReason::Malformed, message));
        }
        let pace = reading::Pace {
            first_until: deadline,
            between: call.timeouts.between_tokens,
        };
        Ok(reading::chunks(self.dialect, response, pace).boxed())
    }

    fn too_slow(&self, reason: FailoverReason) -> Failure {
        unavailable(reason, format!("{} took too long", self.url))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let reason = if error.is_connect() {
            FailoverReason::Connect
        } else {
            FailoverReason::Reset
        };
        let message = format!("{} cannot be asked: {}", self.url, causes(error));
        unavailable(reason, message)
    }

    fn unread(&self, fault: &reading::Fault) -> Failure {
        match fault {
            reading::Fault::Broken(error) => {
                let message = format!("{} broke off its answer: {}", self.url, causes(error));
                unavailable(FailoverReason::Reset, message)
            }
            reading::Fault::TooLong => {
                let message = format!(
                    "{} answered with more than {ANSWER_BYTES_MAX} bytes",
                    self.url
                );
                unavailable(FailoverReason::Malformed, message)
            }
        }
    }
}

impl Provider for Caller {
    fn call<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.call_whole(call))
    }

    fn stream<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<ChunkStream, Failure>> {
        Box::pin(self.call_streamed(call))
    }

    fn is_simulated(&self) -> bool {
        false
    }
}

/// A failure that another target may not have.
fn unavailable(reason: FailoverReason, message: String) -> Failure {
    Failure {
        kind: FailureKind::Unavailable(reason),
        message,
        upstream: None,
    }
}

/// The moment after so long a wait, or one that no call lives to see.
fn deadline_in(wait: Duration) -> Instant {
    /// Long past any answer, and near enough that every clock can hold it.
    const A_YEAR: Duration = Duration::from_hours(8760);
    Instant::now() + wait.min(A_YEAR)
}

/// The kind of a reply's content, where it says that it is no stream of events.
fn other_than_events(response: &Response) -> Option<String> {
    let kind = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let is_json_or_page = ["application/json", "text/html"]
        .iter()
        .any(|other| kind.trim_start().to_ascii_lowercase().starts_with(other));
    is_json_or_page.then(|| kind.to_owned())
}

/// An error and what caused it, without the address, which may hold a secret.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() {
        text.push_str("no cause is known");
    }
    text
}

/// Where the requests go.
fn endpoint(base_url: &str, dialect: Dialect) -> Result<Url, SettingsError> {
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
    let path = format!("{}{}", url.path().trim_end_matches('/'), dialect.path());
    url.set_path(&path);
    Ok(url)
}

fn headers(settings: &Settings) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(Secret(key)) = &settings.api_key {
        if key.trim().is_empty() {
            return Err(SettingsError {
                field: "api_key",
                message: "the key is blank; give one, or leave `api_key` out".to_owned(),
            });
        }
        let bearer = Secret(format!("Bearer {}", key.trim()).into());
        headers.insert(AUTHORIZATION, secret_value("api_key", &bearer)?);
    }
    for (name, value) in &settings.headers {
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

#[cfg(test)]
mod tests;
