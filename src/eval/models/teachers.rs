//! What the rows of other folds say about a prompt: an estimate of each model's quality and cost.
//!
//! For a fold that is judged, its own rows are estimated from all others. The rows that teach for it
//! are estimated too, each from the folds that are neither its own nor the judged one: by those
//! estimates parameters are chosen, so the judged fold has no say in them.

use crate::eval::as_f64;
use crate::eval::models::cells::Cells;
use crate::eval::models::folds::{FOLDS, Folds};
use crate::eval::models::grid::{Grid, Point};
use crate::eval::models::interval::lower_bound;
use crate::eval::models::neighbours::Neighbours;
use crate::eval::models::ridge::Ridge;

/// Who says how good the models are.
#[derive(Debug, Clone)]
pub(super) enum Teacher<'a> {
    /// Nobody: models are mixed at random.
    Nobody,
    /// The table of the row's kind.
    Table(&'a Cells, By),
    /// The nearest rows, so many.
    Neighbours(&'a Neighbours, usize),
    /// A linear regression on the embedding.
    Ridge(&'a Ridge, f64),
    /// The answers themselves, which no router knows.
    Oracle,
}

/// What models are compared by in a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum By {
    /// The lower bound of its interval: what the router does.
    LowerBound,
    /// The mean, drawn to that over all prompts as if so many more answers like those had been seen.
    Shrunk(f64),
}

/// What is known where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) grid: &'a Grid,
    pub(super) folds: &'a Folds,
}

impl Ground<'_> {
    fn n_models(self) -> usize {
        self.grid.models().len()
    }

    /// The estimates for a judged fold: of every row, model by model.
    pub(super) fn estimates(self, teacher: &Teacher<'_>, fold: usize) -> Vec<Point> {
        match teacher {
            Teacher::Nobody => Vec::new(),
            Teacher::Table(cells, by) => self.by_table(cells, *by, fold),
            Teacher::Neighbours(near, k) => self.by_neighbours(near, *k, fold),
            Teacher::Ridge(ridge, strength) => ridge.estimates(self, *strength, fold),
            Teacher::Oracle => self.truth(),
        }
    }

    fn truth(self) -> Vec<Point> {
        let pairs =
            (0..self.grid.len()).flat_map(|row| (0..self.n_models()).map(move |it| (row, it)));
        pairs
            .map(|(row, model)| Point {
                cost: self.grid.cost(row, model),
                quality: self.grid.score(row, model),
            })
            .collect()
    }

    fn by_table(self, cells: &Cells, by: By, fold: usize) -> Vec<Point> {
        let kinds = cells.of_fold(fold);
        let n_kinds = kinds.iter().flatten().max().map_or(0, |last| last + 1);
        let n_models = self.n_models();
        // One more for all rows.
        let mut sums = vec![Sum::default(); (n_kinds + 1) * FOLDS * n_models];
        let place = |kind: usize, fold: usize| (kind * FOLDS + fold) * n_models;
        for (row, kind) in kinds.iter().enumerate() {
            let own = self.folds.of(row);
            for model in 0..n_models {
                let point = Point {
                    cost: self.grid.cost(row, model),
                    quality: self.grid.score(row, model),
                };
                sums[place(n_kinds, own) + model].add(point);
                if let Some(kind) = kind {
                    sums[place(*kind, own) + model].add(point);
                }
            }
        }
        let sum = |kind: usize, unseen: usize, model: usize| {
            let seen = (0..FOLDS).filter(|other| *other != fold && *other != unseen);
            seen.fold(Sum::default(), |sum, seen| {
                sum.and(sums[place(kind, seen) + model])
            })
        };
        let mut lines: Vec<Vec<Point>> = Vec::with_capacity((n_kinds + 1) * FOLDS);
        for (kind, unseen) in (0..=n_kinds).flat_map(|kind| (0..FOLDS).map(move |it| (kind, it))) {
            let line = (0..n_models)
                .map(|model| by.estimate(sum(kind, unseen, model), sum(n_kinds, unseen, model)));
            lines.push(line.collect());
        }
        let of_row = |(row, kind): (usize, &Option<usize>)| {
            lines[kind.unwrap_or(n_kinds) * FOLDS + self.folds.of(row)]
                .iter()
                .copied()
        };
        kinds.iter().enumerate().flat_map(of_row).collect()
    }

    fn by_neighbours(self, near: &Neighbours, k: usize, fold: usize) -> Vec<Point> {
        let mut found = Vec::with_capacity(self.grid.len() * self.n_models());
        for row in 0..self.grid.len() {
            let own = self.folds.of(row);
            let seen = |other: &usize| ![fold, own].contains(&self.folds.of(*other));
            let nearest: Vec<usize> = near.of(row).filter(seen).take(k).collect();
            found.extend((0..self.n_models()).map(|model| self.grid.point(model, &nearest)));
        }
        found
    }
}

/// Quality and cost in sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    quality: f64,
    cost: f64,
    n: f64,
}

impl Sum {
    fn add(&mut self, point: Point) {
        self.quality += point.quality;
        self.cost += point.cost;
        self.n += 1.0;
    }

    fn and(self, other: Self) -> Self {
        Self {
            quality: self.quality + other.quality,
            cost: self.cost + other.cost,
            n: self.n + other.n,
        }
    }

    fn mean(self) -> Point {
        let n = self.n.max(1.0);
        Point {
            quality: self.quality / n,
            cost: self.cost / n,
        }
    }
}

impl By {
    /// The estimate of a kind, beside all prompts'. A kind without rows is taken for all prompts.
    fn estimate(self, kind: Sum, all: Sum) -> Point {
        let (own, overall) = (kind.mean(), all.mean());
        if kind.n <= 0.0 {
            return overall;
        }
        match self {
            Self::LowerBound => Point {
                quality: lower_bound(own.quality.clamp(0.0, 1.0), kind.n),
                ..own
            },
            Self::Shrunk(strength) => {
                let share = kind.n / (kind.n + strength);
                Point {
                    quality: overall.quality + share * (own.quality - overall.quality),
                    ..own
                }
            }
        }
    }
}

/// What models are weighed by: so much quality is worth a dollar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Weighing {
    /// Quality less the cost times this: the router's strategy `score`.
    Price(f64),
    /// The cheapest that reaches this quality, or the best where none does: the strategy `cheapest`.
    Bar(f64),
}

impl Weighing {
    /// The model that is taken for each row.
    pub(super) fn choices(self, estimates: &[Point], n_models: usize) -> Vec<u16> {
        let rows = estimates.chunks_exact(n_models.max(1));
        rows.map(|row| self.choice(row)).collect()
    }

    /// The one of these that is taken.
    pub(super) fn choice(self, row: &[Point]) -> u16 {
        let mut best = 0;
        for model in 1..row.len() {
            if self.prefers(&row[model], &row[best]) {
                best = model;
            }
        }
        u16::try_from(best).unwrap_or(u16::MAX)
    }

    /// Whether one is better than another. Of equals, the first stays.
    fn prefers(self, one: &Point, other: &Point) -> bool {
        match self {
            Self::Price(price) => {
                let worth = |it: &Point| it.quality - price * it.cost;
                let order = worth(one).total_cmp(&worth(other));
                order.then(other.cost.total_cmp(&one.cost)).is_gt()
            }
            Self::Bar(bar) => match (bar <= one.quality, bar <= other.quality) {
                (true, true) => one.cost < other.cost,
                (false, false) => other.quality < one.quality,
                (reaches, _) => reaches,
            },
        }
    }

    /// The price or the bar.
    pub(super) const fn number(self) -> f64 {
        match self {
            Self::Price(number) | Self::Bar(number) => number,
        }
    }

    /// The key that it is written by in a route with the strategy that weighs so.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Price(_) => "weights.cost",
            Self::Bar(_) => "quality",
        }
    }

    /// The middle between it and another of its sort, in three digits: prices are steps of a ratio, bars
    /// of a difference.
    pub(super) fn middle(self, last: Self) -> Self {
        match self {
            Self::Price(first) => Self::Price(rounded((first * last.number()).sqrt())),
            Self::Bar(first) => Self::Bar(rounded(f64::midpoint(first, last.number()))),
        }
    }
}

/// A number as people write it, in three digits.
fn rounded(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

/// Steps of a price of quality from next to nothing to forbidding, in decades around what the dearest
/// model costs more than the cheapest. Fifty a decade: kinds change their model at prices that lie close
/// together, and between two steps no number could be written that parts them.
const PRICES: usize = 400;
const FIRST_DECADE: f64 = -3.0;
const LAST_DECADE: f64 = 5.0;

/// Prices to try, where the models' mean costs span this range; 0 first.
pub(super) fn prices(range: f64) -> Vec<Weighing> {
    let mut found = vec![Weighing::Price(0.0)];
    if 0.0 < range {
        let step = (LAST_DECADE - FIRST_DECADE) / as_f64(PRICES - 1);
        let price = |turn| 10.0_f64.powf(FIRST_DECADE + step * as_f64(turn)) / range;
        found.extend((0..PRICES).map(|turn| Weighing::Price(price(turn))));
    }
    found
}

/// Steps of a bar. Finer ones would part estimates of one kind that differ only by which rows they rest on.
const BARS: usize = 64;

/// Bars to try, evenly from 0 to 1.
pub(super) fn bars() -> Vec<Weighing> {
    let bar = |turn| Weighing::Bar(as_f64(turn) / as_f64(BARS));
    (0..=BARS).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: [Point; 3] = [
        Point {
            cost: 1.0,
            quality: 0.6,
        },
        Point {
            cost: 2.0,
            quality: 0.8,
        },
        Point {
            cost: 9.0,
            quality: 0.9,
        },
    ];

    #[test]
    fn the_dearer_quality_is_the_cheaper_the_choice() {
        let choice = |price| Weighing::Price(price).choice(&MODELS);
        assert_eq!([choice(0.0), choice(0.1), choice(1.0)], [2, 1, 0]);
    }

    #[test]
    fn a_bar_takes_the_cheapest_that_clears_it_and_the_best_where_none_does() {
        let choice = |bar| Weighing::Bar(bar).choice(&MODELS);
        assert_eq!(
            [choice(0.0), choice(0.7), choice(0.85), choice(0.99)],
            [0, 1, 2, 2]
        );
    }

    #[test]
    fn the_middle_of_prices_is_a_ratio_and_of_bars_a_difference() {
        let (low, high) = (Weighing::Price(2.0), Weighing::Price(8.0));
        assert_eq!(low.middle(high), Weighing::Price(4.0));
        let (low, high) = (Weighing::Bar(0.2), Weighing::Bar(0.8));
        assert_eq!(low.middle(high), Weighing::Bar(0.5));
        let (low, high) = (Weighing::Price(123.0), Weighing::Price(124.0));
        assert_eq!(low.middle(high), Weighing::Price(123.0), "three digits");
    }

    #[test]
    fn a_kind_of_few_rows_is_drawn_to_all_prompts() {
        let all = Sum {
            quality: 50.0,
            cost: 0.0,
            n: 100.0,
        };
        let own = Sum {
            quality: 10.0,
            cost: 0.0,
            n: 10.0,
        };
        let quality = |by: By| by.estimate(own, all).quality;
        assert!((quality(By::Shrunk(10.0)) - 0.75).abs() < 1e-12);
        assert!(quality(By::LowerBound) < 0.75);
        let none = By::LowerBound.estimate(Sum::default(), all);
        assert!((none.quality - 0.5).abs() < 1e-12);
    }
}
