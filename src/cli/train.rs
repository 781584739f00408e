//! `semroute train`.

mod gather;
mod summary;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::Args;

use crate::centroids::format::{MANIFEST_FILE, VECTORS_FILE};
use crate::centroids::rows::{ROWS_FILE, Rows, Shard};
use crate::centroids::train::{Wanted, Weighting};
use crate::centroids::{CentroidSet, Examples, Provenance, Trained, Training, train};
use crate::cli::Failure;
use crate::cli::dataset::EmbeddingArguments;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::eval::{NeighbourSimilarity, neighbour_similarity};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of labelled prompts, plain or gzip, a line each: {"text": "…", "intent": "…"}. Rows with
    /// the intent `oos` are out of scope.
    #[arg(required_unless_present = "merge", value_name = "LABELS")]
    labels: Vec<PathBuf>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Prompts that are out of scope, to tell scope by.
    #[arg(long, value_name = "FILE")]
    oos: Option<PathBuf>,
    /// How prototypes are made: `auto` tries all and takes the best; `centroid`, `whitened`,
    /// `logistic`, `logistic:C`, `kmeans`, `kmeans:K` or `nearest` demands one.
    #[arg(long, value_name = "RULE", default_value = "auto")]
    rule: RuleArgument,
    /// Let each intent count alike, however many rows it has. Only a regression can.
    #[arg(long)]
    balance: bool,
    /// Decides which rows are held out together, and where clusters begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Embed only this share of the rows, such as 3/16, and write it for `--merge`.
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Join the shares in this folder and train on them; nothing is embedded.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["labels", "oos"])]
    merge: Option<PathBuf>,
    /// Write the rows whose label the others speak against to this file, one a line.
    #[arg(long, value_name = "FILE")]
    review: Option<PathBuf>,
    #[command(flatten)]
    embedding: EmbeddingArguments,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
}

/// `--rule`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RuleArgument(Wanted);

impl FromStr for RuleArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no rule: write auto, centroid, whitened, logistic, logistic:C with C \
                 above 0, kmeans, kmeans:K with K from 2 to 64, or nearest"
            )
        };
        let (rule, choice) = match text.split_once(':') {
            Some((rule, choice)) => (rule, Some(choice)),
            None => (text, None),
        };
        let c = || choice.map(|c| c.parse::<f64>().ok().filter(|c| c.is_finite() && 0.0 < *c));
        let k = || choice.map(|k| k.parse::<usize>().ok().filter(|k| (2..=64).contains(k)));
        let wanted = match (rule, choice) {
            ("auto", None) => Wanted::Auto,
            ("centroid", None) => Wanted::Centroid,
            ("whitened", None) => Wanted::Whitened,
            ("nearest", None) => Wanted::Nearest,
            ("logistic", _) => Wanted::Logistic(c().map(|c| c.ok_or_else(wrong)).transpose()?),
            ("kmeans", _) => Wanted::KMeans(k().map(|k| k.ok_or_else(wrong)).transpose()?),
            _ => return Err(wrong()),
        };
        Ok(Self(wanted))
    }
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    if let Some(shard) = arguments.shard {
        let part = gather::part(arguments, shard, environment, reporter)?;
        return write_part(&part, &arguments.out, reporter);
    }
    let gathered = gather::all(arguments, environment, reporter)?;
    let (trained, similarity) = fit(&gathered.rows, arguments, reporter)?;
    let Trained { set, review } = trained;
    summary::warn(&review, &gathered, reporter);
    if let Some(path) = &arguments.review {
        summary::write_doubts(&review, &gathered, path)?;
    }
    write(&set, &gathered.rows, &arguments.out)?;
    if arguments.json {
        reporter.json(set.manifest())?;
    } else {
        let told = summary::of_set(&set, similarity.as_ref(), &arguments.out);
        reporter.result(&told)?;
    }
    Ok(())
}

/// Trains on rows and measures how alike they are.
fn fit(
    rows: &Rows,
    arguments: &Arguments,
    reporter: Reporter,
) -> anyhow::Result<(Trained, Option<NeighbourSimilarity>)> {
    let (within, intents, outside) = rows.by_scope();
    let examples = Examples {
        rows: &within.vectors,
        intents: &intents,
        out_of_scope: Some(&outside.vectors).filter(|vectors| !vectors.is_empty()),
    };
    let training = Training {
        wanted: arguments.rule.0,
        weighting: if arguments.balance {
            Weighting::Intents
        } else {
            Weighting::Rows
        },
        seed: arguments.seed,
        ..Training::default()
    };
    let provenance = Provenance {
        name: name_of(&arguments.out),
        encoder: rows.embedding.encoder.clone(),
        data_digest: rows.digest(),
    };
    let mut trained = train(examples, training, provenance, &mut |candidate| {
        reporter.note(&summary::of_candidate(candidate));
    })?;
    let similarity = neighbour_similarity(&within.vectors, &intents, &mut |_, _| {});
    if let Some(similarity) = &similarity {
        trained.set.note_neighbour_similarity(similarity.mean);
    }
    Ok((trained, similarity))
}

/// The set is called as its folder.
fn name_of(out: &Path) -> String {
    out.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn write_part(
    part: &crate::centroids::rows::Part,
    out: &Path,
    reporter: Reporter,
) -> Result<(), Failure> {
    let bytes = part.to_bytes().map_err(anyhow::Error::from)?;
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let path = out.join(part.shard.file_name());
    // A part that is there is whole: whoever merges may look at any time.
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    reporter.result(&format!(
        "share {}: {} of {} rows written to {}",
        part.shard,
        part.rows.len(),
        part.n_whole,
        path.display()
    ))?;
    Ok(())
}

fn write(set: &CentroidSet, rows: &Rows, out: &Path) -> anyhow::Result<()> {
    let files = set.to_files()?;
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    // The manifest last: without its vectors it would be an artefact that looks whole.
    for (name, bytes) in [
        (ROWS_FILE, &rows.to_bytes()?),
        (VECTORS_FILE, &files.vectors),
        (MANIFEST_FILE, &files.manifest),
    ] {
        let path = out.join(name);
        std::fs::write(&path, bytes)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
