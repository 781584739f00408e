//! Every metric: its name, its unit, its labels.
//!
//! What is counted of requests is counted from the finished [`Record`], in one place, so that what Prometheus says
//! and what the log says cannot differ. Labels hold only names that the operator gave and words from
//! closed lists; a user or a prompt never becomes one.

mod labels;
mod requests;
mod running;
mod series;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::centroids::CentroidSet;
use crate::centroids::drift::live::Figures;
use crate::domain::feedback::Feedback;
use crate::domain::name::{IntentName, ModelName};
use crate::domain::quantity::Moment;
use crate::domain::record::Record;
use crate::telemetry::handover::{Counts, Finished, Handover, count_aside};
use crate::telemetry::learning::{Learning, SwapResult};

use requests::Requests;
use running::Running;

/// Everything that is counted.
pub struct Metrics {
    handover: Handover,
    registry: Registry,
    /// Only whoever counts takes it, or whoever asks for figures.
    requests: Mutex<Requests>,
    lost_lines: Counter,
    learning: Learning,
    batch_windows: Histogram,
    running: Running,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("semroute");
        let requests = Requests::registered(&mut registry);
        let lost_lines = Counter::default();
        registry.register(
            "log_lost_lines",
            "Records and feedback that the log could not write",
            lost_lines.clone(),
        );
        let batch_windows = Histogram::new(exponential_buckets(1.0, 2.0, 9));
        registry.register(
            "encoder_batch_windows",
            "Windows that the encoder worked on together",
            batch_windows.clone(),
        );
        let running = Running::registered(&mut registry);
        let learning = Learning::default();
        learning.register(&mut registry);
        Self {
            handover: Handover::default(),
            registry,
            requests: Mutex::new(requests),
            lost_lines,
            learning,
            batch_windows,
            running,
        }
    }

    /// Counts a line that the log could not write.
    pub fn count_lost_line(&self) {
        self.lost_lines.inc();
    }

    /// Counts an attempt to put other centroids in force.
    pub fn count_swap(&self, result: SwapResult) {
        self.learning.count_swap(result);
    }

    /// Hears which centroids are in force from now on.
    pub fn expect(&self, centroids: &CentroidSet, digest: &str) {
        self.count_waiting();
        self.learning.expect(centroids, digest);
    }

    /// Counts feedback.
    pub fn observe_feedback(&self, feedback: &Feedback) {
        self.learning.observe_feedback(feedback);
    }

    /// The drift of an intent so far.
    pub fn drift_of(&self, intent: &IntentName) -> Option<Figures> {
        self.count_waiting();
        self.learning.drift_of(intent)
    }

    /// Counts a batch of the encoder.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch holds thousands of windows at most"
    )]
    pub fn observe_batch(&self, n_windows: usize) {
        self.batch_windows.observe(n_windows as f64);
    }

    /// Tells how many calls each target has at the moment.
    pub fn tell_running<'n>(&self, running: impl Iterator<Item = (&'n ModelName, u32)>) {
        self.running.tell(running);
    }

    /// Takes a finished request, to be counted before anybody is told a figure. It waits for nobody,
    /// unless more come than are counted.
    pub fn hand_over(&self, record: Arc<Record>, at: Moment) {
        if let Err(Finished { record, at }) = self.handover.leave(Finished { record, at }) {
            self.count_waiting();
            self.observe(&record, at);
        }
    }

    /// Counts what was handed over on a thread of its own, so that little of it is ever left for those who
    /// ask for figures.
    pub fn count_aside(self: &Arc<Self>) -> std::io::Result<()> {
        count_aside(self)
    }

    /// Counts a finished request.
    fn observe(&self, record: &Record, now: Moment) {
        self.requests().observe(record, now);
        // What another encoder says cannot be held against the main one's training rows.
        if let Some(intent) = record.intent.as_ref().filter(|it| it.encoder.is_main()) {
            self.learning.observe(intent);
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything counted so far, in the text format that Prometheus scrapes.
    pub fn text(&self, now: Moment) -> String {
        self.count_waiting();
        self.requests().tell(now);
        self.learning.tell();
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

impl Counts for Metrics {
    fn handover(&self) -> &Handover {
        &self.handover
    }

    fn count_waiting(&self) {
        self.handover
            .take_all(|finished| self.observe(&finished.record, finished.at));
    }
}

#[cfg(test)]
mod tests;
