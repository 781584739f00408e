//! `semroute check`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::config::reference::reference;
use crate::config::schema::committed_text;
use crate::config::{Environment, assemble};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration; the embedded one, if it is left out.
    config: Option<PathBuf>,
    /// Print the JSON Schema of configurations instead.
    #[arg(long, conflicts_with_all = ["config", "reference"])]
    schema: bool,
    /// Print the reference of every key, in Markdown, instead.
    #[arg(long, conflicts_with = "config")]
    reference: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    if arguments.schema {
        return Ok(reporter.result(&committed_text())?);
    }
    if arguments.reference {
        return Ok(reporter.result(&reference())?);
    }
    let assembled = assemble(arguments.config.as_deref(), environment)?;
    for warning in assembled.warnings() {
        reporter.warning(&warning.to_string());
    }
    let plan = &assembled.plan;
    let n_routes: usize = plan.assistants.values().map(|it| it.routes.len()).sum();
    reporter.result(&format!(
        "fine: {} models, {} assistants, {n_routes} routes, {} intents",
        plan.targets.len(),
        plan.assistants.len(),
        plan.centroids.intents().len()
    ))?;
    Ok(())
}
