//! `POST /v1/chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::domain::chat::Answer;
use crate::domain::record::Record;
use crate::engine::ledger::Ledger;
use crate::engine::serve::{Piece, Served};
use crate::engine::{Engine, Reply};
use crate::gateway::{error, headers};
use crate::wire::{Dialect, Position, Stamp, sse};

const DIALECT: Dialect = Dialect::OpenAi;

/// Answers a conversation.
pub(super) async fn complete(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request_id = headers::request_id(&headers);
    let ledger = Ledger::open(&engine, "/v1/chat/completions", request_id);
    let request = body
        .map_err(|rejection| error::unreadable(&rejection))
        .and_then(|body| Ok(DIALECT.read_request(&body)?));
    let served = match request {
        Ok(request) => engine.answer(&request, ledger).await,
        Err(error) => Served::failed(error, ledger).await,
    };
    let created_unix_s = engine.clock().wall().as_secs();
    respond(served, created_unix_s)
}

fn respond(served: Served, created_unix_s: u64) -> Response {
    let stamp = stamp(&served.record, created_unix_s);
    let mut response = match served.reply {
        Ok(Reply::Whole(answer)) => whole(&answer, &stamp),
        Ok(Reply::Streamed(pieces)) => streamed(pieces, stamp),
        Err(error) => error::respond(&error),
    };
    headers::write(&served.record, response.headers_mut());
    response
}

/// What an answer that was made here says of itself.
fn stamp(record: &Record, created_unix_s: u64) -> Stamp {
    let served_by = record.served_by();
    let model = served_by.map(|attempt| attempt.target.to_string());
    Stamp {
        id: format!("chatcmpl-{}", record.request_id),
        created_unix_s,
        model: model.unwrap_or_default(),
    }
}

fn whole(answer: &Answer, stamp: &Stamp) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], DIALECT.write_answer(answer, stamp)).into_response()
}

fn streamed(pieces: BoxStream<'static, Piece>, stamp: Stamp) -> Response {
    let positions = stream::once(async { Position::First }).chain(stream::repeat(Position::Later));
    let events = pieces
        .zip(positions)
        .map(move |(piece, position)| Ok::<_, Infallible>(event(piece, position, &stamp)));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(events)).into_response()
}

fn event(piece: Piece, position: Position, stamp: &Stamp) -> String {
    match piece {
        Piece::Chunk(chunk) => sse::event(&DIALECT.write_chunk(&chunk, stamp, position)),
        // A stream that broke off has no end marker: a client must not take it for whole.
        Piece::Failed(error) => sse::event(&error::body(&error).to_string()),
        Piece::End(record) => {
            let trailer = sse::comment(&headers::trailer(&record).to_string());
            trailer + &sse::event(DIALECT.stream_end())
        }
    }
}
