//! Dense groups among prompts that were rejected: what could become a new intent.
//!
//! The densest prompt, the one with the most others near it, is taken with its neighbours; their mean
//! gathers what belongs to it, twice over, and the group is set aside; then the densest of the rest,
//! until no prompt has enough neighbours. How near is near comes from the training data: as near as
//! rows of its intents are to the means of those. There is no chance in it. The work grows with the
//! square of the number of prompts, so past a limit every so many-th is looked at.

use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::centroids::as_f64;
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;
use crate::vector::{Vectors, dot, weighted_direction};

/// Prompts that are compared with each other: a few seconds' work.
const COMPARED_MAX: usize = 5_000;

/// Prompts that are shown of a group.
const SHOWN: usize = 5;

/// How often a group's mean gathers its prompts anew.
const ROUNDS: usize = 3;

/// How near is near where a set kept no distribution.
const SIMILARITY_UNKNOWN: f32 = 0.6;

/// Rejected prompts that look alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// How many, of those that were looked at.
    pub n: usize,
    /// The mean cosine of its prompts with their mean.
    pub cohesion: f64,
    /// The intent whose mean is nearest.
    pub nearest_intent: IntentName,
    /// The cosine of the two means.
    pub nearest_cosine: f32,
    /// The prompts nearest to the middle, by their positions.
    pub middle: Vec<usize>,
}

/// The groups of at least `n_min`, the largest first. `prompts` are unit vectors.
pub fn clusters(prompts: &Vectors, set: &CentroidSet, n_min: usize) -> Vec<Cluster> {
    let stride = prompts.len().div_ceil(COMPARED_MAX).max(1);
    let rows: Vec<(usize, &[f32])> = prompts.rows().enumerate().step_by(stride).collect();
    let near = similarity_of_rows(set);
    // Two rows that lie so near to their mean are about this near to each other.
    let apart = near * near;
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    for (place, (_, row)) in rows.iter().enumerate() {
        for (other, (_, another)) in rows.iter().enumerate().skip(place + 1) {
            if apart <= dot(row, another) {
                neighbours[place].push(other);
                neighbours[other].push(place);
            }
        }
    }
    let mut taken = vec![false; rows.len()];
    let mut found = Vec::new();
    while let Some(seed) = densest(&neighbours, &taken, n_min) {
        let mut members: Vec<usize> = neighbours[seed].iter().copied().chain([seed]).collect();
        members.retain(|place| !taken[*place]);
        let mut mean = Vec::new();
        for _ in 0..ROUNDS {
            let own = members.iter().map(|place| (rows[*place].1, 1.0));
            mean = weighted_direction(own).unwrap_or_default();
            let belongs = |place: &usize| !taken[*place] && near <= dot(rows[*place].1, &mean);
            members = (0..rows.len()).filter(belongs).collect();
            if members.is_empty() {
                break;
            }
        }
        // A seed whose neighbours lie all round it makes no group, and must not be tried again.
        taken[seed] = true;
        if n_min <= members.len() {
            for place in &members {
                taken[*place] = true;
            }
            found.extend(describe(&rows, &members, &mean, set));
        }
    }
    found.sort_by_key(|cluster| std::cmp::Reverse(cluster.n));
    found
}

/// The place with the most neighbours that are not taken, if they are enough.
fn densest(neighbours: &[Vec<usize>], taken: &[bool], n_min: usize) -> Option<usize> {
    let free = (0..neighbours.len()).filter(|place| !taken[*place]);
    let counted = free.map(|place| {
        let near = neighbours[place].iter().filter(|other| !taken[**other]);
        (near.count() + 1, place)
    });
    // Of equals the first.
    let (n, place) = counted.max_by_key(|(n, place)| (*n, std::cmp::Reverse(*place)))?;
    (n_min <= n).then_some(place)
}

/// The median cosine of training rows with the mean of their intent, over all intents.
fn similarity_of_rows(set: &CentroidSet) -> f32 {
    let half = Ratio::of_counts(1, 2);
    let references = set.manifest().intents.iter();
    let mut medians: Vec<f32> = references
        .filter_map(|entry| Some(entry.reference.as_ref()?.similarity.at(half)))
        .collect();
    medians.sort_by(f32::total_cmp);
    medians
        .get(medians.len() / 2)
        .copied()
        .unwrap_or(SIMILARITY_UNKNOWN)
}

fn describe(
    rows: &[(usize, &[f32])],
    members: &[usize],
    mean: &[f32],
    set: &CentroidSet,
) -> Option<Cluster> {
    let mut nearness: Vec<(f32, usize)> = members
        .iter()
        .map(|place| (dot(rows[*place].1, mean), rows[*place].0))
        .collect();
    nearness.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    let (nearest_intent, nearest_cosine) = set.nearest_mean_of(mean)?;
    let total: f64 = nearness.iter().map(|(cosine, _)| f64::from(*cosine)).sum();
    Some(Cluster {
        n: members.len(),
        cohesion: total / as_f64(members.len()),
        nearest_intent,
        nearest_cosine,
        middle: nearness.iter().take(SHOWN).map(|(_, row)| *row).collect(),
    })
}
