//! A direction in which prompts out of scope lie, learned from examples and set beside the score of
//! the nearest intent: a logistic regression of two classes over the embedding and that score.
//!
//! The score alone asks how near the nearest intent is. Noise, commands to devices or attacks on the
//! instructions have a look of their own, which one more product can see.

use crate::centroids::classify::Prototypes;
use crate::centroids::manifest::ScopeRule;
use crate::centroids::rules::{Logistic, Weighting};
use crate::centroids::sample::Dealt;
use crate::centroids::scope::auroc::Areas;
use crate::vector::Vectors;

/// Strengths of the penalty that are tried, as C: from almost none of the direction to nearly free.
const GRID: [f64; 5] = [0.003, 0.03, 0.3, 3.0, 30.0];

/// Parts that the rows are cut into; each is held out once.
const FOLDS: usize = 5;

/// Fewer examples than this say nothing of a direction.
const EXAMPLES_MIN: usize = 20;

/// Rows of one kind: their vectors, and what the nearest intent scores by a model that did not see
/// them.
#[derive(Debug, Clone, Copy)]
pub(in crate::centroids) struct Features<'a> {
    pub(in crate::centroids) rows: &'a Vectors,
    pub(in crate::centroids) scores: &'a [f32],
}

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::centroids) struct Direction {
    pub(in crate::centroids) rule: ScopeRule,
    pub(in crate::centroids) vector: Vec<f32>,
    /// What rows in scope score by directions that did not see them.
    pub(in crate::centroids) in_scope: Vec<f32>,
    /// The same of rows out of scope.
    pub(in crate::centroids) out_of_scope: Vec<f32>,
}

/// `None` if there are too few examples.
pub(in crate::centroids) fn learn(
    in_scope: Features<'_>,
    out_of_scope: Features<'_>,
    seed: u64,
) -> Option<Direction> {
    if out_of_scope.rows.len().min(in_scope.rows.len()) < EXAMPLES_MIN {
        return None;
    }
    let unit = Unit::of(in_scope.scores);
    let mut features = Vectors::new(in_scope.rows.dimensions() + 1);
    let mut classes = Vec::new();
    for (class, kind) in [(1, in_scope), (0, out_of_scope)] {
        for (row, score) in kind.rows.rows().zip(kind.scores) {
            let feature: Vec<f32> = row.iter().copied().chain([unit.apply(*score)]).collect();
            if !features.push(&feature) {
                return None;
            }
            classes.push(class);
        }
    }
    let dealt = Dealt::new(&features, &classes, FOLDS, seed);
    let n_in = in_scope.rows.len();
    let tried: Vec<Tried> = GRID
        .iter()
        .filter_map(|c| {
            let scores = held_out(&dealt, *c)?;
            let (of_in, of_out) = scores.split_at(n_in);
            Some(Tried {
                c: *c,
                areas: Areas::of(of_in, of_out)?,
                scores,
            })
        })
        .collect();
    let Tried { c, scores, .. } = least_as_good(tried)?;
    let (of_in, of_out) = scores.split_at(n_in);
    let (vector, gain, bias) = difference(&fit(&dealt.all(), c)?)?;
    Some(Direction {
        rule: ScopeRule::Direction {
            gain: gain / unit.spread,
            bias: bias - gain * unit.middle / unit.spread,
        },
        vector,
        in_scope: of_in.to_vec(),
        out_of_scope: of_out.to_vec(),
    })
}

/// A strength of the penalty, and what it reached.
struct Tried {
    c: f64,
    areas: Areas,
    scores: Vec<f32>,
}

/// The strongest penalty that is no worse than the best by more than a standard error. A hundred
/// examples from one source are easily told by their source; what tells the next ones is what little
/// freedom finds too.
fn least_as_good(tried: Vec<Tried>) -> Option<Tried> {
    let best = tried
        .iter()
        .max_by(|left, right| left.areas.auroc().total_cmp(&right.areas.auroc()))?
        .areas
        .clone();
    tried
        .into_iter()
        .find(|it| best.auroc() - it.areas.auroc() <= best.difference_standard_error(&it.areas))
}

/// What each row scores by the folds that it is not in, in the order of the rows.
fn held_out(dealt: &Dealt, c: f64) -> Option<Vec<f32>> {
    let mut scores = vec![0.0; dealt.len()];
    for fold in 0..dealt.n_folds() {
        let prototypes = fit(&dealt.without(fold), c)?;
        for block in dealt.fold(fold).blocks() {
            let own = prototypes.scores_of(&block.rows);
            for (offset, row) in own.outer_iter().enumerate() {
                scores[dealt.origin()[block.start + offset]] = row[1] - row[0];
            }
        }
    }
    Some(scores)
}

fn fit(sample: &crate::centroids::sample::Sample<'_>, c: f64) -> Option<Prototypes> {
    let start = Logistic::zero(sample.n_classes(), sample.dimensions());
    start.fit(sample, c, Weighting::Intents).prototypes()
}

/// The two classes' weights as one direction, the weight of the score, and the bias.
fn difference(prototypes: &Prototypes) -> Option<(Vec<f32>, f32, f32)> {
    let (out, within) = (prototypes.vectors().row(0)?, prototypes.vectors().row(1)?);
    let mut direction: Vec<f32> = within.iter().zip(out).map(|(a, b)| a - b).collect();
    let gain = direction.pop()?;
    let bias = prototypes.bias().get(1)? - prototypes.bias().first()?;
    Some((direction, gain, bias))
}

/// Scores in a unit of their own spread, so that the penalty weighs them the same for every rule.
#[derive(Debug, Clone, Copy)]
struct Unit {
    middle: f32,
    spread: f32,
}

impl Unit {
    fn of(scores: &[f32]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a count to divide by")]
        let n = scores.len().max(1) as f32;
        let middle = scores.iter().sum::<f32>() / n;
        let squares = scores.iter().map(|score| (score - middle).powi(2));
        let spread = (squares.sum::<f32>() / n).sqrt();
        Self {
            middle,
            spread: if 0.0 < spread { spread } else { 1.0 },
        }
    }

    fn apply(self, score: f32) -> f32 {
        (score - self.middle) / self.spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::dot;

    /// Rows around a direction, with a little of the next axis each.
    fn rows(axis: usize, n: u16) -> Vectors {
        let mut rows = Vectors::new(3);
        for row in 0..n {
            let mut values = [0.0; 3];
            values[axis] = 1.0;
            values[(axis + 1) % 3] = f32::from(row % 7) / 20.0;
            assert!(rows.push(&values));
        }
        rows
    }

    #[test]
    fn rows_of_their_own_look_are_told_where_the_score_is_blind() {
        let (within, outside) = (rows(0, 60), rows(2, 30));
        let scores = [vec![0.5; 60], vec![0.5; 30]];
        let features = |rows, scores| Features { rows, scores };
        let found = learn(
            features(&within, &scores[0]),
            features(&outside, &scores[1]),
            1,
        )
        .unwrap();
        let lowest = found.in_scope.iter().copied().fold(f32::MAX, f32::min);
        assert!(found.out_of_scope.iter().all(|score| *score < lowest));
        let along = |row: &[f32]| dot(&found.vector, row);
        assert!(along(&[0.0, 0.0, 1.0]) < along(&[1.0, 0.0, 0.0]));
    }

    #[test]
    fn a_handful_of_examples_says_nothing() {
        let (within, outside) = (rows(0, 60), rows(2, 5));
        let scores = [0.5; 60];
        let in_scope = Features {
            rows: &within,
            scores: &scores,
        };
        let out_of_scope = Features {
            rows: &outside,
            scores: &scores[..5],
        };
        assert_eq!(learn(in_scope, out_of_scope, 1), None);
    }
}
