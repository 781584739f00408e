//! What tells a prompt that belongs to no intent, and the score below which it is one, from scores
//! of rows that were held out.
//!
//! With examples of what is out of scope, several scores are compared by how well they part the two
//! kinds (AUROC). One that costs a request more is taken only if its lead is more than chance would
//! give. The threshold is then where accepting gains most over letting in what does not belong, as
//! long as it gives up few rows that do: prompts in scope are most of what comes, so where scores
//! tell scope badly, a threshold that weighs both kinds alike would throw away half of them. Without
//! examples, only the rows' own scores speak, and the artefact says that this is all the threshold
//! rests on.

mod auroc;
mod direction;

use crate::centroids::as_f64;
use crate::centroids::manifest::{
    Quantiles, Scope, ScopeCandidate, ScopeRule, Share, ThresholdRule,
};
use crate::centroids::scope::auroc::Areas;
use crate::domain::quantity::Ratio;

pub(super) use direction::{Direction, Features, learn};

/// The lowest number that a manifest can hold: what nothing stays below.
const ACCEPT_ALL: f32 = f32::MIN;

/// A score of scope over the rows that it is judged by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scored {
    pub(super) rule: ScopeRule,
    /// What rows in scope score by models that did not see them.
    pub(super) in_scope: Vec<f32>,
    /// What rows out of scope score.
    pub(super) out_of_scope: Vec<f32>,
}

/// What was found of scope.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) scope: Scope,
    /// How well the chosen score parts the kinds, if there are both.
    pub(super) chosen: Option<ScopeCandidate>,
    /// The share of rows in scope that the threshold rejects.
    pub(super) rejected_in_scope: Share,
    /// The share of rows out of scope that it rejects, if there is one.
    pub(super) rejected_out_of_scope: Option<Share>,
}

/// Chooses among scores, the one that costs least first. `None` without a row in scope.
pub(super) fn judge(scored: &[Scored], loss_max: Ratio) -> Option<Judged> {
    let candidates = compare(scored);
    let chosen = candidates
        .iter()
        .position(|candidate| candidate.behind <= candidate.behind_standard_error)
        .unwrap_or(0);
    let Scored {
        rule,
        in_scope,
        out_of_scope,
    } = scored.get(chosen)?;
    let threshold = if out_of_scope.is_empty() {
        conformal(in_scope)
    } else {
        separate(in_scope, out_of_scope, loss_max)
    };
    let rejected = |scores: &[f32]| {
        let n_below = scores
            .iter()
            .filter(|score| **score < threshold.value)
            .count();
        Share::of_counts(n_below, scores.len())
    };
    Some(Judged {
        chosen: candidates.get(chosen).copied(),
        rejected_in_scope: rejected(in_scope),
        rejected_out_of_scope: (!out_of_scope.is_empty()).then(|| rejected(out_of_scope)),
        scope: Scope {
            rule: *rule,
            threshold: threshold.value,
            how: threshold.how,
            in_scope_loss_max: threshold.in_scope_loss_max,
            held_out: Quantiles::fine(in_scope.clone())?,
            candidates,
        },
    })
}

/// How well each score parts the kinds; nothing without rows of both.
fn compare(scored: &[Scored]) -> Vec<ScopeCandidate> {
    let areas: Vec<Areas> = scored
        .iter()
        .filter_map(|it| Areas::of(&it.in_scope, &it.out_of_scope))
        .collect();
    let Some(best) = areas
        .iter()
        .max_by(|left, right| left.auroc().total_cmp(&right.auroc()))
    else {
        return Vec::new();
    };
    let judged = scored.iter().zip(&areas);
    judged
        .map(|(scored, area)| ScopeCandidate {
            rule: scored.rule,
            auroc: area.auroc(),
            fpr_at_95_tpr: fpr_at_95_tpr(&scored.in_scope, &scored.out_of_scope),
            behind: best.auroc() - area.auroc(),
            behind_standard_error: best.difference_standard_error(area),
        })
        .collect()
}

/// The share of rows out of scope that get in when 95% of those in scope do.
fn fpr_at_95_tpr(in_scope: &[f32], out_of_scope: &[f32]) -> f64 {
    let mut sorted = in_scope.to_vec();
    sorted.sort_by(f32::total_cmp);
    let given_up = sorted.len() / 20;
    let lowest_kept = sorted.get(given_up).copied().unwrap_or(ACCEPT_ALL);
    let n_in = out_of_scope
        .iter()
        .filter(|score| lowest_kept <= **score)
        .count();
    as_f64(n_in) / as_f64(out_of_scope.len().max(1))
}

/// The score below which a prompt is out of scope.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Threshold {
    value: f32,
    how: ThresholdRule,
    in_scope_loss_max: Ratio,
}

/// Lets the threshold fall over all scores. What is gained by accepting all at or above it is the
/// share of rows in scope that get in less the share of rows out of scope that do (Youden's J). The
/// best is taken among the thresholds that reject no more than `loss_max` of the rows in scope, the
/// highest of equals; it lies half way to the next score below, so that no single row decides it.
/// Neither list may be empty.
fn separate(in_scope: &[f32], out_of_scope: &[f32], loss_max: Ratio) -> Threshold {
    let (n_in, n_out) = (as_f64(in_scope.len()), as_f64(out_of_scope.len()));
    let scored = descending(in_scope, out_of_scope);
    let (mut accepted_in, mut accepted_out) = (0, 0);
    let (mut best_gain, mut threshold) = (f64::NEG_INFINITY, ACCEPT_ALL);
    let mut groups = scored
        .chunk_by(|left, right| left.score.total_cmp(&right.score).is_eq())
        .peekable();
    while let Some(group) = groups.next() {
        let new_in = group.iter().filter(|row| row.is_in_scope).count();
        accepted_in += new_in;
        accepted_out += group.len() - new_in;
        let share_in = as_f64(accepted_in) / n_in;
        let gain = share_in - as_f64(accepted_out) / n_out;
        if 1.0 - share_in <= loss_max.get() && best_gain < gain {
            best_gain = gain;
            let below = groups.peek().map(|below| below[0].score);
            threshold = below.map_or(ACCEPT_ALL, |below| f32::midpoint(group[0].score, below));
        }
    }
    Threshold {
        value: threshold,
        how: ThresholdRule::YoudenHeldOutAndOos,
        in_scope_loss_max: loss_max,
    }
}

/// The score that at most such a share of rows like these stay below: the k-th lowest of n, k the
/// whole part of that share of n + 1. Where k is 0, nothing is given up.
fn conformal(in_scope: &[f32]) -> Threshold {
    /// One row in so many may fall below.
    const GIVEN_UP_ONE_IN: u8 = 20;
    let mut scores = in_scope.to_vec();
    scores.sort_by(f32::total_cmp);
    let k = (scores.len() + 1) / usize::from(GIVEN_UP_ONE_IN);
    let lowest_kept = k.checked_sub(1).and_then(|index| scores.get(index));
    Threshold {
        value: lowest_kept.copied().unwrap_or(ACCEPT_ALL),
        how: ThresholdRule::Conformal5Percent,
        in_scope_loss_max: Ratio::of_counts(1, u64::from(GIVEN_UP_ONE_IN)),
    }
}

/// One row of the sweep.
#[derive(Debug, Clone, Copy)]
struct Swept {
    score: f32,
    is_in_scope: bool,
}

fn descending(in_scope: &[f32], out_of_scope: &[f32]) -> Vec<Swept> {
    let of = |is_in_scope| {
        move |score: &f32| Swept {
            score: *score,
            is_in_scope,
        }
    };
    let mut scored: Vec<Swept> = in_scope
        .iter()
        .map(of(true))
        .chain(out_of_scope.iter().map(of(false)))
        .collect();
    scored.sort_by(|left, right| right.score.total_cmp(&left.score));
    scored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_most(loss: f64) -> Ratio {
        Ratio::try_from(loss).unwrap()
    }

    #[test]
    fn a_clean_gap_is_cut_in_the_middle() {
        let found = separate(&[0.9, 0.8, 0.7], &[0.3, 0.1], at_most(0.1));
        assert!((found.value - 0.5).abs() < 1e-6);
    }

    #[test]
    fn few_rows_in_scope_are_given_up_for_many_out_of_scope() {
        let in_scope = [0.9, 0.8, 0.7, 0.1];
        let cut = |loss| separate(&in_scope, &[0.5, 0.4, 0.3], at_most(loss)).value;
        assert!((cut(0.25) - 0.6).abs() < 1e-6);
        assert!(
            (cut(0.2) - ACCEPT_ALL).abs() < 1e-6,
            "one of four is more than may be lost"
        );
    }

    #[test]
    fn scores_that_tell_nothing_reject_nothing() {
        let found = separate(&[0.5, 0.5], &[0.5, 0.5, 0.5], at_most(0.1));
        assert!((found.value - ACCEPT_ALL).abs() < f32::EPSILON);
    }

    fn scored(rule: ScopeRule, lift: f32) -> Scored {
        let noise = |row: u16| f32::from(row * 37 % 101) / 100.0;
        Scored {
            rule,
            in_scope: (0..300).map(|row| noise(row) + lift).collect(),
            out_of_scope: (0..60).map(|row| noise(row + 7)).collect(),
        }
    }

    #[test]
    fn a_score_that_costs_more_must_be_clearly_better() {
        let chosen = |cheap, dear| {
            let both = [
                scored(ScopeRule::Score, cheap),
                scored(ScopeRule::Cosine, dear),
            ];
            judge(&both, at_most(0.1)).unwrap().scope.rule
        };
        assert_eq!(chosen(0.3, 0.3), ScopeRule::Score);
        assert_eq!(chosen(0.3, 0.6), ScopeRule::Cosine);
        assert_eq!(chosen(0.6, 0.3), ScopeRule::Score);
    }

    #[test]
    fn the_share_that_gets_in_is_counted_where_95_percent_do() {
        let in_scope: Vec<f32> = (0_u8..100).map(f32::from).collect();
        assert!((fpr_at_95_tpr(&in_scope, &[4.0, 5.0, 50.0, -1.0]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn without_oos_rows_one_in_twenty_is_given_up() {
        let scores: Vec<f32> = (1_u8..=100)
            .map(|percent| f32::from(percent) / 100.0)
            .collect();
        let threshold = conformal(&scores);
        assert_eq!(threshold.how, ThresholdRule::Conformal5Percent);
        let n_below = scores
            .iter()
            .filter(|score| **score < threshold.value)
            .count();
        assert_eq!(n_below, 4, "the fifth of a hundred is the threshold itself");
    }

    #[test]
    fn a_handful_of_rows_gives_nothing_up() {
        assert!((conformal(&[0.4; 18]).value - ACCEPT_ALL).abs() < f32::EPSILON);
    }
}
