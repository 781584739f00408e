//! `semroute train`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::centroids::format::{MANIFEST_FILE, VECTORS_FILE};
use crate::centroids::labels::{Row, digest};
use crate::centroids::manifest::ThresholdRule;
use crate::centroids::{CentroidSet, Examples, Provenance, Training, train};
use crate::cli::Failure;
use crate::cli::dataset::{EncoderArguments, INTENT_KEY, Text, embed, read_files};
use crate::cli::report::{Reporter, table};
use crate::config::Environment;
use crate::config::assemble::fitting;
use crate::domain::name::IntentName;
use crate::eval::{NeighbourSimilarity, neighbour_similarity};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of labelled prompts, a line each: {"text": "…", "intent": "…"}. Rows with the intent
    /// `oos` are out of scope.
    #[arg(required = true, value_name = "LABELS")]
    labels: Vec<PathBuf>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Prompts that are out of scope, for the threshold.
    #[arg(long, value_name = "FILE")]
    oos: Option<PathBuf>,
    /// Decides which rows are held out together.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What of a conversation is embedded; serve with the same `encoder.text`.
    #[arg(long, value_enum, default_value_t)]
    text: Text,
    #[command(flatten)]
    encoder: EncoderArguments,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let (rows, out_of_scope) = read_rows(arguments, reporter)?;
    let encoder = arguments.encoder.open(environment)?;
    let selection = arguments.text.selection();
    let vectors = embed(&rows, encoder.as_ref(), selection, reporter)?;
    let rejected = if out_of_scope.is_empty() {
        None
    } else {
        Some(embed(&out_of_scope, encoder.as_ref(), selection, reporter)?)
    };
    let intents: Vec<IntentName> = rows.iter().map(|row| row.intent.clone()).collect();
    let examples = Examples {
        rows: &vectors,
        intents: &intents,
        out_of_scope: rejected.as_ref(),
    };
    let training = Training {
        seed: arguments.seed,
        ..Training::default()
    };
    let provenance = Provenance {
        name: name_of(&arguments.out),
        encoder: fitting(encoder.identity()),
        data_digest: digest(rows.iter().chain(&out_of_scope)),
    };
    let mut set =
        train(examples, training, provenance, &mut |_, _| {}).map_err(anyhow::Error::from)?;
    let similarity = neighbour_similarity(&vectors, &intents, &mut |_, _| {});
    if let Some(similarity) = &similarity {
        set.note_neighbour_similarity(similarity.mean);
    }
    write(&set, &arguments.out)?;
    if arguments.json {
        reporter.json(set.manifest())?;
    } else {
        reporter.result(&summary(&set, similarity.as_ref(), &arguments.out))?;
    }
    Ok(())
}

/// The rows of intents, and those out of scope.
fn read_rows(arguments: &Arguments, reporter: Reporter) -> anyhow::Result<(Vec<Row>, Vec<Row>)> {
    let mut labels = read_files(&arguments.labels, INTENT_KEY, reporter)?;
    for contradiction in labels.contradictions() {
        reporter.warning(&contradiction.to_string());
    }
    let repeats = labels.take_duplicates();
    if !repeats.is_empty() {
        reporter.note(&format!(
            "{} rows stand twice and count once",
            repeats.len()
        ));
    }
    let (rows, mut out_of_scope) = labels.split_out_of_scope();
    if let Some(path) = &arguments.oos {
        let more = read_files(std::slice::from_ref(path), INTENT_KEY, reporter)?;
        out_of_scope.extend(more.rows);
    }
    Ok((rows, out_of_scope))
}

/// The set is called as its folder.
fn name_of(out: &Path) -> String {
    out.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn write(set: &CentroidSet, out: &Path) -> anyhow::Result<()> {
    let files = set.to_files()?;
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    // The vectors first: a manifest without its vectors would be an artefact that looks whole.
    for (name, bytes) in [
        (VECTORS_FILE, &files.vectors),
        (MANIFEST_FILE, &files.manifest),
    ] {
        let path = out.join(name);
        std::fs::write(&path, bytes)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn summary(set: &CentroidSet, similarity: Option<&NeighbourSimilarity>, out: &Path) -> String {
    let manifest = set.manifest();
    let similar = |name: &IntentName| {
        let intents = similarity.map(|similarity| similarity.intents.as_slice());
        let own = intents
            .unwrap_or_default()
            .iter()
            .find(|intent| &intent.name == name);
        own.map_or_else(|| "–".to_owned(), |own| format!("{:.3}", own.mean))
    };
    let rows = manifest
        .intents
        .iter()
        .map(|intent| {
            vec![
                intent.name.to_string(),
                intent.n_rows.to_string(),
                similar(&intent.name),
            ]
        })
        .collect();
    let accuracy = manifest.metrics.accuracy;
    format!(
        "{}\naccuracy   {:.2}% ({:.2}–{:.2}) of {} rows, {}-fold cross-validated; majority {:.2}%\nthreshold  {:.3} ({})\nwritten to {}",
        table(&["intent", "rows", "nearest-neighbour cosine"], rows),
        accuracy.value * 100.0,
        accuracy.low * 100.0,
        accuracy.high * 100.0,
        accuracy.n,
        manifest.metrics.folds,
        manifest.metrics.majority * 100.0,
        manifest.threshold.value,
        how(manifest.threshold.how),
        out.display(),
    )
}

/// How a threshold was found, for people.
const fn how(rule: ThresholdRule) -> &'static str {
    match rule {
        ThresholdRule::YoudenHeldOutAndOos => "best tells held-out from out-of-scope rows",
        ThresholdRule::Conformal5Percent => {
            "5% of held-out rows lie below; no out-of-scope row was given"
        }
    }
}
