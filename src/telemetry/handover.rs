//! Finished records on their way to being counted.
//!
//! A request leaves its record here and goes on: a push without a lock. They are counted many at a time, by
//! a thread of its own while requests come, and by whoever asks for a figure before the figure is
//! told, so that nobody ever reads one that lacks a request that is over. Where more come than the
//! thread keeps up with, the request that finds no room counts them: none is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;
use std::{io, thread};

use tokio::sync::mpsc;

use crate::domain::quantity::Moment;
use crate::domain::record::Record;

/// The records that may wait. At 2 KB each they hold 8 MB, a twentieth of a second of far more requests than
/// a process serves.
const WAITING_MAX: usize = 4096;

/// How long the thread lets records gather, so that it is woken twenty times a second and not by each.
const GATHER: Duration = Duration::from_millis(50);

/// A finished record, and when it was.
pub(super) struct Finished {
    pub(super) record: Arc<Record>,
    pub(super) at: Moment,
}

/// What waits, and who is woken for it.
pub(super) struct Handover {
    finished: mpsc::Sender<Finished>,
    /// Only those who count take it.
    waiting: Mutex<mpsc::Receiver<Finished>>,
    thread: OnceLock<Thread>,
    /// Whether the thread knows that something waits.
    is_told: AtomicBool,
}

/// Whoever can count what waits.
pub(super) trait Counts: Send + Sync + 'static {
    /// Where it waits.
    fn handover(&self) -> &Handover;

    /// Counts all of it.
    fn count_waiting(&self);
}

impl Default for Handover {
    fn default() -> Self {
        let (finished, waiting) = mpsc::channel(WAITING_MAX);
        Self {
            finished,
            waiting: Mutex::new(waiting),
            thread: OnceLock::new(),
            is_told: AtomicBool::new(false),
        }
    }
}

impl Handover {
    /// Leaves a record here, or gives it back if there is no room.
    pub(super) fn leave(&self, finished: Finished) -> Result<(), Finished> {
        self.finished
            .try_send(finished)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(finished)
                | mpsc::error::TrySendError::Closed(finished) => finished,
            })?;
        if !self.is_told.swap(true, Ordering::AcqRel) {
            self.wake();
        }
        Ok(())
    }

    /// Takes everything that was left here before, in order. Whoever else counts waits until it is counted.
    pub(super) fn take_all(&self, mut count: impl FnMut(Finished)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(finished) = waiting.try_recv() {
            count(finished);
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Handover {
    /// The thread finds that nobody is left.
    fn drop(&mut self) {
        self.wake();
    }
}

/// Counts on a thread of its own from now on, as long as there is somebody to count for.
pub(super) fn count_aside<C: Counts>(counts: &Arc<C>) -> io::Result<()> {
    let weak = Arc::downgrade(counts);
    let thread = thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || count_until_gone(&weak))?;
    let handover = counts.handover();
    // A second thread would find nothing to do.
    if handover.thread.set(thread.thread().clone()).is_ok() {
        // What was left before there was a thread.
        handover.wake();
    }
    Ok(())
}

fn count_until_gone<C: Counts>(counts: &Weak<C>) {
    loop {
        thread::park();
        // What comes meanwhile is counted with it, and wakes nobody.
        thread::sleep(GATHER);
        let Some(counts) = counts.upgrade() else {
            return;
        };
        // Before counting: what is left from now on wakes the thread again.
        counts.handover().is_told.store(false, Ordering::Release);
        counts.count_waiting();
    }
}
