//! `POST /v1/feedback`: what people say of a request afterwards.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::domain::feedback::Judgement;
use crate::engine::feedback::Said;
use crate::engine::{Engine, Error};
use crate::gateway::body::parse;
use crate::gateway::error;
use crate::gateway::incoming::Incoming;

/// What a caller writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    request_id: String,
    #[serde(default)]
    intent: Option<String>,
    #[serde(default)]
    outcome: Option<Judgement>,
    #[serde(default)]
    comment: Option<String>,
}

/// Notes feedback, and answers when it is written.
pub(super) async fn note(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let noted = match read(&incoming) {
        Ok(said) => engine.note(said).await,
        Err(error) => Err(error),
    };
    match noted {
        Ok(feedback) => Json(json!({
            "request_id": feedback.request_id,
            "known": feedback.known,
            "intent_known": feedback.intent_known,
        }))
        .into_response(),
        Err(error) => error::respond(&error),
    }
}

fn read(incoming: &Incoming) -> Result<Said, Error> {
    let body: Body = parse(&incoming.admitted()?.body)?;
    let intent = body.intent.map(|intent| {
        intent.parse().map_err(|problem| Error::Invalid {
            param: Some("intent".to_owned()),
            message: format!("`intent`: {problem}"),
        })
    });
    Ok(Said {
        request_id: body.request_id,
        intent: intent.transpose()?,
        outcome: body.outcome,
        comment: body.comment,
    })
}
