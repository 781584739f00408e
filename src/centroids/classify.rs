//! The nearest intent. This is the only reader of how prototypes lie in memory, so that one rule of
//! training or another changes nothing elsewhere: a prompt is scored by one pass over rows, whoever
//! made them.

use ndarray::{Array2, ArrayView2, Axis};

use crate::centroids::index::{Index, Neighbour};
use crate::centroids::manifest::{IntentEntry, Manifest, ScopeRule};
use crate::centroids::shortlist::Shortlist;
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;
use crate::domain::record::{Intent, IntentEncoder, RunnerUp};
use crate::vector::{self, Vectors, dot};

/// How many intents a classification names: the nearest and three behind it, which is what a person
/// can take in of a log line.
const RANKED_MAX: usize = 4;

/// What an intent scores that cannot be compared. Finite, so that differences stay numbers.
const SCORE_MIN: f32 = -1e30;

/// Intents and what their prompts look like.
#[derive(Debug, Clone, PartialEq)]
pub struct CentroidSet {
    pub(super) manifest: Manifest,
    pub(super) prototypes: Prototypes,
    /// The mean direction of each intent's rows.
    pub(super) means: Vectors,
    /// What scope is told by besides the score, if anything.
    pub(super) scope_direction: Option<Vec<f32>>,
    /// The same intents for the static encoder.
    pub(super) static_part: Option<Box<Self>>,
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

    /// How many rows a prompt is compared with.
    pub fn n_prototypes(&self) -> usize {
        self.prototypes.vectors().len()
    }

    /// The scope score below which a prompt is out of scope, as training found it.
    pub fn threshold(&self) -> f32 {
        self.manifest.scope.threshold
    }

    /// The scope score that such a share of prompts in scope stays below.
    pub fn threshold_at(&self, p_value: Ratio) -> f32 {
        self.manifest.scope.held_out.at(p_value)
    }

    /// Where a prompt's unit vector lies among the intents. The vector must come from the encoder
    /// that the manifest names. Of intents equally near, the earlier in the manifest wins.
    pub fn classify(&self, vector: &[f32], threshold: f32) -> Intent {
        let scores = self.prototypes.scores(vector);
        let ranking = Ranking::of(&scores);
        let odds = Odds::of(&scores, ranking.first().score, self.manifest.temperature);
        let first = ranking.first();
        let probability = odds.probability(first.score);
        let runners_up: Vec<RunnerUp> = ranking
            .behind_first()
            .map(|ranked| RunnerUp {
                name: self.entry(ranked.intent).name.clone(),
                score: odds.probability(ranked.score),
            })
            .collect();
        let scope_score = self.scope_score(vector, first.score, odds);
        Intent {
            name: self.entry(first.intent).name.clone(),
            score: probability,
            margin: probability - runners_up.first().map_or(0.0, |second| second.score),
            similarity: similarity(&self.means, first.intent, vector),
            scope_score,
            p_value: self.manifest.scope.held_out.share_below(scope_score),
            threshold,
            out_of_scope: scope_score < threshold,
            runners_up,
            encoder: IntentEncoder::Main,
        }
    }

    /// How clearly a prompt belongs to any intent.
    fn scope_score(&self, vector: &[f32], score: f32, odds: Odds) -> f32 {
        match self.manifest.scope.rule {
            ScopeRule::Score => score,
            ScopeRule::Energy => odds.energy(),
            ScopeRule::Cosine => nearest_mean(&self.means, vector),
            ScopeRule::Direction { gain, bias } => {
                let along = self.scope_direction.as_deref();
                gain * score + along.map_or(0.0, |direction| dot(direction, vector)) + bias
            }
        }
    }

    /// The intent whose rows' mean is nearest to a direction, and the cosine. `None` without an intent.
    pub fn nearest_mean_of(&self, direction: &[f32]) -> Option<(IntentName, f32)> {
        let cosines = self.means.rows().map(|mean| dot(mean, direction));
        let (intent, cosine) = cosines
            .enumerate()
            .max_by(|left, right| left.1.total_cmp(&right.1))?;
        Some((self.entry(intent).name.clone(), cosine))
    }

    /// Notes how alike the rows of an intent were, which whoever trained the set measured.
    pub fn note_neighbour_similarity(&mut self, similarity: f64) {
        self.manifest.metrics.neighbour_similarity = Some(similarity);
    }

    /// An intent by its position, which [`Ranking`] gave.
    fn entry(&self, intent: usize) -> &IntentEntry {
        &self.manifest.intents[intent]
    }
}

/// The cosine with the mean of an intent's rows.
pub(super) fn similarity(means: &Vectors, intent: usize, vector: &[f32]) -> f32 {
    means.row(intent).map_or(0.0, |mean| dot(mean, vector))
}

/// The highest cosine with the mean of any intent's rows.
pub(super) fn nearest_mean(means: &Vectors, vector: &[f32]) -> f32 {
    vector::highest(&vector::scores(means, vector), -1.0)
}

/// Rows and which intent each belongs to. An intent scores the highest of its rows' dot products with
/// the prompt, each raised by the row's bias. There is at least one row an intent, and at least one
/// intent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prototypes {
    /// The rows of the first intent, then those of the second, and so on.
    vectors: Vectors,
    bias: Vec<f32>,
    /// How many rows each intent has.
    n_of_intent: Vec<usize>,
    search: Search,
}

/// How the nearest rows are found.
#[derive(Debug, Clone, PartialEq)]
enum Search {
    /// By looking at all.
    All,
    /// By looking at the sketches of all.
    Sketched(Shortlist),
    /// By a graph.
    Graph(Index),
}

impl Prototypes {
    /// `None` unless every intent has a row and every row an intent and a bias.
    pub(super) fn new(vectors: Vectors, bias: Vec<f32>, n_of_intent: Vec<usize>) -> Option<Self> {
        let total = n_of_intent
            .iter()
            .try_fold(0_usize, |sum, n| sum.checked_add(*n))?;
        let is_whole = !n_of_intent.is_empty()
            && !n_of_intent.contains(&0)
            && total == vectors.len()
            && total == bias.len();
        is_whole.then_some(Self {
            vectors,
            bias,
            n_of_intent,
            search: Search::All,
        })
    }

    /// The same with a shorter way to the nearest rows, if they are many and compared by cosine alone.
    #[must_use]
    pub(super) fn indexed(self) -> Self {
        let by_cosine = self.bias.iter().all(|bias| *bias == 0.0);
        if !by_cosine {
            return self;
        }
        let search = if let Some(index) = Index::over(&self.vectors) {
            Search::Graph(index)
        } else {
            Shortlist::over(&self.vectors).map_or(Search::All, Search::Sketched)
        };
        Self { search, ..self }
    }

    /// Rows that are compared by their cosine alone.
    pub(super) fn nearest(vectors: Vectors, n_of_intent: Vec<usize>) -> Option<Self> {
        let bias = vec![0.0; vectors.len()];
        Self::new(vectors, bias, n_of_intent)
    }

    /// A weight vector and a bias an intent.
    pub(super) fn linear(weights: Vectors, bias: Vec<f32>) -> Option<Self> {
        let n_of_intent = vec![1; weights.len()];
        Self::new(weights, bias, n_of_intent)
    }

    /// The rows, intent after intent.
    pub(super) const fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// What each row's dot product is raised by.
    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// How many rows each intent has.
    pub(super) fn n_of_intent(&self) -> &[usize] {
        &self.n_of_intent
    }

    /// What each intent scores, in one pass over the rows or by the shorter way.
    pub(super) fn scores(&self, vector: &[f32]) -> Vec<f32> {
        let is_sound = || vector.iter().all(|value| value.is_finite());
        match &self.search {
            Search::Graph(index) if is_sound() => self.scores_of_nearest(&index.nearest(vector)),
            Search::Sketched(shortlist) if is_sound() => {
                shortlist.scores(&self.vectors, &self.n_of_intent, vector)
            }
            _ => self.scores_of_all(vector),
        }
    }

    /// Intents without a row among the nearest score as the last of those, which is the most that they
    /// can have: nothing comes out surer than it is.
    fn scores_of_nearest(&self, nearest: &[Neighbour]) -> Vec<f32> {
        let least = nearest.last().map_or(SCORE_MIN, |last| last.cosine);
        let mut scores = vec![least; self.n_of_intent.len()];
        let ends: Vec<usize> = self
            .n_of_intent
            .iter()
            .scan(0, |end, n| {
                *end += n;
                Some(*end)
            })
            .collect();
        for neighbour in nearest {
            let intent = ends.partition_point(|end| *end <= neighbour.row);
            if let Some(score) = scores.get_mut(intent) {
                *score = score.max(neighbour.cosine);
            }
        }
        scores
    }

    fn scores_of_all(&self, vector: &[f32]) -> Vec<f32> {
        let mut scores = vector::scores(&self.vectors, vector);
        for (score, bias) in scores.iter_mut().zip(&self.bias) {
            // `max` drops a NaN, so that a broken vector is far from everything.
            *score = (*score + bias).max(SCORE_MIN);
        }
        if self.n_of_intent.len() == scores.len() {
            return scores;
        }
        let mut behind = &scores[..];
        let own = self.n_of_intent.iter().map(|n_rows| {
            let own;
            (own, behind) = behind.split_at(*n_rows);
            vector::highest(own, SCORE_MIN)
        });
        own.collect()
    }

    /// What each intent scores, for many prompts at once: a row a prompt.
    pub(super) fn scores_of(&self, prompts: &ArrayView2<'_, f32>) -> Array2<f32> {
        /// Products that are held at once: 16 MiB.
        const PRODUCTS_MAX: usize = 4 << 20;
        let mut scores = Array2::from_elem((prompts.nrows(), self.n_of_intent.len()), SCORE_MIN);
        let shape = (self.vectors.len(), self.vectors.dimensions());
        let Ok(rows) = ArrayView2::from_shape(shape, self.vectors.as_flat()) else {
            return scores;
        };
        let n_at_once = (PRODUCTS_MAX / self.vectors.len().max(1)).max(1);
        let pieces = prompts.axis_chunks_iter(Axis(0), n_at_once);
        for (piece, mut to) in pieces.zip(scores.axis_chunks_iter_mut(Axis(0), n_at_once)) {
            let products = piece.dot(&rows.t());
            for (product, mut to) in products.outer_iter().zip(to.outer_iter_mut()) {
                let mut biased = product.iter().zip(&self.bias).map(|(it, bias)| it + bias);
                for (score, n_rows) in to.iter_mut().zip(&self.n_of_intent) {
                    *score = biased.by_ref().take(*n_rows).fold(*score, f32::max);
                }
            }
        }
        scores
    }
}

/// Scores as probabilities: the softmax of scores over a temperature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odds {
    most: f32,
    temperature: f32,
    /// The sum of all odds, where the highest score has the odds 1.
    sum: f32,
}

impl Odds {
    pub(super) fn of(scores: &[f32], most: f32, temperature: f32) -> Self {
        Self {
            most,
            temperature,
            sum: vector::sum_of_powers(scores, most, temperature),
        }
    }

    pub(super) fn probability(self, score: f32) -> f32 {
        ((score - self.most) / self.temperature).exp() / self.sum
    }

    /// The logarithm of the sum over all intents, in the unit of scores (free energy, Liu et al. 2020).
    pub(super) fn energy(self) -> f32 {
        self.most + self.temperature * self.sum.ln()
    }
}

/// An intent by its position, and what it scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub(super) intent: usize,
    pub(super) score: f32,
}

/// The intents with the highest scores, highest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ranking {
    places: [Option<Ranked>; RANKED_MAX],
}

impl Ranking {
    pub(super) fn of<'a>(scores: impl IntoIterator<Item = &'a f32>) -> Self {
        let mut ranking = Self::default();
        for (intent, score) in scores.into_iter().enumerate() {
            ranking.admit(Ranked {
                intent,
                score: *score,
            });
        }
        ranking
    }

    /// Lets a newcomer take its place behind all that score at least as much.
    fn admit(&mut self, newcomer: Ranked) {
        let [.., last] = self.places;
        if last.is_some_and(|last| newcomer.score <= last.score) {
            return;
        }
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

    /// The intent with the highest score.
    pub(super) fn first(&self) -> Ranked {
        // Prototypes hold at least one intent, so the default is never seen.
        self.places[0].unwrap_or(Ranked {
            intent: 0,
            score: SCORE_MIN,
        })
    }

    /// The intents behind it.
    pub(super) fn behind_first(&self) -> impl Iterator<Item = Ranked> {
        self.places.into_iter().flatten().skip(1)
    }
}

#[cfg(test)]
mod tests;
