//! `semroute eval`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::centroids::CentroidSet;
use crate::centroids::labels::OUT_OF_SCOPE;
use crate::cli::Failure;
use crate::cli::dataset::{EmbeddingArguments, INTENT_KEY, read_files};
use crate::cli::report::{Reporter, table};
use crate::config::Environment;
use crate::config::assemble::read_centroids;
use crate::domain::name::IntentName;
use crate::eval::{Chance, Estimate, Expected, Outcome, Report, evaluate};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of labelled prompts, a line each: {"text": "…", "intent": "…"}.
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
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
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
    let embedder = arguments.embedding.open(environment)?;
    let here = std::path::Path::new("");
    let set =
        read_centroids(&arguments.centroids, here, &embedder.identity()).map_err(Failure::Usage)?;
    let vectors = embedder.embed(&labels.rows, reporter)?;
    let outcomes: Vec<Outcome> = labels
        .rows
        .iter()
        .zip(vectors.rows())
        .map(|(row, vector)| Outcome {
            expected: match row.intent.as_str() {
                OUT_OF_SCOPE => Expected::OutOfScope,
                _ => Expected::Intent(row.intent.clone()),
            },
            found: set.classify(vector, set.threshold()),
        })
        .collect();
    let report = report(&outcomes, &set, arguments.seed)?;
    if arguments.json {
        reporter.json(&report)?;
    } else {
        reporter.result(&summary(&report))?;
    }
    Ok(())
}

fn report(outcomes: &[Outcome], set: &CentroidSet, seed: u64) -> anyhow::Result<Report> {
    let known: Vec<IntentName> = set.intents().cloned().collect();
    let chance = Chance {
        seed,
        ..Chance::default()
    };
    Ok(evaluate(outcomes, &known, chance)?)
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

fn percent(estimate: Option<&Estimate>) -> String {
    match estimate {
        Some(Estimate {
            value,
            low,
            high,
            n,
        }) => format!(
            "{:.2}% ({:.2}–{:.2}), n = {n}",
            value * 100.0,
            low * 100.0,
            high * 100.0
        ),
        None => "not measured".to_owned(),
    }
}

fn summary(report: &Report) -> String {
    let rows = report
        .intents
        .iter()
        .map(|intent| {
            let share = |value: Option<f64>| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{:.1}%", value * 100.0))
            };
            vec![
                intent.name.to_string(),
                intent.n.to_string(),
                share(intent.precision),
                share(intent.recall),
            ]
        })
        .collect();
    let mut lines = vec![
        table(&["intent", "rows", "precision", "recall"], rows),
        format!("accuracy          {}", percent(report.accuracy.as_ref())),
    ];
    if let Some(controls) = &report.controls {
        lines.push(format!(
            "  majority        {:.2}% (always {})\n  shuffled labels {:.2}% (mean of {})",
            controls.majority.accuracy * 100.0,
            controls.majority.intent,
            controls.shuffled.accuracy * 100.0,
            controls.shuffled.n_permutations
        ));
    }
    lines.push(format!(
        "accepted, right   {}",
        percent(report.accepted_accuracy.as_ref())
    ));
    lines.push(format!(
        "rejected in scope {} (threshold {:.3})",
        percent(report.rejected_in_scope.as_ref()),
        report.threshold
    ));
    if let Some(separation) = &report.out_of_scope {
        lines.push(format!(
            "out of scope      AUROC {}\n                  FPR at 95% TPR {}\n                  rejected {}",
            percent(Some(&separation.auroc)),
            percent(Some(&separation.fpr_at_95_tpr)),
            percent(Some(&separation.rejected))
        ));
    }
    for confusion in &report.confusions {
        lines.push(format!(
            "confused          {} taken for {}: {}",
            confusion.expected, confusion.found, confusion.n
        ));
    }
    for unknown in &report.unknown_intents {
        lines.push(format!(
            "left out          {} rows of {}, which the set does not know",
            unknown.n, unknown.name
        ));
    }
    lines.join("\n")
}
