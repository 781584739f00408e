//! `semroute bench load`: many callers of a running server's `/v1/route`, at a rate or as fast as they
//! are answered.
//!
//! At a rate, a call's time counts from the moment that it was due, whether or not it could be made
//! then: a server that stalls is charged for all who would have come meanwhile (Tene, "How NOT to Measure
//! Latency").

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::{StreamExt, stream};
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Latency, Times, as_f64, prompt_of_words};
use crate::centroids::labels::Row;
use crate::cli::Failure;
use crate::cli::dataset::{read_files, text_of};
use crate::cli::report::{Reporter, short, table};
use crate::clock::{Clock, SystemClock};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server, such as `http://127.0.0.1:8080`.
    url: String,
    /// How many callers ask at once; with --rate, how many may wait for an answer.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    callers: u16,
    /// Calls a second, evenly spaced; as fast as the callers are answered if it is left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The words of each prompt, if no labels are given.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..))]
    words: u16,
    /// How many different prompts there are; every call has its own if it is left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    distinct: Option<u32>,
    /// Rows of text and intent to ask about, in turn; the share whose intent is found is told.
    #[arg(long, value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    calls: usize,
    seconds: f64,
    calls_per_second: f64,
    latency: Option<Latency>,
    /// Calls by the reason of the decision, `HTTP status` or `no answer`.
    reasons: BTreeMap<String, usize>,
    /// Calls by the encoder that gave the intent.
    encoders: BTreeMap<String, usize>,
    /// The share of labelled calls with the right intent, by the encoder that gave it; `none` counts as wrong.
    accuracy: BTreeMap<String, f64>,
}

/// What a call asks, and what would be right.
struct Case {
    text: String,
    intent: Option<String>,
}

/// What came of a call.
struct Called {
    took: Duration,
    reason: String,
    encoder: String,
    is_right: Option<bool>,
}

pub(super) fn run(arguments: &Arguments, reporter: Reporter) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let labels = match arguments.labels.as_slice() {
        [] => Vec::new(),
        paths => read_files(paths, "intent", reporter)?.rows,
    };
    let report = runtime.block_on(call_all(arguments, &labels))?;
    if arguments.json {
        reporter.json(&report)?;
    } else {
        reporter.result(&summary(&report))?;
    }
    Ok(())
}

async fn call_all(arguments: &Arguments, labels: &[Row]) -> anyhow::Result<Report> {
    let client = reqwest::Client::builder()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(usize::from(arguments.callers))
        .build()?;
    let url = format!("{}/v1/route", arguments.url.trim_end_matches('/'));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let began = clock.now();
    let length = Duration::from_secs(u64::from(arguments.seconds));
    let due = |position: u32| match arguments.rate {
        Some(rate) => Duration::from_secs_f64(f64::from(position) / f64::from(rate)),
        None => Duration::ZERO,
    };
    let positions = (0..u32::MAX)
        .take_while(|position| due(*position) < length)
        .take_while(|_| clock.now().since(began) < length);
    let mut calls = stream::iter(positions)
        .map(|position| {
            let case = case(arguments, labels, position);
            let (client, url, clock) = (&client, &url, &clock);
            async move {
                let early = due(position).saturating_sub(clock.now().since(began));
                if !early.is_zero() {
                    // Calls are made when they are due: at a rate, waiting is the work.
                    tokio::time::sleep(early).await;
                }
                let start = if arguments.rate.is_some() {
                    due(position)
                } else {
                    clock.now().since(began)
                };
                let mut called = call(client, url, &case).await;
                called.took = clock.now().since(began).saturating_sub(start);
                called
            }
        })
        .buffer_unordered(usize::from(arguments.callers));
    let (mut times, mut told) = (Times::new()?, Told::default());
    while let Some(called) = calls.next().await {
        times.add(called.took);
        told.add(called);
    }
    let seconds = clock.now().since(began).as_secs_f64();
    Ok(Report {
        calls: told.calls,
        seconds,
        calls_per_second: as_f64(told.calls) / seconds,
        latency: Some(times.latency()),
        accuracy: told.accuracy(),
        reasons: told.reasons,
        encoders: told.encoders,
    })
}

/// Counts of what came.
#[derive(Default)]
struct Told {
    calls: usize,
    reasons: BTreeMap<String, usize>,
    encoders: BTreeMap<String, usize>,
    /// Right ones and all, by encoder.
    judged: BTreeMap<String, (usize, usize)>,
}

impl Told {
    fn add(&mut self, called: Called) {
        self.calls += 1;
        *self.reasons.entry(called.reason).or_default() += 1;
        if let Some(is_right) = called.is_right {
            for name in [called.encoder.as_str(), "all"] {
                let (right, all) = self.judged.entry(name.to_owned()).or_default();
                *right += usize::from(is_right);
                *all += 1;
            }
        }
        *self.encoders.entry(called.encoder).or_default() += 1;
    }

    fn accuracy(&self) -> BTreeMap<String, f64> {
        let judged = self.judged.iter();
        judged
            .map(|(name, (right, all))| (name.clone(), as_f64(*right) / as_f64(*all)))
            .collect()
    }
}

fn case(arguments: &Arguments, labels: &[Row], position: u32) -> Case {
    let position = arguments.distinct.map_or(position, |n| position % n);
    let position = usize::try_from(position).unwrap_or_default();
    match labels.len() {
        0 => Case {
            // What an earlier run asked must not be remembered from it.
            text: format!(
                "{} {}",
                std::process::id(),
                prompt_of_words(usize::from(arguments.words), position)
            ),
            intent: None,
        },
        n => Case {
            text: text_of(&labels[position % n].prompt),
            intent: Some(labels[position % n].intent.to_string()),
        },
    }
}

async fn call(client: &reqwest::Client, url: &str, case: &Case) -> Called {
    let mut called = Called {
        took: Duration::ZERO,
        reason: "no answer".to_owned(),
        encoder: "none".to_owned(),
        is_right: case.intent.as_ref().map(|_| false),
    };
    let body = json!({ "text": case.text });
    let request = client.post(url).header(CONTENT_TYPE, "application/json");
    let Ok(response) = request.body(body.to_string()).send().await else {
        return called;
    };
    let status = response.status();
    if !status.is_success() {
        called.reason = format!("HTTP {}", status.as_u16());
        return called;
    }
    let answer = response.bytes().await.unwrap_or_default();
    let Ok(answer) = serde_json::from_slice::<Value>(&answer) else {
        return called;
    };
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    text("/reason")
        .unwrap_or("none")
        .clone_into(&mut called.reason);
    if let Some(intent) = text("/intent/name") {
        let encoder = text("/intent/encoder").unwrap_or("main");
        encoder.clone_into(&mut called.encoder);
        called.is_right = case.intent.as_ref().map(|right| right == intent);
    }
    called
}

fn summary(report: &Report) -> String {
    let micros = |value: f64| short(Duration::from_secs_f64(value / 1e6));
    let latency = report.latency.as_ref().map_or_else(String::new, |it| {
        format!(
            "p50 {}, p95 {}, p99 {}",
            micros(it.p50_us),
            micros(it.p95_us),
            micros(it.p99_us)
        )
    });
    let counts = |counts: &BTreeMap<String, usize>| {
        let rows = counts.iter();
        rows.map(|(name, n)| vec![name.clone(), n.to_string()])
            .collect::<Vec<_>>()
    };
    let mut text = format!(
        "{} calls in {:.1} s: {:.0} a second; {latency}\n{}\n{}",
        report.calls,
        report.seconds,
        report.calls_per_second,
        table(&["reason", "calls"], counts(&report.reasons)),
        table(&["encoder", "calls"], counts(&report.encoders)),
    );
    if !report.accuracy.is_empty() {
        let rows = report.accuracy.iter();
        let rows = rows.map(|(name, share)| vec![name.clone(), format!("{:.1}%", 100.0 * share)]);
        text.push('\n');
        text.push_str(&table(&["encoder", "right"], rows.collect()));
    }
    text
}
