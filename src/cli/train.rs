//! `semroute train`.

mod base;
mod gather;
mod log;
mod static_part;
mod summary;
mod written;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use crate::centroids::manifest::Candidate;
use crate::centroids::review::Review;
use crate::centroids::rows::{Rows, Shard};
use crate::centroids::train::{Wanted, Weighting};
use crate::centroids::{CentroidSet, Examples, Provenance, Trained, Training, train};
use crate::cli::Failure;
use crate::cli::dataset::EmbeddingArguments;
use crate::cli::eval::of_comparison;
use crate::cli::report::Reporter;
use crate::cli::versions::now;
use crate::config::Environment;
use crate::eval::compare::Verdict;
use crate::eval::{NeighbourSimilarity, neighbour_similarity};
use crate::store::versions::Versions;

use base::Trial;
use gather::Gathered;
use written::{Written, write, write_share};

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Arguments {
    /// Files of labelled prompts, plain or gzip, a line each: {"text": "…", "intent": "…"}; rows with
    /// the intent `oos` are out of scope. Or logs of records, whose labels are what feedback says.
    #[arg(required_unless_present_any = ["merge", "feedback"], value_name = "LABELS")]
    labels: Vec<PathBuf>,
    /// The folder to write: a new one becomes a set, one with versions gets another. The base, if it
    /// is left out.
    #[arg(long, value_name = "DIR", required_unless_present = "base")]
    out: Option<PathBuf>,
    /// Feedback on the requests of the logs, where it is not beside them.
    #[arg(long, value_name = "FILE")]
    feedback: Vec<PathBuf>,
    /// A set whose rows are trained on as well, and which the result is compared with. Where both know
    /// a prompt, the new label counts.
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Compare with the base on these rows instead of a fifth of all.
    #[arg(long, value_name = "FILE", requires = "base")]
    holdout: Option<PathBuf>,
    /// Put the result in force, unless it is significantly worse than the base.
    #[arg(long, requires = "base")]
    promote: bool,
    /// With `--promote`: even then.
    #[arg(long, requires = "promote")]
    despite_loss: bool,
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
    #[arg(long, value_name = "I/N", conflicts_with_all = ["merge", "base"])]
    shard: Option<Shard>,
    /// Join the shares in this folder and train on them; nothing is embedded.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["labels", "oos", "feedback"])]
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

impl Arguments {
    /// The folder to write; one of the two is demanded.
    fn target(&self) -> &Path {
        let folder = self.out.as_deref().or(self.base.as_deref());
        folder.unwrap_or(Path::new("."))
    }
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
        let share = gather::share(arguments, shard, environment, reporter)?;
        return write_share(&share, arguments.target(), reporter);
    }
    let gathered = gather::all(arguments, environment, reporter)?;
    let Fit {
        set,
        review,
        similarity,
    } = fit_all(&gathered, arguments, reporter)?;
    summary::warn(&review, &gathered, reporter);
    if let Some(path) = &arguments.review {
        summary::write_doubts(&review, &gathered, path)?;
    }
    let trial = try_out(&gathered, &set, arguments, (environment, reporter))?;
    let written = write(&set, &gathered.rows, trial.as_ref(), arguments.target())?;
    if arguments.json {
        reporter.json(&json!({
            "manifest": set.manifest(),
            "static": set.static_part().map(CentroidSet::manifest),
            "comparison": trial.as_ref().map(|trial| &trial.comparison),
            "written": written.folder(),
        }))?;
    } else {
        let mut told = summary::of_set(&set, similarity.as_ref());
        if let Some(trial) = &trial {
            told.push_str("\nagainst the base, on rows that neither saw: ");
            told.push_str(&trial.n_held_out.to_string());
            told.push('\n');
            told.push_str(&of_comparison(&trial.comparison));
        }
        told.push_str("\nwritten to  ");
        told.push_str(&written.folder().to_string_lossy());
        reporter.result(&told)?;
    }
    put_in_force(&written, trial.as_ref(), arguments, reporter)
}

/// The comparison with the base, if there is one.
fn try_out(
    gathered: &Gathered,
    set: &CentroidSet,
    arguments: &Arguments,
    context: (Environment, Reporter),
) -> Result<Option<Trial>, Failure> {
    let Some(base) = &gathered.base else {
        return Ok(None);
    };
    let trial = match &arguments.holdout {
        Some(path) => base::try_on_file(base, set, path, arguments, context)?,
        None => base::try_on_held_out(
            base,
            &gathered.rows,
            set.manifest().rule,
            &gathered.texts,
            arguments,
        )?,
    };
    Ok(Some(trial))
}

/// What training came to.
struct Fit {
    set: CentroidSet,
    review: Review,
    similarity: Option<NeighbourSimilarity>,
}

/// Trains both parts and measures how alike the rows are.
fn fit_all(gathered: &Gathered, arguments: &Arguments, reporter: Reporter) -> anyhow::Result<Fit> {
    let Trained { mut set, review } = fit(&gathered.rows, arguments, &mut |candidate| {
        reporter.note(&summary::of_candidate(candidate));
    })?;
    let (within, intents, _) = gathered.rows.by_scope();
    let similarity = neighbour_similarity(&within.vectors, &intents, &mut |_, _| {});
    if let Some(similarity) = &similarity {
        set.note_neighbour_similarity(similarity.mean);
    }
    Ok(Fit {
        set: static_part::add(set, gathered, arguments, reporter)?,
        review,
        similarity,
    })
}

/// Trains on rows.
fn fit(
    rows: &Rows,
    arguments: &Arguments,
    on_judged: &mut dyn FnMut(&Candidate),
) -> anyhow::Result<Trained> {
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
        name: name_of(arguments.target()),
        encoder: rows.embedding.encoder.clone(),
        data_digest: rows.digest(),
    };
    Ok(train(examples, training, provenance, on_judged)?)
}

/// The set is called as its folder.
fn name_of(out: &Path) -> String {
    out.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Puts a version in force if that was asked for and nothing speaks against it.
fn put_in_force(
    written: &Written,
    trial: Option<&Trial>,
    arguments: &Arguments,
    reporter: Reporter,
) -> Result<(), Failure> {
    let Written::Version(version) = written else {
        return Ok(());
    };
    let out = arguments.target();
    if !arguments.promote {
        if !version.is_current {
            reporter.note(&format!(
                "not in force yet: look at `semroute replay`, then `semroute promote {} {}`",
                out.display(),
                version.name
            ));
        }
        return Ok(());
    }
    let is_worse = trial.is_some_and(|trial| trial.comparison.verdict == Verdict::Worse);
    if is_worse && !arguments.despite_loss {
        return Err(Failure::Work(anyhow::anyhow!(
            "{} is significantly worse than what is in force, so it was not put in force; \
             `--despite-loss` does it all the same",
            version.name
        )));
    }
    let change = Versions::of(out)
        .promote(version, now())
        .map_err(anyhow::Error::from)?;
    reporter.note(&format!("{} is in force, after {}", change.to, change.from));
    Ok(())
}
