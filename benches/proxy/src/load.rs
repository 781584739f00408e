//! The caller: raw requests over connections that stay open, and the time until each answer's first and
//! last byte. It reads no more of an answer than it must, so that it is never what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use hdrhistogram::Histogram;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::upstream::{FAST, SLOW};

/// The longest that an answer may take.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    /// Whether the answer is wanted in pieces.
    pub(crate) streamed: bool,
    /// The size of the request's body, about.
    pub(crate) body_bytes: usize,
    /// The model.
    pub(crate) model: &'static str,
}

impl Case {
    /// What it is called in the report.
    pub(crate) fn name(self) -> String {
        let delivery = if self.streamed { "streamed" } else { "whole" };
        format!("{delivery}, {} KB", self.body_bytes / 1000)
    }

    /// The whole request, as it goes over the wire.
    pub(crate) fn request(self, address: SocketAddr) -> Vec<u8> {
        let stream = if self.streamed {
            "\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        } else {
            ""
        };
        let mut body = format!("{{\"model\":\"{}\",{stream}\"messages\":[", self.model);
        body.push_str("{\"role\":\"system\",\"content\":\"You answer briefly.\"}");
        // Turns of some 500 characters, with a line break and a quote as people write them.
        let words = "why does my \\\"loop\\\" never end here?\\n".repeat(12);
        let mut role = "user";
        while body.len() < self.body_bytes {
            body.push_str(",{\"role\":\"");
            body.push_str(role);
            body.push_str("\",\"content\":\"");
            body.push_str(&words);
            body.push_str("\"}");
            role = if role == "user" { "assistant" } else { "user" };
        }
        body.push_str("],\"temperature\":0.2,\"max_tokens\":256}");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             authorization: Bearer none\r\naccept: */*\r\nuser-agent: proxy-bench\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    }
}

/// Times of answers, in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    /// Until the first byte of the body.
    pub(crate) first: Histogram<u64>,
    /// Until the last one.
    pub(crate) whole: Histogram<u64>,
}

impl Times {
    fn new() -> anyhow::Result<Self> {
        let longest = u64::try_from(WAIT_MAX.as_nanos())?;
        let empty = Histogram::new_with_bounds(1, longest, 3)?;
        Ok(Self {
            first: empty.clone(),
            whole: empty,
        })
    }
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    /// When its body began.
    pub(crate) first: Duration,
    /// When it was over.
    pub(crate) whole: Duration,
    /// All of its bytes.
    pub(crate) text: Vec<u8>,
}

/// A connection that stays open.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
enum End {
    At(usize),
    LastChunk,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(1 << 16),
        })
    }

    /// Sends a request and reads its answer, which must be one of success.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<(Duration, Duration)> {
        self.buffer.clear();
        let began = Instant::now();
        self.socket.write_all(request).await?;
        let mut body: Option<(usize, End)> = None;
        let mut first = None;
        loop {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed: {}", self.shown());
            }
            if body.is_none() {
                body = self.body()?;
            }
            let Some((start, end)) = body else { continue };
            if start < self.buffer.len() {
                first.get_or_insert_with(|| began.elapsed());
            }
            let is_over = match end {
                End::At(end) => end <= self.buffer.len(),
                End::LastChunk => self.buffer.ends_with(b"\r\n0\r\n\r\n"),
            };
            if is_over {
                let whole = began.elapsed();
                return Ok((first.unwrap_or(whole), whole));
            }
        }
    }

    /// Where the body starts and how it ends, once the head is there.
    fn body(&self) -> anyhow::Result<Option<(usize, End)>> {
        let Some(head) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            return Ok(None);
        };
        let start = head + 4;
        let head = std::str::from_utf8(&self.buffer[..head])?.to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            bail!("not a success: {}", self.shown());
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let end = match length {
            Some(length) => End::At(start + length.trim().parse::<usize>()?),
            None => End::LastChunk,
        };
        Ok(Some((start, end)))
    }

    fn shown(&self) -> String {
        let shown = &self.buffer[..self.buffer.len().min(600)];
        String::from_utf8_lossy(shown).into_owned()
    }

    /// One answer, with its bytes.
    pub(crate) async fn answer(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let (first, whole) = timeout(WAIT_MAX, self.ask(request)).await??;
        let text = self.buffer.clone();
        Ok(Answer { first, whole, text })
    }
}

/// How long callers go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// For so long.
    Passed(Duration),
    /// So many requests each.
    Asked(u64),
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// All times.
    pub(crate) times: Times,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Loaded {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        let n = u32::try_from(self.times.whole.len()).unwrap_or(u32::MAX);
        f64::from(n) / self.took.as_secs_f64()
    }
}

/// Asks over so many connections, each as soon as it was answered.
pub(crate) async fn load(
    address: SocketAddr,
    case: Case,
    connections: usize,
    until: Until,
) -> anyhow::Result<Loaded> {
    let request: Arc<[u8]> = case.request(address).into();
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = Connection::open(address).await?;
        timeout(WAIT_MAX, connection.ask(&request)).await??;
        open.push(connection);
    }
    let began = Instant::now();
    let callers = open.into_iter().map(|mut connection| {
        let request = Arc::clone(&request);
        tokio::spawn(async move {
            let mut times = Times::new()?;
            loop {
                match until {
                    Until::Passed(length) if length <= began.elapsed() => return Ok(times),
                    Until::Asked(n) if n <= times.whole.len() => return Ok(times),
                    Until::Passed(_) | Until::Asked(_) => {}
                }
                let (first, whole) = connection.ask(&request).await?;
                times.first.saturating_record(nanos(first));
                times.whole.saturating_record(nanos(whole));
            }
        })
    });
    let mut times = Times::new()?;
    let callers: Vec<_> = callers.collect();
    for caller in callers {
        let one: anyhow::Result<Times> = caller.await.context("a caller panicked")?;
        let one = one?;
        times.first.add(&one.first)?;
        times.whole.add(&one.whole)?;
    }
    let took = began.elapsed();
    Ok(Loaded { times, took })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// What `load` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    address: SocketAddr,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests over each connection.
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// Ask for answers in pieces.
    #[arg(long)]
    streamed: bool,
    /// Of the slow model.
    #[arg(long)]
    slow: bool,
    /// The size of a request's body.
    #[arg(long, default_value_t = 1000)]
    body_bytes: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let case = Case {
        streamed: arguments.streamed,
        body_bytes: arguments.body_bytes,
        model: if arguments.slow { SLOW } else { FAST },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let loaded = runtime.block_on(load(
        arguments.address,
        case,
        arguments.connections,
        Until::Asked(arguments.requests),
    ))?;
    println!(
        "{}: {:.0} a second, p50 {} us",
        case.name(),
        loaded.rate(),
        loaded.times.whole.value_at_quantile(0.5) / 1000
    );
    Ok(())
}
