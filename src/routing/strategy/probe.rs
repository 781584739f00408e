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
    let probed = chance.about("probe").uniform() < share;
    let drawn = chance.about("probed").one_of(unknown.len());
    let mut order = if probed { vec![unknown[drawn]] } else { Vec::new() };
    order.extend(known);
    order.extend(unknown.iter().copied());
    if probed {
        // It stands first already.
        let first = order[0];
        let mut seen = false;
        order.retain(|idx| *idx != first || !std::mem::replace(&mut seen, true));
    }
    let luck = Luck::Asked;
    Some(if probed {
        Choice {
            order,
            reason: ChosenReason::Probe,
            propensity: share / n_unknown,
            luck,
        }
    } else {
        Choice {
            order,
            reason,
            propensity: 1.0 - share,
            luck,
        }
    })
}
