//! What is kept: the log of records and feedback, and the versions of centroids.

mod json_line;
pub mod log_reader;
pub mod recent_ids;
mod record_log;
pub mod versions;

pub use record_log::{Company, Output, RecordLog, Rotation, Settings, WallClock};
