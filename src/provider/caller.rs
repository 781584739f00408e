//! The one HTTP client that speaks to providers, over any dialect.
//!
//! It does not retry and follows no redirects: whom to ask next, and whether, is decided above. Every
//! way in which a call can fail becomes a [`Failure`] that says whether another target could do
//! better. Messages of failures never hold the key, the extra headers or the query of the address.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use crate::domain::chat::{Answer, Delivery, OriginalRequest};
use crate::domain::embeddings::Vectors;
use crate::domain::event::{FailoverReason, Failure, FailureKind};
use crate::provider::overrides::Overrides;
use crate::provider::{Brought, Call, ChunkStream, Embed, Provider};
use crate::wire::{self, Manners, Outbound, Writing, Written};

mod client;
mod embeddings;
mod reading;
mod retry_after;
mod settings;

pub use settings::{Endpoint, KeyHeader, Secret, Settings, SettingsError};

pub(super) use settings::secret_headers;

use client::{Connections, Response};
use settings::{Headers, base};

/// The longest whole answer. The longest outputs are some 0.5 MiB of text; log probabilities of
/// every token multiply that by fifty.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much of an error's body is kept. Errors of APIs are sentences, those of proxies are pages.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Connections to providers, kept open and shared by all callers; a clone shares them too.
#[derive(Debug, Clone)]
pub struct HttpClient(Connections);

impl HttpClient {
    /// Opens the client; it connects when it is first used. Proxies named in the environment are
    /// not used, since only the configuration says whom semroute speaks to.
    pub fn open() -> Result<Self, SettingsError> {
        client::open().map(Self).map_err(|error| SettingsError {
            field: "client",
            message: format!(
                "the HTTP client cannot start: {}; check the system's certificates",
                causes(&error)
            ),
        })
    }
}

/// A provider behind HTTP.
#[derive(Debug)]
pub struct Caller {
    connections: Connections,
    dialect: Outbound,
    manners: Manners,
    base: Url,
    endpoint: Endpoint,
    /// The first place that was asked, and how requests name it. Most providers have no other.
    first: OnceLock<(String, Uri)>,
    headers: Headers,
}

impl Caller {
    /// A caller with these settings. Nothing is sent yet.
    pub fn open(client: &HttpClient, settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            connections: client.0.clone(),
            dialect: settings.dialect,
            manners: settings.manners,
            base: base(&settings.base_url)?,
            endpoint: settings.endpoint.clone(),
            first: OnceLock::new(),
            headers: Headers::of(settings)?,
        })
    }

    /// Sends a call and waits for the head of the reply, which must be one of success.
    async fn send(
        &self,
        call: &Call<'_>,
        delivery: Delivery,
        deadline: Instant,
    ) -> Result<Brought<Response>, Failure> {
        let writing = Writing {
            model: call.model,
            delivery,
            manners: self.manners,
        };
        let written = match call.overrides {
            None => self.dialect.write_request(call.request, &writing),
            Some(overrides) => {
                self.dialect
                    .write_overridden(call.request, &writing, &overrides.body)
            }
        };
        let Written { body, dropped } = written.map_err(|problem| Failure {
            kind: FailureKind::Unsayable,
            message: problem.message,
            param: problem.param,
            upstream: None,
        })?;
        let path = self.path(&writing);
        let headers = self.headers_for(&call.request.original, delivery, call.overrides);
        let reply = self.post(path, headers, body, deadline).await?;
        Ok(Brought { reply, dropped })
    }

    /// Sends a body and waits for the head of the reply, which must be one of success.
    async fn post(
        &self,
        path: String,
        headers: HeaderMap,
        body: String,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(path)?;
        *request.headers_mut() = headers;
        let sending = self.connections.request(request);
        let response = timeout_at(deadline, sending)
            .await
            .map_err(|_| self.too_slow(FailoverReason::TimeoutFirstToken))?
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response, deadline).await)
    }

    /// Where a call goes.
    fn uri(&self, path: String) -> Result<Uri, Failure> {
        match self.first.get() {
            Some((first, uri)) if *first == path => Ok(uri.clone()),
            _ => {
                let url = self.url(&path);
                let uri: Uri = url.as_str().parse().map_err(|error| {
                    let message = format!("{url} is no address that can be asked: {error}");
                    Failure::unavailable(FailoverReason::Connect, message)
                })?;
                // Another call may have been the first meanwhile.
                let _ = self.first.set((path, uri.clone()));
                Ok(uri)
            }
        }
    }

    fn path(&self, writing: &Writing<'_>) -> String {
        match &self.endpoint {
            Endpoint::OfDialect => self.dialect.path(writing),
            Endpoint::AzureDeployment { api_version } => {
                let path = self.dialect.path(writing);
                wire::azure_path(writing.model, &path, api_version)
            }
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        // The path of an address that has none is a slash.
        let base = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{base}{path}"));
        url.set_query((!query.is_empty()).then_some(query));
        url
    }

    /// The provider's headers, over them those of the caller's format that travel along, and over all the
    /// model's own.
    fn headers_for(
        &self,
        original: &OriginalRequest,
        delivery: Delivery,
        overrides: Option<&Overrides>,
    ) -> HeaderMap {
        let mut headers = self.headers.accepting(delivery).clone();
        if original.format == self.dialect.format() {
            for (name, value) in &original.headers {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        if let Some(overrides) = overrides {
            overrides.add_headers(&mut headers);
        }
        headers
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

    async fn call_whole(&self, call: Call<'_>) -> Result<Brought<Answer>, Failure> {
        let deadline = deadline_in(call.timeouts.whole);
        let Brought { reply, dropped } = self.send(&call, Delivery::Whole, deadline).await?;
        let text = self.read_text(reply, deadline).await?;
        let depth = self.dialect.depth_for(call.request.original.format);
        let answer = self.dialect.read_answer(text, depth);
        answer
            .map(|reply| Brought { reply, dropped })
            .map_err(|problem| self.malformed(&problem))
    }

    /// Reads the whole text of a reply.
    async fn read_text(&self, reply: Response, deadline: Instant) -> Result<String, Failure> {
        let body = timeout_at(deadline, reading::read_whole(reply, ANSWER_BYTES_MAX))
            .await
            .map_err(|_| self.too_slow(FailoverReason::TimeoutBetweenTokens))?
            .map_err(|fault| self.unread(&fault))?;
        String::from_utf8(body.into()).map_err(|_| self.malformed(&"its bytes are not UTF-8"))
    }

    async fn call_streamed(&self, call: Call<'_>) -> Result<Brought<ChunkStream>, Failure> {
        let deadline = deadline_in(call.timeouts.first_token);
        let Brought { reply, dropped } = self.send(&call, Delivery::Streamed, deadline).await?;
        if let Some(kind) = other_than_events(&reply) {
            let message = format!("{} answered {kind} where a stream was asked for", self.base);
            return Err(Failure::unavailable(FailoverReason::Malformed, message));
        }
        let pace = reading::Pace {
            first_until: deadline,
            between: call.timeouts.between_tokens,
        };
        let depth = self.dialect.depth_for(call.request.original.format);
        let reader = self.dialect.stream_reader(depth);
        let reply = reading::Chunks::of(reply, reader, pace).boxed();
        Ok(Brought { reply, dropped })
    }

    fn malformed(&self, problem: &dyn fmt::Display) -> Failure {
        let message = format!("{} answered what is no answer: {problem}", self.base);
        Failure::unavailable(FailoverReason::Malformed, message)
    }

    fn too_slow(&self, reason: FailoverReason) -> Failure {
        Failure::unavailable(reason, format!("{} took too long", self.base))
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Failure {
        let reason = if error.is_connect() {
            FailoverReason::Connect
        } else {
            FailoverReason::Reset
        };
        let message = format!("{} cannot be asked: {}", self.base, causes(error));
        Failure::unavailable(reason, message)
    }

    fn unread(&self, fault: &reading::Fault) -> Failure {
        match fault {
            reading::Fault::Broken(error) => {
                let message = format!("{} broke off its answer: {}", self.base, causes(error));
                Failure::unavailable(FailoverReason::Reset, message)
            }
            reading::Fault::TooLong => {
                let message = format!(
                    "{} answered with more than {ANSWER_BYTES_MAX} bytes",
                    self.base
                );
                Failure::unavailable(FailoverReason::Malformed, message)
            }
        }
    }
}

impl Provider for Caller {
    fn call<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Brought<Answer>, Failure>> {
        Box::pin(self.call_whole(call))
    }

    fn stream<'a>(
        &'a self,
        call: Call<'a>,
    ) -> BoxFuture<'a, Result<Brought<ChunkStream>, Failure>> {
        Box::pin(self.call_streamed(call))
    }

    fn embed<'a>(&'a self, call: Embed<'a>) -> BoxFuture<'a, Result<Vectors, Failure>> {
        Box::pin(self.call_embeddings(call))
    }

    fn is_simulated(&self) -> bool {
        false
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

/// An error and what caused it. None of the layers that it comes from names the address, which may hold a
/// secret.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Some repeat what they were caused by.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
