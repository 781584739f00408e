//! How fast a thread of the encoder is, by what it did lately, and hence how long a newcomer would wait.

use std::time::Duration;

use super::Class;

/// How much of what was measured before still counts after another group. At three quarters, a first group
/// that was slow because the pages were cold is all but forgotten after ten.
const MEMORY: f64 = 0.75;

/// The measured speed of a thread and what all of them are at.
#[derive(Debug)]
pub(super) struct Pace {
    tokens: f64,
    seconds: f64,
    running: Vec<Option<Running>>,
}

/// A group that a thread is at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) since: Duration,
    pub(super) tokens: usize,
    /// Who waits for it.
    pub(super) class: Class,
}

/// What the model will see of a text, in tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// Of all windows, which threads share.
    tokens: usize,
    /// Of the longest window, which one thread does alone.
    longest: usize,
}

impl Work {
    pub(super) fn of_window(tokens: usize) -> Self {
        Self {
            tokens,
            longest: tokens,
        }
    }

    pub(super) fn of_windows(windows: impl Iterator<Item = usize>) -> Self {
        windows.fold(Self::of_window(0), |work, tokens| Self {
            tokens: work.tokens + tokens,
            longest: work.longest.max(tokens),
        })
    }
}

impl Pace {
    /// Of so many threads, which are idle.
    pub(super) fn of(threads: usize) -> Self {
        Self {
            tokens: 0.0,
            seconds: 0.0,
            running: vec![None; threads.max(1)],
        }
    }

    /// A thread began a group.
    pub(super) fn started(&mut self, thread: usize, running: Running) {
        self.running[thread] = Some(running);
    }

    /// It ended the group.
    pub(super) fn finished(&mut self, thread: usize, now: Duration) {
        if let Some(running) = self.running[thread].take() {
            let took = now.saturating_sub(running.since).as_secs_f64();
            self.tokens = self.tokens * MEMORY + as_float(running.tokens);
            self.seconds = self.seconds * MEMORY + took;
        }
    }

    /// How long it takes until a thread is free for a newcomer, once so many queued tokens are begun.
    /// Nothing as long as no group was measured: the first callers find out.
    pub(super) fn wait(&self, now: Duration, queued_tokens: usize) -> Duration {
        let remaining: Vec<Duration> = self
            .running
            .iter()
            .map(|running| {
                running.as_ref().map_or(Duration::ZERO, |running| {
                    let elapsed = now.saturating_sub(running.since);
                    self.time_of(as_float(running.tokens))
                        .saturating_sub(elapsed)
                })
            })
            .collect();
        let threads = remaining.len();
        let share = self.time_of(as_float(queued_tokens) / as_float(threads));
        if queued_tokens == 0 {
            return remaining.into_iter().min().unwrap_or_default();
        }
        let all: Duration = remaining.into_iter().sum();
        all / u32::try_from(threads).unwrap_or(u32::MAX) + share
    }

    /// How long a text takes by itself, once it is begun.
    pub(super) fn time_for(&self, work: Work) -> Duration {
        let share = as_float(work.tokens) / as_float(self.running.len());
        self.time_of(share.max(as_float(work.longest)))
    }

    /// How many threads are at nothing that somebody of this class waits for.
    pub(super) fn threads_not_at(&self, class: Class) -> usize {
        let is_at = |running: &Option<Running>| running.is_some_and(|it| it.class == class);
        self.running.iter().filter(|it| !is_at(it)).count()
    }

    fn time_of(&self, tokens: f64) -> Duration {
        if self.tokens <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(tokens * self.seconds / self.tokens).unwrap_or(Duration::MAX)
    }
}

fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn group(since: Duration, tokens: usize) -> Running {
        Running {
            since,
            tokens,
            class: Class::Interactive,
        }
    }

    /// Of threads that take a millisecond a token.
    fn pace(threads: usize) -> Pace {
        let mut pace = Pace::of(threads);
        pace.started(0, group(Duration::ZERO, 100));
        pace.finished(0, millis(100));
        pace
    }

    #[test]
    fn nobody_waits_by_guess_before_the_first_measurement() {
        assert_eq!(Pace::of(2).wait(Duration::ZERO, 10_000), Duration::ZERO);
    }

    #[test]
    fn the_wait_is_what_runs_and_what_is_queued() {
        let mut pace = pace(1);
        pace.started(0, group(millis(500), 30));
        assert_eq!(pace.wait(millis(510), 40), millis(20 + 40));
    }

    #[test]
    fn threads_share_what_is_queued_and_an_idle_one_is_free_at_once() {
        let mut pace = pace(2);
        pace.started(0, group(millis(500), 30));
        assert_eq!(pace.wait(millis(500), 0), Duration::ZERO);
        pace.started(1, group(millis(500), 10));
        assert_eq!(pace.wait(millis(500), 0), millis(10));
        assert_eq!(pace.wait(millis(500), 40), millis(20 + 20));
    }

    #[test]
    fn a_group_that_runs_longer_than_expected_counts_as_nearly_done() {
        let mut pace = pace(1);
        pace.started(0, group(millis(100), 10));
        assert_eq!(pace.wait(Duration::from_secs(9), 0), Duration::ZERO);
    }

    #[test]
    fn threads_share_the_windows_of_a_text_but_not_a_window() {
        let alone = pace(1);
        let shared = pace(4);
        let long = Work::of_windows([50, 50, 40].into_iter());
        assert_eq!(alone.time_for(long), millis(140));
        assert_eq!(shared.time_for(long), millis(50));
        assert_eq!(shared.time_for(Work::of_window(90)), millis(90));
    }

    #[test]
    fn a_slow_start_is_forgotten() {
        let mut pace = Pace::of(1);
        pace.started(0, group(Duration::ZERO, 10));
        pace.finished(0, Duration::from_secs(1));
        for _ in 0..16 {
            pace.started(0, group(Duration::ZERO, 10));
            pace.finished(0, millis(10));
        }
        assert!(pace.wait(Duration::ZERO, 10) < millis(15));
    }
}
