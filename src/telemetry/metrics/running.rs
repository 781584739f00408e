//! How many calls each target has at the moment: the one figure that no finished request tells.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::name::ModelName;

use super::labels::TargetLabels;

/// How many calls each target has.
pub(super) struct Running {
    family: Family<TargetLabels, Gauge>,
    /// Whom it was told of, so that one that is gone is told no longer.
    told: Mutex<BTreeSet<ModelName>>,
}

impl Running {
    /// Nobody's yet, and told by a registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let family = Family::default();
        registry.register(
            "target_running",
            "Calls to a target that have not ended",
            family.clone(),
        );
        Self {
            family,
            told: Mutex::default(),
        }
    }

    /// Takes in how many it is now.
    pub(super) fn tell<'n>(&self, running: impl Iterator<Item = (&'n ModelName, u32)>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (target, n) in running {
            let labels = labels(target);
            self.family.get_or_create_owned(&labels).set(i64::from(n));
            now.insert(target.clone());
        }
        for gone in told.difference(&now) {
            self.family.remove(&labels(gone));
        }
        *told = now;
    }
}

fn labels(target: &ModelName) -> TargetLabels {
    TargetLabels {
        target: target.clone(),
    }
}
