//! One caller's text on its way: its windows may be encoded by several threads, and whoever finishes
//! the last one answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::admission::Newcomer;
use super::{Class, Embedding, Refusal};
use crate::encoder::FRAME_TOKENS;
use crate::encoder::windowing::{Window, Windowed};
use crate::vector;

/// One caller's text.
pub(super) struct Entry {
    windowed: Windowed,
    pub(super) class: Class,
    called: Duration,
    deadline: Duration,
    state: Mutex<State>,
}

struct State {
    /// Nobody waits any more once it is gone.
    reply: Option<oneshot::Sender<Result<Embedding, Refusal>>>,
    rows: Vec<Option<Vec<f32>>>,
    /// When the first window was begun.
    started: Option<Duration>,
}

/// Where the answer comes out.
pub(super) type Answer = oneshot::Receiver<Result<Embedding, Refusal>>;

/// What became of a group that an entry's window was in.
#[derive(Clone, Copy)]
pub(super) struct GroupDone {
    pub(super) finished: Duration,
    pub(super) prompts: usize,
}

impl Entry {
    pub(super) fn new(
        windowed: Windowed,
        newcomer: &Newcomer,
        deadline: Duration,
    ) -> (Self, Answer) {
        let (reply, answer) = oneshot::channel();
        let state = State {
            reply: Some(reply),
            rows: vec![None; windowed.windows.len()],
            started: None,
        };
        let entry = Self {
            windowed,
            class: newcomer.class,
            called: newcomer.called,
            deadline,
            state: Mutex::new(state),
        };
        (entry, answer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many windows it has.
    pub(super) fn windows(&self) -> usize {
        self.windowed.windows.len()
    }

    /// The tokens of each window.
    pub(super) fn window_tokens(&self) -> impl Iterator<Item = usize> {
        window_tokens(&self.windowed)
    }

    pub(super) fn window(&self, index: usize) -> Window {
        self.windowed.windows[index].clone()
    }

    /// Whether there is nothing left to do: its caller left, was answered, or waited too long before the
    /// first window was begun, which is an answer too.
    pub(super) fn is_dead(&self, now: Duration) -> bool {
        let mut state = self.lock();
        if state.started.is_none() && self.deadline < now {
            state.answer(Err(Refusal::Saturated));
        }
        state.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(super) fn begin(&self, now: Duration) {
        self.lock().started.get_or_insert(now);
    }

    /// Takes the vector of a window; with the last one the caller is answered.
    pub(super) fn put(&self, window: usize, row: &[f32], done: GroupDone) {
        let mut state = self.lock();
        state.rows[window] = Some(row.to_vec());
        let rows: Option<Vec<&[f32]>> = state.rows.iter().map(Option::as_deref).collect();
        let Some(rows) = rows else {
            return;
        };
        let weights = self.windowed.weights.iter().copied();
        let vector = vector::weighted_direction(rows.into_iter().zip(weights));
        let started = state.started.unwrap_or(self.called);
        let answer = vector.map(|vector| Embedding {
            vector,
            tokens: self.windowed.tokens,
            windows: self.windows(),
            truncated: self.windowed.truncated,
            queued: started.saturating_sub(self.called),
            encoded: done.finished.saturating_sub(started),
            batch_size: done.prompts,
        });
        state.answer(answer.ok_or_else(|| Refusal::Failed("a vector is missing".to_owned())));
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.lock().answer(Err(refusal));
    }
}

/// The tokens that the model will see of each window, special tokens included.
pub(super) fn window_tokens(windowed: &Windowed) -> impl Iterator<Item = usize> {
    let windows = windowed.windows.iter();
    windows.map(|window| window.tokens.len() + FRAME_TOKENS)
}

impl State {
    fn answer(&mut self, answer: Result<Embedding, Refusal>) {
        if let Some(reply) = self.reply.take() {
            // A caller that left needs no answer.
            drop(reply.send(answer));
        }
    }
}
