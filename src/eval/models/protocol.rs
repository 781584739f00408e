//! How a way of routing is judged: by rows that had no say in it.
//!
//! Cross-validation with the choice inside. Each fifth of the rows is judged by what the other four
//! teach. All that could be tuned (the number of neighbours or clusters, the strength of a penalty,
//! the price of quality that goes with a budget or a bar) is chosen among those four alone, by
//! estimates of each of their rows from the other three. So every row is judged once, by a router
//! that never saw its grades.

use rayon::prelude::*;

use crate::eval::as_f64;
use crate::eval::models::folds::FOLDS;
use crate::eval::models::grid::Point;
use crate::eval::models::hull::{Hull, Mix};
use crate::eval::models::teachers::{Ground, Teacher, bars, prices, weights};

/// Shares of the best single model's quality that are asked for.
pub(super) const SHARES: [f64; 3] = [0.99, 0.98, 0.95];

/// Budgets between the cheapest and the dearest model.
pub(super) const BUDGETS: usize = 41;

/// Where each of [`SHARES`] stands among a row's points, and the best that can be had after them.
pub(super) const AT: usize = BUDGETS;
pub(super) const BEST: usize = AT + SHARES.len();
pub(super) const POLICIES: usize = BEST + 1;

/// One way of routing with all its parameters but the trade of cost for quality.
#[derive(Debug, Clone)]
pub(super) struct Setting<'a> {
    /// What a reader knows it by.
    pub(super) label: String,
    pub(super) teacher: Teacher<'a>,
    pub(super) trade: Trade,
}

/// How cost is traded for quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trade {
    /// By a price of quality.
    Price,
    /// By a quality that the cheapest model must reach.
    Bar,
    /// By how cheap a model is against the cheapest.
    Cheapness,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Played {
    /// The setting that each fold chose.
    pub(super) chosen: Vec<String>,
    /// Of each row, what it comes to on average within each budget, at each share of the best single
    /// model's quality, and at best.
    pub(super) points: Vec<Point>,
}

/// The single models that a training part points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Singles {
    pub(super) best: usize,
    pub(super) cheapest: usize,
    pub(super) dearest: usize,
}

/// What one fold teaches.
struct Lesson<'a> {
    ground: Ground<'a>,
    fold: usize,
    training: Vec<usize>,
    low: f64,
    high: f64,
    best: f64,
}

/// Plays a way of routing in all folds; each takes the setting that does best on its training part.
pub(super) fn play(ground: Ground<'_>, settings: &[Setting<'_>]) -> Played {
    let folds: Vec<(String, Vec<Point>)> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| Lesson::of(ground, fold).play(settings))
        .collect();
    let mut points = vec![Point::default(); ground.grid.len() * POLICIES];
    let mut chosen = Vec::with_capacity(FOLDS);
    for (fold, (label, own)) in folds.into_iter().enumerate() {
        chosen.push(label);
        for (row, own) in ground
            .folds
            .judged(fold)
            .into_iter()
            .zip(own.chunks_exact(POLICIES))
        {
            points[row * POLICIES..][..POLICIES].copy_from_slice(own);
        }
    }
    Played { chosen, points }
}

/// The single models that the training part of a fold points at. There must be a model.
pub(super) fn singles(ground: Ground<'_>, training: &[usize]) -> Singles {
    let n_models = ground.grid.models().len();
    let points: Vec<Point> = (0..n_models)
        .map(|it| ground.grid.point(it, training))
        .collect();
    let by = |better: &dyn Fn(&Point, &Point) -> bool| {
        let mut best = 0;
        for model in 1..n_models {
            if better(&points[model], &points[best]) {
                best = model;
            }
        }
        best
    };
    Singles {
        best: by(&|one, other| other.quality < one.quality),
        cheapest: by(&|one, other| one.cost < other.cost),
        dearest: by(&|one, other| other.cost < one.cost),
    }
}

impl<'a> Lesson<'a> {
    fn of(ground: Ground<'a>, fold: usize) -> Self {
        let training = ground.folds.training(fold);
        let found = singles(ground, &training);
        let point = |model| ground.grid.point(model, &training);
        Self {
            low: point(found.cheapest).cost,
            high: point(found.dearest).cost,
            best: point(found.best).quality,
            ground,
            fold,
            training,
        }
    }

    /// The chosen setting, and the points of the judged rows.
    fn play(&self, settings: &[Setting<'_>]) -> (String, Vec<Point>) {
        let mut best: Option<(f64, &str, Vec<Point>)> = None;
        for setting in settings {
            let ways = self.ways(setting);
            let hull = Hull::of(&self.points(&ways));
            let area = hull.area(self.low, self.high);
            if best.as_ref().is_none_or(|(most, _, _)| *most < area) {
                best = Some((area, &setting.label, self.judged(&ways, &hull)));
            }
        }
        best.map_or_else(Default::default, |(_, label, points)| {
            (label.to_owned(), points)
        })
    }

    /// The model of each row, in every way that a setting has.
    fn ways(&self, setting: &Setting<'_>) -> Vec<Vec<u16>> {
        let n_models = self.ground.grid.models().len();
        if let Teacher::Nobody = setting.teacher {
            let models = 0..u16::try_from(n_models).unwrap_or(u16::MAX);
            return models
                .map(|model| vec![model; self.ground.grid.len()])
                .collect();
        }
        let estimates = self.ground.estimates(&setting.teacher, self.fold);
        let weighings = match setting.trade {
            Trade::Price => prices(self.high - self.low),
            Trade::Bar => bars(),
            Trade::Cheapness => weights(),
        };
        let ways = weighings.into_par_iter();
        ways.map(|it| it.choices(&estimates, n_models)).collect()
    }

    /// What each way comes to on the training part.
    fn points(&self, ways: &[Vec<u16>]) -> Vec<Point> {
        let point =
            |way: &Vec<u16>| Point::mean(self.training.iter().map(|row| self.point(way, *row)));
        ways.par_iter().map(point).collect()
    }

    fn point(&self, way: &[u16], row: usize) -> Point {
        let model = usize::from(way[row]);
        Point {
            cost: self.ground.grid.cost(row, model),
            quality: self.ground.grid.score(row, model),
        }
    }

    /// What the judged rows come to under each policy of a hull.
    fn judged(&self, ways: &[Vec<u16>], hull: &Hull) -> Vec<Point> {
        let mut policies: Vec<Mix> = (0..BUDGETS)
            .map(|turn| hull.within(self.budget(turn)))
            .collect();
        policies.extend(SHARES.iter().map(|share| hull.reaching(share * self.best)));
        policies.push(hull.reaching(f64::INFINITY));
        let mut points = Vec::new();
        for row in self.ground.folds.judged(self.fold) {
            points.extend(policies.iter().map(|mix| {
                let from = self.point(&ways[mix.from], row);
                from.towards(self.point(&ways[mix.to], row), mix.share)
            }));
        }
        points
    }

    /// Budgets lie closer where little is spent, since there quality changes most.
    fn budget(&self, turn: usize) -> f64 {
        let share = as_f64(turn) / as_f64(BUDGETS - 1);
        self.low + (self.high - self.low) * share * share
    }
}
