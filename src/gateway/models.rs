//! `GET /v1/models`: what callers can put in `model`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::engine::Engine;

/// The assistants, and the encoder that `/v1/embeddings` answers with.
pub(super) async fn list(State(engine): State<Arc<Engine>>) -> Json<Value> {
    let plan = engine.plan();
    let encoder = engine.encoder().identity().name.clone();
    let assistants = plan.assistants.keys().map(ToString::to_string);
    let models: Vec<Value> = assistants
        .chain([encoder])
        .map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "semroute" }))
        .collect();
    Json(json!({ "object": "list", "data": models }))
}
