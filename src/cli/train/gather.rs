//! Where the rows of a training run come from: files of labels, or shares that were embedded before.

use std::path::Path;

use anyhow::{Context, bail};

use crate::centroids::labels::{PromptSource, Row};
use crate::centroids::rows::{Label, Part, Rows, Shard, digest, join};
use crate::cli::Failure;
use crate::cli::dataset::{INTENT_KEY, read_files};
use crate::cli::report::Reporter;
use crate::cli::train::Arguments;
use crate::config::Environment;
use crate::domain::chat::Role;

/// Embedded rows, with the prompts where they are at hand.
pub(super) struct Gathered {
    pub(super) rows: Rows,
    /// The prompt of each row, for people to look at; empty where only vectors were read.
    pub(super) texts: Vec<String>,
}

/// Every row that is to be trained on.
pub(super) fn all(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<Gathered, Failure> {
    if let Some(folder) = &arguments.merge {
        let rows = join(read_parts(folder)?).map_err(anyhow::Error::from)?;
        return Ok(Gathered {
            rows,
            texts: Vec::new(),
        });
    }
    let labelled = read_rows(arguments, reporter)?;
    let texts = labelled
        .iter()
        .map(|(row, _)| text_of(&row.prompt))
        .collect();
    let part = embed(&labelled, Shard::WHOLE, arguments, (environment, reporter))?;
    Ok(Gathered {
        rows: part.rows,
        texts,
    })
}

/// One share of the rows.
pub(super) fn part(
    arguments: &Arguments,
    shard: Shard,
    environment: Environment,
    reporter: Reporter,
) -> Result<Part, Failure> {
    let labelled = read_rows(arguments, reporter)?;
    embed(&labelled, shard, arguments, (environment, reporter))
}

/// Labelled rows in the order that they are trained in: those of the files, then those of `--oos`.
fn read_rows(arguments: &Arguments, reporter: Reporter) -> anyhow::Result<Vec<(Row, Label)>> {
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
    arguments: &Arguments,
    (environment, reporter): (Environment, Reporter),
) -> Result<Part, Failure> {
    let (rows, labels): (Vec<Row>, Vec<Label>) = labelled.iter().cloned().unzip();
    let whole = digest(&labels);
    let n_whole = labels.len();
    let own = |row: usize| shard.holds(row);
    let rows: Vec<Row> = of(rows, own);
    let labels: Vec<Label> = of(labels, own);
    let embedder = arguments.embedding.open(environment)?;
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

/// Every share in a folder.
fn read_parts(folder: &Path) -> anyhow::Result<Vec<Part>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let is_part = name.is_some_and(|name| {
            name.starts_with("rows-") && name.contains("-of-") && name.ends_with(".safetensors")
        });
        if is_part {
            let bytes = std::fs::read(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            let part = Part::from_bytes(&bytes)
                .with_context(|| format!("{} holds no share of rows", path.display()))?;
            parts.push(part);
        }
    }
    if parts.is_empty() {
        bail!(
            "{} holds no share of rows: run `semroute train LABELS --shard I/N --out {}` for each \
             I first",
            folder.display(),
            folder.display()
        );
    }
    Ok(parts)
}

/// What a person recognises a prompt by.
fn text_of(prompt: &PromptSource) -> String {
    match prompt {
        PromptSource::Text(text) => text.clone(),
        PromptSource::Messages(messages) => messages
            .iter()
            .rfind(|message| message.role == Role::User)
            .map(|message| message.text.clone())
            .unwrap_or_default(),
    }
}
