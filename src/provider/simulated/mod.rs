//! A model that follows a script, so that routing can be seen to work without a key, and tests can
//! tell what a provider will do.
//!
//! It obeys the same timeouts and fails in the same words as a real provider. What is left to chance
//! follows from the seed, the model's name and the request alone: the same request meets the same
//! fate, whatever else goes on and however often it is asked.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::domain::chat::{Answer, Body, Chunk, Completion, Finish, Usage};
use crate::domain::conversation::Part;
use crate::domain::embeddings::Vectors;
use crate::domain::event::{FailoverReason, Failure};
use crate::domain::quantity::Ratio;
use crate::provider::{Brought, Call, ChunkStream, Embed, Provider};
use crate::wire::{ErrorText, Inbound, Outbound};

mod chance;
mod instance;
mod text;

use chance::Chance;

/// How a simulated model behaves.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Time to the first token, in milliseconds.
    pub first_token_ms: u64,
    /// Time for each further token, in milliseconds.
    pub per_token_ms: u64,
    /// The share of requests that fail.
    pub failure_rate: Ratio,
    /// The HTTP status that they fail with, 400 to 599.
    pub failure_status: ErrorStatus,
    /// What answers look like.
    pub style: Style,
}

/// An HTTP status that means an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct ErrorStatus(u16);

/// What the answers of a simulated model look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Prose, even where a schema was asked for.
    #[default]
    Text,
    /// An instance of the request's schema, where it has one.
    FollowsSchema,
    /// Nearly an instance of the request's schema, where it has one.
    BreaksSchema,
}

/// A model that follows a script.
#[derive(Debug, Clone)]
pub struct Simulated {
    script: Script,
    seed: u64,
}

impl Simulated {
    /// A model that follows `script`; what is left to chance follows from `seed` and the request.
    pub fn new(script: Script, seed: u64) -> Self {
        Self { script, seed }
    }

    /// What this model makes of a request, before any time has passed.
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let chance = Chance::of(self.seed, call.model, &call.request.original.text);
        if chance.draw("failure") < self.script.failure_rate.get() {
            return Err(self.failure(call.model));
        }
        let text = self.compose(call, chance);
        let messages = &call.request.messages;
        let input_tokens = match call.overrides {
            None => messages.iter().map(|it| text::tokens(&it.text)).sum(),
            Some(overrides) => {
                let texts = overrides.body.texts(messages);
                texts.iter().map(|it| text::tokens(it)).sum()
            }
        };
        let usage = Usage::of(input_tokens, text::tokens(&text));
        let completion = Completion {
            parts: vec![Part::Text(text.clone())],
            ..Completion::default()
        };
        Ok(Answer {
            text,
            finish: Some(Finish::Stop),
            usage: Some(usage),
            body: Body::Read(completion),
        })
    }

    fn compose(&self, call: &Call<'_>, chance: Chance) -> String {
        let schema = call
            .request
            .schema
            .as_deref()
            .and_then(|schema| serde_json::from_str(schema).ok());
        let (Some(schema), Style::FollowsSchema | Style::BreaksSchema) =
            (schema, self.script.style)
        else {
            return text::reply(call.model, call.request);
        };
        let whole = instance::of(&schema);
        if self.script.style == Style::FollowsSchema {
            return whole.to_string();
        }
        instance::broken(&schema, whole, chance).map_or_else(
            || text::reply(call.model, call.request),
            |broken| broken.to_string(),
        )
    }

    fn failure(&self, model: &str) -> Failure {
        let message = format!("[simulated {model}] this failure is part of the script");
        let status = self.script.failure_status.0;
        let body = Inbound::OpenAi.write_error(&ErrorText {
            status,
            message: &message,
            param: None,
            code: Some("simulated"),
            request_id: "",
        });
        Outbound::OpenAi.read_failure(status, &body, None)
    }

    fn first_token(&self) -> Duration {
        Duration::from_millis(self.script.first_token_ms)
    }

    /// How long so many tokens take to follow.
    fn tokens(&self, n_tokens: u64) -> Duration {
        Duration::from_millis(self.script.per_token_ms.saturating_mul(n_tokens))
    }

    async fn call_whole(&self, call: Call<'_>) -> Result<Brought<Answer>, Failure> {
        let answer = self.answer(&call);
        let n_tokens = answer.as_ref().map_or(0, n_tokens_after_first);
        let wait = self.first_token().saturating_add(self.tokens(n_tokens));
        in_time(wait, call.timeouts.whole, FailoverReason::TimeoutFirstToken).await?;
        answer.map(Brought::in_full)
    }

    async fn call_streamed(&self, call: Call<'_>) -> Result<Brought<ChunkStream>, Failure> {
        let answer = self.answer(&call);
        let limit = call.timeouts.first_token;
        in_time(self.first_token(), limit, FailoverReason::TimeoutFirstToken).await?;
        let model = self.clone();
        let between = call.timeouts.between_tokens;
        let pieces = stream::iter(text::pieces(answer?)).enumerate();
        let chunks = pieces.then(move |(position, chunk): (usize, Chunk)| {
            let n_tokens = match position {
                0 => 0,
                _ => text::tokens(&chunk.text),
            };
            let wait = model.tokens(n_tokens);
            async move {
                in_time(wait, between, FailoverReason::TimeoutBetweenTokens).await?;
                Ok(chunk)
            }
        });
        Ok(Brought::in_full(until_first_failure(chunks.boxed())))
    }
}

impl Provider for Simulated {
    fn call<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Brought<Answer>, Failure>> {
        Box::pin(self.call_whole(call))
    }

    fn stream<'a>(
        &'a self,
        call: Call<'a>,
    ) -> BoxFuture<'a, Result<Brought<ChunkStream>, Failure>> {
        Box::pin(self.call_streamed(call))
    }

    /// It has no vectors to give: made-up ones would look like others and mean nothing.
    fn embed<'a>(&'a self, call: Embed<'a>) -> BoxFuture<'a, Result<Vectors, Failure>> {
        let message = format!("{} is simulated and makes no vectors", call.model);
        Box::pin(std::future::ready(Err(Failure::unsayable(message))))
    }

    fn is_simulated(&self) -> bool {
        true
    }
}

impl Default for ErrorStatus {
    fn default() -> Self {
        Self(503)
    }
}

impl TryFrom<u16> for ErrorStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, Self::Error> {
        if (400..=599).contains(&status) {
            Ok(Self(status))
        } else {
            Err(format!("{status} is no HTTP error; give 400 to 599"))
        }
    }
}

impl JsonSchema for ErrorStatus {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorStatus".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 400, "maximum": 599 })
    }
}

fn n_tokens_after_first(answer: &Answer) -> u64 {
    text::tokens(&answer.text).saturating_sub(1)
}

/// Lets `wait` pass, or fails once `limit` has.
async fn in_time(wait: Duration, limit: Duration, reason: FailoverReason) -> Result<(), Failure> {
    // Even the shortest sleep lasts until the timer's next tick, a millisecond away.
    if wait.is_zero() {
        return Ok(());
    }
    // The wait is what the script asks for: a model that takes its time is what is simulated.
    timeout(limit, sleep(wait)).await.map_err(|_| {
        let message = "the simulated model is scripted to take longer than the timeout";
        Failure::unavailable(reason, message)
    })
}

/// A stream that ends with its first failure.
fn until_first_failure(chunks: ChunkStream) -> ChunkStream {
    chunks
        .scan(false, |has_failed, chunk| {
            let next = (!*has_failed).then_some(chunk);
            *has_failed |= matches!(next, Some(Err(_)));
            std::future::ready(next)
        })
        .boxed()
}

#[cfg(test)]
mod tests;
