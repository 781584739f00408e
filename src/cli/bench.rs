//! `semroute bench`: what a decision costs on this machine, stage by stage.

mod load;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use futures_util::{StreamExt, stream};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::cli::Failure;
use crate::cli::dataset::EncoderArguments;
use crate::cli::report::{Reporter, short, table};
use crate::cli::serve::monotonic;
use crate::clock::{Clock, SystemClock};
use crate::config::Environment;
use crate::config::artefacts::{Fitting, read_centroids};
use crate::domain::caller::{Envelope, Metadata, Tenant};
use crate::domain::quantity::Ratio;
use crate::domain::record::Intent;
use crate::encoder::queue::Settings;
use crate::encoder::{Class, Encoder, EncoderQueue, Identity, Passage, windowing};
use crate::gateway;
use crate::routing::rules::Condition;
use crate::routing::{Asked, Facts, IntentSignal, Rule, Subject, Understanding, first_match};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// How often each stage is timed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The centroids: `assistant`, those in the binary, or a folder.
    #[arg(long, value_name = "DIR", default_value = "assistant")]
    centroids: String,
    #[command(flatten)]
    encoder: EncoderArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What else can be measured.
#[derive(Debug, Subcommand)]
enum Other {
    /// Ask a running server for decisions, at a rate or as fast as it answers.
    Load(load::Arguments),
    /// Embed what standard input asks for and tell the times, for comparisons with other encoders.
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// The lengths that are timed, in tokens.
const LENGTHS: [usize; 4] = [8, 32, 128, 512];

/// How many callers ask at once.
const CONCURRENCIES: [usize; 3] = [1, 8, 64];

/// The length of the prompts that callers ask about together, in tokens.
const LOAD_TOKENS: usize = 32;

#[derive(Debug, Serialize)]
struct Report {
    encoder: Identity,
    cpus: usize,
    stages: Vec<StageLatency>,
    load: Vec<Load>,
    resident_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StageLatency {
    stage: &'static str,
    tokens: usize,
    latency: Latency,
}

#[derive(Debug, Serialize)]
struct Load {
    concurrency: usize,
    prompts_per_second: f64,
    mean_batch: f64,
    latency: Latency,
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Latency {
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
    n: u64,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    match &arguments.other {
        Some(Other::Load(load)) => return load::run(load, reporter),
        Some(Other::Worker(worker)) => return worker::run(worker, environment, reporter),
        None => {}
    }
    let encoder = arguments.encoder.open(environment)?;
    let fixed = arguments.encoder.open_static(&encoder)?;
    let here = std::path::Path::new("");
    let fitting = Fitting::of(encoder.as_ref(), None);
    let set = read_centroids(&arguments.centroids, here, &fitting).map_err(Failure::Usage)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut stages = Vec::new();
    let mut progress = reporter.progress("timing", LENGTHS.len() + CONCURRENCIES.len());
    for (position, tokens) in LENGTHS.into_iter().enumerate() {
        let bench = Stages {
            encoder: encoder.as_ref(),
            fixed: fixed.as_deref(),
            set: &set,
            clock: clock.as_ref(),
            rounds: arguments.rounds,
        };
        stages.extend(bench.at(tokens)?);
        progress.reached(position + 1);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let mut load = Vec::new();
    for (position, concurrency) in CONCURRENCIES.into_iter().enumerate() {
        let n_prompts = arguments.rounds as usize * concurrency.min(8);
        let asked = ask(&encoder, &clock, concurrency, n_prompts);
        load.push(runtime.block_on(asked)?);
        progress.reached(LENGTHS.len() + position + 1);
    }
    let report = Report {
        encoder: encoder.identity().clone(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        stages,
        load,
        resident_bytes: resident_bytes(),
    };
    if arguments.json {
        reporter.json(&report)?;
    } else {
        reporter.result(&summary(&report))?;
    }
    Ok(())
}

/// What is timed, and with what.
struct Stages<'a> {
    encoder: &'a dyn Encoder,
    fixed: Option<&'a dyn Encoder>,
    set: &'a CentroidSet,
    clock: &'a dyn Clock,
    rounds: u32,
}

impl Stages<'_> {
    /// Every stage for a prompt of that length.
    fn at(&self, tokens: usize) -> anyhow::Result<Vec<StageLatency>> {
        let text = prompt(self.encoder, tokens, 0)?;
        let passages = [Passage::new(text.as_str())];
        let windowed = windowing::prepare(self.encoder, &passages, windowing::WINDOWS_MAX)?;
        let vectors = self.encoder.encode(&windowed.windows)?;
        let vector = vectors.row(0).context("the encoder gave no vector")?;
        let intent = self.set.classify(vector, self.set.threshold());
        let threshold = self.set.threshold();
        let mut stages = vec![
            (
                "tokenise",
                self.time(|| self.encoder.tokenise(&text).map(drop))?,
            ),
            (
                "encode",
                self.time(|| self.encoder.encode(&windowed.windows).map(drop))?,
            ),
            (
                "classify",
                self.time(|| {
                    std::hint::black_box(
                        self.set.classify(std::hint::black_box(vector), threshold),
                    );
                    Ok(())
                })?,
            ),
            ("decide", self.decision(&text, &intent)?),
        ];
        if let Some(fixed) = self.fixed {
            let encode = || fixed.encode(&windowed.windows).map(drop);
            stages.push(("encode, static", self.time(encode)?));
        }
        let named = stages.into_iter().map(|(stage, latency)| StageLatency {
            stage,
            tokens,
            latency,
        });
        Ok(named.collect())
    }

    /// Which of two routes the prompt takes, one for its intent and one for the rest.
    fn decision(&self, text: &str, intent: &Intent) -> anyhow::Result<Latency> {
        let on_intent = Condition::Intent(vec![intent.name.clone()], Ratio::default());
        let rules = [Rule::of(vec![on_intent]), Rule::default()];
        let request = gateway::question("assistant", text).map_err(anyhow::Error::from)?;
        let words = || text.to_owned();
        let asked = Asked::new(Subject::Chat(&request), &words);
        let (metadata, envelope) = (Metadata::default(), Envelope::default());
        let facts = Facts {
            asked: &asked,
            tenant: &Tenant::Anonymous,
            key: None,
            metadata: &metadata,
            conversation: None,
            path: "/v1/route",
            envelope: &envelope,
            region: None,
            wall: Duration::ZERO,
            seed: 0,
        };
        let understanding = Understanding::without(IntentSignal::from(intent));
        self.time(|| {
            let understanding = std::hint::black_box(&understanding);
            std::hint::black_box(first_match(&rules, &facts, understanding));
            Ok(())
        })
    }

    fn time(
        &self,
        mut work: impl FnMut() -> Result<(), crate::encoder::Error>,
    ) -> anyhow::Result<Latency> {
        let mut times = Times::new()?;
        work()?;
        for _ in 0..self.rounds {
            let began = self.clock.now();
            work()?;
            times.add(self.clock.now().since(began));
        }
        Ok(times.latency())
    }
}

/// Many callers at once, through the queue as the server has it.
async fn ask(
    encoder: &Arc<dyn Encoder>,
    clock: &Arc<dyn Clock>,
    concurrency: usize,
    n_prompts: usize,
) -> anyhow::Result<Load> {
    let settings = Settings {
        // Every prompt shall be encoded, however long it waits: this measures the encoder.
        wait_max: Duration::from_hours(1),
        remembered_max: 0,
        ..Settings::default()
    };
    let queue = EncoderQueue::start(
        Arc::clone(encoder),
        settings,
        monotonic(clock),
        Box::new(|_| {}),
    )?;
    let mut prompts = Vec::with_capacity(n_prompts);
    for position in 0..n_prompts {
        prompts.push(prompt(encoder.as_ref(), LOAD_TOKENS, position)?);
    }
    let mut times = Times::new()?;
    let mut in_batches = 0;
    let began = clock.now();
    let mut answers = stream::iter(prompts)
        .map(|text| {
            let asked = clock.now();
            let queue = &queue;
            async move {
                let passages = [Passage::new(text)];
                (asked, queue.embed(&passages, Class::Interactive).await)
            }
        })
        .buffer_unordered(concurrency);
    while let Some((asked, embedded)) = answers.next().await {
        in_batches += embedded?.batch_size;
        times.add(clock.now().since(asked));
    }
    let seconds = clock.now().since(began).as_secs_f64();
    Ok(Load {
        concurrency,
        prompts_per_second: as_f64(n_prompts) / seconds,
        mean_batch: as_f64(in_batches) / as_f64(n_prompts),
        latency: times.latency(),
    })
}

/// Words that prompts are made of here. What they say does not matter to the time they take.
const WORDS: [&str; 12] = [
    "please", "explain", "how", "the", "router", "finds", "a", "model", "for", "every", "prompt",
    "today",
];

/// A prompt of so many words, different for each position.
fn prompt_of_words(words: usize, position: usize) -> String {
    let mut text = format!("{position}");
    let mut next = position;
    for _ in 1..words {
        text.push(' ');
        text.push_str(WORDS[next % WORDS.len()]);
        next += 1 + position % 5;
    }
    text
}

/// A prompt of so many tokens, the special ones included, different for each position.
fn prompt(encoder: &dyn Encoder, tokens: usize, position: usize) -> anyhow::Result<String> {
    let n_content = tokens.saturating_sub(crate::encoder::FRAME_TOKENS).max(1);
    let mut text = format!("{position}");
    let mut next = position;
    while encoder.tokenise(&text)?.len() < n_content {
        text.push(' ');
        text.push_str(WORDS[next % WORDS.len()]);
        next += 1 + position % 5;
    }
    Ok(text)
}

/// Durations, in nanoseconds.
struct Times(Histogram<u64>);

impl Times {
    fn new() -> anyhow::Result<Self> {
        /// Longer than anything that is timed here.
        const LONGEST: Duration = Duration::from_hours(1);
        let longest_ns = u64::try_from(LONGEST.as_nanos()).context("an hour in nanoseconds")?;
        Ok(Self(Histogram::new_with_bounds(1, longest_ns, 3)?))
    }

    fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos.max(1));
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an hour in nanoseconds is below 2^53"
    )]
    fn latency(&self) -> Latency {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
            n: self.0.len(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of prompts stay far below 2^53"
)]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

/// The memory that the process holds; Linux tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn summary(report: &Report) -> String {
    let micros = |value: f64| short(Duration::from_secs_f64(value / 1e6));
    let quantiles = |latency: &Latency| {
        [latency.p50_us, latency.p95_us, latency.p99_us]
            .map(micros)
            .to_vec()
    };
    let stages = report.stages.iter().map(|stage| {
        let mut row = vec![stage.stage.to_owned(), stage.tokens.to_string()];
        row.extend(quantiles(&stage.latency));
        row
    });
    let load = report.load.iter().map(|load| {
        let mut row = vec![
            load.concurrency.to_string(),
            format!("{:.0}", load.prompts_per_second),
            format!("{:.1}", load.mean_batch),
        ];
        row.extend(quantiles(&load.latency));
        row
    });
    let memory = report.resident_bytes.map_or_else(
        || "not known here".to_owned(),
        |bytes| format!("{} MiB", bytes / (1024 * 1024)),
    );
    format!(
        "encoder {} ({}, {}), {} CPUs, resident {memory}\n{}\n\n{LOAD_TOKENS}-token prompts through the queue\n{}",
        report.encoder.name,
        report.encoder.kernel,
        report.encoder.device,
        report.cpus,
        table(&["stage", "tokens", "p50", "p95", "p99"], stages.collect()),
        table(
            &["callers", "prompts/s", "mean batch", "p50", "p95", "p99"],
            load.collect()
        ),
    )
}
