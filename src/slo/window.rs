//! An exact ratio over a trailing window: of the cascades that ended in the last hour, how many
//! escalated?
//!
//! Counts lie in a ring of slots. A moving average would be smaller, but could not be checked by
//! counting log lines, and an operator who is woken up by a rate must be able to do that.

use std::time::Duration;

use crate::domain::quantity::{Moment, Ratio};

/// A slot is the precision of the window's edge: a sixtieth of its length.
const N_SLOTS: u32 = 60;

/// Counts of the last so much time.
#[derive(Debug, Clone)]
pub struct Window {
    slot_length: Duration,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which slot since the process started this is; older ones are forgotten.
    ordinal: u64,
    n_all: u64,
    n_hit: u64,
}

impl Window {
    /// An empty window of that length, at least a second.
    pub fn new(length: Duration) -> Self {
        let length = length.max(Duration::from_secs(1));
        Self {
            slot_length: length / N_SLOTS,
            slots: vec![Slot::default(); N_SLOTS as usize],
        }
    }

    /// Counts one case.
    pub fn count(&mut self, hit: Hit, now: Moment) {
        let ordinal = self.ordinal(now);
        let Some(slot) = self.slots.get_mut(Self::position(ordinal)) else {
            return;
        };
        if slot.ordinal != ordinal {
            *slot = Slot {
                ordinal,
                ..Slot::default()
            };
        }
        slot.n_all += 1;
        slot.n_hit += u64::from(hit == Hit::Yes);
    }

    /// The share of hits; `None` where nothing was counted, since a rate of nothing is unknown.
    pub fn ratio(&self, now: Moment) -> Option<Ratio> {
        let newest = self.ordinal(now);
        let oldest = newest.saturating_sub(u64::from(N_SLOTS) - 1);
        let (n_hit, n_all) = self
            .slots
            .iter()
            .filter(|slot| (oldest..=newest).contains(&slot.ordinal))
            .fold((0, 0), |(n_hit, n_all), slot| {
                (n_hit + slot.n_hit, n_all + slot.n_all)
            });
        (0 < n_all).then(|| Ratio::of_counts(n_hit, n_all))
    }

    fn ordinal(&self, now: Moment) -> u64 {
        let ordinal = now.elapsed().as_nanos() / self.slot_length.as_nanos().max(1);
        u64::try_from(ordinal).unwrap_or(u64::MAX)
    }

    fn position(ordinal: u64) -> usize {
        usize::try_from(ordinal % u64::from(N_SLOTS)).unwrap_or_default()
    }
}

/// Whether a case counts towards the ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// It does.
    Yes,
    /// It does not.
    No,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn ratio(window: &Window, seconds: u64) -> Option<f64> {
        window.ratio(at(seconds)).map(Ratio::get)
    }

    #[test]
    fn nothing_counted_is_unknown_and_not_zero() {
        assert_eq!(ratio(&Window::new(Duration::from_mins(1)), 5), None);
    }

    #[test]
    fn one_of_four_is_a_quarter() {
        let mut window = Window::new(Duration::from_mins(1));
        for hit in [Hit::Yes, Hit::No, Hit::No, Hit::No] {
            window.count(hit, at(10));
        }
        assert_eq!(ratio(&window, 20), Some(0.25));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::new(Duration::from_mins(1));
        window.count(Hit::Yes, at(0));
        window.count(Hit::No, at(30));
        assert_eq!(ratio(&window, 59), Some(0.5));
        assert_eq!(ratio(&window, 60), Some(0.0));
        assert_eq!(ratio(&window, 90), None);
    }

    proptest! {
        #[test]
        fn it_equals_a_recount_of_the_last_minute(
            mut cases in prop::collection::vec((0_u64..300, any::<bool>()), 1..200),
        ) {
            cases.sort_by_key(|(second, _)| *second);
            let mut window = Window::new(Duration::from_mins(1));
            for (second, hit) in &cases {
                window.count(if *hit { Hit::Yes } else { Hit::No }, at(*second));
            }
            let now = cases.last().map_or(0, |(second, _)| *second);
            let recent: Vec<_> = cases.iter().filter(|(second, _)| now < second + 60).collect();
            let n_hit = recent.iter().filter(|(_, hit)| *hit).count() as u64;
            prop_assert_eq!(
                window.ratio(at(now)),
                Some(Ratio::of_counts(n_hit, recent.len() as u64))
            );
        }
    }
}
