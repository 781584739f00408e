//! How fast the encoder is, by what it did lately, and hence how long a newcomer would wait.

use std::time::Duration;

/// How much of what was measured before still counts after another batch. At a half, a first batch
/// that was slow because the pages were cold is all but forgotten after five.
const MEMORY: f64 = 0.5;

/// The encoder's measured speed and what it is at.
#[derive(Debug, Default)]
pub(super) struct Pace {
    tokens: f64,
    seconds: f64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    since: Duration,
    tokens: usize,
}

impl Pace {
    /// A batch started.
    pub(super) fn started(&mut self, now: Duration, tokens: usize) {
        self.running = Some(Running { since: now, tokens });
    }

    /// The batch ended.
    pub(super) fn finished(&mut self, tokens: usize, took: Duration) {
        self.running = None;
        self.tokens = self.tokens * MEMORY + as_float(tokens);
        self.seconds = self.seconds * MEMORY + took.as_secs_f64();
    }

    /// How long it takes until so many queued tokens, and what runs now, are done. Nothing as long as no
    /// batch was measured: the first callers find out.
    pub(super) fn wait(&self, now: Duration, queued_tokens: usize) -> Duration {
        let remaining = self.running.as_ref().map_or(Duration::ZERO, |running| {
            let elapsed = now.saturating_sub(running.since);
            self.time_for(running.tokens).saturating_sub(elapsed)
        });
        remaining + self.time_for(queued_tokens)
    }

    fn time_for(&self, tokens: usize) -> Duration {
        if self.tokens <= 0.0 {
            return Duration::ZERO;
        }
        let seconds = as_float(tokens) * self.seconds / self.tokens;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

fn as_float(tokens: usize) -> f64 {
    u32::try_from(tokens).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_by_guess_before_the_first_measurement() {
        assert_eq!(Pace::default().wait(Duration::ZERO, 10_000), Duration::ZERO);
    }

    #[test]
    fn the_wait_is_what_runs_and_what_is_queued() {
        let mut pace = Pace::default();
        pace.finished(100, Duration::from_millis(100));
        pace.started(Duration::from_millis(500), 30);
        let wait = pace.wait(Duration::from_millis(510), 40);
        assert_eq!(wait.as_millis(), 20 + 40);
    }

    #[test]
    fn a_batch_that_runs_longer_than_expected_counts_as_nearly_done() {
        let mut pace = Pace::default();
        pace.finished(100, Duration::from_millis(100));
        pace.started(Duration::ZERO, 10);
        assert_eq!(pace.wait(Duration::from_secs(9), 0), Duration::ZERO);
    }

    #[test]
    fn a_slow_start_is_forgotten() {
        let mut pace = Pace::default();
        pace.finished(10, Duration::from_secs(1));
        for _ in 0..8 {
            pace.finished(10, Duration::from_millis(10));
        }
        assert!(pace.wait(Duration::ZERO, 10) < Duration::from_millis(15));
    }
}
