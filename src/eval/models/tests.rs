use std::fmt::Write as _;

use super::grid::Grid;
use super::report::{Cost, Error};
use super::*;
use crate::eval::Chance;
use crate::vector::Vectors;

/// How often each model is right, topic by topic, in tenths.
type Skills = [[usize; 2]; 3];

/// Two cheap models know one topic each, a dear one knows both.
const SPECIALISTS: Skills = [[9, 2], [2, 9], [9, 9]];

/// The cheap models know no topic better than the other.
const ALIKE: Skills = [[5, 5], [5, 5], [9, 9]];

const COSTS: [&str; 3] = ["1", "1", "10"];

/// Graded answers to prompts of two topics.
struct Story {
    grid: Grid,
    texts: Vec<String>,
    vectors: Vectors,
    kinds: Partition,
}

impl Story {
    fn of(skills: Skills, costs: [&str; 3]) -> Self {
        let mut rows = String::new();
        let mut vectors = Vectors::new(2);
        let mut topics = Vec::new();
        for row in 0..300 {
            let topic = row % 2;
            let tilt = f32::from(u8::try_from(row % 9).unwrap()) * 0.02;
            let (long, short) = ((1.0 - tilt * tilt).sqrt(), tilt);
            let vector = if topic == 0 {
                [long, short]
            } else {
                [short, long]
            };
            assert!(vectors.push(&vector));
            topics.push(Some(topic));
            // Which of ten rows are right differs from model to model.
            let score = |it: usize| usize::from((row / 2 + 3 * it) % 10 < skills[it][topic]);
            let names = ["north", "south", "large"].into_iter().zip(costs);
            let models: Vec<String> = names
                .enumerate()
                .map(|(it, (name, cost))| {
                    format!(
                        r#""{name}": {{"score": {}, "cost_usd": {cost}}}"#,
                        score(it)
                    )
                })
                .collect();
            let models = models.join(", ");
            writeln!(rows, r#"{{"prompt": "row {row}", "models": {{{models}}}}}"#).unwrap();
        }
        let mut answers = Answers::default();
        answers.read("story.jsonl", rows.as_bytes(), "task");
        assert_eq!(answers.rejected, Vec::<String>::new());
        Self {
            grid: Compared::of(&answers.rows).grid,
            texts: answers.rows.into_iter().map(|row| row.text).collect(),
            vectors,
            kinds: Partition::Intents(topics),
        }
    }

    fn report(&self) -> Report {
        self.by(&self.kinds, 1)
    }

    fn by(&self, kinds: &Partition, seed: u64) -> Report {
        let input = Input {
            grid: &self.grid,
            texts: &self.texts,
            vectors: &self.vectors,
            kinds,
            others: &[Partition::Clusters(vec![2, 4])],
        };
        let chance = Chance {
            seed,
            n_resamples: 200,
            n_permutations: 0,
        };
        compare(input, chance).unwrap()
    }
}

#[track_caller]
fn area(report: &Report, key: &str) -> f64 {
    report.line(key).unwrap().area.unwrap().value
}

#[track_caller]
fn cost_share(report: &Report, key: &str) -> f64 {
    report.line(key).unwrap().at(0.95).unwrap().cost_share.value
}

#[test]
fn where_cheap_models_know_a_topic_each_the_table_pays() {
    let report = Story::of(SPECIALISTS, COSTS).report();
    assert_eq!(report.best_single.name.as_str(), "large");
    // The cheap models are as good as the dear one, each on its topic.
    assert!(
        (cost_share(&report, "table") - 0.1).abs() < 0.01,
        "{report:?}"
    );
    assert!(0.7 < cost_share(&report, "mix"));
    let gain = report.line("table").unwrap().area_over_mix.unwrap();
    assert!(0.05 < gain.low, "{gain:?}");
    assert!(report.verdict[0].contains("pays: "), "{:?}", report.verdict);
}

#[test]
fn the_number_to_write_keeps_what_it_is_written_for_by_itself() {
    let report = Story::of(SPECIALISTS, COSTS).report();
    for (key, written) in [("table", "weights.cost"), ("table_over_bar", "quality")] {
        let at = report.line(key).unwrap().at(0.95).unwrap();
        let configure = at.configure.as_ref().unwrap();
        assert_eq!(configure.key, written);
        assert!(0.0 < configure.value, "{configure:?}");
        assert!(configure.folds.low <= configure.folds.median);
        assert!(configure.folds.median <= configure.folds.high);
        assert!(0.97 < configure.quality_share.value, "{configure:?}");
        assert!(configure.cost_share.value < 0.11, "{configure:?}");
    }
    // A price of quality turns with the costs: of ten times as much, a tenth is worth as much.
    let dear = Story::of(SPECIALISTS, ["10", "10", "100"]).report();
    let price = |report: &Report| {
        let at = report.line("table").unwrap().at(0.95).unwrap();
        at.configure.as_ref().unwrap().value
    };
    assert!((price(&report) / price(&dear) - 10.0).abs() < 0.2);
    let nobody_weighs = report.line("mix").unwrap().at(0.95).unwrap();
    assert_eq!(nobody_weighs.configure, None);
}

#[test]
fn the_shuffled_control_loses_the_gain() {
    let report = Story::of(SPECIALISTS, COSTS).report();
    let over_mix = |key: &str| area(&report, key) - area(&report, "mix");
    let (table, shuffled) = (over_mix("table"), over_mix("shuffled"));
    // Of 300 rows, a shuffle puts a few more of one topic into one kind.
    assert!(
        0.05 < table && shuffled < 0.15 * table,
        "{shuffled} of {table}"
    );
}

#[test]
fn where_no_topic_matters_it_is_said_that_routing_does_not_pay() {
    let report = Story::of(ALIKE, COSTS).report();
    let told = report.verdict.join("\n");
    assert!(told.contains("is not shown to pay"), "{told}");
    assert!(told.contains("With its kinds shuffled"), "{told}");
    let gain = report.line("table").unwrap().area_over_mix.unwrap();
    assert!(gain.low <= 0.0, "{gain:?}");
}

#[test]
fn where_the_cheapest_model_is_the_best_that_is_said_first() {
    let report = Story::of(ALIKE, ["3", "2", "1"]).report();
    assert_eq!(
        report.cheapest.as_ref().map(|it| &it.name),
        Some(&report.best_single.name)
    );
    assert!(
        report.verdict[0].contains("nothing to route"),
        "{:?}",
        report.verdict
    );
}

#[test]
fn the_oracle_is_never_below_the_best_single_model_at_any_cost() {
    for (skills, costs) in [
        (SPECIALISTS, COSTS),
        (ALIKE, COSTS),
        (ALIKE, ["3", "2", "1"]),
    ] {
        let report = Story::of(skills, costs).report();
        let oracle = report.line("oracle").unwrap();
        assert!(report.best_single.quality.value <= oracle.quality.value);
        for line in &report.routing {
            assert!(
                area(&report, line.key) <= oracle.area.unwrap().value + 1e-9,
                "{}",
                line.key
            );
        }
        for at in &oracle.at {
            assert!(at.cost_share.value <= 1.0, "{at:?}");
        }
    }
}

#[test]
fn clusters_find_the_topics_without_being_told() {
    let report = Story::of(SPECIALISTS, COSTS).report();
    assert!(area(&report, "table") - area(&report, "table_by_clusters") < 0.01);
    assert_eq!(report.clusters(), Some(2));
}

#[test]
fn neighbours_and_a_regression_find_them_too() {
    let report = Story::of(SPECIALISTS, COSTS).report();
    for key in ["knn", "regression"] {
        assert!(cost_share(&report, key) < 0.2, "{key}: {report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_deals_otherwise() {
    let story = Story::of(SPECIALISTS, COSTS);
    assert_eq!(story.by(&story.kinds, 3), story.by(&story.kinds, 3));
    let (one, other) = (story.by(&story.kinds, 3), story.by(&story.kinds, 4));
    assert_ne!(one.line("knn"), other.line("knn"));
    let quality = |report: &Report| report.models[0].quality.value;
    assert!((quality(&one) - quality(&other)).abs() < 1e-9);
}

/// Noise that a table of one line a row would learn by heart is worth nothing on other rows.
#[test]
fn a_table_of_far_too_many_kinds_does_not_flatter_itself() {
    let story = Story::of(ALIKE, COSTS);
    let alone = Partition::Intents((0..300).map(Some).collect());
    let report = story.by(&alone, 1);
    let gain = report.line("table").unwrap().area_over_mix.unwrap();
    assert!(gain.value < 0.01, "{gain:?}");
}

#[test]
fn without_costs_only_quality_is_told() {
    let report = Story::of(SPECIALISTS, ["1", "null", "10"]).report();
    assert_eq!(report.cost, Cost::Unknown);
    assert_eq!(report.cheapest, None);
    assert_eq!(report.line("mix"), None);
    for line in &report.routing {
        assert_eq!(
            (line.area, line.cost_usd, line.at.len()),
            (None, None, 0),
            "{}",
            line.key
        );
    }
    assert!(
        report.verdict[0].contains("Costs are not known"),
        "{:?}",
        report.verdict
    );
    let document = serde_json::to_string(&report).unwrap();
    assert!(!document.contains("\"cost_usd\":{"), "{document}");
}

#[test]
fn too_few_rows_and_a_single_model_cannot_be_compared() {
    let mut answers = Answers::default();
    answers.read(
        "few.jsonl",
        br#"{"prompt": "x", "models": {"a": {"score": 1}, "b": {"score": 0}}}"#,
        "task",
    );
    let vectors = Vectors::from_flat(2, vec![1.0, 0.0]).unwrap();
    let input = |compared: &Compared| {
        let kinds = Partition::Intents(vec![None]);
        let input = Input {
            grid: &compared.grid,
            texts: &["x".to_owned()],
            vectors: &vectors,
            kinds: &kinds,
            others: &[],
        };
        compare(input, Chance::default()).unwrap_err()
    };
    assert_eq!(input(&Compared::of(&answers.rows)), Error::TooFewRows(1));
    answers.rows[0].grades.pop_first();
    assert_eq!(
        input(&Compared::of(&answers.rows)),
        Error::OneModel("b".to_owned())
    );
}
