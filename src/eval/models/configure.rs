//! What to write into a configuration, and which model it takes then.
//!
//! A way of routing is judged with turns taken between two weighings; a configuration holds one. So for
//! each share of the best single model's quality there is the number that reaches it alone, chosen on
//! all rows as each fold chooses its own, with what the folds' numbers came to on the rows they judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::name::{IntentName, ModelName};
use crate::domain::quality::{Quality, QualityTable};
use crate::eval::bootstrap::Estimate;
use crate::eval::models::answers::Row;
use crate::eval::models::figures::{Drawn, Draws};
use crate::eval::models::grid::Point;
use crate::eval::models::report::Report;
use crate::eval::models::teachers::Weighing;
use crate::eval::models::ways::Way;

/// A number to write.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configure {
    /// The key: `weights.cost` of the strategy `score`, beside `weights.quality: 1`, or `quality` of the
    /// strategy `cheapest`.
    pub key: &'static str,
    /// Its value, chosen on all rows.
    pub value: f64,
    /// What each fold's training part chose instead: how far another set of answers might move it.
    pub folds: Spread,
    /// What the folds' numbers spent on judged rows, as a share of the best single model's cost.
    pub cost_share: Estimate,
    /// What they reached, as a share of its quality.
    pub quality_share: Estimate,
    #[serde(skip)]
    weighing: Weighing,
}

/// Numbers from the least to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

/// By way of routing and share: who is taken.
pub type Choices = BTreeMap<&'static str, BTreeMap<String, Taken>>;

/// The model that a written table and a written number take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taken {
    /// For prompts of no intent.
    pub overall: Option<ModelName>,
    /// For those of each.
    pub intents: BTreeMap<IntentName, ModelName>,
}

impl Configure {
    /// None where a way has nothing that could be written.
    pub(super) fn of(way: &Way, place: usize, share: usize, draws: &Draws) -> Option<Self> {
        let weighing = way.played.all[share]?;
        let folds = way.played.alone.iter().filter_map(|it| it[share]);
        let shares = |drawn: &Drawn| drawn.ways[place].alone[share];
        Some(Self {
            key: weighing.key(),
            value: weighing.number(),
            folds: Spread::of(folds.map(Weighing::number).collect())?,
            cost_share: draws.estimate(|drawn| shares(drawn).cost),
            quality_share: draws.estimate(|drawn| shares(drawn).quality),
            weighing,
        })
    }
}

impl Spread {
    fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        Some(Self {
            median: *numbers.get(numbers.len() / 2)?,
            low: *numbers.first()?,
            high: *numbers.last()?,
        })
    }
}

/// Who is taken by a table with the numbers of a report, where a request costs what those of its intent
/// did on average.
pub fn choices(
    table: &QualityTable,
    rows: &[Row],
    intents: &[Option<IntentName>],
    report: &Report,
) -> Choices {
    let compared: BTreeSet<&ModelName> = report.models.iter().map(|it| &it.name).collect();
    let costs = Costs::of(rows, intents);
    let taken = |weighing: Weighing| {
        let take = |intent, measured| {
            let known = costs.points(intent, measured);
            let known = known.filter(|(model, _)| compared.contains(model));
            let (models, points): (Vec<&ModelName>, Vec<Point>) = known.unzip();
            let place = usize::from(weighing.choice(&points));
            models.get(place).map(|model| (*model).clone())
        };
        let intents = table.intents.iter();
        Taken {
            overall: take(None, &table.overall),
            intents: intents
                .filter_map(|(intent, it)| Some((intent.clone(), take(Some(intent), it)?)))
                .collect(),
        }
    };
    let mut found = Choices::new();
    for line in &report.routing {
        for at in &line.at {
            if let Some(configure) = &at.configure {
                let share = format!("{:.0}", at.wanted * 100.0);
                let own = found.entry(line.key).or_default();
                own.insert(share, taken(configure.weighing));
            }
        }
    }
    found
}

/// Mean costs, over all prompts and by intent.
#[derive(Default)]
struct Costs<'a>(BTreeMap<(Option<&'a IntentName>, &'a ModelName), (f64, f64)>);

impl<'a> Costs<'a> {
    fn of(rows: &'a [Row], intents: &'a [Option<IntentName>]) -> Self {
        let mut costs = Self::default();
        for (row, intent) in rows.iter().zip(intents) {
            for (model, grade) in &row.grades {
                let Some(cost) = grade.cost_usd else { continue };
                let kinds = [None, intent.as_ref()];
                for kind in kinds.into_iter().take(1 + usize::from(intent.is_some())) {
                    let (sum, n) = costs.0.entry((kind, model)).or_default();
                    *sum += cost;
                    *n += 1.0;
                }
            }
        }
        costs
    }

    /// Quality and cost of the models that both are known of.
    fn points<'t>(
        &self,
        intent: Option<&IntentName>,
        measured: &'t BTreeMap<ModelName, Quality>,
    ) -> impl Iterator<Item = (&'t ModelName, Point)> {
        measured.iter().filter_map(move |(model, quality)| {
            let (sum, n) = self.0.get(&(intent, model))?;
            let point = Point {
                cost: sum / n,
                quality: quality.low,
            };
            Some((model, point))
        })
    }
}
