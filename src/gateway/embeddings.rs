//! `POST /v1/embeddings`: the vectors that routing uses, for anyone who wants the same.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::record::Outcome;
use crate::encoder::{Class, Embedding, Passage, Refusal};
use crate::engine::{Engine, Error};
use crate::gateway::body::parse;
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers};

/// The most texts of one request, as OpenAI has it.
const INPUTS_MAX: usize = 2048;

/// How many texts of one request may wait for the encoder together. A bulk request must not push
/// prompts that want a route out of the queue.
const IN_QUEUE_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    model: String,
    input: Value,
    #[serde(default)]
    encoding_format: Encoding,
    #[serde(default)]
    dimensions: Option<u64>,
    #[serde(default, rename = "user")]
    _user: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Embeds texts.
pub(super) async fn embed(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let mut ledger = incoming.open(&engine, "/v1/embeddings");
    match embeddings(&engine, &incoming).await {
        Ok(answer) => {
            ledger.record.outcome = Outcome::Answered;
            let mut response = Json(answer).into_response();
            let record = ledger.close().await;
            headers::write(&record, response.headers_mut());
            response
        }
        Err(error) => {
            ledger.failed(&error);
            let mut response = error::respond(&error);
            let record = ledger.close().await;
            headers::write(&record, response.headers_mut());
            response
        }
    }
}

async fn embeddings(engine: &Engine, incoming: &Incoming) -> Result<Value, Error> {
    let ask: Ask = parse(&incoming.admitted()?.body)?;
    let identity = engine.encoder().identity();
    if ask.model != identity.name {
        return Err(Error::UnknownModel {
            asked: ask.model,
            known: vec![identity.name.clone()],
        });
    }
    if let Some(dimensions) = ask.dimensions
        && dimensions != identity.dimensions as u64
    {
        let message = format!(
            "{} makes vectors of {} dimensions and cannot shorten them to {dimensions}; leave `dimensions` out",
            identity.name, identity.dimensions
        );
        return Err(invalid(Some("dimensions"), message));
    }
    let texts = inputs(ask.input)?;
    let class = match texts.len() {
        1 => Class::Interactive,
        _ => Class::Bulk,
    };
    let embeddings: Vec<Embedding> = stream::iter(texts.into_iter().enumerate())
        .map(|(position, text)| embed_one(engine, position, text, class))
        .buffered(IN_QUEUE_MAX)
        .try_collect()
        .await?;
    Ok(answer(&identity.name, &embeddings, ask.encoding_format))
}

async fn embed_one(
    engine: &Engine,
    position: usize,
    text: String,
    class: Class,
) -> Result<Embedding, Error> {
    let passages = [Passage::new(text)];
    let embedded = engine.encoder().embed(&passages, class).await;
    embedded.map_err(|refusal| match refusal {
        Refusal::Saturated => Error::Overloaded,
        Refusal::Empty => {
            let message =
                format!("`input[{position}]` holds no text; leave it out, or give it some");
            invalid(Some("input"), message)
        }
        Refusal::Failed(_) | Refusal::Closed => Error::Internal {
            detail: refusal.to_string(),
        },
    })
}

fn answer(model: &str, embeddings: &[Embedding], encoding: Encoding) -> Value {
    let data: Vec<Value> = embeddings
        .iter()
        .enumerate()
        .map(|(index, embedding)| {
            let vector = match encoding {
                Encoding::Float => json!(embedding.vector),
                Encoding::Base64 => {
                    let floats = embedding.vector.iter();
                    let bytes: Vec<u8> = floats.flat_map(|value| value.to_le_bytes()).collect();
                    json!(BASE64.encode(bytes))
                }
            };
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    let n_tokens: usize = embeddings.iter().map(|embedding| embedding.tokens).sum();
    json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
    })
}

/// The texts of `input`, which is one or a list.
fn inputs(input: Value) -> Result<Vec<String>, Error> {
    let items = match input {
        Value::String(text) => return Ok(vec![text]),
        Value::Array(items) => items,
        _ => {
            return Err(invalid(
                Some("input"),
                "`input` is neither a text nor a list of texts".to_owned(),
            ));
        }
    };
    if items.is_empty() || INPUTS_MAX < items.len() {
        let message = format!("`input` has {} texts; give 1 to {INPUTS_MAX}", items.len());
        return Err(invalid(Some("input"), message));
    }
    let texts = items.into_iter().enumerate().map(|(position, item)| match item {
        Value::String(text) => Ok(text),
        _ => Err(invalid(
            Some("input"),
            format!("`input[{position}]` is no text; token ids are not accepted, since every encoder has its own"),
        )),
    });
    texts.collect()
}

fn invalid(param: Option<&str>, message: String) -> Error {
    Error::Invalid {
        param: param.map(ToOwned::to_owned),
        message,
    }
}
