//! `POST /v1/messages/count_tokens`: how many tokens a conversation has, by our own count.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::engine::{Counted, Engine};
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers};
use crate::wire::{Inbound, read_countable};

/// Tells that no provider counted.
const COUNTED_BY: HeaderName = HeaderName::from_static("x-semroute-counted-by");

/// Counts.
pub(super) async fn tokens(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let ledger = incoming.open(&engine, "/v1/messages/count_tokens");
    let asked = incoming
        .admitted()
        .and_then(|admitted| Ok(read_countable(&admitted.body)?));
    let Counted { record, reply } = match asked {
        Ok(asked) => engine.count_tokens(asked, ledger).await,
        Err(error) => Counted::failed(error, ledger).await,
    };
    let mut response = match reply {
        Ok(n_tokens) => {
            let by = [(COUNTED_BY, HeaderValue::from_static("semroute"))];
            (by, Json(json!({ "input_tokens": n_tokens }))).into_response()
        }
        Err(error) => error::respond_in(Inbound::Anthropic, &error, &record.request_id),
    };
    headers::write(&record, response.headers_mut());
    headers::name_request(Inbound::Anthropic, response.headers_mut());
    response
}
