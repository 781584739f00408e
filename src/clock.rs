//! The only reader of the clock. Everything that decides is given a [`Moment`] instead.

use std::time::Duration;

use crate::domain::quantity::Moment;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time since the process started, which never runs backwards.
    fn now(&self) -> Moment;

    /// The time of day, since 1970 in UTC.
    fn wall(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::module_name_repetitions,
    reason = "callers import it by this name, where `System` would say nothing"
)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    pub fn start() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    fn wall(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that a test sets.
#[derive(Debug, Default)]
#[expect(
    clippy::module_name_repetitions,
    reason = "callers import it by this name, where `Manual` would say nothing"
)]
pub struct ManualClock {
    elapsed_nanos: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// Moves on.
    pub fn advance(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nanos
            .fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        let nanos = self.elapsed_nanos.load(std::sync::atomic::Ordering::SeqCst);
        Moment::after_start(Duration::from_nanos(nanos))
    }

    fn wall(&self) -> Duration {
        self.now().elapsed()
    }
}
