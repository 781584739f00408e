//! `semroute models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::encoder::quantise::{Source, quantise_model};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an int8 encoder from published weights.
    Quantize(Quantize),
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

pub(super) fn run(
    arguments: &Arguments,
    _: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let Command::Quantize(quantize) = &arguments.command;
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
