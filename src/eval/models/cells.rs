//! Kinds of prompts: what a quality table has a line for.
//!
//! Kinds are either given with the rows, by a classifier or by hand, or found on the training part of
//! each fold: by spherical k-means (Dhillon and Modha 2001) over its embeddings, or as the nearest
//! mean of its tasks. Neither sees a grade.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::seq::index::sample;
use rayon::prelude::*;

use crate::eval::models::folds::{Folds, NOBODY};
use crate::vector::{Vectors, scores, weighted_direction};

/// Rounds of assigning and averaging; what still moves then are single rows between neighbours.
const ROUNDS_MAX: usize = 20;

/// A cluster should stand for so many training rows: with fewer, a mean score is chance.
pub(super) const ROWS_A_CLUSTER_MIN: usize = 8;

/// What follows their number in the name of clusters.
pub(super) const CLUSTERS: &str = " clusters";

/// Each row's kind.
pub(super) type Kinds = Vec<Option<usize>>;

/// Each row's kind, in each fold, and where all rows teach.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    name: String,
    of_fold: Vec<Kinds>,
}

impl Cells {
    /// The same in every fold.
    pub(super) fn given(name: &str, kinds: Kinds) -> Self {
        Self {
            name: name.to_owned(),
            of_fold: vec![kinds; NOBODY + 1],
        }
    }

    /// The clusters of each fold's training part.
    pub(super) fn clusters(vectors: &Vectors, folds: &Folds, k: usize, seed: u64) -> Self {
        let fitted = (0..=NOBODY).into_par_iter().map(|fold| {
            let means = clusters(vectors, &folds.training(fold), k, seed);
            all_nearest(vectors, &means)
        });
        Self {
            name: format!("{k}{CLUSTERS}"),
            of_fold: fitted.collect(),
        }
    }

    /// The nearest of the means that the labelled rows of each fold's training part have.
    pub(super) fn nearest(name: &str, vectors: &Vectors, folds: &Folds, labels: &Kinds) -> Self {
        let fitted = (0..=NOBODY).into_par_iter().map(|fold| {
            let means = means(vectors, &folds.training(fold), labels);
            all_nearest(vectors, &means)
        });
        Self {
            name: name.to_owned(),
            of_fold: fitted.collect(),
        }
    }

    /// The control: every row gets the kind of another one.
    pub(super) fn shuffled(&self, chance: &mut StdRng) -> Self {
        let mut order: Vec<usize> = (0..self.of_fold.first().map_or(0, Vec::len)).collect();
        order.shuffle(chance);
        let shuffle = |kinds: &Kinds| order.iter().map(|row| kinds[*row]).collect();
        Self {
            name: self.name.clone(),
            of_fold: self.of_fold.iter().map(shuffle).collect(),
        }
    }

    /// What a reader knows them by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Each row's kind in a fold.
    pub(super) fn of_fold(&self, fold: usize) -> &Kinds {
        &self.of_fold[fold]
    }
}

/// The cluster of each row, where all rows are clustered: what labels for training are made of.
pub fn cluster_labels(vectors: &Vectors, k: usize, seed: u64) -> Vec<Option<usize>> {
    let all: Vec<usize> = (0..vectors.len()).collect();
    all_nearest(vectors, &clusters(vectors, &all, k, seed))
}

/// The means of at most `k` clusters of some rows.
fn clusters(vectors: &Vectors, rows: &[usize], k: usize, seed: u64) -> Vectors {
    let k = k.min(rows.len() / ROWS_A_CLUSTER_MIN).max(1);
    let mut chance = StdRng::seed_from_u64(seed);
    let mut found = Vectors::new(vectors.dimensions());
    for drawn in sample(&mut chance, rows.len(), k.min(rows.len())) {
        push(&mut found, vectors.row(rows[drawn]));
    }
    let mut before = Kinds::new();
    for _ in 0..ROUNDS_MAX {
        let mut kinds: Kinds = vec![None; vectors.len()];
        let nearest: Vec<Option<usize>> = rows
            .par_iter()
            .map(|row| nearest_to(&found, vectors.row(*row)?))
            .collect();
        for (row, kind) in rows.iter().zip(nearest) {
            kinds[*row] = kind;
        }
        if kinds == before {
            break;
        }
        found = means(vectors, rows, &kinds);
        before = kinds;
    }
    found
}

/// The direction of each kind's rows, in the kinds' order. A kind without rows is dropped.
fn means(vectors: &Vectors, rows: &[usize], kinds: &Kinds) -> Vectors {
    let n_kinds = kinds.iter().flatten().max().map_or(0, |last| last + 1);
    let mut own: Vec<Vec<usize>> = vec![Vec::new(); n_kinds];
    for row in rows {
        if let Some(kind) = kinds[*row] {
            own[kind].push(*row);
        }
    }
    let mut found = Vectors::new(vectors.dimensions());
    for rows in own {
        let weighted = rows
            .iter()
            .filter_map(|row| Some((vectors.row(*row)?, 1.0)));
        push(&mut found, weighted_direction(weighted).as_deref());
    }
    found
}

fn push(found: &mut Vectors, row: Option<&[f32]>) {
    let is_kept = row.is_none_or(|row| found.push(row));
    debug_assert!(is_kept, "rows of one set are equally long");
}

/// The mean that each row is nearest to.
fn all_nearest(vectors: &Vectors, means: &Vectors) -> Kinds {
    (0..vectors.len())
        .into_par_iter()
        .map(|row| nearest_to(means, vectors.row(row)?))
        .collect()
}

fn nearest_to(means: &Vectors, row: &[f32]) -> Option<usize> {
    let cosines = scores(means, row).into_iter().enumerate();
    cosines
        .max_by(|left, right| left.1.total_cmp(&right.1).then(right.0.cmp(&left.0)))
        .map(|(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bundles of 40 rows around two directions.
    fn bundles() -> Vectors {
        let mut rows = Vectors::new(2);
        for turn in 0..80_u8 {
            let tilt = f32::from(turn % 10) * 0.02;
            let (long, short) = ((1.0 - tilt * tilt).sqrt(), tilt);
            let row = if turn < 40 {
                [long, short]
            } else {
                [short, long]
            };
            assert!(rows.push(&row));
        }
        rows
    }

    #[test]
    fn two_bundles_are_two_clusters() {
        let rows = bundles();
        let all: Vec<usize> = (0..80).collect();
        let kinds = all_nearest(&rows, &clusters(&rows, &all, 2, 3));
        assert!(kinds[..40].iter().all(|kind| *kind == kinds[0]));
        assert!(kinds[40..].iter().all(|kind| *kind == kinds[79]));
        assert_ne!(kinds[0], kinds[79]);
    }

    #[test]
    fn few_rows_make_few_clusters() {
        let rows = bundles();
        assert_eq!(clusters(&rows, &[0, 1, 2], 20, 1).len(), 1);
    }

    #[test]
    fn the_label_of_a_judged_row_is_not_looked_at() {
        let rows = bundles();
        let folds = Folds::deal(std::iter::repeat_n("", 80), 1);
        assert_eq!(folds.judged(0).len(), 80, "one text, one fold");
        let labels: Kinds = (0..80).map(|row| Some(usize::from(40 <= row))).collect();
        let cells = Cells::nearest("task", &rows, &folds, &labels);
        assert!(
            cells.of_fold(0).iter().all(Option::is_none),
            "nothing teaches that fold"
        );
        assert_eq!(cells.of_fold(1)[79], Some(1));
    }

    #[test]
    fn shuffling_keeps_how_many_there_are_of_each() {
        let kinds: Kinds = (0..60).map(|row| Some(row % 3)).collect();
        let cells = Cells::given("intents", kinds.clone());
        let shuffled = cells.shuffled(&mut StdRng::seed_from_u64(1));
        assert_ne!(shuffled.of_fold(0), &kinds);
        let mut sorted = shuffled.of_fold(0).clone();
        sorted.sort_unstable();
        let mut before = kinds;
        before.sort_unstable();
        assert_eq!(sorted, before);
    }
}
