//! A timer for streams, whose pieces follow each other closely.
//!
//! To set a timer takes a lock and moves it from one list of the runtime to another, and the next piece mostly
//! comes long before it would ring. So a wait that ends later than the one before leaves the timer as it is;
//! if it does ring, it is set for what is left. While it has not rung, it is only asked whether it did.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Rings when a wait is over.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Pin<Box<Sleep>>,
    /// Whom the timer wakes.
    waker: Option<Waker>,
}

impl Alarm {
    /// An alarm that rings then.
    pub(crate) fn at(until: Instant) -> Self {
        Self::of(sleep_until(until))
    }

    /// An alarm that rings after so long.
    pub(crate) fn after(wait: Duration) -> Self {
        Self::of(sleep(wait))
    }

    fn of(timer: Sleep) -> Self {
        Self {
            timer: Box::pin(timer),
            waker: None,
        }
    }

    /// Waits until it rings.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker();
        let is_known = self.waker.as_ref().is_some_and(|it| it.will_wake(waker));
        if is_known && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        // A task that has done much would be put off before the timer knows whom to wake, and from then on it is
        // not asked again.
        let rung = pin!(unconstrained(self.timer.as_mut())).poll(context);
        self.waker = rung.is_pending().then(|| context.waker().clone());
        rung
    }

    /// Waits until then, whenever it should have rung before.
    pub(crate) fn poll_until(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        if until < self.timer.deadline() {
            self.set(until);
        }
        ready!(self.poll(context));
        if self.timer.deadline() < until {
            self.set(until);
            return self.poll(context);
        }
        Poll::Ready(())
    }

    fn set(&mut self, until: Instant) {
        self.timer.as_mut().reset(until);
        self.waker = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::coop::{consume_budget, has_budget_remaining};
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_when_it_should_whether_it_is_shorter_or_longer_than_the_one_before() {
        let mut alarm = Alarm::at(Instant::now() + 10 * SECOND);
        for wait_s in [30, 2, 2, 5, 1] {
            let until = Instant::now() + wait_s * SECOND;
            poll_fn(|context| alarm.poll_until(until, context)).await;
            let late = Instant::now() - until;
            assert!(late < SECOND / 100, "{wait_s} s, and {late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_end_before_it_rings_leave_it_as_it_is() {
        let first = Instant::now() + 10 * SECOND;
        let mut alarm = Alarm::at(first);
        for _ in 0..5 {
            let until = Instant::now() + 10 * SECOND;
            let waited = poll_fn(|context| alarm.poll_until(until, context));
            assert!(timeout(SECOND, waited).await.is_err());
            assert_eq!(alarm.timer.deadline(), first);
        }
        let until = Instant::now() + 10 * SECOND;
        poll_fn(|context| alarm.poll_until(until, context)).await;
        assert!(until <= Instant::now());
    }

    #[tokio::test(start_paused = true)]
    #[expect(
        clippy::disallowed_methods,
        reason = "what is tested is a change of tasks; both end with the test"
    )]
    async fn it_wakes_whoever_waited_last() {
        let mut alarm = Alarm::after(10 * SECOND);
        let waited = poll_fn(|context| alarm.poll(context));
        assert!(timeout(SECOND, waited).await.is_err());
        let elsewhere = tokio::spawn(async move {
            poll_fn(|context| alarm.poll(context)).await;
            Instant::now()
        });
        let began = Instant::now();
        let rung = timeout(60 * SECOND, elsewhere).await.unwrap();
        assert!(rung.unwrap() - began < 10 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_a_task_that_had_done_so_much_that_its_turn_was_over() {
        let mut alarm = Alarm::after(SECOND);
        let waited = poll_fn(|context| {
            while has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(context);
            }
            alarm.poll(context)
        });
        assert!(timeout(60 * SECOND, waited).await.is_ok());
    }
}
