//! How prototypes are made from rows. Each rule ends in the same [`Prototypes`], so that a request
//! pays for their number and never for how they were found.

mod kmeans;
mod lbfgs;
mod logistic;
mod whitened;

pub(super) use kmeans::mean;
pub(super) use logistic::Logistic;
pub use logistic::Weighting;

use crate::centroids::classify::Prototypes;
use crate::centroids::manifest::Rule;
use crate::centroids::sample::Sample;
use crate::vector::Vectors;

/// What a rule made of rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    pub(super) prototypes: Prototypes,
    /// The rule with what the rows decided of it.
    pub(super) rule: Rule,
    /// Whether the fit came to its end; rules without a search always do.
    pub(super) converged: bool,
}

/// Why a rule found no prototypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The rows of this class cancel each other out.
    NoDirection(usize),
    /// All rows of each class are the same: there is no covariance.
    NoSpread,
}

/// What chance and the operator decide of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choices {
    pub(super) seed: u64,
    pub(super) weighting: Weighting,
}

/// Makes prototypes of a sample by a rule.
pub(super) fn fit(rule: Rule, sample: &Sample<'_>, choices: Choices) -> Result<Fitted, Unfit> {
    let fitted = |prototypes, rule| Fitted {
        prototypes,
        rule,
        converged: true,
    };
    match rule {
        Rule::Centroid => k_means(sample, 1, choices).map(|it| fitted(it, rule)),
        Rule::KMeans { k } => k_means(sample, k, choices).map(|it| fitted(it, rule)),
        Rule::Nearest => nearest(sample).map(|it| fitted(it, rule)),
        Rule::Whitened { .. } => {
            let found = whitened::fit(sample).ok_or(Unfit::NoSpread)?;
            let shrinkage = Some(found.shrinkage);
            Ok(fitted(found.prototypes, Rule::Whitened { shrinkage }))
        }
        Rule::Logistic { c } => {
            let start = Logistic::zero(sample.n_classes(), sample.dimensions());
            logistic(&start.fit(sample, c, choices.weighting), c)
        }
    }
}

/// A fitted regression as what a request is scored with.
pub(super) fn logistic(found: &Logistic, c: f64) -> Result<Fitted, Unfit> {
    let prototypes = found.prototypes().ok_or(Unfit::NoSpread)?;
    Ok(Fitted {
        prototypes,
        rule: Rule::Logistic { c },
        converged: found.converged,
    })
}

fn k_means(sample: &Sample<'_>, k: usize, choices: Choices) -> Result<Prototypes, Unfit> {
    kmeans::fit(sample, k, choices.seed).map_err(Unfit::NoDirection)
}

/// Every row is a prototype.
fn nearest(sample: &Sample<'_>) -> Result<Prototypes, Unfit> {
    let mut vectors = Vectors::new(sample.dimensions());
    let mut n_of_intent = Vec::with_capacity(sample.n_classes());
    for (class, rows) in sample.members().iter().enumerate() {
        n_of_intent.push(rows.len());
        if !rows.iter().all(|row| vectors.push(row)) {
            return Err(Unfit::NoDirection(class));
        }
    }
    Prototypes::nearest(vectors, n_of_intent).ok_or(Unfit::NoDirection(0))
}
