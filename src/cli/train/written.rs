//! Where a trained set goes: into a folder of its own, or among the versions of one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::centroids::CentroidSet;
use crate::centroids::format::{MANIFEST_FILE, VECTORS_FILE};
use crate::centroids::rows::{Part, ROWS_FILE, Rows};
use crate::centroids::static_part::{STATIC_MANIFEST_FILE, STATIC_VECTORS_FILE};
use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::cli::train::base::Trial;
use crate::cli::train::gather::{Share, static_file_name};
use crate::store::versions::{COMPARISON_FILE, Version, Versions};

/// Where a set went.
pub(super) enum Written {
    /// Into a folder of its own.
    Flat(PathBuf),
    /// Among the versions of a folder.
    Version(Version),
}

impl Written {
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Flat(folder) => folder,
            Self::Version(version) => &version.folder,
        }
    }
}

/// Writes a share of rows, that by the main encoder last: where it is, the other is too.
pub(super) fn write_share(share: &Share, out: &Path, reporter: Reporter) -> Result<(), Failure> {
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    if let Some(part) = &share.static_part {
        write_part(part, &out.join(static_file_name(share.part.shard)))?;
    }
    let path = out.join(share.part.shard.file_name());
    write_part(&share.part, &path)?;
    reporter.result(&format!(
        "share {}: {} of {} rows written to {}",
        share.part.shard,
        share.part.rows.len(),
        share.part.n_whole,
        path.display()
    ))?;
    Ok(())
}

fn write_part(part: &Part, path: &Path) -> anyhow::Result<()> {
    // A part that is there is whole: whoever merges may look at any time.
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, part.to_bytes()?)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// A folder that holds a set keeps it and gets a version beside it when the result stands on it; any
/// other is written as asked.
pub(super) fn write(
    set: &CentroidSet,
    rows: &Rows,
    trial: Option<&Trial>,
    out: &Path,
) -> anyhow::Result<Written> {
    let files = set.to_files()?;
    let rows = rows.to_bytes()?;
    let static_part = set.static_part().map(CentroidSet::to_files).transpose()?;
    let comparison = trial
        .map(|trial| serde_json::to_vec_pretty(&trial.comparison))
        .transpose()?;
    let mut parts: Vec<(&str, &[u8])> = vec![(ROWS_FILE, &rows), (VECTORS_FILE, &files.vectors)];
    if let Some(files) = &static_part {
        parts.push((STATIC_VECTORS_FILE, &files.vectors));
        parts.push((STATIC_MANIFEST_FILE, &files.manifest));
    }
    parts.extend(
        comparison
            .as_ref()
            .map(|it| (COMPARISON_FILE, it.as_slice())),
    );
    // The manifest last: without its vectors it would be an artefact that looks whole.
    parts.push((MANIFEST_FILE, &files.manifest));
    let versions = Versions::of(out);
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    if trial.is_some() || versions.current_name()?.is_some() {
        return Ok(Written::Version(versions.add(&set.digest()?, &parts)?));
    }
    if static_part.is_none() {
        // That of the set which lay here before belongs to no other.
        remove(out, STATIC_MANIFEST_FILE)?;
        remove(out, STATIC_VECTORS_FILE)?;
    }
    for (name, bytes) in parts {
        let path = out.join(name);
        std::fs::write(&path, bytes)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(Written::Flat(out.to_owned()))
}

fn remove(folder: &Path, name: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
