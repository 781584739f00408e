//! How much prompts ask of a model, told by the same vectors as what they are about.

use std::sync::Arc;

use crate::centroids::CentroidSet;
use crate::domain::complexity::{Level, Rating};
use crate::domain::name::IntentName;

/// Where the levels lie.
#[derive(Debug, Clone)]
pub struct Complexity {
    centroids: Arc<CentroidSet>,
}

impl Complexity {
    /// Over centroids whose intents are the levels. Fails if they are others.
    pub fn over(centroids: CentroidSet) -> Result<Self, String> {
        Level::check(centroids.intents().map(IntentName::as_str))?;
        Ok(Self {
            centroids: Arc::new(centroids),
        })
    }

    /// Where a prompt lies, by its unit vector. Every prompt has a level, so scope is not asked.
    pub fn rate(&self, vector: &[f32]) -> Option<Rating> {
        let found = self.centroids.classify(vector, self.centroids.threshold());
        let level = found.name.as_str().parse().ok()?;
        Some(Rating {
            level,
            score: found.score,
        })
    }
}
