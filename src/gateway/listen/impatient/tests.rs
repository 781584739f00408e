//! The clock of these tests is their own: their sleeps take no time, and move it to where something must have happened
//! or must not.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::Environment;
use crate::config::assemble::over_encoder;
use crate::config::load::parse;
use crate::encoder::{self, EncoderQueue};
use crate::engine::{Engine, Parts};
use crate::gateway::listen::keep;
use crate::gateway::router;
use crate::store::RecordLog;
use crate::telemetry::Metrics;

/// What lies between both ends.
const BETWEEN_BYTES: usize = 1024;

/// Nearly as long as a client may take nothing.
const NEARLY: Duration = Duration::from_secs(59);

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends a request to these routes, and is the client from then on; the server stops with what watches it.
async fn asked(router: Router, request: &str) -> (DuplexStream, GracefulShutdown) {
    let (mut client, server) = tokio::io::duplex(BETWEEN_BYTES);
    let connections = GracefulShutdown::new();
    keep(server, router, &connections);
    client.write_all(request.as_bytes()).await.unwrap();
    (client, connections)
}

/// An answer of so many pieces, and what tells when it was let go.
fn stream_of(n_pieces: usize) -> (Router, oneshot::Receiver<()>) {
    let (held, let_go) = oneshot::channel();
    let held = Arc::new(std::sync::Mutex::new(Some(held)));
    let answer = async move || {
        let held = held.lock().unwrap().take();
        Body::from_stream(stream::iter(0..n_pieces).map(move |_| {
            let _ = &held;
            Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 256]))
        }))
    };
    (Router::new().route("/", get(answer)), let_go)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_its_client_does_not_read_is_let_go_after_so_long_and_no_longer() {
    let began = Instant::now();
    let (router, let_go) = stream_of(1_000_000);
    let (mut client, _connections) = asked(router, REQUEST).await;
    assert!(let_go.await.is_err(), "it is dropped, and says nothing");
    let held = began.elapsed();
    assert!(
        (TAKE_WAIT_MAX..TAKE_WAIT_MAX * 2).contains(&held),
        "{held:?}"
    );
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the answer is not whole");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_its_client_does_not_read_is_held_for_so_long_and_no_longer() {
    let router = Router::new().route("/", get(async || "x".repeat(1 << 20)));
    let (mut client, _connections) = asked(router, REQUEST).await;
    tokio::time::sleep(TAKE_WAIT_MAX + Duration::from_secs(1)).await;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), BETWEEN_BYTES, "what was between both ends");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_its_whole_answer_however_long_that_takes() {
    let (router, _let_go) = stream_of(100);
    let (mut client, _connections) = asked(router, REQUEST).await;
    let began = Instant::now();
    let mut answer = Vec::new();
    let mut some = [0; BETWEEN_BYTES];
    while !answer.ends_with(b"0\r\n\r\n") {
        tokio::time::sleep(NEARLY).await;
        let n_bytes = client.read(&mut some).await.unwrap();
        assert!(0 < n_bytes, "the connection was closed");
        answer.extend_from_slice(&some[..n_bytes]);
    }
    assert!(TAKE_WAIT_MAX * 20 < began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_pauses_is_no_client_that_does_not_read() {
    let slow = async || {
        let pieces = stream::unfold(0, async |n| {
            tokio::time::sleep(TAKE_WAIT_MAX * 2).await;
            (n < 3).then_some((Ok::<_, io::Error>(Bytes::from_static(b"x")), n + 1))
        });
        Body::from_stream(pieces)
    };
    let router = Router::new().route("/", get(slow));
    let (mut client, _connections) = asked(router, REQUEST).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"0\r\n\r\n") {
        let read = client.read_buf(&mut answer);
        assert!(0 < timeout(TAKE_WAIT_MAX * 3, read).await.unwrap().unwrap());
    }
}

/// A model that takes its time, and nobody who logs.
const CONFIG: &str = "
providers: { made: { kind: simulated } }
models: { small: { provider: made, script: { per_token_ms: 10 } } }
assistants: { assistant: { routes: [ { name: all, to: small } ] } }
log: { to: [] }
";

fn engine() -> Arc<Engine> {
    let encoder = encoder::open(encoder::Settings::default()).unwrap();
    let nothing = Environment::from_lookup(|_| None);
    let assembled = parse(CONFIG, PathBuf::new())
        .and_then(|loaded| over_encoder(loaded, Arc::clone(&encoder), nothing))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let elapsed = Arc::new(|| Duration::ZERO);
    let queue = EncoderQueue::start(encoder, assembled.queue, elapsed, Box::new(|_| {}));
    Engine::new(Parts {
        seed: 1,
        plan: assembled.plan,
        encoder: queue.unwrap(),
        static_encoding: assembled.static_encoding,
        clock: Arc::new(ManualClock::default()),
        metrics: Arc::new(Metrics::new()),
        log: RecordLog::none(),
    })
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_stream_that_its_client_does_not_read_says_that_the_caller_left() {
    let engine = engine();
    let words = "a-word-of-many-letters ".repeat(12);
    let body = format!(
        r#"{{"model":"assistant","stream":true,"messages":[{{"role":"user","content":"{words}"}}]}}"#
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _held = asked(router(Arc::clone(&engine)), &(head + &body)).await;
    let is_counted = |text: &str| text.contains("semroute_requests_total{");
    tokio::time::sleep(NEARLY).await;
    assert!(!is_counted(&engine.metrics_text()), "it is still held");
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Its tokens are counted on another thread first.
    let real = SystemClock::start();
    while !is_counted(&engine.metrics_text()) {
        // Real time, since that thread knows no other.
        assert!(
            real.now().elapsed() < Duration::from_secs(30),
            "it is not counted"
        );
        tokio::task::yield_now().await;
    }
    let text = engine.metrics_text();
    let mut told = text.lines().filter(|line| is_counted(line));
    assert!(told.all(|line| line.contains("\"abandoned\"")), "{text}");
}
