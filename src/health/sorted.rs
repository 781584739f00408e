//! A few durations in order, so that a median is there without looking for it.

use std::time::Duration;

/// Durations in order. At most as many are held as there are samples, so that putting one in moves less
/// memory than a page holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Sorted(Vec<Duration>);

impl Sorted {
    /// Takes one in.
    pub(super) fn insert(&mut self, duration: Duration) {
        let at = self.0.partition_point(|it| *it < duration);
        self.0.insert(at, duration);
    }

    /// Takes one out that was put in before.
    pub(super) fn remove(&mut self, duration: Duration) {
        if let Ok(at) = self.0.binary_search(&duration) {
            self.0.remove(at);
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The one in the middle; of an even number, what lies midway between the two there.
    pub(super) fn median(&self) -> Option<Duration> {
        let upper = *self.0.get(self.0.len() / 2)?;
        if self.0.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = *self.0.get(self.0.len() / 2 - 1)?;
        Some(lower + upper.saturating_sub(lower) / 2)
    }

    /// The smallest below or at which 95 of 100 lie.
    pub(super) fn p95(&self) -> Option<Duration> {
        let rank = (self.0.len() * 95).div_ceil(100);
        self.0.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(millis: &[u64]) -> Sorted {
        let mut sorted = Sorted::default();
        for it in millis {
            sorted.insert(Duration::from_millis(*it));
        }
        sorted
    }

    #[test]
    fn the_median_of_an_even_number_lies_midway() {
        assert_eq!(sorted(&[]).median(), None);
        assert_eq!(sorted(&[7]).median(), Some(Duration::from_millis(7)));
        assert_eq!(sorted(&[9, 1]).median(), Some(Duration::from_millis(5)));
        assert_eq!(sorted(&[9, 1, 2]).median(), Some(Duration::from_millis(2)));
    }

    #[test]
    fn of_few_the_95th_percentile_is_the_largest_and_of_a_hundred_the_95th() {
        assert_eq!(sorted(&[]).p95(), None);
        assert_eq!(sorted(&[1, 9, 3]).p95(), Some(Duration::from_millis(9)));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(sorted(&hundred).p95(), Some(Duration::from_millis(95)));
    }

    #[test]
    fn what_is_taken_out_no_longer_counts() {
        let mut three = sorted(&[1, 5, 5]);
        three.remove(Duration::from_millis(5));
        assert_eq!(three.median(), Some(Duration::from_millis(3)));
        three.remove(Duration::from_millis(4));
        assert_eq!(three.median(), Some(Duration::from_millis(3)));
    }
}
