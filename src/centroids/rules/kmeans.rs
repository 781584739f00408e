//! Several prototypes an intent: spherical k-means (Dhillon and Modha 2001) over the rows of each
//! intent alone, so that "book a table" and "cancel my table" need not share one middle.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use crate::centroids::classify::Prototypes;
use crate::centroids::sample::Sample;
use crate::vector::{Vectors, dot, norm, weighted_direction};

/// Rows that a prototype should stand for, at least; an intent with fewer gets fewer prototypes.
const ROWS_A_PROTOTYPE_MIN: usize = 3;

/// Rounds of assigning and averaging; nothing moves any more long before.
const ROUNDS_MAX: usize = 30;

/// Beginnings that are tried, of which the tightest clustering is kept.
const BEGINNINGS: u64 = 4;

/// A mean shorter than this has no direction worth the name: its rows point against each other.
const MEAN_NORM_MIN: f32 = 1e-6;

/// At most `k` prototypes for each class. The error is the class whose rows have no direction.
pub(in crate::centroids) fn fit(
    sample: &Sample<'_>,
    k: usize,
    seed: u64,
) -> Result<Prototypes, usize> {
    let clusters: Vec<Option<Vec<Vec<f32>>>> = sample
        .members()
        .par_iter()
        .enumerate()
        .map(|(class, rows)| cluster(rows, k, seed.wrapping_add(class as u64)))
        .collect();
    let mut vectors = Vectors::new(sample.dimensions());
    let mut n_of_intent = Vec::with_capacity(clusters.len());
    for (class, own) in clusters.into_iter().enumerate() {
        let own = own.ok_or(class)?;
        n_of_intent.push(own.len());
        for prototype in own {
            if !vectors.push(&prototype) {
                return Err(class);
            }
        }
    }
    Prototypes::nearest(vectors, n_of_intent).ok_or(0)
}

/// The best of a few clusterings. `None` if the rows have no direction.
fn cluster(rows: &[&[f32]], k: usize, seed: u64) -> Option<Vec<Vec<f32>>> {
    let k = k.min(rows.len() / ROWS_A_PROTOTYPE_MIN).max(1);
    if k == 1 {
        return mean(rows.iter().copied()).map(|mean| vec![mean]);
    }
    let tried = (0..BEGINNINGS).map(|turn| {
        let mut chance = StdRng::seed_from_u64(seed.rotate_left(17) ^ turn);
        settle(rows, spread_out(rows, k, &mut chance))
    });
    let best = tried.max_by(|left, right| left.tightness.total_cmp(&right.tightness))?;
    Some(best.prototypes).filter(|prototypes| !prototypes.is_empty())
}

/// Prototypes and how near the rows are to them in sum.
struct Clustering {
    prototypes: Vec<Vec<f32>>,
    tightness: f64,
}

/// Rows to begin with, far apart: each is drawn with a chance that grows with its distance from those
/// already drawn (k-means++, Arthur and Vassilvitskii 2007).
fn spread_out(rows: &[&[f32]], k: usize, chance: &mut StdRng) -> Vec<Vec<f32>> {
    let first = chance.random_range(0..rows.len());
    let mut chosen = vec![rows[first].to_vec()];
    let mut distances: Vec<f32> = rows.iter().map(|row| apart(row, rows[first])).collect();
    while chosen.len() < k {
        let total: f32 = distances.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = chance.random_range(0.0..total);
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let row = rows[drawn.unwrap_or(rows.len() - 1)];
        for (distance, other) in distances.iter_mut().zip(rows) {
            *distance = distance.min(apart(row, other));
        }
        chosen.push(row.to_vec());
    }
    chosen
}

fn apart(left: &[f32], right: &[f32]) -> f32 {
    (1.0 - dot(left, right)).max(0.0)
}

/// Assigns rows to the nearest prototype and moves each prototype to the middle of its rows, until
/// nothing changes. A prototype that loses all its rows is dropped.
fn settle(rows: &[&[f32]], mut prototypes: Vec<Vec<f32>>) -> Clustering {
    let mut nearest: Vec<usize> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let now: Vec<usize> = rows
            .iter()
            .map(|row| nearest_to(row, &prototypes).0)
            .collect();
        if now == nearest {
            break;
        }
        let own = |index: usize| {
            let rows = rows.iter().zip(&now);
            rows.filter(move |(_, nearest)| **nearest == index)
                .map(|(row, _)| *row)
        };
        let moved: Vec<Vec<f32>> = (0..prototypes.len())
            .filter_map(|index| mean(own(index)))
            .collect();
        // Positions shift when one is dropped, so the next round must not end the search.
        nearest = if moved.len() == prototypes.len() {
            now
        } else {
            Vec::new()
        };
        prototypes = moved;
    }
    let tightness = rows
        .iter()
        .map(|row| f64::from(nearest_to(row, &prototypes).1))
        .sum();
    Clustering {
        prototypes,
        tightness,
    }
}

fn nearest_to(row: &[f32], prototypes: &[Vec<f32>]) -> (usize, f32) {
    let cosines = prototypes.iter().map(|prototype| dot(row, prototype));
    cosines
        .enumerate()
        .max_by(|left, right| left.1.total_cmp(&right.1).then(right.0.cmp(&left.0)))
        .unwrap_or((0, -1.0))
}

/// The direction of rows. `None` without rows, or if they point against each other.
pub(in crate::centroids) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Option<Vec<f32>> {
    let mut n_rows = 0.0_f32;
    let mut sum: Vec<f64> = Vec::new();
    for row in rows {
        sum.resize(row.len(), 0.0);
        for (total, value) in sum.iter_mut().zip(row) {
            *total += f64::from(*value);
        }
        n_rows += 1.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a mean of 32-bit values")]
    let mean: Vec<f32> = sum
        .into_iter()
        .map(|total| total as f32 / n_rows.max(1.0))
        .collect();
    if norm(&mean) <= MEAN_NORM_MIN {
        return None;
    }
    weighted_direction([(mean.as_slice(), 1.0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::centroids::sample::Dealt;

    /// Two bundles of rows around two directions, three rows each.
    const BUNDLES: [[f32; 2]; 6] = [
        [1.0, 0.0],
        [0.995, 0.1],
        [0.995, -0.1],
        [0.0, 1.0],
        [0.1, 0.995],
        [-0.1, 0.995],
    ];

    #[test]
    fn an_intent_of_two_bundles_gets_a_prototype_for_each() {
        let rows: Vec<&[f32]> = BUNDLES.iter().map(<[f32; 2]>::as_slice).collect();
        let mut found = cluster(&rows, 2, 3).unwrap();
        found.sort_by(|left, right| right[0].total_cmp(&left[0]));
        assert!(0.999 < found[0][0] && 0.999 < found[1][1], "{found:?}");
    }

    #[test]
    fn an_intent_of_few_rows_gets_fewer_prototypes() {
        let rows: Vec<&[f32]> = BUNDLES.iter().map(<[f32; 2]>::as_slice).collect();
        assert_eq!(cluster(&rows[..5], 4, 3).unwrap().len(), 1);
    }

    #[test]
    fn equal_rows_make_one_prototype() {
        let rows = [[1.0_f32, 0.0].as_slice(); 12];
        assert_eq!(cluster(&rows, 4, 1).unwrap().len(), 1);
    }

    #[test]
    fn rows_against_each_other_name_their_class() {
        let rows = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, -1.0, 0.0];
        let dealt = Dealt::new(&Vectors::from_flat(2, rows).unwrap(), &[0, 0, 1, 1], 2, 1);
        assert_eq!(fit(&dealt.all(), 2, 1), Err(1));
    }
}
