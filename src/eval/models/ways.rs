//! The ways of routing that are compared.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::eval::as_f64;
use crate::eval::models::cells::{Cells, ROWS_A_CLUSTER_MIN};
use crate::eval::models::folds::{FOLDS, Folds};
use crate::eval::models::grid::Point;
use crate::eval::models::neighbours::{COUNTS, Neighbours};
use crate::eval::models::protocol::{POLICIES, Played, Setting, Trade, of_all_rows, play};
use crate::eval::models::report::{Input, Partition, Role};
use crate::eval::models::ridge::{Ridge, STRENGTHS};
use crate::eval::models::teachers::{By, Ground, Teacher};
use crate::vector::Vectors;

/// How often kinds are shuffled; the control is the mean of it.
const SHUFFLES: usize = 5;

/// Strengths by which small kinds are drawn to all prompts, in rows.
const SHRUNK_BY: [f64; 3] = [10.0, 30.0, 100.0];

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
            Partition::Intents(_) => ("table_by_intents", "intents"),
            Partition::Tasks(_) => ("table_by_task", "given tasks"),
            Partition::NearestTask(_) => ("table_by_nearest_task", "nearest task"),
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
        let seed = chance.random();
        let kind = |it: &Partition| Kind::of(it, input.vectors, ground.folds, seed);
        let kinds = kind(input.kinds);
        let shuffled = (0..SHUFFLES)
            .map(|_| {
                kinds
                    .cells
                    .iter()
                    .map(|cells| cells.shuffled(chance))
                    .collect()
            })
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
        let mut ways = Vec::new();
        if ground.grid.is_priced() {
            let nobody = [setting(String::new(), Teacher::Nobody)];
            let title = "random mix".to_owned();
            ways.push(way("mix", title, Role::Control, &nobody));
        }
        ways.push(self.play_shuffled(ground));
        ways.extend(self.play_table(ground));
        for other in &self.others {
            let table = table(&other.cells, By::LowerBound);
            let title = format!("table by {}", other.name);
            ways.push(way(other.key, title, Role::Router, &table));
        }
        ways.push(way(
            "knn",
            "nearest neighbours".to_owned(),
            Role::NotInRouter,
            &self.neighbours(ground.grid.len()),
        ));
        let ridge =
            STRENGTHS.map(|it| setting(format!("penalty {it}"), Teacher::Ridge(&self.ridge, it)));
        let title = "linear regression".to_owned();
        ways.push(way("regression", title, Role::NotInRouter, &ridge));
        let oracle = [setting(String::new(), Teacher::Oracle)];
        ways.push(way("oracle", "oracle".to_owned(), Role::Hindsight, &oracle));
        ways
    }

    /// The table that is judged: as the router reads it, over a bar, and with small kinds drawn to all.
    fn play_table(&self, ground: Ground<'_>) -> Vec<Way> {
        let Kind { name, cells, .. } = &self.kinds;
        let by_bound = table(cells, By::LowerBound);
        let shrunk: Vec<Setting<'_>> = SHRUNK_BY
            .into_iter()
            .flat_map(|strength| table(cells, By::Shrunk(strength)))
            .collect();
        let way = |key, rest: &str, role, settings: &[Setting<'_>]| Way {
            key,
            title: format!("table by {name}{rest}"),
            role,
            played: play(ground, settings),
        };
        let to_write = |key, rest, settings: &[Setting<'_>]| {
            let mut found = way(key, rest, Role::Router, settings);
            found.played.all = of_all_rows(ground, settings);
            found
        };
        let mut ways = vec![
            to_write("table", "", &by_bound),
            way("table_shrunk", ", shrunk", Role::NotInRouter, &shrunk),
        ];
        if ground.grid.is_priced() {
            let settings = by_bound.iter().cloned();
            let trade = Trade::Bar;
            let over_bar: Vec<Setting<'_>> = settings.map(|it| Setting { trade, ..it }).collect();
            ways.push(to_write("table_over_bar", ", over a bar", &over_bar));
        }
        ways
    }

    fn neighbours(&self, n_rows: usize) -> Vec<Setting<'_>> {
        let n_least = n_rows * (FOLDS - 2) / FOLDS;
        let fitting = COUNTS.into_iter().filter(|k| *k <= n_least / 2);
        let setting = |k| setting(format!("k = {k}"), Teacher::Neighbours(&self.near, k));
        fitting.map(setting).collect()
    }

    /// The table once more, by kinds that mean nothing.
    fn play_shuffled(&self, ground: Ground<'_>) -> Way {
        let mut sum = vec![Point::default(); ground.grid.len() * POLICIES];
        let mut chosen = Vec::new();
        for cells in &self.shuffled {
            let turn = play(ground, &table(cells, By::LowerBound));
            for (sum, point) in sum.iter_mut().zip(turn.points) {
                sum.cost += point.cost / as_f64(SHUFFLES);
                sum.quality += point.quality / as_f64(SHUFFLES);
            }
            chosen = turn.chosen;
        }
        Way {
            key: "shuffled",
            title: "table, kinds shuffled".to_owned(),
            role: Role::Control,
            played: Played {
                chosen,
                points: sum,
                ..Played::default()
            },
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
    let powers = [4, 8, 16, 32, 64].into_iter();
    let found: Vec<usize> = powers
        .filter(|k| k * ROWS_A_CLUSTER_MIN <= n_training)
        .collect();
    if found.is_empty() { vec![2] } else { found }
}
