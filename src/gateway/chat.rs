//! Conversations: `POST /v1/chat/completions` and `POST /v1/messages`, which differ in their format
//! only.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;

use crate::domain::chat::{Answer, UsageReport};
use crate::domain::record::Record;
use crate::engine::ledger::Ledger;
use crate::engine::serve::{Piece, Served};
use crate::engine::{Engine, Reply};
use crate::gateway::asked::DryRun;
use crate::gateway::events::Events;
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers, route};
use crate::wire::{Inbound, Stamp, StreamWriter};

/// Answers a conversation in OpenAI's format.
pub(super) async fn complete(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let ledger = incoming.open(&engine, "/v1/chat/completions");
    answer(Inbound::OpenAi, &engine, ledger, &incoming).await
}

/// Answers a conversation in Anthropic's format.
pub(super) async fn message(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let ledger = incoming.open(&engine, "/v1/messages");
    answer(Inbound::Anthropic, &engine, ledger, &incoming).await
}

async fn answer(
    dialect: Inbound,
    engine: &Arc<Engine>,
    ledger: Ledger,
    incoming: &Incoming,
) -> Response {
    let request = incoming.admitted().and_then(|admitted| {
        let mut request = dialect.read_request(&admitted.body)?;
        request.original.headers = headers::belonging_to(dialect, &incoming.headers);
        Ok((admitted.dry_run, request))
    });
    let (served, asked) = match request {
        Ok((DryRun::Yes, request)) => {
            // Dry runs are rare; without a box, every answer would carry their room.
            let decided = Box::pin(route::dry_run(engine, &request, ledger, dialect));
            let mut response = decided.await;
            headers::name_request(dialect, response.headers_mut());
            return response;
        }
        Ok((DryRun::No, request)) => (engine.answer(&request, ledger).await, request.usage_report),
        Err(error) => {
            // So are refusals.
            let failed = Box::pin(Served::failed(error, ledger)).await;
            (failed, UsageReport::Hidden)
        }
    };
    let created_unix_s = engine.clock().wall().as_secs();
    let mut response = respond(dialect, served, asked, created_unix_s);
    headers::name_request(dialect, response.headers_mut());
    response
}

fn respond(dialect: Inbound, served: Served, asked: UsageReport, created_unix_s: u64) -> Response {
    let stamp = stamp(&served.record, created_unix_s);
    let mut response = match served.reply {
        Ok(Reply::Whole(answer)) => whole(dialect, answer, &stamp),
        Ok(Reply::Streamed(pieces)) => {
            let request_id = stamp.request_id.clone();
            streamed(pieces, dialect.stream_writer(stamp, asked), request_id)
        }
        Err(error) => error::respond_in(dialect, &error, &served.record.request_id),
    };
    headers::write(&served.record, response.headers_mut());
    response
}

/// What an answer that was made here says of itself.
fn stamp(record: &Record, created_unix_s: u64) -> Stamp {
    let served_by = record.served_by();
    let model = served_by.map(|attempt| attempt.target.to_string());
    Stamp {
        request_id: record.request_id.clone(),
        created_unix_s,
        model: model.unwrap_or_default(),
    }
}

fn whole(dialect: Inbound, answer: Answer, stamp: &Stamp) -> Response {
    let mut response = Response::new(Body::from(dialect.write_answer(answer, stamp)));
    let json = HeaderValue::from_static("application/json");
    headers::make_room(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn streamed(
    pieces: BoxStream<'static, Piece>,
    writer: StreamWriter,
    request_id: String,
) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::new(Events::of(pieces, writer, request_id))).into_response()
}
