//! Which rule: every candidate is fitted without each fold in turn and judged by the rows of that
//! fold, so that a rule that only remembers its rows gains nothing by it.
//!
//! Of rules that chance cannot tell apart the one is taken that a request pays least for, and then
//! the one that fits least. Two rules are compared row by row: both are mostly right on the same
//! rows, so their difference is known far better than either accuracy. They are compared by accuracy
//! and by log loss, since with few rows a rule that is four points better can tie by accuracy, while
//! its probabilities give it away.

use std::ops::ControlFlow;

use ndarray::{Array2, s};
use rayon::prelude::*;

use crate::centroids::as_f64;
use crate::centroids::calibrate::{Calibration, calibrate};
use crate::centroids::classify::{Prototypes, Ranking};
use crate::centroids::manifest::{Candidate, Rule};
use crate::centroids::rules::{self, Choices, Fitted, Logistic, Unfit, fit};
use crate::centroids::sample::Dealt;

/// The numbers of prototypes an intent that are tried.
const K_MEANS: [usize; 3] = [2, 4, 8];

/// Past so many rows the nearest neighbour is tried only on demand: judging it compares every row with
/// every other.
const NEAREST_ROWS_MAX: usize = 50_000;

/// Each C is so many times the one before: half a decade.
const C_STEP: f64 = 3.162_277_660_168_379_5;

/// The positions on that scale that are always tried: C from 1 to 100.
const C_FIRST: std::ops::RangeInclusive<i32> = 0..=4;

/// Where the search for C ends even if the best is at its edge: 1e-4 and 1e6. Neither a model that is
/// all penalty nor one without any is worth a further step.
const C_LAST: std::ops::RangeInclusive<i32> = -8..=12;

/// Which rules are tried.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Wanted {
    /// All of them.
    #[default]
    Auto,
    /// The mean of each intent.
    Centroid,
    /// Means under the shared covariance.
    Whitened,
    /// Logistic regression with this C, or the best.
    Logistic(Option<f64>),
    /// So many prototypes an intent, or the best number.
    KMeans(Option<usize>),
    /// Every row.
    Nearest,
}

/// A rule and what it reached on rows that it did not see.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    /// The rule, where it has a choice of its own with that choice made.
    pub(super) rule: Rule,
    /// What was fitted without each fold.
    pub(super) models: Vec<Prototypes>,
    pub(super) calibration: Calibration,
    /// Whether each dealt row was placed rightly.
    pub(super) right: Vec<bool>,
    pub(super) converged: bool,
}

/// The rules that were tried, the one to take among them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selection {
    pub(super) chosen: Judged,
    pub(super) candidates: Vec<Candidate>,
}

/// Tries the rules that are wanted. `on_judged` hears of each when it is done.
pub(super) fn select(
    dealt: &Dealt,
    wanted: Wanted,
    choices: Choices,
    on_judged: &mut dyn FnMut(&Candidate),
) -> Result<Selection, Unfit> {
    let mut judged = Vec::new();
    let mut note = |found: Judged, judged: &mut Vec<Judged>| {
        on_judged(&figures(&found, &found));
        judged.push(found);
    };
    for rule in rules_before_regression(wanted) {
        match judge_rule(rule, dealt, choices) {
            Ok(found) => note(found, &mut judged),
            // Without a spread the other rules still stand.
            Err(Unfit::NoSpread) if wanted == Wanted::Auto => {}
            Err(unfit) => return Err(unfit),
        }
    }
    if let Wanted::Auto | Wanted::Logistic(None) = wanted {
        for found in judge_logistic(dealt, choices)? {
            note(found, &mut judged);
        }
    }
    for rule in rules_after_regression(wanted, dealt.len()) {
        note(judge_rule(rule, dealt, choices)?, &mut judged);
    }
    choose(judged).ok_or(Unfit::NoSpread)
}

/// Rules that cost a request one row an intent and are fitted in one go.
fn rules_before_regression(wanted: Wanted) -> Vec<Rule> {
    let whitened = Rule::Whitened { shrinkage: None };
    match wanted {
        Wanted::Auto => vec![Rule::Centroid, whitened],
        Wanted::Centroid => vec![Rule::Centroid],
        Wanted::Whitened => vec![whitened],
        Wanted::Logistic(Some(c)) => vec![Rule::Logistic { c }],
        Wanted::Logistic(None) | Wanted::KMeans(_) | Wanted::Nearest => Vec::new(),
    }
}

/// Rules that cost a request more.
fn rules_after_regression(wanted: Wanted, n_rows: usize) -> Vec<Rule> {
    let several = K_MEANS.map(|k| Rule::KMeans { k });
    match wanted {
        Wanted::Auto if n_rows <= NEAREST_ROWS_MAX => {
            several.into_iter().chain([Rule::Nearest]).collect()
        }
        Wanted::Auto | Wanted::KMeans(None) => several.to_vec(),
        Wanted::KMeans(Some(k)) => vec![Rule::KMeans { k }],
        Wanted::Nearest => vec![Rule::Nearest],
        Wanted::Centroid | Wanted::Whitened | Wanted::Logistic(_) => Vec::new(),
    }
}

/// Takes the first that is worse than the most accurate neither in accuracy nor in log loss by more than
/// one standard error of the difference.
/// The candidates come in the order of what they cost. Of the regressions only the one with the best
/// C takes part.
fn choose(mut judged: Vec<Judged>) -> Option<Selection> {
    let best_c = best_logistic(&judged).map(|it| it.rule);
    let best = judged
        .iter()
        .filter(|it| takes_part(it.rule, best_c))
        .max_by_key(|it| n_right(it))?
        .clone();
    let candidates: Vec<Candidate> = judged.iter().map(|it| figures(it, &best)).collect();
    let is_as_good = |candidate: &Candidate| {
        takes_part(candidate.rule, best_c)
            && candidate.behind <= candidate.behind_standard_error
            && candidate.log_loss_behind <= candidate.log_loss_behind_standard_error
    };
    let chosen = candidates.iter().position(is_as_good)?;
    Some(Selection {
        chosen: judged.swap_remove(chosen),
        candidates,
    })
}

fn takes_part(rule: Rule, best_c: Option<Rule>) -> bool {
    !matches!(rule, Rule::Logistic { .. }) || Some(rule) == best_c
}

/// The regression whose calibrated probabilities fit the held-out labels best. The loss is smoother in
/// C than the accuracy, which jumps by single rows.
fn best_logistic(judged: &[Judged]) -> Option<&Judged> {
    judged
        .iter()
        .filter(|it| matches!(it.rule, Rule::Logistic { .. }))
        .min_by(|left, right| {
            let (left, right) = (left.calibration.log_loss(), right.calibration.log_loss());
            left.total_cmp(&right)
        })
}

fn n_right(judged: &Judged) -> usize {
    judged.right.iter().filter(|right| **right).count()
}

fn figures(judged: &Judged, best: &Judged) -> Candidate {
    let n = as_f64(judged.right.len());
    let accuracy = as_f64(n_right(judged)) / n;
    let (mut won, mut lost) = (0, 0);
    for (own, other) in judged.right.iter().zip(&best.right) {
        won += usize::from(*own && !*other);
        lost += usize::from(!*own && *other);
    }
    let behind = (as_f64(lost) - as_f64(won)) / n;
    let spread = (as_f64(lost) + as_f64(won)) / n - behind * behind;
    let (log_loss_behind, log_loss_behind_standard_error) =
        mean_difference(&judged.calibration.losses, &best.calibration.losses);
    Candidate {
        rule: judged.rule,
        accuracy,
        standard_error: (accuracy * (1.0 - accuracy) / n).sqrt(),
        behind,
        behind_standard_error: (spread.max(0.0) / n).sqrt(),
        log_loss: judged.calibration.log_loss(),
        log_loss_behind,
        log_loss_behind_standard_error,
        converged: judged.converged,
    }
}

/// The mean of row-by-row differences and its standard error.
fn mean_difference(left: &[f64], right: &[f64]) -> (f64, f64) {
    let n = as_f64(left.len().max(1));
    let differences = || left.iter().zip(right).map(|(a, b)| a - b);
    let mean = differences().sum::<f64>() / n;
    let squares: f64 = differences().map(|it| (it - mean).powi(2)).sum();
    (mean, (squares / n / n).sqrt())
}

/// Fits a rule without each fold and judges it by that fold.
fn judge_rule(rule: Rule, dealt: &Dealt, choices: Choices) -> Result<Judged, Unfit> {
    let fitted = (0..dealt.n_folds())
        .into_par_iter()
        .map(|fold| fit(rule, &dealt.without(fold), choices))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(judge(rule, fitted, dealt))
}

fn judge(rule: Rule, fitted: Vec<Fitted>, dealt: &Dealt) -> Judged {
    let converged = fitted.iter().all(|it| it.converged);
    let models: Vec<Prototypes> = fitted.into_iter().map(|it| it.prototypes).collect();
    let scores = held_out_scores(&models, dealt);
    let classes = dealt.classes();
    let nearest = |row: usize| Ranking::of(scores.row(row)).first().intent;
    Judged {
        rule,
        calibration: calibrate(&scores, classes),
        right: (0..dealt.len())
            .map(|row| nearest(row) == classes[row])
            .collect(),
        models,
        converged,
    }
}

/// What each dealt row scores by the model that did not see it.
pub(super) fn held_out_scores(models: &[Prototypes], dealt: &Dealt) -> Array2<f32> {
    let n_classes = dealt.all().n_classes();
    let mut scores = Array2::zeros((dealt.len(), n_classes));
    for (fold, model) in models.iter().enumerate() {
        let blocks = dealt.fold(fold).blocks();
        let parts: Vec<Array2<f32>> = blocks
            .par_iter()
            .map(|block| model.scores_of(&block.rows))
            .collect();
        for (block, part) in blocks.iter().zip(parts) {
            let end = block.start + part.nrows();
            scores.slice_mut(s![block.start..end, ..]).assign(&part);
        }
    }
    scores
}

/// Regressions over a grid of C that is widened until the best is not at its edge. Each fit starts
/// where the one beside it ended.
fn judge_logistic(dealt: &Dealt, choices: Choices) -> Result<Vec<Judged>, Unfit> {
    let mut grid = Grid::new(dealt, choices);
    for position in C_FIRST {
        grid.try_up(position)?;
    }
    while grid.widen()?.is_continue() {}
    Ok(grid.judged)
}

struct Grid<'a> {
    dealt: &'a Dealt,
    choices: Choices,
    /// In the order of C.
    judged: Vec<Judged>,
    /// The fits of the lowest C and of the highest, one a fold.
    lowest: Vec<Logistic>,
    highest: Vec<Logistic>,
    positions: std::ops::RangeInclusive<i32>,
}

impl<'a> Grid<'a> {
    fn new(dealt: &'a Dealt, choices: Choices) -> Self {
        let sample = dealt.all();
        let zero = Logistic::zero(sample.n_classes(), sample.dimensions());
        Self {
            dealt,
            choices,
            judged: Vec::new(),
            lowest: Vec::new(),
            highest: vec![zero; dealt.n_folds()],
            positions: C_FIRST,
        }
    }

    fn try_up(&mut self, position: i32) -> Result<(), Unfit> {
        let (fits, judged) = self.at(position, &self.highest)?;
        if self.judged.is_empty() {
            self.lowest.clone_from(&fits);
        }
        self.highest = fits;
        self.judged.push(judged);
        Ok(())
    }

    fn try_down(&mut self, position: i32) -> Result<(), Unfit> {
        let (fits, judged) = self.at(position, &self.lowest)?;
        self.lowest = fits;
        self.judged.insert(0, judged);
        Ok(())
    }

    fn at(&self, position: i32, starts: &[Logistic]) -> Result<(Vec<Logistic>, Judged), Unfit> {
        let c = C_STEP.powi(position);
        let fits: Vec<Logistic> = starts
            .par_iter()
            .enumerate()
            .map(|(fold, start)| {
                let sample = self.dealt.without(fold);
                start.clone().fit(&sample, c, self.choices.weighting)
            })
            .collect();
        let fitted = fits
            .iter()
            .map(|found| rules::logistic(found, c))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((fits, judge(Rule::Logistic { c }, fitted, self.dealt)))
    }

    /// Tries one C more where the best is at the edge.
    fn widen(&mut self) -> Result<ControlFlow<()>, Unfit> {
        let Some(best) = best_logistic(&self.judged).map(|it| it.rule) else {
            return Ok(ControlFlow::Break(()));
        };
        let (low, high) = self.positions.clone().into_inner();
        let is_last = self.judged.last().is_some_and(|it| it.rule == best);
        let is_first = self.judged.first().is_some_and(|it| it.rule == best);
        if is_last && high < *C_LAST.end() {
            self.positions = low..=high + 1;
            self.try_up(high + 1)?;
            return Ok(ControlFlow::Continue(()));
        }
        if is_first && *C_LAST.start() < low {
            self.positions = low - 1..=high;
            self.try_down(low - 1)?;
            return Ok(ControlFlow::Continue(()));
        }
        Ok(ControlFlow::Break(()))
    }
}
