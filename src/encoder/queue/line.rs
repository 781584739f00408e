//! Who waits, in two lines, and which windows a free thread takes together. Pure: it knows no clock and
//! no thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Class;
use super::entry::Entry;

/// How many windows behind the first are looked at for what fits beside it: enough to fill a group, and a
/// bound on the time under the lock.
const LOOKED_AT: usize = 64;

/// One window of an entry.
pub(super) struct Item {
    pub(super) entry: Arc<Entry>,
    /// Which of the entry's windows.
    pub(super) window: usize,
    /// The tokens that the model will see.
    pub(super) tokens: usize,
}

/// Windows that wait, in the order that they came.
#[derive(Default)]
struct Line {
    items: VecDeque<Item>,
    tokens: usize,
    /// Entries with a window that waits.
    entries: usize,
}

/// Both lines.
#[derive(Default)]
pub(super) struct Lines {
    interactive: Line,
    bulk: Line,
}

/// What a thread took.
#[derive(Default)]
pub(super) struct Group {
    pub(super) items: Vec<Item>,
    pub(super) tokens: usize,
}

impl Lines {
    /// How many entries of this class wait.
    pub(super) fn depth(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.entries,
            Class::Bulk => self.bulk.entries,
        }
    }

    /// The tokens that come before a newcomer of this class.
    pub(super) fn tokens_before(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.tokens,
            Class::Bulk => self.interactive.tokens + self.bulk.tokens,
        }
    }

    /// The windows that wait for an answer to somebody.
    pub(super) fn interactive_windows(&self) -> usize {
        self.interactive.items.len()
    }

    pub(super) fn push(&mut self, entry: &Arc<Entry>) {
        let line = match entry.class {
            Class::Interactive => &mut self.interactive,
            Class::Bulk => &mut self.bulk,
        };
        for (window, tokens) in entry.window_tokens().enumerate() {
            line.tokens += tokens;
            line.items.push_back(Item {
                entry: Arc::clone(entry),
                window,
                tokens,
            });
        }
        line.entries += 1;
    }

    /// Takes a group: the windows that waited longest, and behind them what still fits. Interactive ones go
    /// first. Who left is dropped, and who waited too long refused. Empty if nobody waits.
    pub(super) fn take(&mut self, now: Duration, tokens_max: usize) -> Group {
        // As long as somebody waits for an answer the bulk line is not taken from, yet its callers must hear.
        self.bulk.drop_the_dead(now);
        let mut group = Group::default();
        for line in [&mut self.interactive, &mut self.bulk] {
            line.take(&mut group, now, tokens_max);
            if !group.items.is_empty() {
                break;
            }
        }
        group
    }

    /// Lets go of everyone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Line {
    fn take(&mut self, group: &mut Group, now: Duration, tokens_max: usize) {
        let mut at = 0;
        while at < self.items.len().min(LOOKED_AT) && group.tokens < tokens_max {
            let item = &self.items[at];
            let fits = group.items.is_empty() || group.tokens + item.tokens <= tokens_max;
            let is_dead = item.entry.is_dead(now);
            if !fits && !is_dead {
                at += 1;
                continue;
            }
            let Some(item) = self.remove(at) else {
                break;
            };
            if !is_dead {
                group.tokens += item.tokens;
                group.items.push(item);
            }
        }
    }

    /// Refuses who waited too long and drops who left, near the front: those who came first are the first to give
    /// up. What is begun is wanted whatever its age, so there may be more of them behind it.
    fn drop_the_dead(&mut self, now: Duration) {
        let mut at = 0;
        while at < self.items.len().min(LOOKED_AT) {
            if self.items[at].entry.is_dead(now) {
                drop(self.remove(at));
            } else {
                at += 1;
            }
        }
    }

    fn remove(&mut self, at: usize) -> Option<Item> {
        let item = self.items.remove(at)?;
        self.tokens -= item.tokens;
        self.entries -= usize::from(item.window + 1 == item.entry.windows());
        Some(item)
    }
}
