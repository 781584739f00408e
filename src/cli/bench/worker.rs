//! `semroute bench worker`: embeds what standard input asks for and says how long it took, one JSON
//! object a line. The comparison with other encoders drives it (see `benches/peers`).

use std::io::BufRead;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::cli::dataset::EncoderArguments;
use crate::cli::report::Reporter;
use crate::clock::{Clock, SystemClock};
use crate::config::Environment;
use crate::encoder::corpus::embed_by;
use crate::encoder::{Encoder, Passage, windowing};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many threads share the texts of one line.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    #[command(flatten)]
    encoder: EncoderArguments,
}

#[derive(Debug, Serialize)]
struct Hello<'a> {
    name: &'static str,
    kernel: &'a str,
    version: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    texts: Vec<String>,
    /// How often the texts are encoded.
    repeat: usize,
    /// Whether the vectors are wanted.
    vectors: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    nanoseconds: Vec<u64>,
    vectors: Option<Vec<Vec<f32>>>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let encoder = arguments.encoder.open(environment)?;
    let clock = SystemClock::start();
    let hello = Hello {
        name: "semroute",
        kernel: &encoder.identity().kernel,
        version: env!("CARGO_PKG_VERSION"),
    };
    line(reporter, &hello)?;
    for asked in std::io::stdin().lock().lines() {
        let asked = asked.context("standard input cannot be read")?;
        let ask: Ask = serde_json::from_str(&asked)
            .with_context(|| format!("{asked:?} is no request for the worker"))?;
        let threads = usize::from(arguments.threads);
        line(reporter, &answer(encoder.as_ref(), &clock, ask, threads)?)?;
    }
    Ok(())
}

fn answer(
    encoder: &dyn Encoder,
    clock: &dyn Clock,
    ask: Ask,
    threads: usize,
) -> anyhow::Result<Answer> {
    let texts: Vec<_> = ask
        .texts
        .into_iter()
        .map(|text| vec![Passage::new(text)])
        .collect();
    let mut nanoseconds = Vec::with_capacity(ask.repeat);
    let mut last = None;
    for _ in 0..ask.repeat {
        let began = clock.now();
        last = Some(embed_by(encoder, &texts, windowing::WINDOWS_MAX, threads)?);
        let took = clock.now().since(began).as_nanos();
        nanoseconds.push(u64::try_from(took).unwrap_or(u64::MAX));
    }
    let vectors = last.filter(|_| ask.vectors);
    Ok(Answer {
        nanoseconds,
        vectors: vectors.map(|rows| rows.rows().map(<[f32]>::to_vec).collect()),
    })
}

fn line(reporter: Reporter, value: &impl Serialize) -> anyhow::Result<()> {
    reporter.result(&serde_json::to_string(value)?)
}
