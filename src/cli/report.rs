//! The only place that prints.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Prints results, remarks and progress, each where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporter {
    quiet: bool,
}

#[expect(
    clippy::unused_self,
    reason = "whoever prints goes through a reporter, whether or not that print asks it anything"
)]
impl Reporter {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Prints a result to standard output.
    pub(super) fn result(self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        write_lines(&mut out, text).context("standard output cannot be written")
    }

    /// Prints a result as one JSON document.
    pub(super) fn json(self, value: &impl Serialize) -> anyhow::Result<()> {
        self.result(&serde_json::to_string_pretty(value)?)
    }

    /// Tells something on the side, unless silence was asked for.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            // There is nowhere left to tell that standard error cannot be written.
            let _ = write_lines(&mut io::stderr().lock(), text);
        }
    }

    /// Tells something that should be looked at, even if silence was asked for.
    pub(super) fn warning(self, text: &str) {
        let _ = write_lines(&mut io::stderr().lock(), &format!("warning: {text}"));
    }

    /// Tells why a command failed: every line of it.
    pub(super) fn failure(self, text: &str) {
        let mut err = io::stderr().lock();
        for line in text.lines() {
            let _ = write_lines(&mut err, &format!("error: {line}"));
        }
    }

    /// A bar that fills up to `total`: drawn on a terminal, a plain line now and then elsewhere.
    pub(super) fn progress(self, what: &'static str, total: usize) -> Progress {
        let is_drawn = !self.quiet && io::stderr().is_terminal();
        let bar = ProgressBar::new(total as u64);
        let target = if is_drawn {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        bar.set_draw_target(target);
        let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} {per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress {
            reporter: self,
            what,
            bar,
            is_drawn,
            told_percent: 0,
            total,
        }
    }
}

/// How far some work is.
pub(super) struct Progress {
    reporter: Reporter,
    what: &'static str,
    bar: ProgressBar,
    is_drawn: bool,
    told_percent: usize,
    total: usize,
}

/// Without a terminal, a line is printed each time so much more is done.
const STEP_PERCENT: usize = 25;

impl Progress {
    /// So much is done.
    pub(super) fn reached(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        let percent = (done * 100).checked_div(self.total).unwrap_or(100);
        if !self.is_drawn && self.told_percent + STEP_PERCENT <= percent {
            self.told_percent = percent;
            let Self { what, total, .. } = self;
            self.reporter.note(&format!("{what} {done}/{total}"));
        }
        if self.total <= done {
            self.bar.finish();
        }
    }
}

fn write_lines(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// A duration as engineers read it: in microseconds, or in milliseconds from one on.
pub(super) fn short(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1000.0 {
        format!("{micros:.1} µs")
    } else {
        format!("{:.2} ms", micros / 1000.0)
    }
}

/// Characters of a prompt by which a person recognises it.
const EXCERPT_CHARS: usize = 100;

/// The beginning of a prompt, in one line.
pub(super) fn excerpt(text: &str) -> String {
    let mut characters = text
        .split_whitespace()
        .flat_map(|word| [word, " "])
        .flat_map(str::chars);
    let start: String = characters.by_ref().take(EXCERPT_CHARS).collect();
    match characters.next() {
        Some(_) => format!("{}…", start.trim_end()),
        None => start.trim_end().to_owned(),
    }
}

/// A table without frills.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    let line = comfy_table::LineStyle::none().fill('─').junction('─');
    table.load_style(comfy_table::presets::NOTHING.header_separator(line));
    table.set_header(header.to_vec());
    table.add_rows(rows);
    table.to_string()
}
