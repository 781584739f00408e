//! `semroute replay`.

mod seen;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::centroids::CentroidSet;
use crate::cli::Failure;
use crate::cli::report::{Reporter, excerpt};
use crate::config::artefacts::read_centroids;
use crate::config::{Assembled, Environment, assemble};
use crate::domain::logged;
use crate::domain::quantity::Ratio;
use crate::encoder::Passage;
use crate::encoder::corpus::embed_all;
use crate::engine::plan::Plan;
use crate::eval::replay::{Changes, Replayed, Report, report};
use crate::store::log_reader::{self, LogLine};
use crate::vector::Vectors;

use seen::{Escalated, see};

/// Moves of one kind that are told one by one.
const MOVES_TOLD: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Logs of records with full prompts: files, plain or gzip, or log folders.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The centroids to try: a folder, or a folder and a version below it.
    #[arg(long, value_name = "DIR")]
    centroids: String,
    /// The configuration whose centroids, routes and prices are in force; the embedded one, if it is
    /// left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Requests that are shown of each change.
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let assembled = assemble(arguments.config.as_deref(), environment)?;
    let here = std::path::Path::new("");
    let new =
        read_centroids(&arguments.centroids, here, &assembled.fitting()).map_err(Failure::Usage)?;
    let plan = &assembled.plan;
    let other = plan
        .with_centroids(new, arguments.centroids.clone())
        .map_err(|problem| Failure::Usage(format!("{}: {problem}", arguments.centroids)))?;
    let records = read(&arguments.logs, plan, reporter)?;
    let vectors = embed(&records, &assembled, reporter)?;
    let escalated = escalated_shares(&records);
    let replayed: Vec<Replayed> = records
        .iter()
        .zip(vectors.rows())
        .filter_map(|(record, vector)| {
            Some(Replayed {
                request_id: record.request_id.clone(),
                text: excerpt(record.prompt_text().unwrap_or_default()),
                // What the static encoder found says nothing of the centroids that are compared here.
                logged_intent: record
                    .intent
                    .as_ref()
                    .filter(|intent| intent.encoder.is_main())
                    .map(|intent| intent.name.clone()),
                old: see(record, vector, plan, &escalated)?,
                new: see(record, vector, &other, &escalated)?,
            })
        })
        .collect();
    let found = report(&replayed, arguments.examples);
    if arguments.json {
        reporter.json(&found)?;
    } else {
        reporter.result(&summary(&found, &plan.centroids))?;
    }
    Ok(())
}

/// The records that can be replayed.
fn read(logs: &[PathBuf], plan: &Plan, reporter: Reporter) -> anyhow::Result<Vec<logged::Record>> {
    let (mut records, mut unread, mut unkept, mut elsewhere) = (Vec::new(), 0, 0, 0);
    for log in logs {
        let files = log_reader::files_of(log)
            .with_context(|| format!("{} cannot be read", log.display()))?;
        for file in files {
            log_reader::read(&file, &mut |_, line| match line {
                Ok(LogLine::Record(record)) => {
                    let assistant = record.assistant.as_deref().unwrap_or_default();
                    if plan.assistant(assistant).is_none() {
                        elsewhere += 1;
                    } else if record
                        .prompt
                        .as_deref()
                        .is_none_or(|it| it.trim().is_empty())
                    {
                        unkept += 1;
                    } else {
                        records.push(*record);
                    }
                }
                Ok(LogLine::Feedback(_)) => {}
                Err(_) => unread += 1,
            })
            .with_context(|| format!("{} cannot be read", file.display()))?;
        }
    }
    let told = [
        (unread, "lines cannot be read"),
        (
            unkept,
            "records have no prompt or were not embedded: set log.prompts to full",
        ),
        (
            elsewhere,
            "records are of no assistant of this configuration",
        ),
    ];
    for (n, what) in told.into_iter().filter(|(n, _)| 0 < *n) {
        reporter.warning(&format!("{n} {what}; they are left out"));
    }
    if records.is_empty() {
        bail!("no record can be replayed");
    }
    Ok(records)
}

fn embed(
    records: &[logged::Record],
    assembled: &Assembled,
    reporter: Reporter,
) -> anyhow::Result<Vectors> {
    let texts: Vec<Vec<Passage>> = records
        .iter()
        .map(|record| vec![Passage::new(record.prompt_text().unwrap_or_default())])
        .collect();
    let mut progress = reporter.progress("embedding", texts.len());
    let windows = assembled.queue.windows_max;
    Ok(embed_all(
        assembled.encoder.as_ref(),
        &texts,
        windows,
        &mut |done| progress.reached(done),
    )?)
}

/// Of each route, the share of its answered requests that escalated.
fn escalated_shares(records: &[logged::Record]) -> Escalated {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.attempts.is_empty()) {
        if let Some(decision) = &record.decision {
            let (n_escalated, n) = counts.entry(decision.route.clone()).or_default();
            *n += 1;
            *n_escalated += u64::from(!record.escalations.is_empty());
        }
    }
    counts
        .into_iter()
        .map(|(route, (n_escalated, n))| (route, Ratio::of_counts(n_escalated, n)))
        .collect()
}

fn summary(found: &Report, centroids: &CentroidSet) -> String {
    let mut lines = vec![format!(
        "replayed   {} requests; {:.1}% have the intent in the log that {} finds now",
        found.n,
        found.agreement_with_log * 100.0,
        centroids.manifest().name
    )];
    let kinds = [
        ("intents", &found.intents),
        ("scope", &found.scope),
        ("routes", &found.routes),
        ("targets", &found.targets),
    ];
    for (name, changes) in kinds {
        lines.extend(moves(name, changes));
    }
    let cost = found.cost;
    let rise = cost
        .rise()
        .map_or_else(String::new, |rise| format!(", {:+.1}%", rise * 100.0));
    lines.push(format!(
        "cost       ${} → ${}{rise}, over {} requests; unknown for {}\n\
         The tokens are those of the logged answers, at the price of each route's first model; a route \
         that escalated in the log pays its second model as often as it did there.",
        cost.old_usd, cost.new_usd, cost.n_known, cost.n_unknown
    ));
    lines.join("\n")
}

fn moves(name: &str, changes: &Changes) -> Vec<String> {
    let mut lines = vec![format!(
        "{name:<10} {} would change ({:.1}%)",
        changes.n,
        changes.share * 100.0
    )];
    for it in changes.moves.iter().take(MOVES_TOLD) {
        lines.push(format!("  {} → {}: {}", it.from, it.to, it.n));
        for example in &it.examples {
            lines.push(format!("    {} {}", example.request_id, example.text));
        }
    }
    lines
}
