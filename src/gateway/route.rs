//! `POST /v1/route` and `/v1/route/batch`: the decision on a prompt, and nobody is asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::caller::Tenant;
use crate::domain::chat::Request;
use crate::domain::record::Record;
use crate::encoder::Class;
use crate::engine::ledger::Ledger;
use crate::engine::{Decided, Engine, Error};
use crate::gateway::asked::DRY_RUN;
use crate::gateway::body::parse;
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers};
use crate::wire::Inbound;

/// Where batches are sent to.
const BATCH: &str = "/v1/route/batch";

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
    /// What chance says, to see a decision of the log again.
    #[serde(default)]
    seed: Option<u64>,
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
pub(super) async fn one(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    let mut ledger = incoming.open(&engine, "/v1/route");
    let prompt = incoming.admitted().and_then(|admitted| {
        let mut prompt = parse::<Prompt>(&admitted.body)?;
        let asked = assistant(&engine, &admitted.tenant, prompt.model.take())?;
        Ok((prompt.seed, request(&asked, prompt)?))
    });
    let decided = match prompt {
        Ok((seed, request)) => {
            if let Some(seed) = seed {
                ledger.seeded(seed);
            }
            engine.decide(&request, Class::Interactive, ledger).await
        }
        Err(error) => Decided::failed(error, ledger).await,
    };
    respond(&decided, &engine, Inbound::OpenAi)
}

/// Decides on a request that would have been answered otherwise.
pub(super) async fn dry_run(
    engine: &Arc<Engine>,
    request: &Request,
    ledger: Ledger,
    dialect: Inbound,
) -> Response {
    let decided = engine.decide(request, Class::Interactive, ledger).await;
    let mut response = respond(&decided, engine, dialect);
    response
        .headers_mut()
        .insert(DRY_RUN, HeaderValue::from_static("true"));
    response
}

fn respond(decided: &Decided, engine: &Engine, dialect: Inbound) -> Response {
    let record = &decided.record;
    let mut response = match &decided.outcome {
        Ok(()) => Json(with_drift(explanation(record), record, engine)).into_response(),
        Err(error) => error::respond_in(dialect, error, &record.request_id),
    };
    headers::write(record, response.headers_mut());
    response
}

/// Decides on several prompts at once, each for itself.
pub(super) async fn batch(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    // The batch itself leaves a record only if it cannot be read; else each of its prompts does.
    match read_batch(&engine, &incoming) {
        Ok((asked, texts)) => {
            let decisions: Vec<Value> = stream::iter(texts.into_iter().enumerate())
                .map(|(position, text)| {
                    let id = format!("{}-{position}", incoming.request_id);
                    let mut ledger = Ledger::open(&engine, BATCH, id);
                    incoming.introduce(&mut ledger);
                    let (engine, asked) = (&engine, &asked);
                    async move {
                        match question(asked, &text) {
                            Ok(request) => engine.decide(&request, Class::Bulk, ledger).await,
                            Err(error) => Decided::failed(error, ledger).await,
                        }
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
            ([("x-request-id", incoming.request_id)], body).into_response()
        }
        Err(error) => {
            let ledger = incoming.open(&engine, BATCH);
            respond(
                &Decided::failed(error, ledger).await,
                &engine,
                Inbound::OpenAi,
            )
        }
    }
}

fn read_batch(engine: &Engine, incoming: &Incoming) -> Result<(String, Vec<String>), Error> {
    let admitted = incoming.admitted()?;
    let batch = parse::<Batch>(&admitted.body)?;
    if batch.texts.is_empty() || BATCH_PROMPTS_MAX < batch.texts.len() {
        return Err(Error::Invalid {
            param: Some("texts".to_owned()),
            message: format!(
                "`texts` has {} prompts; give 1 to {BATCH_PROMPTS_MAX}",
                batch.texts.len()
            ),
        });
    }
    let asked = assistant(engine, &admitted.tenant, batch.model)?;
    Ok((asked, batch.texts))
}

/// The assistant that was named, or the only one that the caller may ask.
fn assistant(engine: &Engine, tenant: &Tenant, asked: Option<String>) -> Result<String, Error> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let plan = engine.plan();
    let names = plan.assistants_of(tenant).map(|(name, _)| name.to_string());
    let mut names: Vec<String> = names.collect();
    let message = match names.len() {
        1 => return Ok(names.remove(0)),
        0 => "there is no assistant that you may ask".to_owned(),
        _ => format!(
            "there are several assistants; name one in `model`: {}",
            names.join(", ")
        ),
    };
    Err(Error::Invalid {
        param: Some("model".to_owned()),
        message,
    })
}

fn request(asked: &str, prompt: Prompt) -> Result<Request, Error> {
    match (prompt.text, prompt.messages) {
        (Some(text), None) => question(asked, &text),
        (None, Some(messages)) => read(&json!({ "model": asked, "messages": messages })),
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

/// A request that says no more than this text.
pub(crate) fn question(asked: &str, text: &str) -> Result<Request, Error> {
    read(&json!({ "model": asked, "messages": [{ "role": "user", "content": text }] }))
}

fn read(request: &Value) -> Result<Request, Error> {
    Ok(Inbound::OpenAi.read_request(request.to_string().as_bytes())?)
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
    let decision = record.decision.as_ref();
    json!({
        "request_id": record.request_id,
        "assistant": record.assistant,
        "route": decision.map(|decision| &decision.route),
        "reason": decision.map(|decision| decision.reason),
        "target": decision.map(|decision| &decision.target),
        "chosen": decision.map(|decision| decision.chosen),
        "propensity": decision.map(|decision| decision.propensity),
        "seed": decision.and_then(|decision| decision.seed),
        "candidates": decision.map(|decision| &decision.candidates),
        "removed": decision.map(|decision| &decision.removed),
        "intent": record.intent,
        "complexity": record.complexity,
        "text": record.text,
        "encoder": record.encoder.as_ref(),
        "centroid_digest": record.centroid_digest.as_ref(),
        "config_digest": record.config_digest.as_ref(),
        "timings": record.timings,
    })
}
