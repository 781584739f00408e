//! A small share for models of which nobody knows how they do.
//!
//! A strategy that compares measurements would never ask a model that has none, and so never get any:
//! a target that was slow an hour ago would be avoided for ever. So such a model gets a share by chance
//! until its samples say how it does; and one that nobody asks any more comes to be unknown again.

use crate::domain::event::ChosenReason;
use crate::domain::quantity::Ratio;
use crate::routing::chance::Chance;

use super::{Choice, Luck};

/// Candidates, as a strategy that compares measurements has sorted them.
pub(super) struct Sorted {
    /// Those that are known, the best first.
    pub(super) known: Vec<usize>,
    /// Those that are not, and may be probed.
    pub(super) unknown: Vec<usize>,
}

/// Gives the unknown their share, and the rest to the first of the known, for this reason.
///
/// Where nobody is known, each is as probable as the others. `None` where there is nobody at all.
pub(super) fn share(
    sorted: Sorted,
    reason: ChosenReason,
    share: Ratio,
    chance: Chance,
) -> Option<Choice> {
    let Sorted { known, unknown } = sorted;
    if unknown.is_empty() {
        return (!known.is_empty()).then(|| Choice::certain(known, reason));
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful of candidates")]
    let n_unknown = unknown.len() as f64;
    let share = if known.is_empty() { 1.0 } else { share.get() };
    let drawn = unknown[chance.about("probed").one_of(unknown.len())];
    let is_probe = chance.about("probe").uniform() < share;
    let first_known = known.first().map(|idx| (*idx, 1.0 - share));
    let odds = unknown.iter().map(|idx| (*idx, share / n_unknown));
    let odds = first_known.into_iter().chain(odds).collect();
    let mut order = [known, unknown].concat();
    if is_probe {
        order.retain(|idx| *idx != drawn);
        order.insert(0, drawn);
    }
    Some(Choice {
        order,
        reason: if is_probe {
            ChosenReason::Probe
        } else {
            reason
        },
        odds,
        luck: Luck::Asked,
    })
}
