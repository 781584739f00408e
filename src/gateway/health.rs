//! `/healthz`, `/readyz` and `/metrics`: for whoever runs the process.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::engine::Engine;

/// The media type of the text that `/metrics` answers with.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be answered: encoder and centroids were read before the server began to listen.
pub(super) async fn ready(State(engine): State<Arc<Engine>>) -> Json<Value> {
    let plan = engine.plan();
    Json(json!({
        "status": "ready",
        "encoder": engine.encoder().identity(),
        "intents": plan.centroids.intents().collect::<Vec<_>>(),
        "assistants": plan.assistants.keys().collect::<Vec<_>>(),
        "config_digest": plan.digest.as_ref(),
        "centroid_digest": plan.centroid_digest.as_ref(),
        "centroid_version": plan.centroid_version,
    }))
}

/// Everything counted so far.
pub(super) async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], engine.metrics_text())
}
