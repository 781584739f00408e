//! What is encoded together: the entries of a batch, and how each gets its own answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{BatchSeen, Embedding, OnBatch, Refusal};
use crate::encoder::Encoder;
use crate::encoder::windowing::{Window, Windowed};
use crate::vector::{self, Vectors};

/// One caller's text.
pub(super) struct Entry {
    pub(super) windowed: Windowed,
    /// The tokens that the model will see, special tokens included.
    pub(super) cost: usize,
    pub(super) called: Duration,
    pub(super) deadline: Duration,
    pub(super) reply: oneshot::Sender<Result<Embedding, Refusal>>,
}

impl Entry {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        // A caller that left needs no answer.
        drop(self.reply.send(Err(refusal)));
    }
}

/// Entries that are encoded together.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    windows: Vec<Window>,
    cost: usize,
    started: Duration,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tokens that the model will see.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn push(&mut self, mut entry: Entry, now: Duration) {
        self.started = now;
        self.cost += entry.cost;
        self.windows.append(&mut entry.windowed.windows);
        self.entries.push(entry);
    }

    /// Runs the encoder. A panic is an answer like any other error: the next batch may be a good one.
    pub(super) fn encode(
        self,
        encoder: &dyn Encoder,
        now: &(dyn Fn() -> Duration + Send + Sync),
    ) -> EncodedBatch {
        let outcome = catch_unwind(AssertUnwindSafe(|| encoder.encode(&self.windows)));
        let rows = match outcome {
            Ok(Ok(rows)) if rows.len() == self.windows.len() => Ok(rows),
            Ok(Ok(rows)) => Err(format!(
                "{} windows gave {} vectors",
                self.windows.len(),
                rows.len()
            )),
            Ok(Err(problem)) => Err(problem.to_string()),
            Err(panic) => Err(panic_message(panic.as_ref()).to_owned()),
        };
        let seen = BatchSeen {
            prompts: self.entries.len(),
            windows: self.windows.len(),
            tokens: self.cost,
            encoded: now().saturating_sub(self.started),
        };
        EncodedBatch {
            batch: self,
            rows,
            seen,
        }
    }
}

/// A batch and its vectors.
pub(super) struct EncodedBatch {
    batch: Batch,
    rows: Result<Vectors, String>,
    seen: BatchSeen,
}

impl EncodedBatch {
    pub(super) fn seen(&self) -> BatchSeen {
        self.seen
    }

    /// Tells the listener, then every caller.
    pub(super) fn answer(self, on_batch: &OnBatch) {
        // What counts batches must not be able to stop them.
        drop(catch_unwind(AssertUnwindSafe(|| on_batch(self.seen))));
        let mut first_row = 0;
        for entry in self.batch.entries {
            let windows = entry.windowed.weights.len();
            let answer = match &self.rows {
                Ok(rows) => pool(rows, first_row, &entry.windowed.weights)
                    .ok_or_else(|| Refusal::Failed("a vector is missing".to_owned())),
                Err(problem) => Err(Refusal::Failed(problem.clone())),
            };
            first_row += windows;
            let embedding = answer.map(|vector| Embedding {
                vector,
                tokens: entry.windowed.tokens,
                windows,
                truncated: entry.windowed.truncated,
                queued: self.batch.started.saturating_sub(entry.called),
                encoded: self.seen.encoded,
                batch_size: self.seen.prompts,
            });
            // A caller that left meanwhile needs no answer.
            drop(entry.reply.send(embedding));
        }
    }
}

/// The vector of a text from those of its windows, which begin at `first_row`.
fn pool(rows: &Vectors, first_row: usize, weights: &[f32]) -> Option<Vec<f32>> {
    let weighted = weights.iter().enumerate();
    let weighted: Option<Vec<_>> = weighted
        .map(|(offset, weight)| Some((rows.row(first_row + offset)?, *weight)))
        .collect();
    vector::weighted_direction(weighted?)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}
