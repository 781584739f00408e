//! How good models are at which kind of prompt, and whether it pays to route by that.
//!
//! Graded answers ([`answers`]) become the quality table that the router looks up ([`table`](mod@table)), with an
//! interval for each mean ([`interval`]). Then routing by it is judged beside what it must beat: one
//! model for everything, a random mix of models, the same table with its kinds shuffled; and beside
//! what else could be had: nearest neighbours, a regression, an oracle ([`compare`]).
//!
//! Judging reads top down: rows that all models answered ([`grid`]) are dealt to `folds`; `ways` lists
//! what is tried; `teachers` estimate models for a row from other folds' rows; `hull` finds the mixes
//! worth having; `protocol` plays them on rows that had no say; `figures` and [`report`] make
//! estimates of it, [`configure`] what to write, and `verdict` sentences.

pub mod answers;
mod cells;
pub mod configure;
mod figures;
mod folds;
pub mod grid;
mod hull;
pub mod interval;
mod neighbours;
mod protocol;
pub mod report;
mod ridge;
pub mod table;
mod teachers;
mod verdict;
mod ways;

pub use answers::{Answers, Row};
pub use cells::cluster_labels;
pub use configure::{Choices, choices};
pub use grid::Compared;
pub use report::{Input, Partition, Report, compare};
pub use table::{Origin, data_digest, table};
pub use ways::cluster_counts;

#[cfg(test)]
mod tests;
