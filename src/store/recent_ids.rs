//! Which requests this process served lately, so that feedback on one can be told from feedback on a
//! request that another replica served, or nobody.
//!
//! A ring of hashes without a lock: requests write, feedback scans. Two ids may share a hash, once in
//! about 10^14 questions, which then says `known` of an id that is not.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Ids that are remembered: half a megabyte, and at 100 requests a second ten minutes.
const IDS_MAX: usize = 65_536;

/// The ids of the last requests.
pub struct RecentIds {
    ring: Vec<AtomicU64>,
    next: AtomicUsize,
}

impl Default for RecentIds {
    fn default() -> Self {
        Self::new(IDS_MAX)
    }
}

impl RecentIds {
    /// Remembers so many.
    pub fn new(n: usize) -> Self {
        Self {
            ring: (0..n).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Remembers an id; the oldest one is forgotten.
    pub fn remember(&self, id: &str) {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = self.ring.get(place % self.ring.len().max(1)) {
            slot.store(hash(id), Ordering::Relaxed);
        }
    }

    /// Whether an id is remembered.
    pub fn knows(&self, id: &str) -> bool {
        let wanted = hash(id);
        self.ring
            .iter()
            .any(|slot| slot.load(Ordering::Relaxed) == wanted)
    }
}

/// Never 0, which marks an empty place.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_id_is_forgotten_first() {
        let ids = RecentIds::new(2);
        for id in ["a", "b", "c"] {
            ids.remember(id);
        }
        assert_eq!(["a", "b", "c"].map(|id| ids.knows(id)), [false, true, true]);
        assert!(!RecentIds::new(3).knows(""));
    }
}
