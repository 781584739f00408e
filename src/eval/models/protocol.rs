//! How a way of routing is judged: by rows that had no say in it.
//!
//! Cross-validation with the choice inside. Each fifth of the rows is judged by what the other four
//! teach. All that could be tuned (the number of neighbours or clusters, the strength of a penalty,
//! the price of quality that goes with a budget or a bar) is chosen among those four alone, by
//! estimates of each of their rows from the other three. So every row is judged once, by a router
//! that never saw its grades.
//!
//! What is handed out for a configuration is chosen once more in the same way, by all rows.

use rayon::prelude::*;

use crate::eval::as_f64;
use crate::eval::models::folds::{FOLDS, NOBODY};
use crate::eval::models::grid::Point;
use crate::eval::models::hull::{Hull, Mix};
use crate::eval::models::teachers::{Ground, Teacher, Weighing, bars, prices};

/// Shares of the best single model's quality that are asked for.
pub(super) const SHARES: [f64; 3] = [0.99, 0.98, 0.95];

/// Budgets between the cheapest and the dearest model.
pub(super) const BUDGETS: usize = 41;

/// Where each of [`SHARES`] stands among a row's points, after them the best that can be had, and after
/// that the shares again, each by one weighing alone.
pub(super) const AT: usize = BUDGETS;
pub(super) const BEST: usize = AT + SHARES.len();
pub(super) const ALONE: usize = BEST + 1;
pub(super) const POLICIES: usize = ALONE + SHARES.len();

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
}

/// What reaches each share by itself, without taking turns with another: a configuration holds one
/// number. None where models are not weighed.
pub(super) type Alone = [Option<Weighing>; SHARES.len()];

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Played {
    /// The setting that each fold chose.
    pub(super) chosen: Vec<String>,
    /// Of each row, what it comes to on average within each budget, at each share of the best single
    /// model's quality, at best, and at each share by one weighing alone.
    pub(super) points: Vec<Point>,
    /// Those that each fold chose.
    pub(super) alone: Vec<Alone>,
    /// Those that all rows choose, where they were asked.
    pub(super) all: Alone,
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

/// What a fold makes of a way of routing.
#[derive(Default)]
struct Outcome {
    chosen: String,
    points: Vec<Point>,
    alone: Alone,
}

/// The model of each row by each weighing; by none, where every way is one model.
struct Tried {
    weighings: Vec<Weighing>,
    ways: Vec<Vec<u16>>,
}

/// Plays a way of routing in all folds; each takes the setting that does best on its training part.
pub(super) fn play(ground: Ground<'_>, settings: &[Setting<'_>]) -> Played {
    let folds: Vec<Outcome> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| Lesson::of(ground, fold).play(settings))
        .collect();
    let mut played = Played {
        points: vec![Point::default(); ground.grid.len() * POLICIES],
        ..Played::default()
    };
    for (fold, outcome) in folds.into_iter().enumerate() {
        let own = outcome.points.chunks_exact(POLICIES);
        for (row, own) in ground.folds.judged(fold).into_iter().zip(own) {
            played.points[row * POLICIES..][..POLICIES].copy_from_slice(own);
        }
        played.chosen.push(outcome.chosen);
        played.alone.push(outcome.alone);
    }
    played
}

/// The weighings that all rows choose, each row estimated from the other folds.
pub(super) fn of_all_rows(ground: Ground<'_>, settings: &[Setting<'_>]) -> Alone {
    Lesson::of(ground, NOBODY).play(settings).alone
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

    /// What the setting comes to that does best.
    fn play(&self, settings: &[Setting<'_>]) -> Outcome {
        let mut best: Option<(f64, Outcome)> = None;
        for setting in settings {
            let tried = self.tried(setting);
            let points = self.points(&tried.ways);
            let hull = Hull::of(&points);
            let area = hull.area(self.low, self.high);
            if best.as_ref().is_none_or(|(most, _)| *most < area) {
                let reaching = |share| Weighing::Bar(share * self.best).choice(&points);
                let alone = SHARES.map(|share| usize::from(reaching(share)));
                let outcome = Outcome {
                    chosen: setting.label.clone(),
                    points: self.judged(&tried.ways, &hull, alone),
                    alone: alone.map(|way| tried.weighing(way)),
                };
                best = Some((area, outcome));
            }
        }
        best.map(|(_, outcome)| outcome).unwrap_or_default()
    }

    /// The model of each row, in every way that a setting has.
    fn tried(&self, setting: &Setting<'_>) -> Tried {
        let n_models = self.ground.grid.models().len();
        if let Teacher::Nobody = setting.teacher {
            let models = 0..u16::try_from(n_models).unwrap_or(u16::MAX);
            let alone = |model| vec![model; self.ground.grid.len()];
            return Tried {
                weighings: Vec::new(),
                ways: models.map(alone).collect(),
            };
        }
        let estimates = self.ground.estimates(&setting.teacher, self.fold);
        let weighings = match setting.trade {
            Trade::Price => prices(self.high - self.low),
            Trade::Bar => bars(),
        };
        let ways = weighings.par_iter();
        Tried {
            ways: ways.map(|it| it.choices(&estimates, n_models)).collect(),
            weighings,
        }
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
    fn judged(&self, ways: &[Vec<u16>], hull: &Hull, alone: [usize; SHARES.len()]) -> Vec<Point> {
        let mut policies: Vec<Mix> = (0..BUDGETS)
            .map(|turn| hull.within(self.budget(turn)))
            .collect();
        policies.extend(SHARES.iter().map(|share| hull.reaching(share * self.best)));
        policies.push(hull.reaching(f64::INFINITY));
        policies.extend(alone.map(Mix::alone));
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

impl Tried {
    /// The weighing of a way. Others beside it may take the same models for all rows; the middle of them
    /// is furthest from where that changes.
    fn weighing(&self, way: usize) -> Option<Weighing> {
        let is_same = |other: &usize| self.ways[*other] == self.ways[way];
        let first = (0..=way).rev().take_while(is_same).last()?;
        let last = (way..self.ways.len()).take_while(is_same).last()?;
        let number = |place: usize| self.weighings.get(place).map(|it| it.number());
        // Nothing lies in the middle between 0 and a price: where small ones do the same, they count.
        let is_zero = first < last && number(first)? <= 0.0;
        let first = self.weighings.get(first + usize::from(is_zero))?;
        Some(first.middle(*self.weighings.get(last)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_weighings_that_do_the_same_the_middle_is_taken() {
        let tried = Tried {
            weighings: [0.0, 1.0, 4.0, 8.0, 32.0].map(Weighing::Price).to_vec(),
            ways: vec![vec![0], vec![0], vec![0], vec![1], vec![1]],
        };
        let two = Some(Weighing::Price(2.0));
        assert_eq!([0, 1, 2].map(|way| tried.weighing(way)), [two; 3]);
        assert_eq!(tried.weighing(4), Some(Weighing::Price(16.0)));
        let lone = Tried {
            weighings: vec![Weighing::Price(0.0), Weighing::Price(3.0)],
            ways: vec![vec![0], vec![1]],
        };
        assert_eq!(lone.weighing(0), Some(Weighing::Price(0.0)));
    }
}
