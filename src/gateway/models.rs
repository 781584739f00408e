//! `GET /v1/models`: what callers can put in `model`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::domain::name::AssistantName;
use crate::engine::{Engine, Error};
use crate::gateway::{auth, embeddings, error};

/// The assistants that the caller may use, and what `/v1/embeddings` answers with.
pub(super) async fn list(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Response {
    let listed = known(&engine, &headers).map(|ids| {
        let models: Vec<Value> = ids.iter().map(|id| model(id)).collect();
        json!({ "object": "list", "data": models })
    });
    respond(listed)
}

/// One of them.
pub(super) async fn one(
    State(engine): State<Arc<Engine>>,
    Path(asked): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = known(&engine, &headers).and_then(|known| {
        if known.contains(&asked) {
            Ok(model(&asked))
        } else {
            Err(Error::UnknownModel { asked, known })
        }
    });
    respond(found)
}

fn known(engine: &Engine, headers: &HeaderMap) -> Result<Vec<String>, Error> {
    let plan = engine.plan();
    let tenant = auth::caller(&plan, headers)?.tenant;
    let assistants = plan.assistants_of(&tenant).map(|(name, _)| name);
    Ok(assistants
        .map(AssistantName::to_string)
        .chain(embeddings::known(engine, &plan))
        .collect())
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": "semroute" })
}

fn respond(body: Result<Value, Error>) -> Response {
    match body {
        Ok(body) => Json(body).into_response(),
        Err(error) => error::respond(&error),
    }
}
