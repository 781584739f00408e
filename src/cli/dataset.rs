//! Reads labelled prompts and embeds them: what `train`, `eval` and `bench` begin with.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;

use crate::centroids::labels::{Labels, PromptSource, Row, read_labelled_by};
use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::config::assemble::open_encoder;
use crate::encoder::corpus::embed_all;
use crate::encoder::windowing::WINDOWS_MAX;
use crate::encoder::{Encoder, Passage};
use crate::engine::passages::{Selection, select};
use crate::vector::Vectors;

/// The key of a row that holds its label, unless told otherwise.
pub(super) const INTENT_KEY: &str = "intent";

/// Rejected rows that are named one by one; the rest is counted.
const REJECTIONS_NAMED_MAX: usize = 20;

/// Which encoder, for commands that take no configuration.
#[derive(Debug, Args)]
pub(super) struct EncoderArguments {
    /// The encoder: `embedded`, `path:DIR` or `hf:ORG/NAME@REVISION`.
    #[arg(long, value_name = "MODEL", default_value = "embedded")]
    encoder: String,
    /// Where it runs: `auto`, `cpu`, `cuda:0` or `metal`.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

impl EncoderArguments {
    /// Opens it.
    pub(super) fn open(&self, environment: Environment) -> Result<Arc<dyn Encoder>, Failure> {
        let mut problems = Vec::new();
        let source = open_encoder(&self.encoder, &self.device, environment, &mut problems);
        source.ok_or_else(|| crate::config::Problems(problems).into())
    }
}

/// Which turns of a labelled conversation count.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Text {
    /// The person's last turn.
    #[default]
    LastUser,
    /// All of the person's turns, each counting half as much as the next.
    Weighted,
    /// All turns of person and model.
    All,
}

impl Text {
    pub(super) const fn selection(self) -> Selection {
        match self {
            Self::LastUser => Selection::LastUser,
            Self::Weighted => Selection::Weighted,
            Self::All => Selection::All,
        }
    }
}

/// Reads files of labels. Rows that cannot be used are told with their line; what is left is the result.
pub(super) fn read_files(
    paths: &[PathBuf],
    label_key: &str,
    reporter: Reporter,
) -> anyhow::Result<Labels> {
    let mut labels = Labels::default();
    for path in paths {
        let text =
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        labels.append(read_labelled_by(
            label_key,
            &path.display().to_string(),
            &text,
        ));
    }
    for rejection in labels.rejected.iter().take(REJECTIONS_NAMED_MAX) {
        reporter.warning(&format!("{rejection}; the row is left out"));
    }
    let more = labels.rejected.len().saturating_sub(REJECTIONS_NAMED_MAX);
    if 0 < more {
        reporter.warning(&format!("{more} more rows are left out"));
    }
    if labels.rows.is_empty() {
        bail!("no row can be used; each is a line like {{\"text\": \"…\", \"intent\": \"…\"}}");
    }
    Ok(labels)
}

/// Embeds rows, in order.
pub(super) fn embed(
    rows: &[Row],
    encoder: &dyn Encoder,
    selection: Selection,
    reporter: Reporter,
) -> anyhow::Result<Vectors> {
    let mut texts = Vec::with_capacity(rows.len());
    for row in rows {
        let passages = passages(&row.prompt, selection);
        if passages.is_empty() {
            bail!(
                "{}: the conversation holds no turn to embed; leave the row out",
                row.place
            );
        }
        texts.push(passages);
    }
    let mut progress = reporter.progress("embedding", texts.len());
    let vectors = embed_all(encoder, &texts, WINDOWS_MAX, &mut |done| {
        progress.reached(done);
    })?;
    Ok(vectors)
}

fn passages(prompt: &PromptSource, selection: Selection) -> Vec<Passage> {
    match prompt {
        PromptSource::Text(text) => vec![Passage::new(text.as_str())],
        PromptSource::Messages(messages) => select(messages, selection),
    }
}
