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
    Answers, Compared, Input, Origin, Partition, Report, Row, cluster_counts, cluster_labels,
    compare, data_digest, table,
};
use crate::store::log_reader;
use crate::vector::Vectors;

/// The key of a row that holds its task.
const TASK_KEY: &str = "task";

/// Measure how good models are at each kind of prompt, and whether routing by it pays.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of graded answers, a line each: {"prompt": "…", "models": {"NAME": {"score": 0 to 1,
    /// "cost_usd": …}}}.
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
    table: QualityTable,
}

/// What was read.
#[derive(Debug, Serialize)]
struct Data {
    digest: String,
    n_rows: usize,
    n_rejected: usize,
    n_out_of_scope: usize,
    left_out: LeftOut,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let (answers, digest) = read(arguments, reporter)?;
    let embedder = arguments.embedding.open(environment)?;
    let set = read_centroids(&arguments.centroids, Path::new(""), &embedder.fitting())
        .map_err(Failure::Usage)?;
    let texts = answers.rows.iter().map(|row| row.text.as_str());
    let vectors = embedder.embed_texts(texts, reporter)?;
    let intents = intents(&answers.rows, &vectors, &set);
    let origin = Origin {
        data_digest: &digest,
        centroid_digest: &set.digest().map_err(anyhow::Error::from)?,
    };
    let table = table(&answers.rows, &intents, origin);
    let compared = Compared::of(&answers.rows);
    let report = judge(arguments, &answers.rows, &vectors, &intents, &compared)?;
    reporter.json(&report.routing.iter().map(|l| (l.key, l.area, l.area_over_mix, l.at.clone(), l.chosen.clone(), l.quality)).map(|(k,a,o,at,c,q)| serde_json::json!({"k":k,"area":a,"over":o,"at":at.iter().map(|a| (a.cost_share.value,a.quality_share.value,a.hindsight_cost_share)).collect::<Vec<_>>(),"c":c,"q":q})).collect::<Vec<_>>())?;
    Ok(())
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
fn intents(rows: &[Row], vectors: &Vectors, set: &CentroidSet) -> Vec<Option<IntentName>> {
    let found = rows.iter().zip(vectors.rows()).map(|(row, vector)| {
        if let Some(intent) = &row.intent {
            return Some(intent.clone());
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

fn judge(
    arguments: &Arguments,
    rows: &[Row],
    vectors: &Vectors,
    intents: &[Option<IntentName>],
    compared: &Compared,
) -> anyhow::Result<Report> {
    let mut own = Vectors::new(vectors.dimensions());
    for row in &compared.rows {
        let is_kept = vectors.row(*row).is_none_or(|row| own.push(row));
        debug_assert!(is_kept, "all vectors are of one encoder");
    }
    let tasks = || numbered(compared.rows.iter().map(|row| rows[*row].task.as_ref()));
    let clusters = |k: Option<usize>| k.map_or_else(|| cluster_counts(own.len()), |k| vec![k]);
    let partition = |by: By| match by {
        By::Intents => Partition::Intents(numbered(
            compared.rows.iter().map(|row| intents[*row].as_ref()),
        )),
        By::Task => Partition::Tasks(tasks()),
        By::NearestTask => Partition::NearestTask(tasks()),
        By::Clusters(k) => Partition::Clusters(clusters(k)),
    };
    let texts: Vec<String> = compared.rows.iter().map(|row| rows[*row].text.clone()).collect();
    let others: Vec<Partition> = [By::Intents, By::Task, By::NearestTask, By::Clusters(None)]
        .into_iter()
        .filter(|by| std::mem::discriminant(by) != std::mem::discriminant(&arguments.by))
        .map(partition)
        .collect();
    let chance = Chance {
        seed: arguments.seed,
        ..Chance::default()
    };
    let input = Input {
        grid: &compared.grid,
        texts: &texts,
        vectors: &own,
        kinds: &partition(arguments.by),
        others: &others,
    };
    Ok(compare(input, chance)?)
}
