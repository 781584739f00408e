//! What rows looked like to models that did not see them: the source of everything that a set says of
//! how good it is.

use crate::centroids::calibrate::expected_calibration_error;
use crate::centroids::classify::{Odds, Prototypes, Ranking, nearest_mean, similarity};
use crate::centroids::manifest::{Quantiles, Reference, ScopeRule};
use crate::centroids::rules::mean;
use crate::centroids::sample::Dealt;
use crate::centroids::scope::{self, Direction, Features, Scored, judge, learn};
use crate::centroids::select::{Judged, held_out_scores};
use crate::centroids::train::{Error, Examples, Training};
use crate::vector::Vectors;

/// Rows found at an intent that its distribution needs: with fewer, quantiles are single rows.
const REFERENCE_ROWS_MIN: usize = 10;

/// A row as it was placed by a model that did not see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::centroids) struct Placed {
    /// Its label.
    pub(in crate::centroids) class: usize,
    /// The nearest intent.
    pub(in crate::centroids) found: usize,
    /// The probability of that.
    pub(in crate::centroids) probability: f32,
    /// The probability of its label.
    pub(in crate::centroids) label_probability: f32,
    /// How far the second intent is behind the nearest.
    margin: f32,
    /// The cosine with the mean of the nearest intent.
    similarity: f32,
    score: f32,
    energy: f32,
    cosine: f32,
}

/// All rows, in the order in which they were given.
pub(in crate::centroids) struct HeldOut {
    placed: Vec<Placed>,
    /// Rows out of scope, in their order; their label means nothing.
    out_of_scope: Vec<Placed>,
}

/// What tells scope.
pub(in crate::centroids) struct FoundScope {
    pub(in crate::centroids) judged: scope::Judged,
    pub(in crate::centroids) direction: Option<Vec<f32>>,
}

impl HeldOut {
    /// Places every row by the models of the chosen rule. Rows out of scope are part of no model, so
    /// each is judged by one of them in turn, as if it had been held out with that fold.
    pub(super) fn of(
        judged: &Judged,
        dealt: &Dealt,
        examples: Examples<'_>,
    ) -> Result<Self, Error> {
        let temperature = judged.calibration.temperature;
        let means = (0..dealt.n_folds())
            .map(|fold| means_without(fold, dealt))
            .collect::<Option<Vec<_>>>()
            .ok_or(Error::NoSpread)?;
        let scores = held_out_scores(&judged.models, dealt);
        let mut placed = vec![None; dealt.len()];
        for (fold, means) in means.iter().enumerate() {
            for block in dealt.fold(fold).blocks() {
                for (offset, row) in block.rows.outer_iter().enumerate() {
                    let vector = row.to_slice().unwrap_or_default();
                    let own = scores.row(block.start + offset);
                    let seen = Seen {
                        scores: own.to_slice().unwrap_or_default(),
                        vector,
                        means,
                        temperature,
                    };
                    let origin = dealt.origin()[block.start + offset];
                    placed[origin] = Some(seen.place(block.classes[offset]));
                }
            }
        }
        let rows = examples.out_of_scope.map(Vectors::rows);
        let outside = rows.into_iter().flatten().enumerate();
        let models: Vec<(&Prototypes, &Vectors)> = judged.models.iter().zip(&means).collect();
        let out_of_scope = outside.map(|(row, vector)| {
            let (model, means) = models[row % models.len()];
            let scores = model.scores(vector);
            let seen = Seen {
                scores: &scores,
                vector,
                means,
                temperature,
            };
            seen.place(0)
        });
        Ok(Self {
            out_of_scope: out_of_scope.collect(),
            placed: placed.into_iter().flatten().collect(),
        })
    }

    /// Each row as it was placed, in the order given.
    pub(super) fn placed(&self) -> Vec<Placed> {
        self.placed.clone()
    }

    /// The rows of the largest class.
    pub(super) fn largest_class(&self) -> usize {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        for row in &self.placed {
            *counts.entry(row.class).or_default() += 1;
        }
        counts.into_values().max().unwrap_or_default()
    }

    /// The expected calibration error of the nearest intent's probability.
    pub(super) fn ece(&self) -> f64 {
        let judged: Vec<(f32, bool)> = self
            .placed
            .iter()
            .map(|row| (row.probability, row.found == row.class))
            .collect();
        expected_calibration_error(&judged)
    }

    /// How the rows lay that were found at an intent, which is how live traffic is grouped too.
    pub(super) fn reference(&self, class: usize) -> Option<Reference> {
        let own = || self.placed.iter().filter(|row| row.found == class);
        if own().count() < REFERENCE_ROWS_MIN {
            return None;
        }
        Some(Reference {
            score: Quantiles::of(own().map(|row| row.probability).collect())?,
            margin: Quantiles::of(own().map(|row| row.margin).collect())?,
            similarity: Quantiles::of(own().map(|row| row.similarity).collect())?,
        })
    }

    /// Compares the scores that can tell scope, the one that costs a request least first.
    pub(super) fn scope(&self, examples: Examples<'_>, training: Training) -> Option<FoundScope> {
        let scored = |rule, of: fn(&Placed) -> f32| Scored {
            rule,
            in_scope: self.placed.iter().map(of).collect(),
            out_of_scope: self.out_of_scope.iter().map(of).collect(),
        };
        let mut tried = vec![scored(ScopeRule::Score, |row| row.score)];
        // Without examples there is nothing to choose by.
        if !self.out_of_scope.is_empty() {
            tried.push(scored(ScopeRule::Energy, |row| row.energy));
        }
        let learned = self.direction(examples, training.seed);
        let direction = learned.map(|learned| {
            tried.push(Scored {
                rule: learned.rule,
                in_scope: learned.in_scope,
                out_of_scope: learned.out_of_scope,
            });
            learned.vector
        });
        if !self.out_of_scope.is_empty() {
            tried.push(scored(ScopeRule::Cosine, |row| row.cosine));
        }
        let judged = judge(&tried, training.in_scope_loss_max)?;
        let is_used = matches!(judged.scope.rule, ScopeRule::Direction { .. });
        Some(FoundScope {
            direction: direction.filter(|_| is_used),
            judged,
        })
    }

    fn direction(&self, examples: Examples<'_>, seed: u64) -> Option<Direction> {
        let scores = |placed: &[Placed]| placed.iter().map(|row| row.score).collect::<Vec<_>>();
        let (in_scope, out_of_scope) = (scores(&self.placed), scores(&self.out_of_scope));
        learn(
            Features {
                rows: examples.rows,
                scores: &in_scope,
            },
            Features {
                rows: examples.out_of_scope?,
                scores: &out_of_scope,
            },
            seed,
        )
    }
}

/// A row and a model that did not see it.
struct Seen<'a> {
    scores: &'a [f32],
    vector: &'a [f32],
    means: &'a Vectors,
    temperature: f32,
}

impl Seen<'_> {
    fn place(&self, class: usize) -> Placed {
        let ranking = Ranking::of(self.scores);
        let first = ranking.first();
        let odds = Odds::of(self.scores, first.score, self.temperature);
        let second = ranking.behind_first().next();
        let probability = odds.probability(first.score);
        Placed {
            class,
            found: first.intent,
            probability,
            label_probability: odds.probability(self.scores[class]),
            margin: probability - second.map_or(0.0, |second| odds.probability(second.score)),
            similarity: similarity(self.means, first.intent, self.vector),
            score: first.score,
            energy: odds.energy(),
            cosine: nearest_mean(self.means, self.vector),
        }
    }
}

/// The direction of each class's rows outside a fold. A class whose rows point against each other
/// keeps zeros, which are near to nothing.
fn means_without(fold: usize, dealt: &Dealt) -> Option<Vectors> {
    let sample = dealt.without(fold);
    let mut means = Vectors::new(sample.dimensions());
    let none = vec![0.0; sample.dimensions()];
    let all_kept = sample.members().into_iter().all(|rows| {
        let direction = mean(rows.into_iter());
        means.push(direction.as_ref().unwrap_or(&none))
    });
    all_kept.then_some(means)
}
