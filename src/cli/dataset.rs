//! Reads labelled prompts and embeds them: what `train`, `eval` and `bench` begin with.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;

use crate::centroids::CentroidSet;
use crate::centroids::EncoderIdentity;
use crate::centroids::labels::{Labels, OUT_OF_SCOPE, PromptSource, Row, read_labelled_by};
use crate::centroids::rows::Embedding;
use crate::cli::Failure;
use crate::cli::report::{Reporter, excerpt};
use crate::config::Environment;
use crate::config::artefacts::{Fitting, fitting};
use crate::config::assemble::{encoder_settings, open_encoder, open_static_encoder};
use crate::domain::chat::Role;
use crate::encoder::corpus::embed_all;
use crate::encoder::windowing::WINDOWS_MAX;
use crate::encoder::{Encoder, Passage, Settings};
use crate::engine::passages::{Selection, select};
use crate::eval::{Example, Expected, Outcome};
use crate::store::log_reader;
use crate::vector::Vectors;

/// The key of a row that holds its label, unless told otherwise.
pub(super) const INTENT_KEY: &str = "intent";

/// Rejected rows that are named one by one; the rest is counted.
pub(super) const REJECTIONS_NAMED_MAX: usize = 20;

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

/// How prompts become vectors.
#[derive(Debug, Args)]
pub(super) struct EmbeddingArguments {
    /// What of a conversation is embedded; serve with the same `encoder.text`.
    #[arg(long, value_enum, default_value_t)]
    text: Text,
    /// The most windows of a long prompt; serve with the same `encoder.windows`.
    #[arg(long, value_name = "N", default_value_t = WINDOWS_MAX, value_parser = at_least_one)]
    windows: usize,
    #[command(flatten)]
    encoder: EncoderArguments,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| 1 <= *number);
    number.ok_or_else(|| format!("{text:?} is not a number from 1 up"))
}

impl EmbeddingArguments {
    /// Opens the encoder.
    pub(super) fn open(&self, environment: Environment) -> Result<Embedder, Failure> {
        let encoder = self.encoder.open(environment)?;
        Ok(Embedder {
            fixed: self.encoder.open_static(&encoder)?,
            encoder,
            text: self.text,
            windows: self.windows,
        })
    }
}

/// Turns labelled prompts into vectors.
pub(super) struct Embedder {
    encoder: Arc<dyn Encoder>,
    /// Its static encoder.
    fixed: Option<Arc<dyn Encoder>>,
    text: Text,
    windows: usize,
}

impl Embedder {
    /// The encoder that centroids must have been trained with to fit.
    pub(super) fn identity(&self) -> EncoderIdentity {
        fitting(self.encoder.identity())
    }

    /// The same with its static encoder.
    pub(super) fn fitting(&self) -> Fitting {
        Fitting::of(self.encoder.as_ref(), self.fixed.as_deref())
    }

    /// Its static encoder, if it has one, embedding as it does.
    pub(super) fn fixed(&self) -> Option<Self> {
        self.fixed.as_ref().map(|fixed| Self {
            encoder: Arc::clone(fixed),
            fixed: None,
            text: self.text,
            windows: self.windows,
        })
    }

    /// How it embeds.
    pub(super) fn embedding(&self) -> Embedding {
        Embedding {
            encoder: self.identity(),
            kernel: self.encoder.identity().kernel.clone(),
            text: self.text.as_str().to_owned(),
            windows: self.windows,
        }
    }

    /// The vectors of texts, in order.
    pub(super) fn embed_texts<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
        reporter: Reporter,
    ) -> anyhow::Result<Vectors> {
        let texts: Vec<Vec<Passage>> = texts.map(|text| vec![Passage::new(text)]).collect();
        self.embed_passages(&texts, reporter)
    }

    /// The vectors of rows, in order.
    pub(super) fn embed(&self, rows: &[Row], reporter: Reporter) -> anyhow::Result<Vectors> {
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let passages = passages(&row.prompt, self.text.selection());
            if passages.is_empty() {
                bail!(
                    "{}: the conversation holds no turn to embed; leave the row out",
                    row.place
                );
            }
            texts.push(passages);
        }
        self.embed_passages(&texts, reporter)
    }

    fn embed_passages(
        &self,
        texts: &[Vec<Passage>],
        reporter: Reporter,
    ) -> anyhow::Result<Vectors> {
        let mut progress = reporter.progress("embedding", texts.len());
        let vectors = embed_all(self.encoder.as_ref(), texts, self.windows, &mut |done| {
            progress.reached(done);
        })?;
        Ok(vectors)
    }
}

impl EncoderArguments {
    /// What it is, without opening it.
    pub(super) fn settings(&self, environment: Environment) -> Result<Settings, Failure> {
        let mut problems = Vec::new();
        let settings = encoder_settings(&self.encoder, &self.device, environment, &mut problems);
        settings.ok_or_else(|| crate::config::Problems(problems).into())
    }

    /// Opens the static encoder that belongs to it, if there is one.
    pub(super) fn open_static(
        &self,
        open: &Arc<dyn Encoder>,
    ) -> anyhow::Result<Option<Arc<dyn Encoder>>> {
        Ok(open_static_encoder(&self.encoder, open)?)
    }

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
    /// How it is written in the configuration.
    const fn as_str(self) -> &'static str {
        match self {
            Self::LastUser => "last_user",
            Self::Weighted => "weighted",
            Self::All => "all",
        }
    }

    pub(super) const fn selection(self) -> Selection {
        match self {
            Self::LastUser => Selection::LastUser,
            Self::Weighted => Selection::Weighted,
            Self::All => Selection::All,
        }
    }
}

/// Reads files of labels, plain or gzip. Rows that cannot be used are told with their line; what is left is the result.
pub(super) fn read_files(
    paths: &[PathBuf],
    label_key: &str,
    reporter: Reporter,
) -> anyhow::Result<Labels> {
    let mut labels = Labels::default();
    for path in paths {
        let mut text = Vec::new();
        log_reader::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .with_context(|| format!("{} cannot be read", path.display()))?;
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

fn passages(prompt: &PromptSource, selection: Selection) -> Vec<Passage> {
    match prompt {
        PromptSource::Text(text) => vec![Passage::new(text.as_str())],
        PromptSource::Messages(messages) => select(messages, selection),
    }
}

/// What a person recognises a prompt by.
pub(super) fn text_of(prompt: &PromptSource) -> String {
    match prompt {
        PromptSource::Text(text) => text.clone(),
        PromptSource::Messages(messages) => messages
            .iter()
            .rfind(|message| message.role == Role::User)
            .map(|message| message.text.clone())
            .unwrap_or_default(),
    }
}

/// What a set makes of labelled rows.
pub(super) fn outcomes(rows: &[Row], vectors: &Vectors, set: &CentroidSet) -> Vec<Outcome> {
    rows.iter()
        .zip(vectors.rows())
        .map(|(row, vector)| Outcome {
            expected: match row.intent.as_str() {
                OUT_OF_SCOPE => Expected::OutOfScope,
                _ => Expected::Intent(row.intent.clone()),
            },
            found: set.classify(vector, set.threshold()),
            row: Example {
                place: row.place.to_string(),
                text: excerpt(&text_of(&row.prompt)),
            },
        })
        .collect()
}
