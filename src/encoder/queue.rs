//! Puts one thread in front of the encoder and batches what many callers ask of it.
//!
//! A caller tokenises on its own side, is refused at once if the wait would be too long, and else
//! leaves its windows and awaits the answer; no asynchronous thread ever waits for arithmetic. The
//! thread takes what is there as soon as it is free, up to a budget of tokens: when idle, a prompt
//! waits for nobody, and under load the batches grow by themselves. Tokens are the measure
//! of everything, since they are what the encoder's time goes by.

mod batch;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use self::batch::{Batch, Entry};
use self::pace::Pace;
use super::windowing::{self, Passage, Windowed};
use super::{Encoder, Error, FRAME_TOKENS, Identity};

/// The longest that a prompt may wait for the encoder, unless told otherwise. A reader does not notice a quarter
/// of a second before an answer that takes seconds, and it is what 64 callers at once need on four
/// cores; whoever would wait longer is routed by the default at once.
pub const WAIT_MAX: Duration = Duration::from_millis(250);

/// The most tokens of one batch, unless told otherwise: enough for every thread to have a group of windows. A
/// larger batch encodes hardly more a second, and keeps whoever comes next waiting longer.
pub const BATCH_TOKENS_MAX: usize = 1024;

/// The most prompts that wait, unless told otherwise. The wait bound refuses long before; this one bounds the
/// memory (4 MB of tokens) while no rate has been measured yet.
pub const DEPTH_MAX: usize = 1024;

/// The bounds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The longest that a prompt may wait before its batch starts.
    pub wait_max: Duration,
    /// The most tokens of one batch; a longer prompt is a batch by itself.
    pub batch_tokens_max: usize,
    /// The most prompts that wait.
    pub depth_max: usize,
    /// The most windows of one prompt.
    pub windows_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait_max: WAIT_MAX,
            batch_tokens_max: BATCH_TOKENS_MAX,
            depth_max: DEPTH_MAX,
            windows_max: windowing::WINDOWS_MAX,
        }
    }
}

/// The time since some fixed moment; it never goes back. The clock is an argument.
pub type Monotonic = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Is told of every batch, on the encoder's thread, before its callers are answered.
pub type OnBatch = Box<dyn Fn(BatchSeen) + Send>;

/// What one batch was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSeen {
    /// How many prompts it answered.
    pub prompts: usize,
    /// How many windows they had.
    pub windows: usize,
    /// How many tokens the model saw.
    pub tokens: usize,
    /// How long the encoder took.
    pub encoded: Duration,
}

/// A text's vector and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Of length 1.
    pub vector: Vec<f32>,
    /// How many tokens of the text it stands for.
    pub tokens: usize,
    /// How many windows those were cut in.
    pub windows: usize,
    /// Whether a part of the text was left out.
    pub truncated: bool,
    /// From the call to the start of its batch.
    pub queued: Duration,
    /// How long its batch took.
    pub encoded: Duration,
    /// How many prompts were in its batch.
    pub batch_size: usize,
}

/// Why a text has no embedding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would wait too long, or did.
    #[error("the encoder has more to do than it can finish within the wait allowed")]
    Saturated,
    /// There is nothing to embed.
    #[error("the text has no words to embed")]
    Empty,
    /// The encoder could not do it.
    #[error("the encoder failed: {0}")]
    Failed(String),
    /// The encoder's thread has ended.
    #[error("the encoder has stopped")]
    Closed,
}

/// A handle on the queue. Clones share it; when the last one goes, the thread ends.
#[expect(
    clippy::module_name_repetitions,
    reason = "the engine holds queues of other kinds too"
)]
#[derive(Clone)]
pub struct EncoderQueue {
    worker: Arc<Worker>,
}

impl EncoderQueue {
    /// Starts the thread.
    pub fn start(
        encoder: Arc<dyn Encoder>,
        settings: Settings,
        now: Monotonic,
        on_batch: OnBatch,
    ) -> Result<Self, Error> {
        let desk = Arc::new(Desk {
            encoder,
            settings,
            now,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let thread = std::thread::Builder::new()
            .name("encoder".to_owned())
            .spawn({
                let desk = Arc::clone(&desk);
                move || desk.serve(&on_batch)
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            worker: Arc::new(Worker {
                desk,
                thread: Some(thread),
            }),
        })
    }

    /// The vector of a text. Dropping the future takes the text out of the queue.
    pub async fn embed(&self, passages: Vec<Passage>) -> Result<Embedding, Refusal> {
        let desk = &self.worker.desk;
        desk.admit()?;
        let called = (desk.now)();
        let windows_max = desk.settings.windows_max;
        let windowed = windowing::prepare(desk.encoder.as_ref(), &passages, windows_max)
            .map_err(|problem| Refusal::Failed(problem.to_string()))?;
        if windowed.windows.is_empty() {
            return Err(Refusal::Empty);
        }
        let answer = desk.submit(windowed, called)?;
        answer.await.map_err(|_| Refusal::Closed)?
    }

    /// What the encoder is.
    pub fn identity(&self) -> &Identity {
        self.worker.desk.encoder.identity()
    }

    /// How many prompts wait.
    pub fn depth(&self) -> usize {
        self.worker.desk.lock().entries.len()
    }
}

/// Owns the thread.
struct Worker {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.changed.notify_all();
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A listener may hold the last handle; a thread that waits for itself would wait for ever.
        if thread.thread().id() != std::thread::current().id() {
            // The thread catches the encoder's panics, so there is nothing left to learn from it.
            drop(thread.join());
        }
    }
}

/// Where callers and the thread meet.
struct Desk {
    encoder: Arc<dyn Encoder>,
    settings: Settings,
    now: Monotonic,
    /// Held for moments only, never while tokenising or encoding.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// What the entries cost together.
    tokens: usize,
    pace: Pace,
    closed: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and a queue must outlive a panic anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses whom the queue cannot serve in time.
    fn admit(&self) -> Result<(), Refusal> {
        let state = self.lock();
        self.check(&state)
    }

    fn check(&self, state: &State) -> Result<(), Refusal> {
        if state.closed {
            return Err(Refusal::Closed);
        }
        let wait = state.pace.wait((self.now)(), state.tokens);
        let is_full = self.settings.depth_max <= state.entries.len();
        if is_full || self.settings.wait_max < wait {
            return Err(Refusal::Saturated);
        }
        Ok(())
    }

    fn submit(
        &self,
        windowed: Windowed,
        called: Duration,
    ) -> Result<oneshot::Receiver<Result<Embedding, Refusal>>, Refusal> {
        let (reply, answer) = oneshot::channel();
        let cost = windowed.tokens + FRAME_TOKENS * windowed.windows.len();
        let mut state = self.lock();
        // Others may have come while this one was tokenised.
        self.check(&state)?;
        state.tokens += cost;
        state.entries.push_back(Entry {
            windowed,
            cost,
            called,
            deadline: called + self.settings.wait_max,
            reply,
        });
        drop(state);
        self.changed.notify_one();
        Ok(answer)
    }

    /// The thread's life: batch after batch, until the last handle goes.
    fn serve(&self, on_batch: &OnBatch) {
        while let Some(batch) = self.next_batch() {
            let encoded = batch.encode(self.encoder.as_ref(), self.now.as_ref());
            self.lock()
                .pace
                .finished(encoded.seen().tokens, encoded.seen().encoded);
            encoded.answer(on_batch);
        }
    }

    /// Waits for entries and takes as many as fit. `None` once the queue is closed.
    fn next_batch(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.closed {
                // Whoever still waits learns it by the drop of its entry.
                state.entries.clear();
                return None;
            }
            let now = (self.now)();
            let batch = state.take_batch(now, self.settings.batch_tokens_max);
            if !batch.is_empty() {
                state.pace.started(now, batch.cost());
                return Some(batch);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// Takes entries in their order, up to the budget but at least one; drops those whose caller
    /// left and refuses those that waited too long.
    fn take_batch(&mut self, now: Duration, tokens_max: usize) -> Batch {
        let mut batch = Batch::default();
        while let Some(entry) = self.entries.pop_front() {
            let is_over = !batch.is_empty() && tokens_max < batch.cost() + entry.cost;
            if is_over {
                self.entries.push_front(entry);
                break;
            }
            self.tokens -= entry.cost;
            if entry.deadline < now {
                entry.refuse(Refusal::Saturated);
            } else if !entry.is_abandoned() {
                batch.push(entry, now);
            }
        }
        batch
    }
}
