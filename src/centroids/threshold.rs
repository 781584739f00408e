//! The score below which a prompt is out of scope, from scores of rows that were held out.
//!
//! With examples of what is out of scope, the threshold is where accepting gains most over letting
//! in what does not belong, as long as it gives up few rows that do: prompts in scope are most of
//! what comes, so where scores tell scope badly, a threshold that weighs both kinds alike would
//! throw away half of them. Without examples, only the rows' own scores speak, and the artefact
//! says that this is all the threshold rests on.

use crate::centroids::manifest::{Share, Threshold, ThresholdRule, as_f64};
use crate::domain::quantity::Ratio;

/// What nothing stays below.
const ACCEPT_ALL: f32 = -1.0;

/// What scores say of scope.
pub(super) struct Judged {
    /// Below it a prompt is out of scope.
    pub(super) threshold: Threshold,
    /// The chance that a row in scope scores above one out of scope, if there is one.
    pub(super) auroc: Option<f64>,
    /// The share of rows in scope that the threshold rejects.
    pub(super) rejected_in_scope: Share,
    /// The share of rows out of scope that it rejects, if there is one.
    pub(super) rejected_out_of_scope: Option<Share>,
}

/// Finds the threshold by the scores of rows that no prototype was made of.
pub(super) fn judge(in_scope: &[f32], out_of_scope: &[f32], loss_max: Ratio) -> Judged {
    let separation = (!out_of_scope.is_empty()).then(|| separate(in_scope, out_of_scope, loss_max));
    let threshold = separation.map_or_else(|| conformal(in_scope), |found| found.threshold);
    let rejected = |scores: &[f32]| {
        let n_below = scores
            .iter()
            .filter(|score| **score < threshold.value)
            .count();
        Share::of_counts(n_below, scores.len())
    };
    Judged {
        threshold,
        auroc: separation.map(|found| found.auroc),
        rejected_in_scope: rejected(in_scope),
        rejected_out_of_scope: separation.map(|_| rejected(out_of_scope)),
    }
}

/// What the sweep over scores found.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Separation {
    /// The best threshold.
    threshold: Threshold,
    /// The chance that a row in scope scores above one out of scope; a tie counts half.
    auroc: f64,
}

/// Lets the threshold fall over all scores. What is gained by accepting all at or above it is the
/// share of rows in scope that get in less the share of rows out of scope that do (Youden's J). The
/// best is taken among the thresholds that reject no more than `loss_max` of the rows in scope, the
/// highest of equals; it lies half way to the next score below, so that no single row decides it.
/// Neither list may be empty.
fn separate(in_scope: &[f32], out_of_scope: &[f32], loss_max: Ratio) -> Separation {
    let (n_in, n_out) = (as_f64(in_scope.len()), as_f64(out_of_scope.len()));
    let scored = descending(in_scope, out_of_scope);
    let (mut accepted_in, mut accepted_out) = (0, 0);
    let (mut pairs, mut best_gain, mut threshold) = (0.0, f64::NEG_INFINITY, ACCEPT_ALL);
    let mut groups = scored
        .chunk_by(|left, right| left.score.total_cmp(&right.score).is_eq())
        .peekable();
    while let Some(group) = groups.next() {
        let new_in = group.iter().filter(|row| row.is_in_scope).count();
        let new_out = group.len() - new_in;
        // A new row out of scope loses to all in scope above it and ties with those beside it.
        pairs += as_f64(new_out) * (as_f64(accepted_in) + as_f64(new_in) / 2.0);
        accepted_in += new_in;
        accepted_out += new_out;
        let share_in = as_f64(accepted_in) / n_in;
        let gain = share_in - as_f64(accepted_out) / n_out;
        if 1.0 - share_in <= loss_max.get() && best_gain < gain {
            best_gain = gain;
            let below = groups.peek().map(|below| below[0].score);
            threshold = below.map_or(ACCEPT_ALL, |below| f32::midpoint(group[0].score, below));
        }
    }
    Separation {
        threshold: Threshold {
            value: threshold,
            how: ThresholdRule::YoudenHeldOutAndOos,
            in_scope_loss_max: loss_max,
        },
        auroc: pairs / (n_in * n_out),
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
struct Scored {
    score: f32,
    is_in_scope: bool,
}

fn descending(in_scope: &[f32], out_of_scope: &[f32]) -> Vec<Scored> {
    let of = |is_in_scope| {
        move |score: &f32| Scored {
            score: *score,
            is_in_scope,
        }
    };
    let mut scored: Vec<Scored> = in_scope
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
        assert!((found.threshold.value - 0.5).abs() < 1e-6);
        assert!((found.auroc - 1.0).abs() < 1e-12);
    }

    #[test]
    fn few_rows_in_scope_are_given_up_for_many_out_of_scope() {
        let in_scope = [0.9, 0.8, 0.7, 0.1];
        let cut = |loss| {
            separate(&in_scope, &[0.5, 0.4, 0.3], at_most(loss))
                .threshold
                .value
        };
        assert!((cut(0.25) - 0.6).abs() < 1e-6);
        assert!(
            (cut(0.2) - ACCEPT_ALL).abs() < 1e-6,
            "one of four is more than may be lost"
        );
    }

    #[test]
    fn scores_that_tell_nothing_reject_nothing() {
        let found = separate(&[0.5, 0.5], &[0.5, 0.5, 0.5], at_most(0.1));
        assert!((found.auroc - 0.5).abs() < 1e-12);
        assert!((found.threshold.value - ACCEPT_ALL).abs() < f32::EPSILON);
    }

    #[test]
    fn scores_that_tell_the_wrong_way_are_worse_than_chance() {
        let found = separate(&[0.1, 0.6], &[0.8, 0.2], at_most(1.0));
        assert!((found.auroc - 0.25).abs() < 1e-12);
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
