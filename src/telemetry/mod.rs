//! What the process tells about itself: metrics, and log lines for people.

mod handover;
mod learning;
mod logs;
mod metrics;

pub use learning::SwapResult;
pub use logs::{Verbosity, log_to_stderr};
pub use metrics::Metrics;
