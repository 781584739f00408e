//! Puts the encoder's threads behind two lines, and groups what many callers ask of them.
//!
//! A caller tokenises on its own side, is refused at once if the wait would be too long, and else
//! leaves its windows and awaits the answer; no asynchronous thread ever waits for arithmetic. A
//! thread takes what is there as soon as it is free, up to a budget of tokens, and computes it alone:
//! when idle, a prompt waits for nobody, and under load no thread waits for another. Tokens are the
//! measure of everything, since they are what the encoder's time goes by. What was embedded lately is
//! remembered (`queue/memory.rs`), and callers who ask the same at once share one answer.

mod admission;
mod entry;
mod line;
mod memory;
mod pace;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::admission::{Admission, Newcomer, Standing};
use self::entry::{Answer, Entry, GroupDone, window_tokens};
use self::line::{Group, Lines};
use self::memory::{Memory, Recalled};
use self::pace::{Pace, Running, Work};
use super::windowing::{self, Passage, Window, Windowed};
use super::{Encoder, Error, Identity};
use crate::vector::Vectors;

/// The longest that a prompt may wait for the encoder, unless told otherwise: with the time to encode it,
/// a decision then takes less than 25 ms, of which nobody notices a thing before an answer that takes
/// seconds, but for a long prompt that came to a free thread or to one that only bulk is at. Whoever would wait
/// longer is routed without at once.
pub const WAIT_MAX: Duration = Duration::from_millis(15);

/// The longest that a text of the bulk class may wait: nobody sits before it, but a client gives up some time.
pub const BULK_WAIT_MAX: Duration = Duration::from_secs(30);

/// The most entries of a class that wait, unless told otherwise: bulk must not shut prompts out. The wait bound refuses long before; this one bounds the
/// memory (4 MB of tokens a class) while no rate has been measured yet.
pub const DEPTH_MAX: usize = 1024;

/// The texts whose vectors are remembered, unless told otherwise: 7 MB of them.
pub const REMEMBERED_MAX: usize = 4096;

/// The bounds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The longest that an interactive prompt may wait before it is begun. Behind others that somebody waits
    /// for, one that takes longer than a group may wait so much less.
    pub wait_max: Duration,
    /// The most tokens of one group; a longer window is a group by itself. The encoder's own if none is set.
    pub group_tokens_max: Option<usize>,
    /// The most entries of a class that wait.
    pub depth_max: usize,
    /// The most windows of one prompt.
    pub windows_max: usize,
    /// How many threads encode. If it is not set, all physical cores but one, if the encoder can use them.
    pub threads: Option<usize>,
    /// The most texts whose vectors are remembered; 0 remembers none.
    pub remembered_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait_max: WAIT_MAX,
            group_tokens_max: None,
            depth_max: DEPTH_MAX,
            windows_max: windowing::WINDOWS_MAX,
            threads: None,
            remembered_max: REMEMBERED_MAX,
        }
    }
}

/// Who waits for an embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody waits for an answer.
    Interactive,
    /// Many texts at once, for which nobody sits before a screen: they take what the others leave.
    Bulk,
}

/// The time since some fixed moment; it never goes back. The clock is an argument.
pub type Monotonic = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Is told of every group, on the encoder's thread, before its callers are answered.
pub type OnBatch = Box<dyn Fn(BatchSeen) + Send + Sync>;

/// What one group was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSeen {
    /// How many prompts it had a window of.
    pub prompts: usize,
    /// How many windows it had.
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
    /// From the call until its first window was begun, or until a text that was remembered was there.
    pub queued: Duration,
    /// From then to the end of its last window.
    pub encoded: Duration,
    /// How many prompts were in the group that its last window was in; none of a text that was remembered.
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
    /// The encoder's threads have ended.
    #[error("the encoder has stopped")]
    Closed,
}

/// A handle on the queue. Clones share it; when the last one goes, the threads end.
#[expect(
    clippy::module_name_repetitions,
    reason = "the engine holds queues of other kinds too"
)]
#[derive(Clone)]
pub struct EncoderQueue {
    workers: Arc<Workers>,
    memory: Option<Arc<Memory>>,
}

impl EncoderQueue {
    /// Starts the threads.
    pub fn start(
        encoder: Arc<dyn Encoder>,
        settings: Settings,
        now: Monotonic,
        on_batch: OnBatch,
    ) -> Result<Self, Error> {
        let batching = encoder.batching();
        let threads = settings
            .threads
            .unwrap_or_else(|| spare_threads(batching.threads_max));
        let threads = threads.max(1);
        let group_tokens = settings.group_tokens_max.unwrap_or(batching.group_tokens);
        let desk = Arc::new(Desk {
            encoder,
            windows_max: settings.windows_max,
            admission: Admission {
                wait_max: settings.wait_max,
                group_tokens,
                depth_max: settings.depth_max,
            },
            now,
            on_batch,
            state: Mutex::new(State {
                lines: Lines::default(),
                pace: Pace::of(threads),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let mut workers = Workers {
            desk,
            threads: Vec::with_capacity(threads),
        };
        for thread in 0..threads {
            let desk = Arc::clone(&workers.desk);
            let spawned = std::thread::Builder::new()
                .name(format!("encoder-{thread}"))
                .spawn(move || desk.serve(thread));
            workers.threads.push(spawned.map_err(Error::Thread)?);
        }
        let remembered = settings.remembered_max;
        Ok(Self {
            workers: Arc::new(workers),
            memory: (0 < remembered).then(|| Arc::new(Memory::of(remembered))),
        })
    }

    /// The vector of a text. Dropping the future takes the text out of the queue.
    pub async fn embed(&self, passages: &[Passage], class: Class) -> Result<Embedding, Refusal> {
        let Some(memory) = &self.memory else {
            return self.encode(passages, class).await;
        };
        let called = (self.workers.desk.now)();
        let key = memory::key(passages, class);
        let recalled = memory.recall_or(key, self.encode(passages, class)).await?;
        Ok(match recalled {
            Recalled::Fresh(embedding) => embedding.as_ref().clone(),
            Recalled::Remembered(embedding) => Embedding {
                queued: (self.workers.desk.now)().saturating_sub(called),
                encoded: Duration::ZERO,
                batch_size: 0,
                ..embedding.as_ref().clone()
            },
        })
    }

    async fn encode(&self, passages: &[Passage], class: Class) -> Result<Embedding, Refusal> {
        let desk = &self.workers.desk;
        desk.admit(class)?;
        let called = (desk.now)();
        let windowed = windowing::prepare(desk.encoder.as_ref(), passages, desk.windows_max)
            .map_err(|problem| Refusal::Failed(problem.to_string()))?;
        if windowed.windows.is_empty() {
            return Err(Refusal::Empty);
        }
        let answer = desk.submit(windowed, class, called)?;
        answer.await.map_err(|_| Refusal::Closed)?
    }

    /// What the encoder is.
    pub fn identity(&self) -> &Identity {
        self.workers.desk.encoder.identity()
    }

    /// How many texts of a class wait.
    pub fn depth(&self, class: Class) -> usize {
        self.workers.desk.lock().lines.depth(class)
    }

    /// How many threads encode.
    pub fn threads(&self) -> usize {
        self.workers.threads.len()
    }
}

/// Owns the threads.
struct Workers {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A listener may hold the last handle; a thread that waits for itself would wait for ever.
            if thread.thread().id() != std::thread::current().id() {
                // The threads catch the encoder's panics, so there is nothing left to learn from one.
                drop(thread.join());
            }
        }
    }
}

/// Where callers and threads meet.
struct Desk {
    encoder: Arc<dyn Encoder>,
    windows_max: usize,
    admission: Admission,
    now: Monotonic,
    on_batch: OnBatch,
    /// Held for moments only, never while tokenising or encoding.
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: Lines,
    pace: Pace,
    closed: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and a queue must outlive a panic anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses whom the queue cannot serve in time, however short the text.
    fn admit(&self, class: Class) -> Result<(), Refusal> {
        let state = self.lock();
        let has_room = self.admission.has_room(self.standing(&state)?, class);
        has_room.then_some(()).ok_or(Refusal::Saturated)
    }

    fn standing<'a>(&self, state: &'a State) -> Result<Standing<'a>, Refusal> {
        if state.closed {
            return Err(Refusal::Closed);
        }
        Ok(Standing {
            lines: &state.lines,
            pace: &state.pace,
            now: (self.now)(),
        })
    }

    fn submit(
        &self,
        windowed: Windowed,
        class: Class,
        called: Duration,
    ) -> Result<Answer, Refusal> {
        let newcomer = Newcomer {
            class,
            called,
            work: Work::of_windows(window_tokens(&windowed)),
        };
        let mut state = self.lock();
        // Others may have come while this one was tokenised, and only now its length is known.
        let begin_by = self.admission.begin_by(self.standing(&state)?, &newcomer);
        let deadline = begin_by.ok_or(Refusal::Saturated)?;
        let (entry, answer) = Entry::new(windowed, &newcomer, deadline);
        let entry = Arc::new(entry);
        state.lines.push(&entry);
        drop(state);
        if entry.windows() == 1 {
            self.changed.notify_one();
        } else {
            self.changed.notify_all();
        }
        Ok(answer)
    }

    /// A thread's life: group after group, until the last handle goes.
    fn serve(&self, thread: usize) {
        while let Some((group, started)) = self.next_group(thread) {
            let windows: Vec<Window> = group
                .items
                .iter()
                .map(|item| item.entry.window(item.window))
                .collect();
            let rows = self.encode(&windows);
            let finished = (self.now)();
            self.lock().pace.finished(thread, finished);
            self.answer(&group, rows, started, finished);
        }
    }

    /// Waits for windows and takes as many as fit. `None` once the queue is closed.
    fn next_group(&self, thread: usize) -> Option<(Group, Duration)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                // Whoever still waits learns it by the drop of its entry.
                state.lines.clear();
                return None;
            }
            let now = (self.now)();
            let group = state.lines.take(now, self.admission.group_tokens);
            if let Some(first) = group.items.first() {
                let running = Running {
                    since: now,
                    tokens: group.tokens,
                    // A group is taken from one line.
                    class: first.entry.class,
                };
                state.pace.started(thread, running);
                drop(state);
                for item in &group.items {
                    item.entry.begin(now);
                }
                return Some((group, now));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs the encoder. A panic is an answer like any other error: the next group may be a good one.
    fn encode(&self, windows: &[Window]) -> Result<Vectors, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.encoder.encode(windows)));
        match outcome {
            Ok(Ok(rows)) if rows.len() == windows.len() => Ok(rows),
            Ok(Ok(rows)) => Err(format!(
                "{} windows gave {} vectors",
                windows.len(),
                rows.len()
            )),
            Ok(Err(problem)) => Err(problem.to_string()),
            Err(panic) => Err(panic_message(panic.as_ref()).to_owned()),
        }
    }

    /// Tells the listener, then every caller.
    fn answer(
        &self,
        group: &Group,
        rows: Result<Vectors, String>,
        started: Duration,
        finished: Duration,
    ) {
        // Windows of one entry stand together.
        let prompts = group
            .items
            .chunk_by(|left, right| Arc::ptr_eq(&left.entry, &right.entry))
            .count();
        let seen = BatchSeen {
            prompts,
            windows: group.items.len(),
            tokens: group.tokens,
            encoded: finished.saturating_sub(started),
        };
        // What counts groups must not be able to stop them.
        drop(catch_unwind(AssertUnwindSafe(|| (self.on_batch)(seen))));
        let done = GroupDone { finished, prompts };
        match rows {
            Ok(rows) => {
                for (item, row) in group.items.iter().zip(rows.rows()) {
                    item.entry.put(item.window, row, done);
                }
            }
            Err(problem) => {
                for item in &group.items {
                    item.entry.refuse(Refusal::Failed(problem.clone()));
                }
            }
        }
    }
}

/// All physical cores but one, which is left to the sockets, if so many can be used: two threads of a core
/// share the units that the arithmetic goes by.
fn spare_threads(threads_max: usize) -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let spare = allowed.min(num_cpus::get_physical()).saturating_sub(1);
    spare.min(threads_max)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it panicked")
}
