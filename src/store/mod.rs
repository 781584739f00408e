//! Where things are kept. For now: the log of records.

mod record_log;

pub use record_log::{Output, RecordLog};
