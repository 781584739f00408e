//! `semroute eval`.

mod baseline;
mod length;
mod models;
mod page;
mod ranks;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::centroids::labels::Labels;
use crate::cli::Failure;
use crate::cli::dataset::{Embedder, EmbeddingArguments, INTENT_KEY, outcomes, read_files};
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::config::artefacts::read_centroids;
use crate::domain::name::IntentName;
use crate::eval::compare::Verdict;
use crate::eval::length::Control;
use crate::eval::{Chance, Comparison, Outcome, Report, compare, evaluate};

use baseline::Baseline;

pub(super) use summary::of_comparison;

/// What else than centroids is measured.
#[derive(Debug, Subcommand)]
enum Suite {
    Models(models::Arguments),
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_value_name = "SUITE",
    subcommand_help_heading = "Suites"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    suite: Option<Suite>,
    /// Files of labelled prompts, a line each: {"text": "…", "intent": "…"}. A file that is called like
    /// a suite is given with its folder: ./models.
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,
    /// The centroids: `assistant`, those in the binary, or a folder.
    #[arg(long, value_name = "DIR", default_value = "assistant")]
    centroids: String,
    /// A JSON object from the data's labels to intents; rows whose label it does not hold are left
    /// out.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The key of a row that holds its label.
    #[arg(long, value_name = "KEY", default_value = INTENT_KEY)]
    label_key: String,
    /// Decides what the intervals and the shuffled control draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    embedding: EmbeddingArguments,
    /// Compare as well with what the length of a prompt alone tells, by a rule learnt from these labelled
    /// prompts: those that the centroids were trained on.
    #[arg(long, value_name = "LABELS")]
    length_from: Option<PathBuf>,
    /// The data's labels are not intents but ranks: these, from the least. Tell only how far the level of
    /// complexity that the centroids find rises with them, and how far length does.
    #[arg(long, value_name = "LABEL", value_delimiter = ',', conflicts_with_all = ["compare", "baseline", "write_baseline", "html", "length_from", "map"])]
    ranks: Vec<IntentName>,
    /// Compare with these centroids on the same rows; fails if the others are significantly better.
    #[arg(long, value_name = "DIR")]
    compare: Option<String>,
    /// Fail if the result is worse than this file allows.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the result as a baseline for later.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Write a page with plots that needs no other file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Findings {
    #[serde(flatten)]
    report: Report,
    /// The same rows by the static encoder and the set's part for it.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    fixed: Option<Report>,
    /// The same rows by their length alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<Control>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    if !arguments.ranks.is_empty() {
        return ranks::run(arguments, environment, reporter);
    }
    if let Some(Suite::Models(arguments)) = &arguments.suite {
        return models::run(arguments, environment, reporter);
    }
    let labels = read_labels(arguments, reporter)?;
    let embedder = arguments.embedding.open(environment)?;
    let open = |name: &String| {
        read_centroids(name, Path::new(""), &embedder.fitting()).map_err(Failure::Usage)
    };
    let set = open(&arguments.centroids)?;
    let other = arguments.compare.as_ref().map(open).transpose()?;
    let vectors = embedder.embed(&labels.rows, reporter)?;
    let found = outcomes(&labels.rows, &vectors, &set);
    let chance = Chance {
        seed: arguments.seed,
        ..Chance::default()
    };
    let length = arguments.length_from.as_ref();
    let length = length.map(|path| length::control(path, &labels, &found, (chance, reporter)));
    let findings = Findings {
        length: length.transpose()?.flatten(),
        report: report(&found, &set, chance)?,
        fixed: report_static(&labels, &embedder, &set, (chance, reporter))?,
        comparison: other
            .map(|other| compare(&outcomes(&labels.rows, &vectors, &other), &found, chance))
            .transpose()
            .map_err(anyhow::Error::from)?,
    };
    if let Some(path) = &arguments.html {
        let page = page::of(&findings, &found, &set);
        write(path, &page)?;
    }
    if let Some(path) = &arguments.write_baseline {
        let baseline = Baseline::of(&findings.report);
        let text = serde_json::to_string_pretty(&baseline).map_err(anyhow::Error::from)?;
        write(path, &(text + "\n"))?;
    }
    if arguments.json {
        reporter.json(&findings)?;
    } else {
        reporter.result(&summary::of(&findings))?;
    }
    gate(arguments, &findings)
}

/// What makes the command fail although it did its work.
fn gate(arguments: &Arguments, findings: &Findings) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if let Some(path) = &arguments.baseline {
        problems.extend(Baseline::read(path)?.problems(&findings.report));
    }
    if let Some(comparison) = &findings.comparison
        && comparison.verdict == Verdict::Worse
    {
        let other = arguments.compare.as_deref().unwrap_or_default();
        problems.push(format!(
            "{} is significantly worse than {other}",
            arguments.centroids
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Work(anyhow::anyhow!(problems.join("\n"))))
    }
}

/// The rows, their labels renamed by the map if there is one.
fn read_labels(arguments: &Arguments, reporter: Reporter) -> anyhow::Result<Labels> {
    let mut labels = read_files(&arguments.data, &arguments.label_key, reporter)?;
    if let Some(path) = &arguments.map {
        let map = read_map(path)?;
        let n_before = labels.rows.len();
        labels.rows.retain_mut(|row| match map.get(&row.intent) {
            Some(intent) => {
                row.intent = intent.clone();
                true
            }
            None => false,
        });
        let n_left_out = n_before - labels.rows.len();
        reporter.note(&format!(
            "{n_left_out} of {n_before} rows have a label that the map leaves out"
        ));
    }
    Ok(labels)
}

fn report(outcomes: &[Outcome], set: &CentroidSet, chance: Chance) -> anyhow::Result<Report> {
    let known: Vec<IntentName> = set.intents().cloned().collect();
    Ok(evaluate(outcomes, &known, chance)?)
}

/// What the set would make of the rows while the encoder has too much to do.
fn report_static(
    labels: &Labels,
    embedder: &Embedder,
    set: &CentroidSet,
    (chance, reporter): (Chance, Reporter),
) -> anyhow::Result<Option<Report>> {
    let (Some(fixed), Some(part)) = (embedder.fixed(), set.static_part()) else {
        return Ok(None);
    };
    let vectors = fixed.embed(&labels.rows, reporter)?;
    report(&outcomes(&labels.rows, &vectors, part), part, chance).map(Some)
}

fn read_map(path: &PathBuf) -> anyhow::Result<BTreeMap<IntentName, IntentName>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not a JSON object from labels to intents",
            path.display()
        )
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
