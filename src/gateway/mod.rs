//! The HTTP side: reads requests, writes answers, and decides nothing.

mod asked;
mod auth;
mod body;
mod chat;
mod count;
mod embeddings;
mod error;
mod events;
mod explanation;
mod feedback;
mod headers;
mod health;
mod incoming;
mod listen;
mod models;
mod route;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::{Engine, Error};

pub use body::BODY_BYTES_MAX;
pub use error::error_table;
pub(crate) use explanation::Explanation;
pub(crate) use route::question;

/// Every path, over one engine.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/messages", post(chat::message))
        .route("/v1/messages/count_tokens", post(count::tokens))
        .route("/v1/embeddings", post(embeddings::embed))
        .route("/v1/feedback", post(feedback::note))
        .route("/v1/models", get(models::list))
        // Names of assistants may hold slashes.
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/route", post(route::one))
        .route("/v1/route/batch", post(route::batch))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
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
    listen::serve(listener, router(engine), stop).await
}

async fn no_such_path(uri: axum::http::Uri) -> Response {
    error::not_found(uri.path()).into_response()
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    error::wrong_method(&method, uri.path()).into_response()
}
