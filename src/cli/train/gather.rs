//! Where the rows of a training run come from: files of labels, or shares that were embedded before.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

use crate::centroids::labels::{Labels, Row};
use crate::centroids::rows::{Label, Part, Rows, Shard, digest, join};
use crate::cli::Failure;
use crate::cli::dataset::{Embedder, INTENT_KEY, read_files, text_of};
use crate::cli::report::Reporter;
use crate::cli::train::base::Base;
use crate::cli::train::{Arguments, log};
use crate::config::Environment;

/// What the file of a share by the static encoder is called before its number.
const STATIC_PREFIX: &str = "static-";

/// Embedded rows, with the prompts where they are at hand.
pub(super) struct Gathered {
    /// What is trained on.
    pub(super) rows: Rows,
    /// The same rows by the static encoder; none where it has none, or where not all of their words are at
    /// hand.
    pub(super) static_rows: Option<Rows>,
    /// The prompts, by their digests; without those of which only the vector was read.
    pub(super) texts: BTreeMap<[u8; 32], String>,
    /// The set that newer rows were added to.
    pub(super) base: Option<Base>,
}

impl Gathered {
    /// The prompt of a row.
    pub(super) fn text(&self, row: usize) -> Option<&String> {
        self.texts.get(&self.rows.labels.get(row)?.prompt)
    }
}

/// Every row that is to be trained on.
pub(super) fn all(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<Gathered, Failure> {
    let (newer, static_rows, texts) = if let Some(folder) = &arguments.merge {
        let (rows, static_rows) = merged(folder, arguments)?;
        (rows, static_rows, BTreeMap::new())
    } else {
        let labelled = read_rows(arguments, reporter)?;
        let text = |(row, label): &(Row, Label)| (label.prompt, text_of(&row.prompt));
        let texts = labelled.iter().map(text).collect();
        let embedder = arguments.embedding.open(environment)?;
        let part = embed(&labelled, Shard::WHOLE, &embedder, reporter)?;
        let fixed = embedder.fixed().filter(|_| arguments.base.is_none());
        let static_rows = fixed
            .map(|fixed| embed(&labelled, Shard::WHOLE, &fixed, reporter))
            .transpose()?;
        (part.rows, static_rows.map(|part| part.rows), texts)
    };
    let Some(folder) = &arguments.base else {
        return Ok(Gathered {
            rows: newer,
            static_rows,
            texts,
            base: None,
        });
    };
    let base = Base::open(folder, &newer.embedding.encoder)?;
    if base.rows.embedding != newer.embedding {
        return Err(Failure::Usage(format!(
            "the base was embedded with {}, the new rows with {}: give the same --encoder, --text \
             and --windows, on the same kind of processor",
            base.rows.embedding, newer.embedding
        )));
    }
    Ok(Gathered {
        rows: base.rows.corrected_by(&newer),
        static_rows: None,
        texts,
        base: Some(base),
    })
}

/// One share of the rows.
pub(super) struct Share {
    /// By the main encoder.
    pub(super) part: Part,
    /// By its static encoder, if it has one.
    pub(super) static_part: Option<Part>,
}

/// One share of the rows.
pub(super) fn share(
    arguments: &Arguments,
    shard: Shard,
    environment: Environment,
    reporter: Reporter,
) -> Result<Share, Failure> {
    let labelled = read_rows(arguments, reporter)?;
    let embedder = arguments.embedding.open(environment)?;
    let part = embed(&labelled, shard, &embedder, reporter)?;
    let fixed = embedder.fixed();
    let static_part = fixed.map(|fixed| embed(&labelled, shard, &fixed, reporter));
    Ok(Share {
        part,
        static_part: static_part.transpose()?,
    })
}

/// Labelled rows in the order that they are trained in: those of the files, then those of `--oos`.
fn read_rows(arguments: &Arguments, reporter: Reporter) -> anyhow::Result<Vec<(Row, Label)>> {
    let (logs, files): (Vec<_>, Vec<_>) = arguments
        .labels
        .iter()
        .cloned()
        .partition(|path| log::is_log(path));
    let mut labels = Labels::default();
    if !files.is_empty() {
        labels = read_files(&files, INTENT_KEY, reporter)?;
    }
    if !logs.is_empty() || !arguments.feedback.is_empty() {
        labels
            .rows
            .extend(log::labelled(&logs, &arguments.feedback, reporter)?);
    }
    if labels.rows.is_empty() {
        bail!("no row is labelled: give files of labels, or a log and its feedback");
    }
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
    let label = |row: &Row, in_scope| Label {
        intent: Some(row.intent.clone()).filter(|_| in_scope),
        prompt: row.prompt.digest(),
        place: row.place.clone(),
    };
    let within = rows.into_iter().map(|row| (label(&row, true), row));
    let outside = out_of_scope
        .into_iter()
        .map(|row| (label(&row, false), row));
    Ok(within
        .chain(outside)
        .map(|(label, row)| (row, label))
        .collect())
}

fn embed(
    labelled: &[(Row, Label)],
    shard: Shard,
    embedder: &Embedder,
    reporter: Reporter,
) -> anyhow::Result<Part> {
    let (rows, labels): (Vec<Row>, Vec<Label>) = labelled.iter().cloned().unzip();
    let whole = digest(&labels);
    let n_whole = labels.len();
    let own = |row: usize| shard.holds(row);
    let rows: Vec<Row> = of(rows, own);
    let labels: Vec<Label> = of(labels, own);
    let vectors = embedder.embed(&rows, reporter)?;
    Ok(Part {
        shard,
        whole,
        n_whole,
        rows: Rows {
            embedding: embedder.embedding(),
            vectors,
            labels,
        },
    })
}

/// Those whose position is wanted.
fn of<T>(all: Vec<T>, wanted: impl Fn(usize) -> bool) -> Vec<T> {
    let numbered = all.into_iter().enumerate();
    numbered
        .filter(|(position, _)| wanted(*position))
        .map(|(_, one)| one)
        .collect()
}

/// The name of a share's file by the static encoder.
pub(super) fn static_file_name(shard: Shard) -> String {
    format!("{STATIC_PREFIX}{}", shard.file_name())
}

/// The rows of all shares, and the same by the static encoder where a set is trained on them alone.
fn merged(folder: &Path, arguments: &Arguments) -> anyhow::Result<(Rows, Option<Rows>)> {
    let parts = read_parts(folder, "")?;
    if parts.is_empty() {
        bail!(
            "{} holds no share of rows: run `semroute train LABELS --shard I/N --out {}` for each \
             I first",
            folder.display(),
            folder.display()
        );
    }
    let rows = join(parts)?;
    let static_parts = read_parts(folder, STATIC_PREFIX)?;
    if static_parts.is_empty() || arguments.base.is_some() {
        return Ok((rows, None));
    }
    let static_rows = join(static_parts).context("the shares by the static encoder")?;
    if static_rows.labels != rows.labels {
        bail!("the shares by the static encoder are of other rows: embed all shares again");
    }
    Ok((rows, Some(static_rows)))
}

/// Every share in a folder whose file's name begins so.
fn read_parts(folder: &Path, prefix: &str) -> anyhow::Result<Vec<Part>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let is_part = name.is_some_and(|name| {
            let own = name.strip_prefix(prefix);
            own.is_some_and(|own| own.starts_with("rows-"))
                && name.contains("-of-")
                && name.ends_with(".safetensors")
        });
        if is_part {
            let bytes = std::fs::read(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            let part = Part::from_bytes(&bytes)
                .with_context(|| format!("{} holds no share of rows", path.display()))?;
            parts.push(part);
        }
    }
    Ok(parts)
}
