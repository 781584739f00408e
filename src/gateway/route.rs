//! `POST /v1/route` and `/v1/route/batch`: the decision on a prompt, and nobody is asked.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::centroids::drift::live::Figures;
use crate::domain::caller::Tenant;
use crate::domain::chat::Request;
use crate::encoder::Class;
use crate::engine::ledger::Ledger;
use crate::engine::{Decided, Engine, Error};
use crate::gateway::asked::DRY_RUN;
use crate::gateway::body::parse;
use crate::gateway::explanation::Explanation;
use crate::gateway::incoming::Incoming;
use crate::gateway::{error, headers};
use crate::wire::{self, Inbound};

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
    messages: Option<Box<RawValue>>,
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

/// The decision on one prompt.
#[derive(Debug, Serialize)]
struct Explained<'r> {
    #[serde(flatten)]
    explanation: Explanation<'r>,
    /// How far the last prompts of the found intent are from its training rows.
    drift: Option<Figures>,
}

/// The decisions on several.
#[derive(Debug, Serialize)]
struct Decisions<'r> {
    decisions: Vec<OneOfMany<'r>>,
}

/// The decision on one of several prompts, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OneOfMany<'r> {
    Decided(Box<Explanation<'r>>),
    Failed(Value),
}

impl<'r> OneOfMany<'r> {
    fn of(decided: &'r Decided) -> Self {
        match &decided.outcome {
            Ok(()) => Self::Decided(Box::new(Explanation::of(&decided.record))),
            Err(error) => Self::Failed(error::value(error)),
        }
    }
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
        Ok(()) => {
            let intent = record.intent.as_ref();
            let explained = Explained {
                explanation: Explanation::of(record),
                drift: intent.and_then(|intent| engine.drift_of(&intent.name)),
            };
            written(&explained)
        }
        Err(error) => error::respond_in(dialect, error, &record.request_id),
    };
    headers::write(record, response.headers_mut());
    response
}

/// An answer of this JSON.
fn written(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(problem) => error::respond(&Error::Internal {
            detail: format!("a decision cannot be written: {problem}"),
        }),
    }
}

/// Decides on several prompts at once, each for itself.
pub(super) async fn batch(State(engine): State<Arc<Engine>>, incoming: Incoming) -> Response {
    // The batch itself leaves a record only if it cannot be read; else each of its prompts does.
    match read_batch(&engine, &incoming) {
        Ok((asked, texts)) => {
            let decided: Vec<Decided> = stream::iter(texts.into_iter().enumerate())
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
                .collect()
                .await;
            let decisions = decided.iter().map(OneOfMany::of).collect();
            let body = written(&Decisions { decisions });
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
    let names = || plan.assistants_of(tenant).map(|(name, _)| name.as_str());
    let mut first = names();
    let message = match (first.next(), first.next()) {
        (Some(only), None) => return Ok(only.to_owned()),
        (None, _) => "there is no assistant that you may ask".to_owned(),
        _ => format!(
            "there are several assistants; name one in `model`: {}",
            names().collect::<Vec<&str>>().join(", ")
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
        (None, Some(messages)) => conversation(asked, &messages),
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
    Ok(wire::question(asked, text)?)
}

/// A request that says no more than these messages.
fn conversation(asked: &str, messages: &RawValue) -> Result<Request, Error> {
    Ok(wire::conversation(asked, messages)?)
}
