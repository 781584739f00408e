//! Connections: how they are accepted, how long a silent one or one whose client does not read is kept, and how they
//! end.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

mod impatient;

use impatient::Impatient;

/// The longest that a connection may take to send the head of a request, and that it is kept open without one. It is
/// longer than common clients keep theirs (Go and reqwest 90 s), so that it is they who let go: a connection that the
/// server closes may have a request on its way.
const HEAD_WAIT_MAX: Duration = Duration::from_mins(2);

/// How long requests that are running may take to finish once the server is told to stop. Orchestrators kill what is
/// there after 30 s, and records must be written by then; a client that reads nothing would take longer.
const FINISHING_MAX: Duration = Duration::from_secs(25);

/// How often the runtime is woken for nothing. A timer that is due before all others interrupts the thread that waits
/// for the network, to tell it so: a system call and a turn of the loop, for every request that sets a limit of time.
/// With this one before them, theirs never are.
const TICK: Duration = Duration::from_millis(100);

/// The longest head of a request. Tokens and cookies are a few kilobytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most headers of a request. Clients send a dozen, and each proxy on the way adds a few.
const HEADERS_MAX: usize = 128;

/// Serves until `stop` resolves, then finishes the requests that are running.
pub(super) async fn serve(
    mut listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    let mut stop = pin!(ticking_until(stop));
    loop {
        let (socket, _) = tokio::select! {
            // It waits while the process has no file descriptors left, so that it fails for nothing.
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        // Without it, small writes of a stream wait for the client's delayed acknowledgement: 40 ms.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::warn!(%error, "a connection keeps TCP delay");
        }
        keep(socket, router.clone(), &connections);
    }
    drop(listener);
    let finished = tokio::time::timeout(FINISHING_MAX, connections.shutdown()).await;
    if finished.is_err() {
        tracing::warn!("requests that were not over in time are broken off");
    }
    Ok(())
}

/// Waits, and wakes the runtime now and then.
async fn ticking_until(stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = tick.tick() => {}
        }
    }
}

/// Answers the requests of one connection until it ends.
#[expect(
    clippy::disallowed_methods,
    reason = "the shutdown waits for every connection that is being watched"
)]
fn keep<S>(socket: S, router: Router, connections: &GracefulShutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(
            TokioIo::new(Impatient::new(socket)),
            TowerToHyperService::new(router),
        );
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    /// Sends the beginning of a request and nothing more; what came back, and after what time the connection ended.
    async fn half_sent(text: &str) -> (String, Duration) {
        let (mut client, server) = tokio::io::duplex(2 * HEAD_BYTES_MAX);
        let router = Router::new().route("/", axum::routing::get(async || "hello"));
        let connections = GracefulShutdown::new();
        keep(server, router, &connections);
        // The server may close before it read all, which what it said tells better.
        let _ = client.write_all(text.as_bytes()).await;
        let began = Instant::now();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        (answer, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_holds_its_connection_for_so_long_and_no_longer() {
        let (_, held) = half_sent("GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        assert!(
            (HEAD_WAIT_MAX..HEAD_WAIT_MAX * 2).contains(&held),
            "{held:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_open_after_an_answer_for_so_long_and_no_longer() {
        let (answer, held) = half_sent("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.ends_with("hello"), "{answer}");
        assert!(
            (HEAD_WAIT_MAX..HEAD_WAIT_MAX * 2).contains(&held),
            "{held:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_head_is_read_and_a_longer_one_is_not() {
        let head = |n_bytes: usize| {
            let start = "GET / HTTP/1.1\r\nconnection: close\r\nx-long: ";
            let padding = "x".repeat(n_bytes - start.len() - 4);
            format!("{start}{padding}\r\n\r\n")
        };
        let (longest, _) = half_sent(&head(HEAD_BYTES_MAX)).await;
        assert!(longest.starts_with("HTTP/1.1 200"), "{longest}");
        let (longer, _) = half_sent(&head(HEAD_BYTES_MAX + 1)).await;
        assert!(longer.starts_with("HTTP/1.1 431"), "{longer}");
    }
}
