//! The time series of one metric, by their labels.

use std::collections::BTreeMap;
use std::hash::Hash;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// A family of series, and those of it that are known already.
///
/// The family itself takes a lock and hashes every label to find one, which is most of what counting a
/// request costs. There are only as many as there are names and words, so an ordered map of them, which
/// whoever counts has for itself, finds one in a few comparisons.
pub(super) struct Series<L, M> {
    family: Family<L, M>,
    known: BTreeMap<L, M>,
}

impl<L: Clone + Ord + Hash, M: Clone> Series<L, M> {
    /// Counts through a family, which others may read.
    pub(super) const fn of(family: Family<L, M>) -> Self {
        Self {
            family,
            known: BTreeMap::new(),
        }
    }

    /// The series with these labels, from now on if there was none.
    pub(super) fn with(&mut self, labels: L) -> &M {
        self.known
            .entry(labels)
            .or_insert_with_key(|labels| self.family.get_or_create_owned(labels))
    }

    /// The family of all of them, to be told by.
    pub(super) fn family(&self) -> Family<L, M> {
        self.family.clone()
    }
}

impl<L: Clone + Ord + Hash, M: Clone + Default> Default for Series<L, M> {
    fn default() -> Self {
        Self::of(Family::default())
    }
}

/// Durations, from 10 µs, a classification, to 80 s, a long answer, each bound twice the one before.
pub(super) fn seconds<L: Clone + Ord + Hash>() -> Series<L, Histogram> {
    Series::of(Family::new_with_constructor(|| {
        Histogram::new(exponential_buckets(1e-5, 2.0, 24))
    }))
}
