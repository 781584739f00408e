//! The rows on which models can be compared: all of them graded on each.
//!
//! A model that most rows have no grade of would leave hardly a row, so it is left out first; then
//! the rows go that still lack a grade. Both are told. If any cost is unknown, none is used.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::name::ModelName;
use crate::eval::models::answers::Row;
use crate::eval::{as_f64, share};

/// A model is compared if at least this share of the rows has a grade of it.
const GRADED_SHARE_MIN: f64 = 0.5;

/// Scores and costs, row by row and model by model.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    models: Vec<ModelName>,
    scores: Vec<f64>,
    costs: Option<Vec<f64>>,
}

/// What was left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LeftOut {
    /// Models that too few rows have a grade of, with how many have.
    pub models: BTreeMap<ModelName, usize>,
    /// Rows that lack a grade of a compared model.
    pub n_rows: usize,
    /// Of each compared model, how many rows lack its grade.
    pub ungraded: BTreeMap<ModelName, usize>,
    /// How many grades in the compared rows have no cost. From one on, costs are not used.
    pub unknown_costs: usize,
    /// Where the first of them stands.
    pub first_unknown_cost: Option<String>,
}

/// The rows that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Their scores and costs.
    pub grid: Grid,
    /// Which of all rows they are.
    pub rows: Vec<usize>,
    /// What was left out.
    pub left_out: LeftOut,
}

impl Compared {
    /// The rows of which every compared model has a grade.
    pub fn of(rows: &[Row]) -> Self {
        let mut left_out = LeftOut::default();
        let mut graded: BTreeMap<&ModelName, usize> = BTreeMap::new();
        for model in rows.iter().flat_map(|row| row.grades.keys()) {
            *graded.entry(model).or_default() += 1;
        }
        let mut models = Vec::new();
        for (model, n) in graded {
            if share(n, rows.len()) < GRADED_SHARE_MIN {
                left_out.models.insert(model.clone(), n);
            } else {
                models.push(model.clone());
                if n < rows.len() {
                    left_out.ungraded.insert(model.clone(), rows.len() - n);
                }
            }
        }
        let is_whole = |row: &Row| models.iter().all(|model| row.grades.contains_key(model));
        let compared: Vec<usize> = (0..rows.len())
            .filter(|index| is_whole(&rows[*index]))
            .collect();
        left_out.n_rows = rows.len() - compared.len();
        let grid = Grid::of(
            models,
            compared.iter().map(|index| &rows[*index]),
            &mut left_out,
        );
        Self {
            grid,
            rows: compared,
            left_out,
        }
    }
}

impl Grid {
    fn of<'r>(
        models: Vec<ModelName>,
        rows: impl Iterator<Item = &'r Row>,
        left_out: &mut LeftOut,
    ) -> Self {
        let mut scores = Vec::new();
        let mut costs = Vec::new();
        for row in rows {
            for grade in models.iter().filter_map(|model| row.grades.get(model)) {
                scores.push(grade.score);
                if let Some(cost) = grade.cost_usd {
                    costs.push(cost);
                } else {
                    left_out.unknown_costs += 1;
                    let place = || format!("{}:{}", row.file, row.line);
                    left_out.first_unknown_cost.get_or_insert_with(place);
                }
            }
        }
        Self {
            costs: (left_out.unknown_costs == 0).then_some(costs),
            models,
            scores,
        }
    }

    /// The compared models, by name.
    pub fn models(&self) -> &[ModelName] {
        &self.models
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.scores
            .len()
            .checked_div(self.models.len())
            .unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Whether every cost is known.
    pub fn is_priced(&self) -> bool {
        self.costs.is_some()
    }

    /// What a model's answer to a row was worth.
    pub(super) fn score(&self, row: usize, model: usize) -> f64 {
        self.scores[row * self.models.len() + model]
    }

    /// What it cost. Without known costs all models weigh the same, and nobody is told a cost: see
    /// [`Self::is_priced`].
    pub(super) fn cost(&self, row: usize, model: usize) -> f64 {
        let place = row * self.models.len() + model;
        self.costs.as_ref().map_or(0.0, |costs| costs[place])
    }

    /// The mean quality and cost of a model over rows.
    pub(super) fn point(&self, model: usize, rows: &[usize]) -> Point {
        Point::mean(rows.iter().map(|row| Point {
            cost: self.cost(*row, model),
            quality: self.score(*row, model),
        }))
    }
}

/// Quality and cost, of one answer or of many on average.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Point {
    /// In USD.
    pub cost: f64,
    /// From 0 to 1.
    pub quality: f64,
}

impl Point {
    /// The mean; nothing of nothing.
    pub(super) fn mean(points: impl Iterator<Item = Self>) -> Self {
        let mut n = 0;
        let mut sum = Self::default();
        for point in points {
            sum.cost += point.cost;
            sum.quality += point.quality;
            n += 1;
        }
        sum.scaled(1.0 / as_f64(n).max(1.0))
    }

    /// Part of the way to another.
    pub(super) fn towards(self, other: Self, share: f64) -> Self {
        Self {
            cost: self.cost + share * (other.cost - self.cost),
            quality: self.quality + share * (other.quality - self.quality),
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            cost: self.cost * factor,
            quality: self.quality * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::models::answers::Answers;

    fn compared(text: &str) -> Compared {
        let mut answers = Answers::default();
        answers.read("rows.jsonl", text.as_bytes(), "task");
        assert!(answers.rejected.is_empty(), "{answers:?}");
        Compared::of(&answers.rows)
    }

    #[test]
    fn a_row_that_lacks_a_grade_is_left_out_and_counted() {
        let found = compared(
            r#"{"prompt": "x", "models": {"a": {"score": 1, "cost_usd": 1}, "b": {"score": 0, "cost_usd": 2}}}
{"prompt": "y", "models": {"a": {"score": 1, "cost_usd": 1}}}
{"prompt": "z", "models": {"a": {"score": 0, "cost_usd": 1}, "b": {"score": 1, "cost_usd": 2}, "c": {"score": 1, "cost_usd": 9}}}"#,
        );
        assert_eq!(found.rows, [0, 2]);
        assert_eq!(found.left_out.n_rows, 1);
        assert_eq!(found.left_out.ungraded["b"], 1);
        assert_eq!(
            found.left_out.models["c"], 1,
            "one of three rows is too few"
        );
        assert!((found.grid.point(1, &[0, 1]).cost - 2.0).abs() < 1e-12);
    }

    #[test]
    fn one_unknown_cost_leaves_all_costs_out_and_is_told() {
        let found = compared(
            r#"{"prompt": "x", "models": {"a": {"score": 1, "cost_usd": 1}}}
{"prompt": "y", "models": {"a": {"score": 1}}}"#,
        );
        assert!(!found.grid.is_priced());
        assert_eq!(found.left_out.unknown_costs, 1);
        assert_eq!(
            found.left_out.first_unknown_cost.as_deref(),
            Some("rows.jsonl:2")
        );
    }
}
