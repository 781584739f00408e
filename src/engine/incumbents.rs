//! Whom each route chose last, where a strategy keeps to whom it chose. By name, so that it outlives a
//! reload.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::model::ModelId;
use crate::domain::name::ModelName;
use crate::engine::Plan;

/// Whom each route chose last.
#[derive(Default)]
pub(super) struct Incumbents {
    /// By the route's label. As many as there are such routes in all plans of this process.
    by_route: RwLock<HashMap<Arc<str>, ModelName>>,
}

impl Incumbents {
    /// Whom a route chose last, if the plan has that model.
    pub(super) fn of(&self, route: &str, plan: &Plan) -> Option<ModelId> {
        // A name is written whole or not at all, so a panic elsewhere has not spoilt it.
        let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
        let name = by_route.get(route)?;
        plan.targets
            .iter()
            .position(|target| target.model.name == *name)
            .map(ModelId)
    }

    /// Notes whom a route chose.
    pub(super) fn note(&self, route: &Arc<str>, model: &ModelName) {
        let is_known = |by_route: &HashMap<Arc<str>, ModelName>| by_route.get(route) == Some(model);
        let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
        if is_known(&by_route) {
            return;
        }
        drop(by_route);
        let mut by_route = self
            .by_route
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        by_route.insert(Arc::clone(route), model.clone());
    }
}
