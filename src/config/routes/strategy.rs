//! From the strategies and guards that an operator writes to those that routing runs.

use crate::config::assistants::Route;
use crate::config::problem::Problem;
use crate::config::resolve::{Names, model_called};
use crate::config::strategies::{self, CostGuard, Measure, StickyBy};
use crate::config::value::{Period, Span};
use crate::config::when::is_header_name;
use crate::domain::model::ModelId;
use crate::domain::name::ModelName;
use crate::domain::quantity::{PicoUsd, Ratio};
use crate::routing::Guards;
use crate::routing::guard::{self, CostLimit};
use crate::routing::strategy::{
    self, Cheapest, Fastest, Priority, Score, Sticky, Strategy, Weighted, Weights,
};

/// The share of models of which nothing is known. One request in twenty finds out within minutes, and
/// moves a mean that is compared by a twentieth at most.
const PROBE: f64 = 0.05;

/// Half of what two medians of a hundred answers of one target usually differ by is noise of some
/// percent; a fifth is a difference.
const MARGIN: f64 = 1.2;

/// Turns names of a route into positions.
pub(super) struct Naming<'a> {
    pub(super) names: &'a Names<'a>,
    pub(super) path: &'a str,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Naming<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let path = format!("{}.{key}", self.path);
        self.problems.push(Problem::new(path, message));
    }

    pub(super) fn model(&mut self, key: &str, name: &ModelName) -> Option<ModelId> {
        let path = format!("{}.{key}", self.path);
        model_called(name, &self.names.models, &path, self.problems)
    }

    /// The positions of several, each named once.
    pub(super) fn models(&mut self, key: &str, names: &[ModelName]) -> Vec<ModelId> {
        let mut found = Vec::new();
        for (position, name) in names.iter().enumerate() {
            let key = format!("{key}[{position}]");
            let id = self.model(&key, name);
            match id {
                Some(id) if found.contains(&id) => {
                    self.problem(
                        &key,
                        format!("\"{name}\" stands in the list already; leave it out"),
                    );
                }
                Some(id) => found.push(id),
                None => {}
            }
        }
        found
    }

    /// The strategy of a route, and the models that it chooses among.
    pub(super) fn strategy(&mut self, route: &Route) -> Option<(Vec<ModelId>, Strategy)> {
        let found = if let Some(given) = &route.weighted {
            let (of, weighted) = self.weighted(given);
            (of, Strategy::Weighted(weighted))
        } else if let Some(given) = &route.priority {
            let priority = Priority {
                tpot_max: given.tpot.map(Period::get),
                probe: probe(given.probe),
            };
            let of = self.models("priority.of", &given.of);
            (of, Strategy::Priority(priority))
        } else if let Some(given) = &route.fastest {
            let of = self.models("fastest.of", &given.of);
            (of, Strategy::Fastest(self.fastest(given)))
        } else if let Some(given) = &route.cheapest {
            let (of, cheapest) = self.cheapest(given);
            (of, Strategy::Cheapest(cheapest))
        } else {
            let given = route.score.as_ref()?;
            let of = self.models("score.of", &given.of);
            (of, Strategy::Score(self.score(given)))
        };
        Some(found)
    }

    fn weighted(&mut self, given: &strategies::Weighted) -> (Vec<ModelId>, Weighted) {
        let mut weights = Vec::new();
        for (name, weight) in &given.of {
            let key = format!("weighted.of.{name}");
            self.amount(&key, *weight, "weight");
            weights.extend(self.model(&key, name).map(|id| (id, *weight)));
        }
        if given.of.values().all(|weight| *weight <= 0.0) {
            self.problem(
                "weighted.of",
                "no model has a weight above 0; give one to at least one",
            );
        }
        let sticky = given.sticky.as_ref().map(|sticky| Sticky {
            by: self.sticky_by(&sticky.by),
            window: sticky.window.map(Span::get),
        });
        let of = weights.iter().map(|(id, _)| *id).collect();
        (of, Weighted { weights, sticky })
    }

    fn sticky_by(&mut self, by: &StickyBy) -> strategy::StickyBy {
        match by {
            StickyBy::User => strategy::StickyBy::User,
            StickyBy::Conversation => strategy::StickyBy::Conversation,
            StickyBy::Header(name) => {
                if !is_header_name(name) {
                    let message = format!(
                        "{name:?} cannot be the name of a header; use letters, digits and -"
                    );
                    self.problem("weighted.sticky.by.header", message);
                }
                strategy::StickyBy::Header(name.to_ascii_lowercase().into())
            }
            StickyBy::Metadata(name) => strategy::StickyBy::Metadata(name.as_str().into()),
        }
    }

    fn fastest(&mut self, given: &strategies::Fastest) -> Fastest {
        let margin = given.margin.unwrap_or(MARGIN);
        if !(1.0..=100.0).contains(&margin) {
            self.problem(
                "fastest.margin",
                format!("{margin} is not between 1 and 100"),
            );
        }
        Fastest {
            by: match given.by {
                Measure::Tpot => strategy::Measure::Tpot,
                Measure::Ttft => strategy::Measure::Ttft,
                Measure::P95 => strategy::Measure::P95,
            },
            margin,
            probe: probe(given.probe),
        }
    }

    fn cheapest(&mut self, given: &strategies::Cheapest) -> (Vec<ModelId>, Cheapest) {
        let of = self.models("cheapest.of", &given.of);
        if given.quality.is_some() {
            self.quality_table("cheapest.quality");
        }
        let mut multipliers = Vec::new();
        for (name, factor) in &given.multiplier {
            let key = format!("cheapest.multiplier.{name}");
            self.amount(&key, *factor, "multiplier");
            let Some(id) = self.model(&key, name) else {
                continue;
            };
            if !of.contains(&id) {
                self.problem(
                    &key,
                    format!("\"{name}\" is not among `of`; add it there, or leave it out"),
                );
            }
            multipliers.push((id, *factor));
        }
        let quality = given.quality;
        (
            of,
            Cheapest {
                quality,
                multipliers,
            },
        )
    }

    fn score(&mut self, given: &strategies::Score) -> Score {
        let strategies::Weights {
            cost,
            latency,
            quality,
        } = given.weights;
        for (key, weight) in [("cost", cost), ("latency", latency), ("quality", quality)] {
            self.amount(&format!("score.weights.{key}"), weight, "weight");
        }
        if cost + latency + quality <= 0.0 {
            let message = "nothing counts; give `cost`, `latency` or `quality` a weight above 0";
            self.problem("score.weights", message);
        }
        if 0.0 < quality {
            self.quality_table("score.weights.quality");
        }
        Score {
            weights: Weights {
                quality,
                cost,
                latency,
            },
            probe: probe(given.probe),
        }
    }

    /// What is written and would change nothing.
    pub(super) fn without_effect(
        &mut self,
        route: &Route,
        (of, failover): (&[ModelId], &[ModelId]),
        guards: &Guards,
    ) {
        if guards.time.is_some() && of.len() + failover.len() < 2 {
            let message = "there is no other model that could be faster; name one in `failover`, or leave it out";
            self.problem("guards.time", message);
        }
        if guards.cost.is_some_and(|guard| of == [guard.budget_model]) {
            let message = "is the model that the route asks anyway; name a cheaper one";
            self.problem("guards.cost.then", message);
        }
        for (position, id) in failover.iter().enumerate() {
            if of.contains(id) {
                let message = "is one of the route's models already, which stand in by themselves; leave it out";
                self.problem(&format!("failover[{position}]"), message);
            }
        }
        let probes_nobody = |probe: Option<Ratio>, measures: bool| probe.is_some() && !measures;
        if route
            .priority
            .as_ref()
            .is_some_and(|it| probes_nobody(it.probe, it.tpot.is_some()))
        {
            let message = "nothing is measured without `tpot`; write it, or leave this out";
            self.problem("priority.probe", message);
        }
        let latency = |it: &strategies::Score| 0.0 < it.weights.latency;
        if route
            .score
            .as_ref()
            .is_some_and(|it| probes_nobody(it.probe, latency(it)))
        {
            let message =
                "nothing is measured without `weights.latency`; write it, or leave this out";
            self.problem("score.probe", message);
        }
    }

    fn quality_table(&mut self, key: &str) {
        if !self.names.has_quality {
            let message = "nothing was measured; name the table that `semroute eval models` wrote in `quality`";
            self.problem(key, message);
        }
    }

    fn amount(&mut self, key: &str, amount: f64, what: &str) {
        if !amount.is_finite() || amount < 0.0 {
            self.problem(
                key,
                format!("{amount} is no {what}; give a number, 0 or more"),
            );
        }
    }

    /// What the choice may not exceed.
    pub(super) fn guards(&mut self, given: &strategies::Guards) -> Guards {
        if *given == strategies::Guards::default() {
            self.problem(
                "guards",
                "guards nothing; write `cost` or `time`, or leave it out",
            );
        }
        Guards {
            cost: given.cost.as_ref().and_then(|given| self.cost_guard(given)),
            time: given.time.map(Period::get),
        }
    }

    fn cost_guard(&mut self, given: &CostGuard) -> Option<guard::CostCap> {
        let budget_model = self.model("guards.cost.then", &given.then);
        let limit = match (given.usd_per_request, given.usd_per_1k_tokens) {
            (Some(usd), None) => self
                .usd("guards.cost.usd_per_request", usd)
                .map(CostLimit::PerRequest),
            (None, Some(usd)) => self
                .usd("guards.cost.usd_per_1k_tokens", usd)
                .map(CostLimit::PerThousandTokens),
            (None, None) => {
                let message =
                    "has neither `usd_per_request` nor `usd_per_1k_tokens`; write one of them";
                self.problem("guards.cost", message);
                None
            }
            (Some(_), Some(_)) => {
                let message = "has both `usd_per_request` and `usd_per_1k_tokens`; keep one";
                self.problem("guards.cost", message);
                None
            }
        };
        Some(guard::CostCap {
            limit: limit?,
            budget_model: budget_model?,
        })
    }

    fn usd(&mut self, key: &str, usd: f64) -> Option<PicoUsd> {
        let read = PicoUsd::from_usd(usd);
        read.map_err(|message| self.problem(key, message)).ok()
    }
}

fn probe(given: Option<Ratio>) -> Ratio {
    given.unwrap_or(Ratio::clamped(PROBE))
}
