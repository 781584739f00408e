//! Connections to providers: hyper's client over TCP, and over TLS where the address says so.
//!
//! Nothing stands between it and the caller. A client for every purpose follows redirects, keeps cookies, finds
//! proxies and reads the address anew for each request; here every request is a POST to one of a few
//! addresses that were read once.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::Uri;
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use tower_service::Service;

/// How long a connection may take to come about, TLS included. A host that is up answers within three round
/// trips, and none on earth is a second away; a host that is down should be left soon.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Idle connections kept open to one host. More would only be needed by more callers at a time than
/// one process serves; a further one is opened when it is needed and closed afterwards.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// How long an idle connection is kept. Servers close theirs after one to several minutes, and a
/// request that meets a closing one must be sent again.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// How soon an idle connection is probed, and how often: one whose other side went without a word is found
/// dead before a request is sent over it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Probes without an answer until a connection is given up.
const KEEPALIVE_PROBES: u32 = 3;

/// A failure of any layer.
type BoxError = Box<dyn Error + Send + Sync>;

/// The connections of all providers.
pub(super) type Connections = Client<InTime<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// A provider's reply.
pub(super) type Response = hyper::Response<Incoming>;

/// Opens the client; it connects when it is first used.
pub(super) fn open() -> Result<Connections, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(PING_WAIT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(InTime(connector));
    Ok(client)
}

/// The longest that a provider may take to answer a ping of HTTP/2. A connection whose other end has vanished is given
/// up then, where TCP alone would try for a quarter of an hour.
const PING_WAIT_MAX: Duration = Duration::from_secs(10);

/// The next bytes of a body; nothing after the last.
pub(super) async fn next_bytes(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    poll_fn(|context| poll_bytes(body, context)).await
}

/// The same, where they are waited for by hand.
pub(super) fn poll_bytes(
    body: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, hyper::Error>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(context)) {
            // What is no data are trailers, which tell nothing here.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
}

/// Connects in time or not at all.
#[derive(Debug, Clone)]
pub(super) struct InTime<C>(C);

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Response: 'static,
    C::Error: Into<BoxError> + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_WAIT_MAX, self.0.call(to));
        let connected = connecting.map(|connected| {
            let Ok(connected) = connected else {
                let message = format!("no connection within {CONNECT_WAIT_MAX:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message).into());
            };
            connected.map_err(Into::into)
        });
        Box::pin(connected)
    }
}
