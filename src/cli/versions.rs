//! `semroute versions`, `promote` and `rollback`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::centroids::Manifest;
use crate::centroids::format::MANIFEST_FILE;
use crate::cli::Failure;
use crate::cli::report::{Reporter, table};
use crate::clock::{Clock, SystemClock};
use crate::config::artefacts::{Fitting, read_artefact};
use crate::domain::record::WallTime;
use crate::eval::compare::Verdict;
use crate::store::versions::{COMPARISON_FILE, Change, Version, Versions};

#[derive(Debug, Args)]
pub(super) struct List {
    /// The folder of the set.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The folder of the set.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The version: its number, the beginning of its digest, or its name. The newest, if it is left
    /// out.
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// Even if it was found to be significantly worse than the one before it.
    #[arg(long)]
    despite_loss: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The folder of the set.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The time, as history keeps it.
pub(super) fn now() -> String {
    WallTime(SystemClock::start().wall()).to_string()
}

/// A version, as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    in_force: bool,
    rule: String,
    n_rows: usize,
    n_intents: usize,
    accuracy: f64,
    verdict: Option<Verdict>,
}

pub(super) fn list(arguments: &List, reporter: Reporter) -> Result<(), Failure> {
    let versions = Versions::of(&arguments.folder);
    let found = versions.list().map_err(anyhow::Error::from)?;
    if found.is_empty() {
        // An artefact without versions has a manifest, or there is nothing.
        read_manifest(&arguments.folder)?;
        reporter.note("these centroids have no versions; `semroute train --base` adds one");
    }
    let listed = found
        .iter()
        .map(describe)
        .collect::<anyhow::Result<Vec<_>>>()?;
    if arguments.json {
        reporter.json(&listed)?;
        return Ok(());
    }
    let rows = listed.into_iter().map(|it| {
        vec![
            if it.in_force { "→" } else { "" }.to_owned(),
            it.name,
            it.rule,
            it.n_rows.to_string(),
            it.n_intents.to_string(),
            format!("{:.2}%", it.accuracy * 100.0),
            it.verdict.map(|it| it.to_string()).unwrap_or_default(),
        ]
    });
    let header = [
        "",
        "version",
        "rule",
        "rows",
        "intents",
        "accuracy, held out",
        "against its base",
    ];
    reporter.result(&table(&header, rows.collect()))?;
    for change in versions.history().map_err(anyhow::Error::from)? {
        reporter.note(&told(&change));
    }
    Ok(())
}

pub(super) fn promote(arguments: &Promote, reporter: Reporter) -> Result<(), Failure> {
    let versions = Versions::of(&arguments.folder);
    let version = versions
        .find(arguments.version.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    // Whole, vectors included, before anyone is told to use it.
    let manifest = read_manifest(&version.folder)?;
    Fitting::as_trained(manifest.encoder, &version.folder)
        .and_then(|fitting| read_artefact(&version.folder, &fitting))
        .map_err(|problem| anyhow::anyhow!(problem))?;
    if version.is_current {
        reporter.result(&format!("{} is in force already", version.name))?;
        return Ok(());
    }
    if let Some(verdict) = verdict_of(&version)?
        && verdict == Verdict::Worse
        && !arguments.despite_loss
    {
        return Err(Failure::Work(anyhow::anyhow!(
            "{} is significantly worse than the version it was compared with, see {}; \
             `--despite-loss` puts it in force all the same",
            version.name,
            version.folder.join(COMPARISON_FILE).display()
        )));
    }
    let change = versions
        .promote(&version, now())
        .map_err(anyhow::Error::from)?;
    reporter.result(&told(&change))?;
    Ok(())
}

pub(super) fn rollback(arguments: &Rollback, reporter: Reporter) -> Result<(), Failure> {
    let change = Versions::of(&arguments.folder)
        .rollback(now())
        .map_err(anyhow::Error::from)?;
    reporter.result(&told(&change))?;
    Ok(())
}

fn told(change: &Change) -> String {
    format!(
        "{} {} is in force, after {}",
        change.time, change.to, change.from
    )
}

fn describe(version: &Version) -> anyhow::Result<Listed> {
    let manifest = read_manifest(&version.folder)?;
    Ok(Listed {
        name: version.name.clone(),
        in_force: version.is_current,
        rule: manifest.rule.to_string(),
        n_rows: manifest.data.n_rows,
        n_intents: manifest.intents.len(),
        accuracy: manifest.metrics.accuracy.value,
        verdict: verdict_of(version)?,
    })
}

fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join(MANIFEST_FILE);
    let bytes = std::fs::read(&path).with_context(|| {
        format!(
            "{} cannot be read: give a folder that `semroute train` wrote",
            path.display()
        )
    })?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no manifest of centroids", path.display()))
}

/// How a version was judged; none, if it was compared with nothing.
fn verdict_of(version: &Version) -> anyhow::Result<Option<Verdict>> {
    #[derive(Deserialize)]
    struct Judged {
        verdict: Verdict,
    }
    let path = version.folder.join(COMPARISON_FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let judged: Judged = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no comparison", path.display()))?;
    Ok(Some(judged.verdict))
}
