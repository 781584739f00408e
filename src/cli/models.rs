//! `semroute models`.

mod list;
mod prices;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::Failure;
use crate::cli::dataset::EncoderArguments;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::encoder::distill::{DIMENSIONS, distill};
use crate::encoder::fixed::folder_beside;
use crate::encoder::quantise::{Source, quantise_model};
use crate::encoder::{ModelSource, Settings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the models of a configuration: what they cost and can do, and who said so.
    List(list::List),
    /// Make a catalogue of prices, limits and abilities from LiteLLM's price file.
    Prices(prices::Prices),
    /// Make an int8 encoder from published weights.
    Quantize(Quantize),
    /// Make the static encoder of an encoder: what answers while that has too much to do.
    Distill(Distill),
}

#[derive(Debug, Args)]
struct Quantize {
    /// A folder with config.json, tokenizer.json and model.safetensors.
    source: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the encoder is called.
    #[arg(long)]
    name: String,
    /// Where its weights were published.
    #[arg(long, default_value = "")]
    url: String,
    /// Their licence, as SPDX names it.
    #[arg(long, default_value = "")]
    licence: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Distill {
    #[command(flatten)]
    encoder: EncoderArguments,
    /// The folder to write; where the encoder will look for it, beside its own with `-static` behind its
    /// name, if it is left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many dimensions to keep.
    #[arg(long, value_name = "N", default_value_t = DIMENSIONS)]
    dimensions: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Distill {
    fn out(&self, settings: &Settings) -> Result<PathBuf, Failure> {
        match (&self.out, &settings.model) {
            (Some(out), _) => Ok(out.clone()),
            (None, ModelSource::Path(folder)) => Ok(folder_beside(folder)),
            (None, ModelSource::Embedded | ModelSource::Hub(_)) => Err(Failure::Usage(
                "give the folder to write with --out: this encoder has none of its own".to_owned(),
            )),
        }
    }
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, reporter),
        Command::Prices(arguments) => prices::run(arguments, reporter),
        Command::Quantize(arguments) => quantize(arguments, reporter),
        Command::Distill(arguments) => distilled(arguments, environment, reporter),
    }
}

fn distilled(
    arguments: &Distill,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let settings = arguments.encoder.settings(environment)?;
    let out = arguments.out(&settings)?;
    let mut progress = None;
    let report = distill(&settings, &out, arguments.dimensions, &mut |done, of| {
        progress
            .get_or_insert_with(|| reporter.progress("encoding tokens", of))
            .reached(done);
    })
    .map_err(anyhow::Error::from)?;
    if arguments.json {
        reporter.json(&report)?;
    } else {
        reporter.result(&format!(
            "{}: {} tokens of {} dimensions, which keep {:.1}% of their variance; {} bytes",
            report.folder.display(),
            report.tokens,
            report.dimensions,
            report.variance_kept * 100.0,
            report.bytes
        ))?;
    }
    Ok(())
}

fn quantize(quantize: &Quantize, reporter: Reporter) -> Result<(), Failure> {
    let source = Source {
        name: quantize.name.clone(),
        url: quantize.url.clone(),
        licence: quantize.licence.clone(),
    };
    let report =
        quantise_model(&quantize.source, &quantize.out, source).map_err(anyhow::Error::from)?;
    if quantize.json {
        reporter.json(&report)?;
    } else {
        reporter.result(&format!(
            "{}: {} matrices, {} bytes of weights from {}; a row changed by {:.4} of its length at most",
            report.folder.display(),
            report.matrices,
            report.bytes,
            report.source_bytes,
            report.row_change_max
        ))?;
    }
    Ok(())
}
