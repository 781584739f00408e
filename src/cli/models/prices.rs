//! `semroute models prices`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::catalogue::{Imported, import, write};
use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::config::catalogue::CATALOGUE_BYTES_MAX;

#[derive(Debug, Args)]
pub(super) struct Prices {
    /// LiteLLM's `model_prices_and_context_window.json`, or a catalogue.
    file: PathBuf,
    /// The file to write; standard output, if it is left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// When the prices held, if the file itself does not say.
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

pub(super) fn run(arguments: &Prices, reporter: Reporter) -> Result<(), Failure> {
    let text = read(&arguments.file)?;
    let mut imported = import(&text).map_err(|problem| wrong(&arguments.file, &problem))?;
    let catalogue = &mut imported.catalogue;
    catalogue.as_of = catalogue.as_of.take().or_else(|| arguments.as_of.clone());
    let written = write(catalogue).map_err(anyhow::Error::from)?;
    match &arguments.out {
        Some(out) => fs::write(out, written)
            .map_err(|error| anyhow::anyhow!("{} cannot be written: {error}", out.display()))?,
        None => reporter.result(&written)?,
    }
    tell(&imported, reporter);
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |error| wrong(path, &format!("it cannot be read: {error}"));
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if CATALOGUE_BYTES_MAX < size {
        let problem = format!("it has {size} bytes; at most {CATALOGUE_BYTES_MAX} are read");
        return Err(wrong(path, &problem));
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn wrong(path: &Path, problem: &str) -> Failure {
    Failure::Usage(format!("{}: {problem}", path.display()))
}

/// How many names stand for a reason.
const NAMES_SHOWN: usize = 3;

/// Tells what became of the entries.
fn tell(imported: &Imported, reporter: Reporter) {
    reporter.note(&format!(
        "{} models, {} entries left out",
        imported.catalogue.len(),
        imported.skipped.len()
    ));
    for (reason, names) in imported.reasons() {
        reporter.note(&format!("  {}: {reason}: {}", names.len(), some(&names)));
    }
    if !imported.tiered.is_empty() {
        let names: Vec<&str> = imported.tiered.iter().map(String::as_str).collect();
        reporter.warning(&format!(
            "{} models cost more for long prompts; the catalogue has the price of short ones: {}",
            names.len(),
            some(&names)
        ));
    }
}

fn some(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).copied();
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if NAMES_SHOWN < names.len() {
        text.push_str(", …");
    }
    text
}
