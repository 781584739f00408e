//! Who is let in, and how long it may then wait. Pure: time is an argument.
//!
//! A text that comes while nobody else waits for an answer is let in whatever its length. Once others wait, or every
//! thread is at work for one of them, what counts is when it would be done: one whose own work takes longer than a
//! group's must begin that much sooner, and goes elsewhere at once if it cannot. Otherwise a busy encoder
//! gives most of its time to few long texts, each of which is late and holds up several short ones.
//!
//! What was let in so and is begun too late is refused even if nobody waits any more by then: the bound is also one
//! for its own caller, who would be answered later than was promised when it was let in.

use std::time::Duration;

use super::line::Lines;
use super::pace::{Pace, Work};
use super::{BULK_WAIT_MAX, Class};

/// The bounds of who is let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    /// The longest that an interactive text may wait before it is begun.
    pub(super) wait_max: Duration,
    /// The most tokens that a thread takes together.
    pub(super) group_tokens: usize,
    /// The most entries of a class that wait.
    pub(super) depth_max: usize,
}

/// A text that comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer {
    pub(super) class: Class,
    /// When its caller asked.
    pub(super) called: Duration,
    pub(super) work: Work,
}

/// What the queue is at.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) lines: &'a Lines,
    pub(super) pace: &'a Pace,
    pub(super) now: Duration,
}

impl Admission {
    /// Whether a text of this class is let in if it is short: all that can be said before it is tokenised,
    /// so that most of those whom a busy queue refuses cost nothing.
    pub(super) fn has_room(&self, standing: Standing<'_>, class: Class) -> bool {
        standing.lines.depth(class) < self.depth_max && standing.wait(class) <= self.wait_max(class)
    }

    /// When a newcomer that is let in has to be begun at the latest; `None` if it is not let in.
    pub(super) fn begin_by(&self, standing: Standing<'_>, newcomer: &Newcomer) -> Option<Duration> {
        if self.depth_max <= standing.lines.depth(newcomer.class) {
            return None;
        }
        let patience = self.patience(standing, newcomer)?;
        (standing.wait(newcomer.class) <= patience).then(|| newcomer.called + patience)
    }

    /// How long it may wait; `None` if it takes too long by itself for others to wait behind it.
    fn patience(&self, standing: Standing<'_>, newcomer: &Newcomer) -> Option<Duration> {
        let wait_max = self.wait_max(newcomer.class);
        if newcomer.class == Class::Bulk || standing.has_thread_to_spare() {
            return Some(wait_max);
        }
        let group = Work::of_window(self.group_tokens);
        let own = standing.pace.time_for(newcomer.work);
        wait_max.checked_sub(own.saturating_sub(standing.pace.time_for(group)))
    }

    fn wait_max(&self, class: Class) -> Duration {
        match class {
            Class::Interactive => self.wait_max,
            Class::Bulk => self.wait_max.max(BULK_WAIT_MAX),
        }
    }
}

impl Standing<'_> {
    /// How long a newcomer of this class would wait.
    fn wait(self, class: Class) -> Duration {
        self.pace.wait(self.now, self.lines.tokens_before(class))
    }

    /// Whether a thread is left over when each window that somebody waits for has one. Bulk that it may be at is
    /// a part of the wait, and nobody before a screen waits for it.
    pub(super) fn has_thread_to_spare(self) -> bool {
        self.lines.interactive_windows() < self.pace.threads_not_at(Class::Interactive)
    }
}
