//! The measurement: everyone in turns, round after round, so that a machine that slows down slows down all.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::contenders::{Contender, Logging};
use crate::load::{Case, Connection, Until, load};
use crate::report::{Cell, Memory, Report};
use crate::upstream::{FAST, PIECES, SLOW};

/// Callers at once, where requests a second are measured.
const CALLERS: usize = 64;

/// Streams that are open at once, where memory is measured.
const STREAMS: usize = 512;

/// Requests after which memory is measured.
const REQUESTS: u64 = 100_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The program that is measured.
    #[arg(long, default_value = "target/release/semroute")]
    semroute: PathBuf,
    /// Another build of it, measured beside.
    #[arg(long)]
    beside: Option<PathBuf>,
    /// How often everyone is asked.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long each is asked in a round, in milliseconds: by one caller, and then by 64.
    #[arg(long, default_value_t = 700)]
    millis: u64,
    /// Leave out the measurement of memory.
    #[arg(long)]
    no_memory: bool,
    /// Write the figures here as JSON as well.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only cases whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Which processors do what.
struct Cpus {
    proxy: String,
    upstream: String,
    client: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cpus = divide()?;
    pin_self(&cpus.client)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(arguments, &cpus))?;
    print!("{}", report.text());
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments, cpus: &Cpus) -> anyhow::Result<Report> {
    let upstream = Contender::upstream(&cpus.upstream)?;
    let proxy = Contender::proxy(&cpus.proxy, upstream.address)?;
    let folder = tempfile::tempdir()?;
    let start = |program: &Path, name: &str, logging| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder)?;
        Contender::semroute(&cpus.proxy, program, upstream.address, &folder, logging)
    };
    let semroute = start(&arguments.semroute, "semroute", Logging::Folder)?;
    let beside = match &arguments.beside {
        Some(program) => Some(start(program, "beside", Logging::Folder)?),
        None => None,
    };
    let unlogged = start(&arguments.semroute, "unlogged", Logging::Nowhere)?;
    let mut asked = vec![
        ("direct", &upstream),
        ("hyper", &proxy),
        ("semroute", &semroute),
        ("unlogged", &unlogged),
    ];
    asked.extend(beside.iter().map(|beside| ("beside", beside)));
    check(&asked).await?;
    let mut report = Report::new(&cpus.proxy, &cpus.upstream, &cpus.client);
    let length = Duration::from_millis(arguments.millis);
    for round in 0..arguments.rounds {
        for case in cases().filter(|case| case.name().contains(&arguments.only)) {
            for turn in 0..asked.len() {
                let (name, contender) = asked[(turn + round) % asked.len()];
                let one = load(contender.address, case, 1, Until::Passed(length)).await?;
                let before = contender.cpu_time()?;
                let many = load(contender.address, case, CALLERS, Until::Passed(length)).await?;
                let busy = Duration::from_nanos(contender.cpu_time()?.saturating_sub(before));
                report.add(case.name(), name, round, Cell::of(&one, &many, busy));
            }
        }
        eprintln!("round {} of {}", round + 1, arguments.rounds);
    }
    if !arguments.no_memory {
        let fresh = start(&arguments.semroute, "memory", Logging::Folder)?;
        report.memory = Some(memory(&fresh).await?);
    }
    Ok(report)
}

fn cases() -> impl Iterator<Item = Case> {
    [
        (false, 1000),
        (false, 100_000),
        (true, 1000),
        (true, 100_000),
    ]
    .into_iter()
    .map(|(streamed, body_bytes)| Case {
        streamed,
        body_bytes,
        model: FAST,
    })
}

/// Everyone must bring the same answer, or nothing is compared.
async fn check(asked: &[(&str, &Contender)]) -> anyhow::Result<()> {
    for case in cases() {
        for (name, contender) in asked {
            let mut connection = Connection::open(contender.address).await?;
            let answer = connection.answer(&case.request(contender.address)).await?;
            let text = String::from_utf8(answer.text)?;
            let whole = if case.streamed {
                text.matches(" token").count() == PIECES && text.contains("data: [DONE]")
            } else {
                text.contains("A loop ends when") && text.ends_with("}\n")
            };
            if !whole || answer.whole < answer.first {
                bail!(
                    "{name} does not pass on the answer ({}): {text}",
                    case.name()
                );
            }
        }
    }
    Ok(())
}

async fn memory(semroute: &Contender) -> anyhow::Result<Memory> {
    let at_start = semroute.resident()?;
    let whole = Case {
        streamed: false,
        body_bytes: 1000,
        model: FAST,
    };
    let each = REQUESTS / CALLERS as u64;
    load(semroute.address, whole, CALLERS, Until::Asked(each)).await?;
    let after_requests = semroute.resident()?;
    let slow = Case {
        streamed: true,
        body_bytes: 1000,
        model: SLOW,
    };
    let address = semroute.address;
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                connection.answer(&slow.request(address)).await
            })
        })
        .collect();
    // In the middle of streams of 6.6 seconds.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let with_streams = semroute.resident()?;
    for stream in streams {
        stream.await.context("a stream panicked")??;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(Memory {
        at_start,
        requests: each * CALLERS as u64,
        after_requests,
        streams: STREAMS,
        with_streams,
        after_streams: semroute.resident()?,
    })
}

/// The proxy under test gets a processor of its own; the upstream the next, and the callers the rest, as far as there
/// are any.
fn divide() -> anyhow::Result<Cpus> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut cpus = Vec::new();
    for range in line
        .context("Linux tells the processors")?
        .trim()
        .split(',')
    {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(first.parse::<u32>()?..=last.parse()?);
    }
    let list = |cpus: &[u32]| {
        let names: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        names.join(",")
    };
    match cpus.as_slice() {
        [] | [_] => bail!("two processors are needed: one for the proxy, one for everyone else"),
        [proxy, other] => Ok(Cpus {
            proxy: proxy.to_string(),
            upstream: other.to_string(),
            client: other.to_string(),
        }),
        [proxy, upstream, client @ ..] => Ok(Cpus {
            proxy: proxy.to_string(),
            upstream: upstream.to_string(),
            client: list(client),
        }),
    }
}

fn pin_self(cpus: &str) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let output = Command::new("taskset")
        .args(["--cpu-list", "--pid", cpus, &pid])
        .output()
        .context("taskset (util-linux) is needed")?;
    if !output.status.success() {
        bail!(
            "taskset failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
