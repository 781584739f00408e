//! The nearest intent. This is the only reader of how prototypes lie in memory, so that other rules
//! (several prototypes an intent, say) change nothing elsewhere.

use crate::centroids::manifest::{IntentEntry, Manifest};
use crate::domain::name::IntentName;
use crate::domain::record::{Intent, RunnerUp};
use crate::vector::{Vectors, dot};

/// How many intents a classification names: the nearest and three behind it, which is what a person
/// can take in of a log line.
const RANKED_MAX: usize = 4;

/// The lowest cosine there is; what an intent scores that cannot be compared.
const SCORE_MIN: f32 = -1.0;

/// Intents and their prototypes.
#[derive(Debug, Clone, PartialEq)]
pub struct CentroidSet {
    pub(super) manifest: Manifest,
    pub(super) prototypes: Prototypes,
}

impl CentroidSet {
    /// What the set says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The intents, in the order of their prototypes.
    pub fn intents(&self) -> impl ExactSizeIterator<Item = &IntentName> {
        self.manifest.intents.iter().map(|entry| &entry.name)
    }

    /// The threshold found at training time; an operator may set another.
    pub fn threshold(&self) -> f32 {
        self.manifest.threshold.value
    }

    /// Where a prompt's unit vector lies among the intents. The vector must come from the encoder
    /// that the manifest names. Of intents equally near, the earlier in the manifest wins.
    pub fn classify(&self, vector: &[f32], threshold: f32) -> Intent {
        let ranking = self.prototypes.rank(vector);
        let first = ranking.first();
        let runners_up = ranking.behind_first().map(|ranked| RunnerUp {
            name: self.entry(ranked.intent).name.clone(),
            score: ranked.score,
        });
        Intent {
            name: self.entry(first.intent).name.clone(),
            score: first.score,
            margin: ranking.margin(),
            similarity: first.score,
            scope_score: first.score,
            threshold,
            out_of_scope: first.score < threshold,
            runners_up: runners_up.collect(),
        }
    }

    /// Notes how alike the rows of an intent were, which whoever trained the set measured.
    pub fn note_neighbour_similarity(&mut self, similarity: f64) {
        self.manifest.metrics.neighbour_similarity = Some(similarity);
    }

    /// An intent by its position, which [`Prototypes::rank`] gave.
    fn entry(&self, intent: usize) -> &IntentEntry {
        &self.manifest.intents[intent]
    }
}

/// Rows of unit vectors and which intent each belongs to. There is at least one row an intent, and
/// at least one intent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prototypes {
    /// The rows of the first intent, then those of the second, and so on.
    vectors: Vectors,
    /// How many rows each intent has.
    n_of_intent: Vec<usize>,
}

impl Prototypes {
    /// `None` unless every intent has a row and every row an intent.
    pub(super) fn new(vectors: Vectors, n_of_intent: Vec<usize>) -> Option<Self> {
        let total = n_of_intent
            .iter()
            .try_fold(0_usize, |sum, n| sum.checked_add(*n))?;
        let is_whole =
            !n_of_intent.is_empty() && !n_of_intent.contains(&0) && total == vectors.len();
        is_whole.then_some(Self {
            vectors,
            n_of_intent,
        })
    }

    /// One row an intent. `None` without a row.
    pub(super) fn one_each(vectors: Vectors) -> Option<Self> {
        let n_of_intent = vec![1; vectors.len()];
        Self::new(vectors, n_of_intent)
    }

    /// The rows, intent after intent.
    pub(super) const fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// The nearest intents, in one pass over the rows. An intent is as near as its nearest row.
    pub(super) fn rank(&self, vector: &[f32]) -> Ranking {
        let mut ranking = Ranking::default();
        let mut rows = self.vectors.rows();
        for (intent, n_rows) in self.n_of_intent.iter().enumerate() {
            let own = rows.by_ref().take(*n_rows);
            // `max` and `min` drop a NaN, so that a broken vector is far from everything.
            let score = own
                .map(|row| dot(row, vector))
                .fold(SCORE_MIN, f32::max)
                .min(1.0);
            ranking.admit(Ranked { intent, score });
        }
        ranking
    }
}

/// An intent by its position, and how near it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub(super) intent: usize,
    pub(super) score: f32,
}

/// The nearest intents, nearest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ranking {
    places: [Option<Ranked>; RANKED_MAX],
}

impl Ranking {
    /// Lets a newcomer take its place behind all that are at least as near.
    fn admit(&mut self, newcomer: Ranked) {
        let mut displaced = Some(newcomer);
        for place in &mut self.places {
            let moves_in = match (&displaced, &*place) {
                (Some(coming), Some(standing)) => standing.score < coming.score,
                (coming, None) => coming.is_some(),
                (None, Some(_)) => false,
            };
            if moves_in {
                std::mem::swap(place, &mut displaced);
            }
        }
    }

    /// The nearest intent.
    pub(super) fn first(&self) -> Ranked {
        // Prototypes hold at least one intent, so the default is never seen.
        self.places[0].unwrap_or(Ranked {
            intent: 0,
            score: SCORE_MIN,
        })
    }

    /// The intents behind it.
    fn behind_first(&self) -> impl Iterator<Item = Ranked> {
        self.places.into_iter().flatten().skip(1)
    }

    /// How far the second is behind the first. A lone intent is as far ahead as can be: the second
    /// could not score less than the lowest cosine.
    fn margin(&self) -> f32 {
        let second = self.places[1].map_or(SCORE_MIN, |ranked| ranked.score);
        self.first().score - second
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vector::normalise;

    fn prototypes(rows: &[[f32; 2]], n_of_intent: &[usize]) -> Prototypes {
        let vectors = Vectors::from_flat(2, rows.concat()).unwrap();
        Prototypes::new(vectors, n_of_intent.to_vec()).unwrap()
    }

    fn ranked(ranking: &Ranking) -> Vec<usize> {
        std::iter::once(ranking.first())
            .chain(ranking.behind_first())
            .map(|ranked| ranked.intent)
            .collect()
    }

    #[test]
    fn an_intent_is_as_near_as_its_nearest_prototype() {
        let set = prototypes(&[[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8]], &[2, 1]);
        let ranking = set.rank(&[-1.0, 0.0]);
        assert_eq!(ranked(&ranking), [0, 1]);
        assert!((ranking.margin() - 1.6).abs() < 1e-6);
    }

    #[test]
    fn of_intents_equally_near_the_earlier_wins() {
        let set = prototypes(
            &[[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]],
            &[1; 5],
        );
        assert_eq!(ranked(&set.rank(&[1.0, 0.0])), [1, 2, 3, 4]);
    }

    #[test]
    fn a_lone_intent_is_as_far_ahead_as_can_be() {
        let ranking = prototypes(&[[1.0, 0.0]], &[1]).rank(&[1.0, 0.0]);
        assert_eq!(ranked(&ranking), [0]);
        assert!((ranking.margin() - 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_broken_vector_is_far_from_everything() {
        let ranking = prototypes(&[[1.0, 0.0], [0.0, 1.0]], &[1, 1]).rank(&[f32::NAN, 0.0]);
        assert!(
            (ranking.first().score - SCORE_MIN).abs() < f32::EPSILON
                && ranking.margin().is_finite()
        );
    }

    #[test]
    fn prototypes_without_an_intent_or_intents_without_a_prototype_make_no_set() {
        let rows = || Vectors::from_flat(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        for n_of_intent in [vec![], vec![1], vec![2, 0], vec![1, 2], vec![usize::MAX, 2]] {
            assert_eq!(
                Prototypes::new(rows(), n_of_intent.clone()),
                None,
                "{n_of_intent:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_nearest_is_the_one_that_trying_all_would_find(
            mut rows in prop::collection::vec(prop::array::uniform3(-1.0_f32..1.0), 1..30),
            query in prop::array::uniform3(-1.0_f32..1.0),
            n_first in 1_usize..5,
        ) {
            for row in &mut rows {
                normalise(row);
            }
            let n_first = n_first.min(rows.len());
            let n_of_intent: Vec<usize> =
                std::iter::once(n_first).chain(vec![1; rows.len() - n_first]).collect();
            let vectors = Vectors::from_flat(3, rows.concat()).unwrap();
            let ranking = Prototypes::new(vectors, n_of_intent).unwrap().rank(&query);
            let cosine = |row: &[f32; 3]| dot(row, &query).clamp(-1.0, 1.0);
            let intent_of = |row: usize| row.saturating_sub(n_first - 1);
            let mut tried: Vec<(usize, f32)> =
                rows.iter().enumerate().map(|(row, values)| (intent_of(row), cosine(values))).collect();
            tried.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
            prop_assert_eq!(ranking.first(), Ranked { intent: tried[0].0, score: tried[0].1 });
            prop_assert!((0.0..=2.0).contains(&ranking.margin()));
        }
    }
}
