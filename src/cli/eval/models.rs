//! `semroute eval models`.

mod page;
mod summary;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::cli::Failure;
use crate::cli::dataset::{EmbeddingArguments, REJECTIONS_NAMED_MAX};
use crate::cli::eval::write;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::config::artefacts::read_centroids;
use crate::domain::name::IntentName;
use crate::domain::quality::QualityTable;
use crate::eval::Chance;
use crate::eval::models::grid::LeftOut;
use crate::eval::models::{
    Answers, Choices, Compared, Input, Origin, Partition, Report, Row, choices, cluster_counts,
    cluster_labels, compare, data_digest, table,
};
use crate::store::log_reader;
use crate::vector::Vectors;

/// The key of a row that holds its task.
const TASK_KEY: &str = "task";

/// Measure how good models are at each kind of prompt, and whether routing by it pays.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of graded answers, a line each: {"prompt": "…", "models": {"NAME": {"score": 0.5}}},
    /// scores from 0 to 1; beside a score its `cost_usd`, if it is known.
    #[arg(required = true, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    /// The centroids that find intents: `assistant`, those in the binary, or a folder.
    #[arg(long, value_name = "DIR", default_value = "assistant")]
    centroids: String,
    /// The kinds of prompts that are judged: `intents`, as the centroids find them; `task`, the row's
    /// own; `nearest-task`, the nearest mean of the tasks; `clusters` or `clusters:K`, of the
    /// embeddings.
    #[arg(long, value_name = "KINDS", default_value = "intents", value_parser = By::parse)]
    by: By,
    /// The key of a row that holds its task.
    #[arg(long, value_name = "KEY", default_value = TASK_KEY)]
    task_key: String,
    /// Decides how rows are dealt and what the intervals draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    embedding: EmbeddingArguments,
    /// Write the quality table that the router looks up.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write {"text", "intent"} rows whose intents are the clusters, for `semroute train`.
    #[arg(long, value_name = "FILE")]
    write_labels: Option<PathBuf>,
    /// Write a page with a plot that needs no other file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Kinds of prompts, as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Intents,
    Task,
    NearestTask,
    Clusters(Option<usize>),
}

impl By {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "intents" => Ok(Self::Intents),
            "task" => Ok(Self::Task),
            "nearest-task" => Ok(Self::NearestTask),
            "clusters" => Ok(Self::Clusters(None)),
            other => other
                .strip_prefix("clusters:")
                .and_then(|k| k.parse().ok())
                .filter(|k| (2..=CLUSTERS_MAX).contains(k))
                .map(|k| Self::Clusters(Some(k)))
                .ok_or_else(|| {
                    format!(
                        "{text:?} is none of intents, task, nearest-task, clusters, clusters:K with K from 2 to {CLUSTERS_MAX}"
                    )
                }),
        }
    }
}

/// More clusters than this have too few rows each in any set of graded answers that people have.
const CLUSTERS_MAX: usize = 1024;

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Findings {
    /// The version of these keys.
    version: u32,
    data: Data,
    #[serde(flatten)]
    report: Report,
    /// The number of clusters that did best on the training parts.
    clusters: Option<usize>,
    /// Absent where the kinds are no intents that centroids could find.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<QualityTable>,
    /// Who is taken by that table with the numbers to write; absent with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Choices>,
}

/// The version of the keys of `--json`.
const FINDINGS_VERSION: u32 = 1;

/// What was read.
#[derive(Debug, Serialize)]
struct Data {
    digest: String,
    n_rows: usize,
    n_rejected: usize,
    /// Rows in scope of no intent: they count over all prompts only.
    n_without_intent: usize,
    left_out: LeftOut,
}

/// Graded answers with what the encoder makes of them.
struct Graded {
    answers: Answers,
    digest: String,
    vectors: Vectors,
    intents: Vec<Option<IntentName>>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    check(arguments)?;
    let (answers, digest) = read(arguments, reporter)?;
    let embedder = arguments.embedding.open(environment)?;
    let set = read_centroids(&arguments.centroids, Path::new(""), &embedder.fitting())
        .map_err(Failure::Usage)?;
    if arguments.out.is_some() {
        check_labels(arguments, &answers.rows, &set)?;
    }
    let texts = answers.rows.iter().map(|row| row.text.as_str());
    let vectors = embedder.embed_texts(texts, reporter)?;
    let graded = Graded {
        intents: intents(arguments.by, &answers.rows, &vectors, &set),
        answers,
        digest,
        vectors,
    };
    let findings = findings(arguments, &graded, &set, reporter)?;
    if let Some(path) = &arguments.write_labels {
        let k = findings.clusters.unwrap_or(2);
        write(path, &labels(&graded, k, arguments.seed))?;
        reporter.note(&format!(
            "{} has the rows of {k} clusters; next: semroute train {} --out DIR",
            path.display(),
            path.display()
        ));
    }
    if let Some(path) = &arguments.html {
        write(path, &page::of(&findings))?;
    }
    if arguments.json {
        reporter.json(&findings)?;
    } else {
        reporter.result(&summary::of(&findings))?;
    }
    Ok(())
}

/// Judges, and writes the table before anything can be said to be too little to judge.
fn findings(
    arguments: &Arguments,
    graded: &Graded,
    set: &CentroidSet,
    reporter: Reporter,
) -> Result<Findings, Failure> {
    let rows = &graded.answers.rows;
    let origin = Origin {
        data_digest: &graded.digest,
        centroid_digest: &set.digest().map_err(anyhow::Error::from)?,
    };
    let table = matches!(arguments.by, By::Intents | By::Task)
        .then(|| table(rows, &graded.intents, origin));
    if let (Some(path), Some(table)) = (&arguments.out, &table) {
        let text = serde_json::to_string_pretty(table).map_err(anyhow::Error::from)?;
        write(path, &(text + "\n"))?;
    }
    let compared = Compared::of(rows);
    tell_left_out(&compared.left_out, rows.len(), reporter);
    let report = judge(arguments, graded, &compared)?;
    Ok(Findings {
        version: FINDINGS_VERSION,
        data: Data {
            digest: graded.digest.clone(),
            n_rows: rows.len(),
            n_rejected: graded.answers.rejected.len(),
            n_without_intent: graded.intents.iter().filter(|it| it.is_none()).count(),
            left_out: compared.left_out,
        },
        clusters: report.clusters(),
        choices: table
            .as_ref()
            .map(|table| choices(table, rows, &graded.intents, &report)),
        report,
        table,
    })
}

/// A table can be written of intents only: nobody could look it up otherwise.
fn check(arguments: &Arguments) -> Result<(), Failure> {
    let remedy = match arguments.by {
        By::Intents | By::Task => return Ok(()),
        By::NearestTask => {
            "train centroids of the tasks (`semroute train`, {\"text\", \"intent\": the task} a line) and give them as --centroids with --by intents"
        }
        By::Clusters(_) => {
            "write them with --write-labels FILE, make centroids of that (`semroute train FILE --out DIR`), and give --centroids DIR with --by intents"
        }
    };
    if arguments.out.is_none() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--out: the router looks a table up by the intents of centroids, and these kinds are none; {remedy}"
    )))
}

/// Labels of the rows must be intents that the centroids can find.
fn check_labels(arguments: &Arguments, rows: &[Row], set: &CentroidSet) -> Result<(), Failure> {
    for row in rows {
        let label = own_label(arguments.by, row);
        if let Some(label) = label.filter(|label| !set.intents().any(|known| known == *label)) {
            return Err(Failure::Usage(format!(
                "--out: {}:{} is labelled {label}, and the centroids {} have no such intent; train some that have, and give them as --centroids",
                row.file, row.line, arguments.centroids
            )));
        }
    }
    Ok(())
}

fn own_label(by: By, row: &Row) -> Option<&IntentName> {
    match by {
        By::Task => row.intent.as_ref().or(row.task.as_ref()),
        By::Intents | By::NearestTask | By::Clusters(_) => row.intent.as_ref(),
    }
}

/// What is not compared, and why.
fn tell_left_out(left_out: &LeftOut, n_rows: usize, reporter: Reporter) {
    for (model, n) in &left_out.models {
        reporter.note(&format!(
            "{model} has a score in {n} of {n_rows} rows; it is in the table and not compared"
        ));
    }
    if 0 < left_out.n_rows {
        let models = left_out.ungraded.iter();
        let models: Vec<String> = models.map(|(model, n)| format!("{model} in {n}")).collect();
        reporter.note(&format!(
            "{} of {n_rows} rows lack the score of a model ({}); they are in the table and not compared",
            left_out.n_rows,
            models.join(", ")
        ));
    }
    if let Some(place) = &left_out.first_unknown_cost {
        reporter.note(&format!(
            "{} answers have no `cost_usd`, the first at {place}: costs are unknown, not 0, and nothing is said of them; give every answer its cost to compare by cost",
            left_out.unknown_costs
        ));
    }
}

/// Rows for `semroute train`, whose intents are the clusters.
fn labels(graded: &Graded, k: usize, seed: u64) -> String {
    let clusters = cluster_labels(&graded.vectors, k, seed);
    let rows = graded.answers.rows.iter().zip(clusters);
    let lines = rows.filter_map(|(row, cluster)| {
        let intent = format!("cluster-{:02}", cluster?);
        Some(serde_json::json!({ "text": row.text, "intent": intent }).to_string() + "\n")
    });
    lines.collect()
}

fn read(arguments: &Arguments, reporter: Reporter) -> anyhow::Result<(Answers, String)> {
    let mut answers = Answers::default();
    let mut files = Vec::new();
    for path in &arguments.results {
        let mut text = Vec::new();
        log_reader::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .with_context(|| format!("{} cannot be read", path.display()))?;
        answers.read(&path.display().to_string(), &text, &arguments.task_key);
        files.push(text);
    }
    for rejection in answers.rejected.iter().take(REJECTIONS_NAMED_MAX) {
        reporter.warning(&format!("{rejection}; the row is left out"));
    }
    let more = answers.rejected.len().saturating_sub(REJECTIONS_NAMED_MAX);
    if 0 < more {
        reporter.warning(&format!("{more} more rows are left out"));
    }
    if answers.rows.is_empty() {
        anyhow::bail!(
            "no row can be used; each is a line like {{\"prompt\": \"…\", \"models\": {{\"NAME\": {{\"score\": 0.5, \"cost_usd\": 0.001}}}}}}"
        );
    }
    let digest = data_digest(files.iter().map(Vec::as_slice));
    Ok((answers, digest))
}

/// The intent of each row: its own label, or what the centroids find; none out of scope.
fn intents(by: By, rows: &[Row], vectors: &Vectors, set: &CentroidSet) -> Vec<Option<IntentName>> {
    let found = rows.iter().zip(vectors.rows()).map(|(row, vector)| {
        if let Some(label) = own_label(by, row) {
            return Some(label.clone());
        }
        if by == By::Task {
            return None;
        }
        let found = set.classify(vector, set.threshold());
        (!found.out_of_scope).then_some(found.name)
    });
    found.collect()
}

/// Names as numbers.
fn numbered<'n>(names: impl Iterator<Item = Option<&'n IntentName>>) -> Vec<Option<usize>> {
    let mut known: BTreeMap<&IntentName, usize> = BTreeMap::new();
    let numbered = names.map(|name| {
        let next = known.len();
        name.map(|name| *known.entry(name).or_insert(next))
    });
    numbered.collect()
}

fn judge(arguments: &Arguments, graded: &Graded, compared: &Compared) -> anyhow::Result<Report> {
    let mut vectors = Vectors::new(graded.vectors.dimensions());
    let mut texts = Vec::with_capacity(compared.rows.len());
    for row in &compared.rows {
        let is_kept = graded
            .vectors
            .row(*row)
            .is_some_and(|row| vectors.push(row));
        anyhow::ensure!(is_kept, "a vector is missing");
        texts.push(graded.answers.rows[*row].text.clone());
    }
    let others = [By::Intents, By::Task, By::NearestTask, By::Clusters(None)];
    let others: Vec<Partition> = others
        .into_iter()
        .filter(|by| std::mem::discriminant(by) != std::mem::discriminant(&arguments.by))
        .filter_map(|by| partition(by, graded, compared))
        .collect();
    let kinds = partition(arguments.by, graded, compared).with_context(|| {
        format!(
            "no row has a `{}`; give --task-key the key that holds the task, or another --by",
            arguments.task_key
        )
    })?;
    let input = Input {
        grid: &compared.grid,
        texts: &texts,
        vectors: &vectors,
        kinds: &kinds,
        others: &others,
    };
    let chance = Chance {
        seed: arguments.seed,
        ..Chance::default()
    };
    Ok(compare(input, chance)?)
}

/// The kinds of the compared rows. None if they are tasks and the rows have fewer than two.
fn partition(by: By, graded: &Graded, compared: &Compared) -> Option<Partition> {
    let rows = || compared.rows.iter().map(|row| &graded.answers.rows[*row]);
    let tasks = || {
        let tasks = numbered(rows().map(|row| own_label(By::Task, row)));
        let is_split = 0 < tasks.iter().flatten().copied().max().unwrap_or(0);
        (by == By::Task || is_split).then_some(tasks)
    };
    match by {
        By::Intents => {
            let intents = compared
                .rows
                .iter()
                .map(|row| graded.intents[*row].as_ref());
            Some(Partition::Intents(numbered(intents)))
        }
        By::Task => tasks().map(Partition::Tasks),
        By::NearestTask => tasks().map(Partition::NearestTask),
        By::Clusters(Some(k)) => Some(Partition::Clusters(vec![k])),
        By::Clusters(None) => Some(Partition::Clusters(cluster_counts(compared.rows.len()))),
    }
}
