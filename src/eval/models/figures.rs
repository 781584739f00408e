//! From points to figures, once for all rows and once for each draw of the bootstrap.
//!
//! All ways of routing are drawn with the same rows, so that their differences are paired.

use rand::RngExt;
use rayon::prelude::*;

use crate::eval::bootstrap::{Chance, Estimate, Figure, around};
use crate::eval::models::grid::Point;
use crate::eval::models::hull::{area, cost_reaching};
use crate::eval::models::protocol::{ALONE, AT, BEST, BUDGETS, POLICIES, SHARES};

/// What a way of routing comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    /// The mean quality over the range of costs.
    pub(super) area: f64,
    /// At each share of the best single model's quality: what of its cost was spent, what of its
    /// quality was reached.
    pub(super) at: [Shares; SHARES.len()],
    /// The least share of its cost at which each quality would have been reached, had the judged rows
    /// been known.
    pub(super) hindsight: [Option<f64>; SHARES.len()],
    /// The same shares by one weighing alone.
    pub(super) alone: [Shares; SHARES.len()],
    /// The best that can be had.
    pub(super) best: Point,
    /// Along the budgets.
    pub(super) curve: Vec<Point>,
}

/// Shares of the best single model's cost and quality.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Shares {
    pub(super) cost: f64,
    pub(super) quality: f64,
}

/// What stands beside every way: the single models, row by row.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// Of each row: the best, the cheapest and the dearest single model by its fold's training part,
    /// then every model, then the points of each way of routing.
    pub(super) points: Vec<Point>,
    pub(super) n_rows: usize,
    pub(super) n_models: usize,
    pub(super) n_ways: usize,
}

/// One draw of the rows.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) best: Point,
    pub(super) cheapest: Point,
    pub(super) models: Vec<Point>,
    pub(super) ways: Vec<Figures>,
}

/// All rows, and many draws of them.
#[derive(Debug)]
pub(super) struct Draws {
    pub(super) all: Drawn,
    drawn: Vec<Drawn>,
    n_rows: usize,
}

/// How many points stand before the models.
pub(super) const SINGLES: usize = 3;

impl Columns {
    pub(super) fn width(n_models: usize, n_ways: usize) -> usize {
        SINGLES + n_models + n_ways * POLICIES
    }

    /// Draws rows anew with replacement.
    pub(super) fn draw(&self, chance: Chance) -> Draws {
        let mut generator = chance.generator(Figure::Routing);
        let counts: Vec<Vec<f64>> = (0..chance.n_resamples)
            .map(|_| {
                let mut counts = vec![0.0; self.n_rows];
                for _ in 0..self.n_rows {
                    counts[generator.random_range(0..self.n_rows)] += 1.0;
                }
                counts
            })
            .collect();
        let draw = |counts: &Vec<f64>| self.figures(counts);
        Draws {
            all: self.figures(&vec![1.0; self.n_rows]),
            drawn: counts.par_iter().map(draw).collect(),
            n_rows: self.n_rows,
        }
    }

    fn figures(&self, counts: &[f64]) -> Drawn {
        let width = Self::width(self.n_models, self.n_ways);
        let mut means = vec![Point::default(); width];
        for (row, count) in self.points.chunks_exact(width).zip(counts) {
            if *count <= 0.0 {
                continue;
            }
            for (sum, point) in means.iter_mut().zip(row) {
                sum.cost += count * point.cost;
                sum.quality += count * point.quality;
            }
        }
        let total: f64 = counts.iter().sum();
        for mean in &mut means {
            *mean = Point {
                cost: mean.cost / total,
                quality: mean.quality / total,
            };
        }
        let (singles, rest) = means.split_at(SINGLES);
        let (models, ways) = rest.split_at(self.n_models);
        let ways = ways.chunks_exact(POLICIES);
        Drawn {
            best: singles[0],
            cheapest: singles[1],
            models: models.to_vec(),
            ways: ways.map(|way| Figures::of(way, singles)).collect(),
        }
    }
}

impl Figures {
    fn of(way: &[Point], singles: &[Point]) -> Self {
        let (best, low, high) = (singles[0], singles[1].cost, singles[2].cost);
        let mut curve = way[..BUDGETS].to_vec();
        curve.sort_by(|left, right| left.cost.total_cmp(&right.cost));
        let shares = |point: Point| Shares {
            cost: share(point.cost, best.cost),
            quality: share(point.quality, best.quality),
        };
        let hindsight = |place: usize| {
            let cost = cost_reaching(&curve, SHARES[place] * best.quality)?;
            Some(share(cost, best.cost))
        };
        Self {
            area: area(&curve, low, high),
            at: std::array::from_fn(|place| shares(way[AT + place])),
            hindsight: std::array::from_fn(hindsight),
            alone: std::array::from_fn(|place| shares(way[ALONE + place])),
            best: way[BEST],
            curve,
        }
    }
}

/// A part of a whole. Of nothing, nothing is all.
fn share(part: f64, whole: f64) -> f64 {
    if 0.0 < whole || 0.0 < part {
        return part / whole;
    }
    1.0
}

impl Draws {
    /// A figure with its interval.
    pub(super) fn estimate(&self, figure: impl Fn(&Drawn) -> f64) -> Estimate {
        let draws = self.drawn.iter().map(&figure).collect();
        around(figure(&self.all), draws, self.n_rows)
    }
}
