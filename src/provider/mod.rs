//! Those who answer: one seam, two kinds. A [`Caller`](caller::Caller) speaks to a server over HTTP
//! in any dialect; a [`Simulated`](simulated::Simulated) model follows a script.
//!
//! Dropping a future or a stream that came from here ends the call, the provider's side included.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::domain::chat::{Answer, Chunk, Request};
use crate::domain::embeddings::{TextsToEmbed, Vectors};
use crate::domain::event::Failure;
use crate::provider::overrides::Overrides;

pub(crate) mod alarm;
pub mod caller;
pub mod overrides;
pub mod simulated;

/// Someone who answers requests.
pub trait Provider: Send + Sync {
    /// Asks for an answer in one piece, whatever delivery the caller asked for.
    fn call<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Brought<Answer>, Failure>>;

    /// Asks for an answer piece by piece. It resolves when the provider has accepted the request;
    /// the first item may still be a failure, so wait for it before a caller is promised anything.
    fn stream<'a>(&'a self, call: Call<'a>)
    -> BoxFuture<'a, Result<Brought<ChunkStream>, Failure>>;

    /// Asks for vectors.
    fn embed<'a>(&'a self, call: Embed<'a>) -> BoxFuture<'a, Result<Vectors, Failure>>;

    /// Whether the answers are made up.
    fn is_simulated(&self) -> bool;
}

/// The pieces of an answer, in order. After an `Err` nothing follows; without one, the end means
/// that the answer is whole.
pub type ChunkStream = BoxStream<'static, Result<Chunk, Failure>>;

/// What a call brought.
#[derive(Debug, PartialEq)]
pub struct Brought<T> {
    /// The answer, or its beginning.
    pub reply: T,
    /// Fields of the request that the provider was not told, since its format has no word for them.
    pub dropped: Vec<String>,
}

impl<T> Brought<T> {
    /// The answer to a request of which nothing was left out.
    pub const fn in_full(reply: T) -> Self {
        Self {
            reply,
            dropped: Vec::new(),
        }
    }
}

/// One request to one model.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// What the provider calls the model that is to answer.
    pub model: &'a str,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// What is different for this model.
    pub overrides: Option<&'a Overrides>,
}

/// One request for vectors to one model.
#[derive(Debug, Clone, Copy)]
pub struct Embed<'a> {
    /// What is asked.
    pub request: &'a TextsToEmbed,
    /// What the provider calls the model.
    pub model: &'a str,
    /// How long to wait.
    pub wait_max: Duration,
    /// What is different for this model, of which only the headers count here.
    pub overrides: Option<&'a Overrides>,
}

/// How long to wait for a provider before another one is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first piece of a streamed answer, from the moment of the call.
    pub first_token: Duration,
    /// For each further piece, from the moment it is wanted.
    pub between_tokens: Duration,
    /// For an answer in one piece. Providers send not even its status before it is complete, so
    /// the time to its first token cannot be seen from outside.
    pub whole: Duration,
}

impl Default for Timeouts {
    /// A model that thinks before it speaks starts within the half minute; a pause of a quarter of
    /// a minute in mid-sentence is no thinking. A whole answer leaves time for another target
    /// within two minutes.
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            between_tokens: Duration::from_secs(15),
            whole: Duration::from_secs(90),
        }
    }
}
