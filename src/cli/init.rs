//! `semroute init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::config::Environment;
use crate::config::init::draft;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file to write; it is never overwritten. `-` prints it.
    #[arg(default_value = "semroute.yaml")]
    file: PathBuf,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let draft = draft(environment);
    if arguments.file.as_os_str() == "-" {
        return Ok(reporter.result(&draft.text)?);
    }
    let path = arguments.file.display();
    let mut file = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&arguments.file)
    {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::Usage(format!(
                "{path} is there already and is not overwritten; give another name"
            )));
        }
        Err(error) => return Err(Failure::Usage(format!("{path} cannot be written: {error}"))),
    };
    file.write_all(draft.text.as_bytes())
        .with_context(|| format!("{path} cannot be written"))?;
    reporter.note(&match draft.keys.as_slice() {
        [] => format!("wrote {path} with simulated models: no provider key was found"),
        keys => format!("wrote {path} for {}", keys.join(", ")),
    });
    reporter.note(&format!(
        "next: semroute check {path} && semroute serve --config {path}"
    ));
    Ok(())
}
