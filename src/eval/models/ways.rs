//! The ways of routing that are compared.

use rand::rngs::StdRng;

use crate::eval::as_f64;
use crate::eval::models::cells::{Cells, ROWS_A_CLUSTER_MIN};
use crate::eval::models::folds::{FOLDS, Folds};
use crate::eval::models::grid::Point;
use crate::eval::models::neighbours::{COUNTS, Neighbours};
use crate::eval::models::protocol::{Played, Setting, Trade, play};
use crate::eval::models::report::{Input, Partition, Role};
use crate::eval::models::ridge::{Ridge, STRENGTHS};
use crate::eval::models::teachers::{By, Ground, Teacher};
use crate::vector::Vectors;

/// How often kinds are shuffled; the control is the mean of it.
const SHUFFLES: usize = 5;

/// What one way of routing came to.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) key: &'static str,
    pub(super) title: String,
    pub(super) role: Role,
    pub(super) played: Played,
}

/// What the ways need, made once.
pub(super) struct Ways {
    kinds: Kind,
    others: Vec<Kind>,
    shuffled: Vec<Vec<Cells>>,
    near: Neighbours,
    ridge: Ridge,
}

/// Kinds of prompts, in as many sizes as are tried.
struct Kind {
    key: &'static str,
    name: &'static str,
    cells: Vec<Cells>,
}

impl Kind {
    fn of(partition: &Partition, vectors: &Vectors, folds: &Folds, seed: u64) -> Self {
        let (key, name) = match partition {
            Partition::Intents(_) => ("table_by_intents", "the centroids' intents"),
            Partition::Tasks(_) => ("table_by_task", "the rows' own tasks"),
            Partition::NearestTask(_) => ("table_by_nearest_task", "the nearest task"),
            Partition::Clusters(_) => ("table_by_clusters", "clusters"),
        };
        let cells = match partition {
            Partition::Intents(kinds) | Partition::Tasks(kinds) => {
                vec![Cells::given(name, kinds.clone())]
            }
            Partition::NearestTask(labels) => vec![Cells::nearest(name, vectors, folds, labels)],
            Partition::Clusters(sizes) => {
                let fitting = |k: &usize| Cells::clusters(vectors, folds, *k, seed);
                sizes.iter().map(fitting).collect()
            }
        };
        Self { key, name, cells }
    }
}

impl Ways {
    pub(super) fn prepare(ground: Ground<'_>, input: Input<'_>, chance: &mut StdRng) -> Self {
        use rand::RngExt;
        let seed = chance.random();
        let kind = |it: &Partition| Kind::of(it, input.vectors, ground.folds, seed);
        let kinds = kind(input.kinds);
        let shuffled = (0..SHUFFLES)
            .map(|_| kinds.cells.iter().map(|cells| cells.shuffled(chance)).collect())
            .collect();
        Self {
            kinds,
            others: input.others.iter().map(kind).collect(),
            shuffled,
            near: Neighbours::find(input.vectors, ground.folds),
            ridge: Ridge::new(input.vectors, ground.grid, ground.folds),
        }
    }

    /// Plays all of them. Where costs are not known, those that only trade cost are left out.
    pub(super) fn play(&self, ground: Ground<'_>) -> Vec<Way> {
        let way = |key, title: String, role, settings: &[Setting<'_>]| Way {
            key,
            title,
            role,
            played: play(ground, settings),
        };
        let name = self.kinds.name;
        let mut ways = Vec::new();
        if ground.grid.is_priced() {
            let nobody = [setting(String::new(), Teacher::Nobody)];
            ways.push(way("mix", "random mix of single models".to_owned(), Role::Control, &nobody));
        }
        ways.push(self.play_shuffled(ground));
        let table = table(&self.kinds.cells, By::LowerBound);
        ways.push(way("table", format!("table by {name}"), Role::Router, &table));
        if ground.grid.is_priced() {
            let bars: Vec<Setting<'_>> = table
                .into_iter()
                .map(|setting| Setting { trade: Trade::Bar, ..setting })
                .collect();
            let title = format!("table by {name}, cheapest over a bar");
            ways.push(way("table_over_bar", title, Role::Router, &bars));
        }
        for by in [By::Mean, By::Shrunk(10.0), By::Shrunk(30.0), By::Shrunk(100.0)] {
            let key = match by { By::Mean => "x_mean", By::Shrunk(10.0) => "x_shrunk10", By::Shrunk(30.0) => "x_shrunk30", _ => "x_shrunk100" };
            ways.push(way(key, format!("table {by:?}"), Role::Router, &self::table(&self.kinds.cells, by)));
        }
        for other in &self.others {
            let table = self::table(&other.cells, By::LowerBound);
            ways.push(way(other.key, format!("table by {}", other.name), Role::Router, &table));
        }
        let n_least = ground.grid.len() * (FOLDS - 2) / FOLDS;
        let near: Vec<Setting<'_>> = COUNTS
            .into_iter()
            .filter(|k| *k <= n_least / 2)
            .map(|k| setting(format!("k = {k}"), Teacher::Neighbours(&self.near, k)))
            .collect();
        ways.push(way("knn", "nearest neighbours".to_owned(), Role::NotInRouter, &near));
        let ridge = STRENGTHS.map(|it| setting(format!("penalty {it}"), Teacher::Ridge(&self.ridge, it)));
        ways.push(way("regression", "linear regression".to_owned(), Role::NotInRouter, &ridge));
        let oracle = [setting(String::new(), Teacher::Oracle)];
        ways.push(way("oracle", "oracle".to_owned(), Role::Hindsight, &oracle));
        ways
    }

    /// The table once more, by kinds that mean nothing.
    fn play_shuffled(&self, ground: Ground<'_>) -> Way {
        let mut turns = self.shuffled.iter().map(|cells| play(ground, &table(cells, By::LowerBound)));
        let mut sum = turns.next().unwrap_or(Played {
            chosen: Vec::new(),
            points: Vec::new(),
        });
        for turn in turns {
            for (sum, point) in sum.points.iter_mut().zip(turn.points) {
                sum.cost += point.cost;
                sum.quality += point.quality;
            }
        }
        for point in &mut sum.points {
            *point = Point {
                cost: point.cost / as_f64(SHUFFLES),
                quality: point.quality / as_f64(SHUFFLES),
            };
        }
        Way {
            key: "shuffled",
            title: "the same table, kinds shuffled".to_owned(),
            role: Role::Control,
            played: sum,
        }
    }
}

fn table(cells: &[Cells], by: By) -> Vec<Setting<'_>> {
    let one = |cells| setting(Cells::name(cells).to_owned(), Teacher::Table(cells, by));
    cells.iter().map(one).collect()
}

fn setting(label: String, teacher: Teacher<'_>) -> Setting<'_> {
    Setting {
        label,
        teacher,
        trade: Trade::Price,
    }
}

/// How many clusters are tried of so many rows.
pub fn cluster_counts(n_rows: usize) -> Vec<usize> {
    let n_training = n_rows * (FOLDS - 1) / FOLDS;
    let powers = [4, 8, 16, 32, 64, 128].into_iter();
    let found: Vec<usize> = powers
        .filter(|k| k * ROWS_A_CLUSTER_MIN <= n_training)
        .collect();
    if found.is_empty() { vec![2] } else { found }
}
