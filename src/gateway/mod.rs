//! The HTTP side: reads requests, writes answers, and decides nothing.

mod chat;
mod embeddings;
mod error;
mod feedback;
mod headers;
mod health;
mod models;
mod route;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::{Engine, Error};

pub use error::error_table;
pub(crate) use route::explanation;

/// The longest body that is read. It holds a long conversation with images in it; past it a caller could
/// fill the memory with one request.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Every path, over one engine.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/messages", post(chat::message))
        .route("/v1/embeddings", post(embeddings::embed))
        .route("/v1/feedback", post(feedback::note))
        .route("/v1/models", get(models::list))
        .route("/v1/route", post(route::one))
        .route("/v1/route/batch", post(route::batch))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|_panic| {
            error::respond(&Error::Internal {
                detail: "a handler panicked".to_owned(),
            })
        }))
        .with_state(engine)
}

/// Serves until `stop` resolves, then finishes the requests that are running.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Without it, small writes of a stream wait for the client's delayed acknowledgement: 40 ms.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::warn!(%error, "a connection keeps TCP delay");
        }
    });
    axum::serve(listener, router(engine))
        .with_graceful_shutdown(stop)
        .await
}

async fn no_such_path(uri: axum::http::Uri) -> Response {
    error::not_found(uri.path()).into_response()
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    error::wrong_method(&method, uri.path()).into_response()
}
