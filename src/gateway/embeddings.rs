//! `POST /v1/embeddings`: the vectors that routing uses, for anyone who wants the same, or those of a
//! provider's model.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::embeddings::TextsToEmbed;
use crate::domain::record::{Outcome, Record};
use crate::encoder::{Class, Embedding, Passage, Refusal};
use crate::engine::{Embedded, Engine, Error, Plan};
use crate::gateway::body::parse;
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers};
use crate::wire::embeddings::read_request;

/// The most texts of one request, as OpenAI has it.
const INPUTS_MAX: usize = 2048;

/// How many texts of one request may wait for the encoder together. A bulk request must not push
/// prompts that want a route out of the queue.
const IN_QUEUE_MAX: usize = 16;

/// The longest text that is taken for a question: prose of this length fits in a group of 32 tokens, so that the rule
/// for long prompts does not refuse it. No static encoder could stand in here.
const QUESTION_BYTES_MAX: usize = 128;

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
    let answer = match incoming.admitted() {
        Ok(admitted) => match for_provider(&ledger.plan(), &admitted.body) {
            Some(request) => {
                let Embedded { record, reply } = engine.embed(&request, ledger).await;
                return respond(reply.map(verbatim), &record);
            }
            None => embeddings(&engine, &ledger.plan(), &admitted.body).await,
        },
        Err(error) => Err(error),
    };
    match &answer {
        Ok(_) => ledger.record.outcome = Outcome::Answered,
        Err(error) => ledger.failed(error),
    }
    let record = ledger.close().await;
    respond(answer.map(|it| Json(it).into_response()), &record)
}

/// What can stand in `model`.
pub(super) fn known<'a>(engine: &'a Engine, plan: &'a Plan) -> impl Iterator<Item = String> + 'a {
    let others = plan.embedders().map(|target| target.model.name.to_string());
    std::iter::once(engine.encoder().identity().name.clone()).chain(others)
}

/// The request, if it asks for a provider's model. What is wrong with one that cannot be read is told by
/// the reader of all others.
fn for_provider(plan: &Plan, body: &[u8]) -> Option<TextsToEmbed> {
    if plan.embeddings.is_empty() {
        return None;
    }
    let request = read_request(body).ok()?;
    plan.embedder(&request.model)?;
    Some(request)
}

fn verbatim(answer: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}

fn respond(answer: Result<Response, Error>, record: &Record) -> Response {
    let mut response = answer.unwrap_or_else(|error| error::respond(&error));
    headers::write(record, response.headers_mut());
    response
}

async fn embeddings(engine: &Engine, plan: &Plan, body: &[u8]) -> Result<Value, Error> {
    let ask: Ask = parse(body)?;
    let identity = engine.encoder().identity();
    if ask.model != identity.name {
        return Err(Error::UnknownModel {
            asked: ask.model,
            known: known(engine, plan).collect(),
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
    let class = class_of(&texts);
    let embeddings: Vec<Embedding> = stream::iter(texts.into_iter().enumerate())
        .map(|(position, text)| embed_one(engine, position, text, class))
        .buffered(IN_QUEUE_MAX)
        .try_collect()
        .await?;
    Ok(answer(&identity.name, &embeddings, ask.encoding_format))
}

/// One short text is what somebody searches for. Several, or a long one, are documents, which are indexed: nobody
/// sits before them, so they wait where a question would be refused.
fn class_of(texts: &[String]) -> Class {
    match texts {
        [text] if text.len() <= QUESTION_BYTES_MAX => Class::Interactive,
        _ => Class::Bulk,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_text_is_a_question_and_everything_else_is_bulk() {
        let of = |length: usize| "a".repeat(length);
        assert_eq!(class_of(&[of(128)]), Class::Interactive);
        assert_eq!(class_of(&[of(129)]), Class::Bulk);
        assert_eq!(class_of(&[of(1), of(1)]), Class::Bulk);
    }
}
