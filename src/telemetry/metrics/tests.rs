use std::thread;

use super::*;
use crate::domain::record::Outcome;

/// More than may wait, so that some are counted by those who leave them.
const MANY: usize = 10_000;

fn finished() -> Arc<Record> {
    Arc::new(Record {
        endpoint: "/v1/test",
        outcome: Outcome::Answered,
        ..Record::default()
    })
}

fn counted(metrics: &Metrics) -> usize {
    let text = metrics.text(Moment::default());
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("semroute_requests_total{"));
    let n = line.and_then(|line| line.rsplit(' ').next());
    n.map_or(0, |n| n.parse().unwrap())
}

fn hand_over_many(metrics: &Metrics, n_threads: usize) {
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                for _ in 0..MANY / n_threads {
                    metrics.hand_over(finished(), Moment::default());
                }
            });
        }
    });
}

#[test]
fn what_was_handed_over_is_in_the_next_figures_though_nobody_counted_it_meanwhile() {
    let metrics = Metrics::new();
    for n in 1..=3 {
        metrics.hand_over(finished(), Moment::default());
        assert_eq!(counted(&metrics), n);
    }
}

#[test]
fn none_is_lost_when_more_come_than_may_wait() {
    let metrics = Metrics::new();
    hand_over_many(&metrics, 1);
    assert_eq!(counted(&metrics), MANY);
}

#[test]
fn none_is_lost_or_counted_twice_while_a_thread_and_readers_count_too() {
    let metrics = Arc::new(Metrics::new());
    metrics.count_aside().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| hand_over_many(&metrics, 4));
        scope.spawn(|| {
            let mut last = 0;
            for _ in 0..20 {
                let now = counted(&metrics);
                assert!(last <= now, "{now} after {last}");
                last = now;
            }
        });
    });
    assert_eq!(counted(&metrics), MANY);
}

#[test]
fn the_thread_counts_though_nobody_asks_and_ends_when_there_is_nobody_to_count_for() {
    let metrics = Arc::new(Metrics::new());
    metrics.count_aside().unwrap();
    let record = finished();
    metrics.hand_over(Arc::clone(&record), Moment::default());
    // A counted record is let go.
    while 1 < Arc::strong_count(&record) {
        thread::yield_now();
    }
    let gone = Arc::downgrade(&metrics);
    drop(metrics);
    // The thread may hold it for the length of a count.
    while 0 < gone.strong_count() {
        thread::yield_now();
    }
}
