//! How good a classification is, and whether that is more than chance.
//!
//! What was found for rows whose label is known becomes figures: each estimate with an interval,
//! accuracy beside what always naming the largest intent and what shuffled labels would reach.
//! Everything here is arithmetic on results; who classified the rows is not its matter.

pub mod bootstrap;
pub mod compare;
pub mod length;
pub mod metrics;
pub mod models;
pub mod neighbours;
pub mod outcome;
pub mod rank;
pub mod reliability;
pub mod replay;
pub mod report;
pub mod scope;

pub use bootstrap::{Chance, Estimate};
pub use compare::{Comparison, compare};
pub use neighbours::{NeighbourSimilarity, neighbour_similarity};
pub use outcome::{Example, Expected, Outcome};
pub use report::{Error, Report, evaluate};

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows stay far below 2^53"
)]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

/// The share that a part is of the whole; 0 of nothing.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        as_f64(part) / as_f64(whole)
    }
}
