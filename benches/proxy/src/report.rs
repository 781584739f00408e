//! The figures: medians over the rounds, with the least and the greatest, since others may use the machine too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::Loaded;

/// What one contender came to in one round of one case. Times are in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cell {
    p50_us: f64,
    p99_us: f64,
    first_p50_us: f64,
    requests_per_second: f64,
    /// With all callers at once.
    loaded_p99_us: f64,
    /// Processor time of the contender for each request, with all callers at once. Other work on the machine
    /// hardly shows in it.
    cpu_us_per_request: f64,
}

impl Cell {
    /// From the answers to one caller, and to many.
    pub(crate) fn of(one: &Loaded, many: &Loaded, busy: Duration) -> Self {
        Self {
            p50_us: micros(&one.times.whole, 0.5),
            p99_us: micros(&one.times.whole, 0.99),
            first_p50_us: micros(&one.times.first, 0.5),
            requests_per_second: many.rate(),
            loaded_p99_us: micros(&many.times.whole, 0.99),
            cpu_us_per_request: busy.as_secs_f64() * 1e6 / (many.rate() * many.took.as_secs_f64()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "half a minute in nanoseconds is below 2^53"
)]
fn micros(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    pub(crate) at_start: u64,
    pub(crate) requests: u64,
    pub(crate) after_requests: u64,
    pub(crate) streams: usize,
    pub(crate) with_streams: u64,
    pub(crate) after_streams: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    cpu_of_proxy: String,
    cpu_of_upstream: String,
    cpus_of_client: String,
    load_average_before: String,
    /// By case, contender and round.
    cells: BTreeMap<String, BTreeMap<String, BTreeMap<usize, Cell>>>,
    pub(crate) memory: Option<Memory>,
}

/// A median, with the least and the greatest.
struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |position: usize| values.get(position).copied().unwrap_or(f64::NAN);
        Self {
            median: f64::midpoint(at((values.len().max(1) - 1) / 2), at(values.len() / 2)),
            least: at(0),
            greatest: at(values.len().max(1) - 1),
        }
    }
}

impl Report {
    pub(crate) fn new(proxy: &str, upstream: &str, client: &str) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu_of_proxy: proxy.to_owned(),
            cpu_of_upstream: upstream.to_owned(),
            cpus_of_client: client.to_owned(),
            load_average_before: load.trim().to_owned(),
            cells: BTreeMap::new(),
            memory: None,
        }
    }

    pub(crate) fn add(&mut self, case: String, contender: &str, round: usize, cell: Cell) {
        let of_case = self.cells.entry(case).or_default();
        let of_contender = of_case.entry(contender.to_owned()).or_default();
        of_contender.insert(round, cell);
    }

    /// The table for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "proxy on processor {}, upstream on {}, callers on {}; load average before: {}\n\
             Medians of the rounds, (least to greatest) beside ratios. Times in µs.\n",
            self.cpu_of_proxy, self.cpu_of_upstream, self.cpus_of_client, self.load_average_before
        );
        for (case, contenders) in &self.cells {
            let _ = writeln!(
                text,
                "\n{case:<17} {:>8} {:>8} {:>10} {:>12} {:>9} {:>8} {:>11}   {:<23} {:<23} {:<23} {:<23}",
                "p50",
                "p99",
                "first p50",
                "requests/s",
                "p99 of 64",
                "CPU",
                "added p50",
                "added / hyper's",
                "first: added / hyper's",
                "requests/s / hyper's",
                "hyper's CPU / CPU"
            );
            for (name, rounds) in contenders {
                text.push_str(&row(name, rounds, contenders));
            }
        }
        if let Some(memory) = &self.memory {
            let mib = |bytes: u64| bytes / (1024 * 1024);
            let _ = writeln!(
                text,
                "\nresident: {} MiB at start, {} after {} requests, {} with {} open streams, {} after them",
                mib(memory.at_start),
                mib(memory.after_requests),
                memory.requests,
                mib(memory.with_streams),
                memory.streams,
                mib(memory.after_streams)
            );
        }
        text
    }
}

type Rounds = BTreeMap<usize, Cell>;

fn row(name: &str, rounds: &Rounds, contenders: &BTreeMap<String, Rounds>) -> String {
    let spread = |value: fn(&Cell) -> f64| Spread::of(rounds.values().map(value));
    let other = |name: &str, round: &usize| contenders.get(name).and_then(|it| it.get(round));
    // Each round is compared with itself only.
    let against = |ratio: &dyn Fn(&Cell, &Cell, &Cell) -> f64| {
        Spread::of(rounds.iter().filter_map(|(round, cell)| {
            Some(ratio(cell, other("direct", round)?, other("hyper", round)?))
        }))
    };
    let added = against(&|cell, direct, _| cell.p50_us - direct.p50_us);
    let slower = against(&|cell, direct, hyper| {
        (cell.p50_us - direct.p50_us) / (hyper.p50_us - direct.p50_us)
    });
    let first = against(&|cell, direct, hyper| {
        (cell.first_p50_us - direct.first_p50_us) / (hyper.first_p50_us - direct.first_p50_us)
    });
    let rate = against(&|cell, _, hyper| cell.requests_per_second / hyper.requests_per_second);
    let leaner = against(&|cell, _, hyper| hyper.cpu_us_per_request / cell.cpu_us_per_request);
    let shown = |it: &Spread| format!("{:.2} ({:.2} to {:.2})", it.median, it.least, it.greatest);
    format!(
        "{name:<17} {:>8.1} {:>8.1} {:>10.1} {:>12.0} {:>9.0} {:>8.1} {:>11.1}   {:<23} {:<23} {:<23} {:<23}\n",
        spread(|it| it.p50_us).median,
        spread(|it| it.p99_us).median,
        spread(|it| it.first_p50_us).median,
        spread(|it| it.requests_per_second).median,
        spread(|it| it.loaded_p99_us).median,
        spread(|it| it.cpu_us_per_request).median,
        added.median,
        shown(&slower),
        shown(&first),
        shown(&rate),
        shown(&leaner),
    )
}
