//! The command line: reads arguments, calls the library, prints.
//!
//! Results go to standard output, everything else to standard error. The exit code is 0 if all is
//! well, 1 if the work failed, 2 if the command or the configuration is wrong.

mod bench;
mod check;
mod dataset;
mod drift;
mod eval;
mod init;
mod models;
mod replay;
mod report;
mod route;
mod serve;
mod train;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Environment, Problems};
use crate::telemetry::{Verbosity, log_to_stderr};

use report::Reporter;

/// A semantic router and cascade engine for LLM traffic, with its sentence encoder inside the process.
#[derive(Debug, Parser)]
#[command(name = "semroute", version, about, max_term_width = 100)]
struct Arguments {
    /// Say nothing but results, warnings and errors.
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests over HTTP.
    Serve(serve::Arguments),
    /// Say where a prompt would go, and why.
    Route(route::Arguments),
    /// Make centroids from labelled prompts.
    Train(train::Arguments),
    /// List the versions of centroids.
    Versions(versions::List),
    /// Put a version of centroids in force.
    Promote(versions::Promote),
    /// Put the version of centroids in force that was so before.
    Rollback(versions::Rollback),
    /// Say whether the prompts of a log still look like the training rows, and what new ones there are.
    Drift(drift::Arguments),
    /// Say what other centroids would have done with the requests of a log, and at what cost.
    Replay(replay::Arguments),
    /// Measure centroids on labelled prompts.
    Eval(Box<eval::Arguments>),
    /// Measure the time and the memory that a decision takes.
    Bench(bench::Arguments),
    /// Tell every problem of a configuration.
    Check(check::Arguments),
    /// Write a configuration to begin with.
    Init(init::Arguments),
    /// Models that answer, their prices, and encoders.
    Models(models::Arguments),
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The command or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The work itself failed.
    #[error("{0:#}")]
    Work(#[from] anyhow::Error),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

/// Runs the command of the process.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too and are printed where they belong.
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    let environment = Environment::of_process();
    let reporter = Reporter::new(arguments.quiet);
    let verbosity = match (&arguments.command, arguments.quiet) {
        (Command::Serve(_), false) => Verbosity::Normal,
        _ => Verbosity::Quiet,
    };
    let result = log_to_stderr(verbosity, environment.get("SEMROUTE_LOG").as_deref())
        .map_err(Failure::Usage)
        .and_then(|()| dispatch(arguments.command, environment, reporter));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            reporter.failure(&failure.to_string());
            match failure {
                Failure::Usage(_) => ExitCode::from(2),
                Failure::Work(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(command: Command, environment: Environment, reporter: Reporter) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, environment, reporter),
        Command::Route(arguments) => route::run(&arguments, environment, reporter),
        Command::Train(arguments) => train::run(&arguments, environment, reporter),
        Command::Versions(arguments) => versions::list(&arguments, reporter),
        Command::Promote(arguments) => versions::promote(&arguments, reporter),
        Command::Rollback(arguments) => versions::rollback(&arguments, reporter),
        Command::Drift(arguments) => drift::run(&arguments, environment, reporter),
        Command::Replay(arguments) => replay::run(&arguments, environment, reporter),
        Command::Eval(arguments) => eval::run(&arguments, environment, reporter),
        Command::Bench(arguments) => bench::run(&arguments, environment, reporter),
        Command::Check(arguments) => check::run(&arguments, environment, reporter),
        Command::Init(arguments) => init::run(&arguments, environment, reporter),
        Command::Models(arguments) => models::run(&arguments, environment, reporter),
    }
}
