//! `POST /v1/route` and `/v1/route/batch`: the decision on a prompt, and nobody is asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::chat::{Message, Role};
use crate::domain::record::Record;
use crate::encoder::Class;
use crate::engine::ledger::Ledger;
use crate::engine::{Decided, Engine, Error};
use crate::gateway::{error, headers};
use crate::wire::Inbound;

/// The most prompts of one batch: as many as the encoder works off within a second or two.
const BATCH_PROMPTS_MAX: usize = 256;

/// How many prompts of one batch may wait for the encoder together. All at once, they would outlast the
/// bound on waiting, and push single prompts out of the queue.
const IN_QUEUE_MAX: usize = 16;

/// One prompt: a text, or a conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    /// The assistant; it can be left out where there is only one.
    #[serde(default, alias = "assistant")]
    model: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    messages: Option<Box<serde_json::value::RawValue>>,
}

/// Several prompts for the same assistant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(default, alias = "assistant")]
    model: Option<String>,
    texts: Vec<String>,
}

/// Decides on one prompt.
pub(super) async fn one(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let ledger = Ledger::open(&engine, "/v1/route", headers::request_id(&headers));
    let prompt = read::<Prompt>(body).and_then(|prompt| {
        let asked = assistant(&engine, prompt.model.as_deref())?;
        Ok((asked, messages(prompt)?))
    });
    let decided = match prompt {
        Ok((asked, messages)) => {
            engine
                .decide(&asked, &messages, Class::Interactive, ledger)
                .await
        }
        Err(error) => Decided::failed(error, ledger).await,
    };
    let mut response = match &decided.outcome {
        Ok(()) => Json(with_drift(
            explanation(&decided.record),
            &decided.record,
            &engine,
        ))
        .into_response(),
        Err(error) => error::respond(error),
    };
    headers::write(&decided.record, response.headers_mut());
    response
}

/// Decides on several prompts at once, each for itself.
pub(super) async fn batch(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request_id = headers::request_id(&headers);
    match read_batch(&engine, body) {
        Ok((asked, texts)) => {
            let decisions: Vec<Value> = stream::iter(texts.into_iter().enumerate())
                .map(|(position, text)| {
                    let id = format!("{request_id}-{position}");
                    let ledger = Ledger::open(&engine, "/v1/route/batch", id);
                    let (engine, asked) = (&engine, &asked);
                    async move {
                        engine
                            .decide(asked, &[said(text)], Class::Bulk, ledger)
                            .await
                    }
                })
                .buffered(IN_QUEUE_MAX)
                .map(|decided| match &decided.outcome {
                    Ok(()) => explanation(&decided.record),
                    Err(error) => error::value(error),
                })
                .collect()
                .await;
            let body = Json(json!({ "decisions": decisions }));
            ([("x-request-id", request_id)], body).into_response()
        }
        Err(error) => {
            let ledger = Ledger::open(&engine, "/v1/route/batch", request_id);
            let decided = Decided::failed(error.clone(), ledger).await;
            let mut response = error::respond(&error);
            headers::write(&decided.record, response.headers_mut());
            response
        }
    }
}

fn read_batch(
    engine: &Engine,
    body: Result<Bytes, BytesRejection>,
) -> Result<(String, Vec<String>), Error> {
    let batch = read::<Batch>(body)?;
    if batch.texts.is_empty() || BATCH_PROMPTS_MAX < batch.texts.len() {
        return Err(Error::Invalid {
            param: Some("texts".to_owned()),
            message: format!(
                "`texts` has {} prompts; give 1 to {BATCH_PROMPTS_MAX}",
                batch.texts.len()
            ),
        });
    }
    Ok((assistant(engine, batch.model.as_deref())?, batch.texts))
}

fn read<T: serde::de::DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Error> {
    let body = body.map_err(|rejection| error::unreadable(&rejection))?;
    serde_json::from_slice(&body).map_err(|problem| Error::Invalid {
        param: None,
        message: format!("the request's body cannot be read: {problem}"),
    })
}

/// The assistant that was named, or the only one there is.
fn assistant(engine: &Engine, asked: Option<&str>) -> Result<String, Error> {
    let plan = engine.plan();
    let mut names = plan.assistants.keys();
    match (asked, names.next(), names.next()) {
        (Some(asked), ..) => Ok(asked.to_owned()),
        (None, Some(only), None) => Ok(only.to_string()),
        (None, ..) => Err(Error::Invalid {
            param: Some("model".to_owned()),
            message: format!(
                "there are several assistants; name one in `model`: {}",
                plan.assistants
                    .keys()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }),
    }
}

fn messages(prompt: Prompt) -> Result<Vec<Message>, Error> {
    match (prompt.text, prompt.messages) {
        (Some(text), None) => Ok(vec![said(text)]),
        (None, Some(messages)) => {
            let request = json!({ "model": "-", "messages": messages }).to_string();
            Ok(Inbound::OpenAi.read_request(request.as_bytes())?.messages)
        }
        (Some(_), Some(_)) => Err(Error::Invalid {
            param: Some("text".to_owned()),
            message: "give either `text` or `messages`, not both".to_owned(),
        }),
        (None, None) => Err(Error::Invalid {
            param: Some("text".to_owned()),
            message: "`text` is missing: give a prompt, or a conversation in `messages`".to_owned(),
        }),
    }
}

fn said(text: String) -> Message {
    Message {
        role: Role::User,
        text,
    }
}

/// Adds how far the last prompts of the found intent are from its training rows.
fn with_drift(mut explanation: Value, record: &Record, engine: &Engine) -> Value {
    let drift = record
        .intent
        .as_ref()
        .and_then(|intent| engine.drift_of(&intent.name));
    explanation["drift"] = json!(drift);
    explanation
}

/// A decision, as its caller reads it.
pub(crate) fn explanation(record: &Record) -> Value {
    json!({
        "request_id": record.request_id,
        "assistant": record.assistant,
        "route": record.decision.as_ref().map(|decision| &decision.route),
        "reason": record.decision.as_ref().map(|decision| decision.reason),
        "target": record.decision.as_ref().map(|decision| &decision.target),
        "propensity": record.decision.as_ref().map(|decision| decision.propensity),
        "intent": record.intent,
        "text": record.text,
        "encoder": record.encoder.as_ref(),
        "centroid_digest": record.centroid_digest.as_ref(),
        "config_digest": record.config_digest.as_ref(),
        "timings": record.timings,
    })
}
