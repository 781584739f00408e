//! Log lines for people, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// A line a request as well.
    Normal,
}

/// Sends the process's log lines to standard error. `filter` (such as `semroute=debug`) overrides the
/// verbosity; it is an error if it cannot be read or if lines already go somewhere.
pub fn log_to_stderr(verbosity: Verbosity, filter: Option<&str>) -> Result<(), String> {
    let default = match verbosity {
        Verbosity::Quiet => "warn",
        Verbosity::Normal => "warn,semroute=info",
    };
    let text = filter.unwrap_or(default);
    let filter = EnvFilter::try_new(text)
        .map_err(|error| format!("SEMROUTE_LOG={text:?} is no log filter: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init()
        .map_err(|error| error.to_string())
}
