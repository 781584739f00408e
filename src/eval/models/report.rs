//! What is told of graded answers: each way of routing beside the others, and whether it pays.

use rand::rngs::StdRng;
use serde::{Serialize, Serializer};

use crate::domain::name::ModelName;
use crate::eval::bootstrap::{Chance, Estimate, Figure};
use crate::eval::models::cells::CLUSTERS;
use crate::eval::models::configure::Configure;
use crate::eval::models::figures::{Columns, Drawn, Draws, SINGLES};
use crate::eval::models::folds::{FOLDS, Folds};
use crate::eval::models::grid::{Grid, Point};
use crate::eval::models::protocol::{POLICIES, Played, SHARES, singles};
use crate::eval::models::teachers::Ground;
use crate::eval::models::verdict;
use crate::eval::models::ways::{Way, Ways};
use crate::vector::Vectors;

/// Fewer rows cannot be dealt to folds that say anything.
pub const ROWS_MIN: usize = 30;

/// The rows, as they are compared.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Scores and costs.
    pub grid: &'a Grid,
    /// The texts, by which repeats stay in one fold.
    pub texts: &'a [String],
    /// Their embeddings.
    pub vectors: &'a Vectors,
    /// The kinds of prompts that the table has lines for.
    pub kinds: &'a Partition,
    /// Other kinds to compare it with.
    pub others: &'a [Partition],
}

/// Kinds of prompts.
#[derive(Debug, Clone, PartialEq)]
pub enum Partition {
    /// As the centroids find them, by their position; none out of scope.
    Intents(Vec<Option<usize>>),
    /// As the rows say.
    Tasks(Vec<Option<usize>>),
    /// The nearest mean of the tasks that the rows say.
    NearestTask(Vec<Option<usize>>),
    /// The clusters of the embeddings: one of these numbers, whichever does best.
    Clusters(Vec<usize>),
}

/// Why nothing can be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are too few rows.
    #[error(
        "{0} rows have a grade of every compared model; {ROWS_MIN} are needed to hold a part of them back"
    )]
    TooFewRows(usize),
    /// There is nothing to choose between.
    #[error("only the model {0:?} can be compared; routing needs two")]
    OneModel(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many rows were judged, each once.
    pub n_rows: usize,
    /// In how many parts.
    pub folds: usize,
    /// What chance they were dealt and drawn by.
    pub seed: u64,
    /// Whether costs are known.
    pub cost: Cost,
    /// Each model alone, the best first.
    pub models: Vec<Single>,
    /// The single model that the training parts take for the best.
    pub best_single: Single,
    /// The one that they take for the cheapest.
    pub cheapest: Option<Single>,
    /// Each way of routing.
    #[serde(serialize_with = "by_key")]
    pub routing: Vec<Line>,
    /// What it comes to, in words.
    pub verdict: Vec<String>,
}

/// Whether costs are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Each of them.
    Known,
    /// Not all, so none is used.
    Unknown,
}

/// A model alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Single {
    /// Its name.
    pub name: ModelName,
    /// Its mean score.
    pub quality: Estimate,
    /// What an answer costs, if that is known.
    pub cost_usd: Option<Estimate>,
}

/// A way of routing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What programs know it by.
    #[serde(skip)]
    pub key: &'static str,
    /// What it is.
    pub title: String,
    /// What it is there for.
    pub role: Role,
    /// The best quality that it was trained for, whatever that costs.
    pub quality: Estimate,
    /// What that costs.
    pub cost_usd: Option<Estimate>,
    /// The mean quality over the range of costs from the cheapest to the dearest model.
    pub area: Option<Estimate>,
    /// How much more that is than a random mix of single models has.
    pub area_over_mix: Option<Estimate>,
    /// What it costs to keep most of the best single model's quality.
    #[serde(serialize_with = "by_share")]
    pub at: Vec<At>,
    /// The parameters that each fold chose.
    pub chosen: Vec<String>,
    /// Quality over cost, on judged rows, from the least budget to the largest.
    pub curve: Vec<Point>,
}

/// What a way of routing is in the report for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What it needs is in the table, which the router looks up.
    Router,
    /// It must be beaten.
    Control,
    /// It says what else could be gained; the router does not run it.
    NotInRouter,
    /// It knows the answers.
    Hindsight,
}

/// What it costs to keep a share of the best single model's quality.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct At {
    /// The share that the training part was to reach.
    #[serde(skip)]
    pub wanted: f64,
    /// What was spent, as a share of the best single model's cost.
    pub cost_share: Estimate,
    /// What was reached, as a share of its quality.
    pub quality_share: Estimate,
    /// The cost share with hindsight: along the curve, where the quality is first reached. None if it
    /// never is.
    pub hindsight_cost_share: Option<f64>,
    /// What to write, where the router can be told to do this.
    pub configure: Option<Configure>,
}

impl Line {
    /// What it costs to keep this share.
    pub fn at(&self, wanted: f64) -> Option<&At> {
        self.at.iter().find(|at| (at.wanted - wanted).abs() < 1e-9)
    }
}

impl Report {
    /// The way of routing with a key.
    pub fn line(&self, key: &str) -> Option<&Line> {
        self.routing.iter().find(|line| line.key == key)
    }

    /// The number of clusters that most folds chose; of equally many, the smallest.
    pub fn clusters(&self) -> Option<usize> {
        let counts = |line: &Line| -> Vec<usize> {
            let first = |label: &String| label.strip_suffix(CLUSTERS)?.parse().ok();
            line.chosen.iter().filter_map(first).collect()
        };
        let mut counts = self
            .routing
            .iter()
            // What the control has chosen is noise.
            .filter(|line| line.role != Role::Control)
            .map(counts)
            .find(|found| !found.is_empty())?;
        counts.sort_unstable();
        let runs = counts.chunk_by(|left, right| left == right);
        runs.max_by_key(|run| (run.len(), std::cmp::Reverse(run[0])))
            .map(|run| run[0])
    }
}

/// Judges every way of routing on rows that had no say in it.
pub fn compare(input: Input<'_>, chance: Chance) -> Result<Report, Error> {
    let n_rows = input.grid.len();
    if let [only] = input.grid.models() {
        return Err(Error::OneModel(only.to_string()));
    }
    if n_rows < ROWS_MIN {
        return Err(Error::TooFewRows(n_rows));
    }
    let folds = Folds::deal(input.texts.iter().map(String::as_str), chance.seed);
    let ground = Ground {
        grid: input.grid,
        folds: &folds,
    };
    let mut generator: StdRng = chance.generator(Figure::Kinds);
    let ways = Ways::prepare(ground, input, &mut generator);
    let played: Vec<Way> = ways.play(ground);
    let draws = columns(ground, &played).draw(chance);
    let mut report = told(ground, &played, &draws);
    report.seed = chance.seed;
    report.verdict = verdict::of(&report, &draws, &played);
    Ok(report)
}

/// Row by row: the single models that the row's training part points at, every model, every way.
fn columns(ground: Ground<'_>, ways: &[Way]) -> Columns {
    let n_models = ground.grid.models().len();
    let taught: Vec<_> = (0..FOLDS)
        .map(|fold| singles(ground, &ground.folds.training(fold)))
        .collect();
    let mut points = Vec::with_capacity(ground.grid.len() * Columns::width(n_models, ways.len()));
    for row in 0..ground.grid.len() {
        let own = &taught[ground.folds.of(row)];
        let point = |model: usize| ground.grid.point(model, &[row]);
        let single: [usize; SINGLES] = [own.best, own.cheapest, own.dearest];
        points.extend(single.into_iter().map(point));
        points.extend((0..n_models).map(point));
        for way in ways {
            let Played { points: own, .. } = &way.played;
            points.extend_from_slice(&own[row * POLICIES..][..POLICIES]);
        }
    }
    Columns {
        points,
        n_rows: ground.grid.len(),
        n_models,
        n_ways: ways.len(),
    }
}

fn told(ground: Ground<'_>, ways: &[Way], draws: &Draws) -> Report {
    let grid = ground.grid;
    let all: Vec<usize> = (0..grid.len()).collect();
    let whole = singles(ground, &all);
    let named = |model: usize, point: &dyn Fn(&Drawn) -> Point| Single {
        name: grid.models()[model].clone(),
        quality: draws.estimate(|drawn| point(drawn).quality),
        cost_usd: grid
            .is_priced()
            .then(|| draws.estimate(|drawn| point(drawn).cost)),
    };
    let mut models: Vec<Single> = (0..grid.models().len())
        .map(|model| named(model, &|drawn| drawn.models[model]))
        .collect();
    models.sort_by(|left, right| right.quality.value.total_cmp(&left.quality.value));
    let mix = ways.iter().position(|way| way.key == "mix");
    Report {
        n_rows: grid.len(),
        folds: FOLDS,
        seed: 0,
        cost: if grid.is_priced() {
            Cost::Known
        } else {
            Cost::Unknown
        },
        models,
        best_single: named(whole.best, &|drawn| drawn.best),
        cheapest: grid
            .is_priced()
            .then(|| named(whole.cheapest, &|drawn| drawn.cheapest)),
        routing: (0..ways.len())
            .map(|place| line(&ways[place], place, mix, draws))
            .collect(),
        verdict: Vec::new(),
    }
}

/// Without a mix there are no costs, and nothing is told that rests on them.
fn line(way: &Way, place: usize, mix: Option<usize>, draws: &Draws) -> Line {
    let at = |share: usize| At {
        wanted: SHARES[share],
        cost_share: draws.estimate(|drawn| drawn.ways[place].at[share].cost),
        quality_share: draws.estimate(|drawn| drawn.ways[place].at[share].quality),
        hindsight_cost_share: draws.all.ways[place].hindsight[share],
        configure: Configure::of(way, place, share, draws),
    };
    let is_priced = mix.is_some();
    Line {
        key: way.key,
        title: way.title.clone(),
        role: way.role,
        quality: draws.estimate(|drawn| drawn.ways[place].best.quality),
        cost_usd: is_priced.then(|| draws.estimate(|drawn| drawn.ways[place].best.cost)),
        area: is_priced.then(|| draws.estimate(|drawn| drawn.ways[place].area)),
        area_over_mix: mix
            .filter(|mix| *mix != place)
            .map(|mix| draws.estimate(|drawn| drawn.ways[place].area - drawn.ways[mix].area)),
        at: if is_priced {
            (0..SHARES.len()).map(at).collect()
        } else {
            Vec::new()
        },
        chosen: way.played.chosen.clone(),
        curve: if is_priced {
            draws.all.ways[place].curve.clone()
        } else {
            Vec::new()
        },
    }
}

fn by_key<S: Serializer>(lines: &[Line], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(lines.iter().map(|line| (line.key, line)))
}

fn by_share<S: Serializer>(at: &[At], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        at.iter()
            .map(|at| (format!("{:.0}", at.wanted * 100.0), at)),
    )
}
