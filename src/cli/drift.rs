//! `semroute drift`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::centroids::drift::clusters::{Cluster, clusters};
use crate::centroids::drift::{self, Observed, Report, Verdict, drift};
use crate::cli::Failure;
use crate::cli::dataset::EmbeddingArguments;
use crate::cli::report::{Reporter, excerpt, table};
use crate::config::Environment;
use crate::config::artefacts::read_centroids;
use crate::domain::logged;
use crate::store::log_reader::{self, LogLine};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Logs of records: files, plain or gzip, or log folders.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The centroids that classified the prompts: `assistant`, those in the binary, or a folder.
    #[arg(long, value_name = "DIR", default_value = "assistant")]
    centroids: String,
    /// Take records of other centroids too, though their scores hardly compare.
    #[arg(long)]
    any_centroids: bool,
    /// The fewest rejected prompts that can look like a new intent.
    #[arg(long, value_name = "N", default_value_t = 20)]
    clusters_min: usize,
    /// Decides what the bounds draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail if anything drifted.
    #[arg(long)]
    fail_on_drift: bool,
    #[command(flatten)]
    embedding: EmbeddingArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Findings {
    #[serde(flatten)]
    report: Report,
    clusters: Vec<Shown>,
}

/// A cluster with its prompts.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    cluster: Cluster,
    examples: Vec<String>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let embedder = arguments.embedding.open(environment)?;
    let set = read_centroids(
        &arguments.centroids,
        std::path::Path::new(""),
        &embedder.identity().into(),
    )
    .map_err(Failure::Usage)?;
    let digest = set.digest().map_err(anyhow::Error::from)?;
    let records = read(arguments, &digest, reporter)?;
    let observed: Vec<Observed<'_>> = records
        .iter()
        .map(|record| observe(&record.intent))
        .collect();
    let report = drift(set.manifest(), &observed, arguments.seed);
    let rejected: Vec<&str> = records
        .iter()
        .filter(|record| record.intent.out_of_scope)
        .filter_map(|record| record.prompt.as_deref())
        .collect();
    if rejected.is_empty() && 0.0 < report.out_of_scope.found.value {
        reporter.warning("the rejected prompts are not in the log, so none can look like a new intent: set log.prompts to full");
    }
    let vectors = embedder.embed_texts(rejected.iter().copied(), reporter)?;
    let shown = clusters(&vectors, &set, arguments.clusters_min)
        .into_iter()
        .map(|cluster| Shown {
            examples: cluster
                .middle
                .iter()
                .map(|place| excerpt(rejected[*place]))
                .collect(),
            cluster,
        })
        .collect();
    let findings = Findings {
        report,
        clusters: shown,
    };
    if arguments.json {
        reporter.json(&findings)?;
    } else {
        reporter.result(&summary(&findings, &set))?;
    }
    if arguments.fail_on_drift && findings.report.drifted() {
        return Err(Failure::Work(anyhow::anyhow!("the traffic has drifted")));
    }
    Ok(())
}

/// A record that was classified.
struct Classified {
    intent: logged::Intent,
    prompt: Option<String>,
}

fn read(
    arguments: &Arguments,
    digest: &str,
    reporter: Reporter,
) -> anyhow::Result<Vec<Classified>> {
    let (mut records, mut others, mut unread) = (Vec::new(), 0, 0);
    let mut take = |record: logged::Record| {
        let prompt = record.prompt_text().map(ToOwned::to_owned);
        let centroid_digest = record.centroid_digest;
        // The static encoder's scores say nothing of how the main one's lie.
        let Some(intent) = record.intent.filter(|it| it.encoder.is_main()) else {
            return;
        };
        if centroid_digest == digest || arguments.any_centroids {
            records.push(Classified { intent, prompt });
        } else {
            others += 1;
        }
    };
    for log in &arguments.logs {
        let files = log_reader::files_of(log)
            .with_context(|| format!("{} cannot be read", log.display()))?;
        for file in files {
            log_reader::read(&file, &mut |_, line| match line {
                Ok(LogLine::Record(record)) => take(*record),
                Ok(LogLine::Feedback(_)) => {}
                Err(_) => unread += 1,
            })
            .with_context(|| format!("{} cannot be read", file.display()))?;
        }
    }
    if 0 < unread {
        reporter.warning(&format!("{unread} lines cannot be read; they are left out"));
    }
    if 0 < others {
        reporter.warning(&format!(
            "{others} records were classified by other centroids than {}, whose scores do not \
             compare; they are left out (`--any-centroids` takes them)",
            arguments.centroids
        ));
    }
    if records.is_empty() {
        bail!("no record of these centroids is in the log");
    }
    Ok(records)
}

const fn observe(intent: &logged::Intent) -> Observed<'_> {
    Observed {
        intent: &intent.name,
        score: intent.score,
        margin: intent.margin,
        similarity: intent.similarity,
        out_of_scope: intent.out_of_scope,
    }
}

fn summary(findings: &Findings, set: &CentroidSet) -> String {
    let report = &findings.report;
    let mut lines = vec![table(
        &[
            "intent",
            "prompts",
            "PSI score",
            "margin",
            "similarity",
            "bound",
            "",
        ],
        report.intents.iter().map(row).collect(),
    )];
    let scope = &report.out_of_scope;
    lines.push(format!(
        "out of scope   {:.2}% ({:.2}–{:.2}) of {} prompts; {:.2}% of training rows in scope{}",
        scope.found.value * 100.0,
        scope.found.low * 100.0,
        scope.found.high * 100.0,
        report.n,
        scope.expected.value * 100.0,
        if scope.verdict == Verdict::Drifted {
            ": drifted"
        } else {
            ""
        }
    ));
    lines.push(format!(
        "mix of intents first half against second: p = {:.3}",
        report.mix.p_value
    ));
    for shown in &findings.clusters {
        lines.push(format!(
            "these {} prompts look like a new intent (cohesion {:.2}; the nearest known is {}, cosine {:.2}):",
            shown.cluster.n,
            shown.cluster.cohesion,
            shown.cluster.nearest_intent,
            shown.cluster.nearest_cosine
        ));
        lines.extend(shown.examples.iter().map(|text| format!("    {text}")));
    }
    lines.push(
        if report.drifted() || !findings.clusters.is_empty() {
            "label prompts of what drifted (POST /v1/feedback, or a file) and train again: `semroute train LOG --base DIR`"
        } else {
            "nothing drifted that chance could not explain"
        }
        .to_owned(),
    );
    format!(
        "{} ({})\n{}",
        set.manifest().name,
        report.n,
        lines.join("\n")
    )
}

fn row(intent: &drift::Intent) -> Vec<String> {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |it| format!("{it:.3}"));
    vec![
        intent.name.to_string(),
        intent.n.to_string(),
        shown(intent.psi.map(|psi| psi.score)),
        shown(intent.psi.map(|psi| psi.margin)),
        shown(intent.psi.map(|psi| psi.similarity)),
        shown(intent.bound),
        match intent.verdict {
            Verdict::TooFew => "too few",
            Verdict::Stable => "stable",
            Verdict::Drifted => "drifted",
        }
        .to_owned(),
    ]
}
