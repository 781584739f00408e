//! The ways of choosing that the table sets side by side.

use std::time::Duration;

use semroute::domain::model::ModelId;
use semroute::domain::quantity::{PicoUsd, Ratio};
use semroute::routing::decide::Way;
use semroute::routing::guard::{CostCap, CostLimit, Guards};
use semroute::routing::strategy::{
    Cheapest, Fastest, Measure, Priority, Score, Strategy, Weighted, Weights,
};

use super::world::{MIDDLE, QUICK, RIVAL, STRONG};

/// The lower bounds of quality that the strategies with a bar ask for.
pub(super) const BARS: [f64; 2] = [0.70, 0.75];

/// The time per token that the strategies with a cutoff ask for.
const CUTOFF: Duration = Duration::from_millis(35);

pub(super) const ALL: [ModelId; 4] = [QUICK, MIDDLE, RIVAL, STRONG];

/// Two that are as good as each other, and not as fast.
const TWO: [ModelId; 2] = [MIDDLE, RIVAL];

/// A way of choosing, as the table calls it.
pub(super) struct Chooser {
    pub(super) name: &'static str,
    pub(super) way: Way,
}

pub(super) fn choosers() -> Vec<Chooser> {
    let mut choosers = vec![
        pinned("`to: quick`", QUICK, MIDDLE),
        pinned("`to: middle`", MIDDLE, RIVAL),
        pinned("`to: rival`", RIVAL, MIDDLE),
        pinned("`to: strong`", STRONG, RIVAL),
    ];
    choosers.extend(of_two());
    choosers.extend(of_all());
    choosers.push(Chooser {
        name: "`priority` of `strong`, `rival`, `middle`; guards: 15 s, else 0.01 USD, then `quick`",
        way: single(vec![STRONG, RIVAL, MIDDLE], priority(None), guards()),
    });
    choosers
}

fn of_two() -> impl Iterator<Item = Chooser> {
    let weighted = Strategy::Weighted(Weighted {
        weights: TWO.map(|id| (id, 1.0)).to_vec(),
        sticky: None,
    });
    let chooser = |(name, strategy, of): (_, _, [ModelId; 2])| Chooser {
        name,
        way: single(of.to_vec(), strategy, Guards::default()),
    };
    let ways = [
        ("`weighted`, `middle` and `rival` half each", weighted, TWO),
        (
            "`priority` of `rival`, `middle`; `tpot: 35ms`",
            priority(Some(CUTOFF)),
            [RIVAL, MIDDLE],
        ),
        (
            "`fastest` of `middle`, `rival`; `by: tpot`",
            fastest(Measure::Tpot),
            TWO,
        ),
        (
            "`fastest` of `middle`, `rival`; `by: p95`",
            fastest(Measure::P95),
            TWO,
        ),
    ];
    ways.into_iter().map(chooser)
}

fn of_all() -> impl Iterator<Item = Chooser> {
    let [low, high] = BARS;
    let ways = [
        ("`fastest` of all four; `by: tpot`", fastest(Measure::Tpot)),
        ("`cheapest` of all four", cheapest(None)),
        (
            "`cheapest` of all four; `quality: 0.70`",
            cheapest(Some(low)),
        ),
        (
            "`cheapest` of all four; `quality: 0.75`",
            cheapest(Some(high)),
        ),
        (
            "`score` of all four; quality 1, cost 10, latency 0.002",
            score(),
        ),
    ];
    ways.into_iter().map(|(name, strategy)| Chooser {
        name,
        way: single(ALL.to_vec(), strategy, Guards::default()),
    })
}

fn priority(tpot_max: Option<Duration>) -> Strategy {
    Strategy::Priority(Priority {
        tpot_max,
        probe: probe(),
    })
}

pub(super) fn fastest(by: Measure) -> Strategy {
    Strategy::Fastest(Fastest {
        by,
        margin: 1.2,
        probe: probe(),
    })
}

pub(super) fn probe() -> Ratio {
    Ratio::try_from(0.05).unwrap()
}

pub(super) const fn single(of: Vec<ModelId>, strategy: Strategy, guards: Guards) -> Way {
    Way::Single {
        of,
        strategy,
        failover: Vec::new(),
        guards,
    }
}

fn pinned(name: &'static str, to: ModelId, failover: ModelId) -> Chooser {
    let way = Way::Single {
        of: vec![to],
        strategy: Strategy::Pinned,
        failover: vec![failover],
        guards: Guards::default(),
    };
    Chooser { name, way }
}

fn cheapest(bar: Option<f64>) -> Strategy {
    Strategy::Cheapest(Cheapest {
        quality: bar.map(|bar| Ratio::try_from(bar).unwrap()),
        multipliers: Vec::new(),
    })
}

fn score() -> Strategy {
    Strategy::Score(Score {
        weights: Weights {
            quality: 1.0,
            cost: 10.0,
            latency: 0.002,
        },
        probe: probe(),
    })
}

fn guards() -> Guards {
    Guards {
        cost: Some(CostCap {
            limit: CostLimit::PerRequest(PicoUsd::from_usd(0.01).unwrap()),
            budget_model: QUICK,
        }),
        time: Some(Duration::from_secs(15)),
    }
}
