//! `semroute serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::{io, thread};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::clock::{Clock, SystemClock};
use crate::config::watch::{Found, Watch};
use crate::config::{Assembled, Environment, assemble};
use crate::domain::name::TeamName;
use crate::encoder::{EncoderQueue, queue};
use crate::engine::access::Access;
use crate::engine::{Engine, Parts};
use crate::gateway;
use crate::store::{RecordLog, Settings as LogSettings};
use crate::telemetry::{Metrics, SwapResult};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration; without one, simulated models show how routing works.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of at `server.listen`. Port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let assembled = assemble(arguments.config.as_deref(), environment)?;
    let listen = arguments.listen.unwrap_or_else(|| assembled.listen());
    let n_processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = runtime(n_processors).context("the runtime cannot start")?;
    let watch = Watch::of(&assembled.loaded, assembled.fitting());
    runtime.block_on(async {
        let engine = engine(assembled, Logging::AsConfigured)?;
        if let Some(watch) = watch {
            keep_watch(watch, Arc::downgrade(&engine))?;
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; is the port taken?"))?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        greet(&engine, address, reporter);
        gateway::serve(listener, engine, stop())
            .await
            .context("the server failed")
    })?;
    // Waits for what is still being counted.
    drop(runtime);
    reporter.note("stopped; every record is written");
    Ok(())
}

/// What runs the requests: a thread for each processor. Where there is only one, nobody shares work, and the runtime that
/// need not care serves a sixth more.
fn runtime(n_processors: usize) -> io::Result<Runtime> {
    let mut builder = if n_processors == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().build()
}

/// Looks for other centroids on a thread of its own, for as long as there is an engine to put them in.
fn keep_watch(mut watch: Watch, engine: Weak<Engine>) -> anyhow::Result<()> {
    let look = move || {
        loop {
            // Folders on network volumes tell nobody when they change, so somebody has to look.
            thread::sleep(watch.interval());
            if engine.strong_count() == 0 {
                return;
            }
            let found = watch.look();
            // Held no longer than it takes, since whoever drops the engine last waits for its log.
            if let Some((found, engine)) = found.zip(engine.upgrade()) {
                put_in_force(found, &engine);
            }
        }
    };
    thread::Builder::new()
        .name("centroids-watch".to_owned())
        .spawn(look)
        .context("the thread that watches the centroids cannot start")?;
    Ok(())
}

/// Swaps the centroids, or tells why the old ones stay.
fn put_in_force(found: Found, engine: &Engine) {
    let version = found.version.clone();
    let swapped = found
        .centroids
        .and_then(|centroids| engine.swap_centroids(centroids, found.version));
    match swapped {
        Ok(()) => {
            tracing::info!(
                version,
                digest = engine.plan().centroid_digest.as_ref(),
                "other centroids are in force"
            );
            engine.count_swap(SwapResult::Swapped);
        }
        Err(reason) => {
            tracing::error!(
                version,
                reason,
                "centroids cannot be used, the old ones stay in force"
            );
            engine.count_swap(SwapResult::Refused);
        }
    }
}

/// Whether an engine keeps a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logging {
    /// Where the configuration says.
    AsConfigured,
    /// Nowhere.
    Nowhere,
}

/// An engine over what was assembled.
pub(super) fn engine(assembled: Assembled, logging: Logging) -> anyhow::Result<Arc<Engine>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let metrics = Arc::new(Metrics::new());
    metrics
        .count_aside()
        .context("the thread that counts cannot start")?;
    let log = match logging {
        Logging::Nowhere => RecordLog::none(),
        Logging::AsConfigured => RecordLog::open(&log_settings(&assembled, &clock, &metrics))
            .context("the log of records cannot be opened")?,
    };
    let encoder = EncoderQueue::start(
        assembled.encoder,
        assembled.queue,
        monotonic(&clock),
        Box::new({
            let metrics = Arc::clone(&metrics);
            move |batch| metrics.observe_batch(batch.windows)
        }),
    )?;
    Ok(Engine::new(Parts {
        plan: assembled.plan,
        encoder,
        static_encoding: assembled.static_encoding,
        clock,
        metrics,
        log,
        seed: Uuid::now_v7().as_u64_pair().1,
    }))
}

fn log_settings(
    assembled: &Assembled,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> LogSettings {
    let clock = Arc::clone(clock);
    let metrics = Arc::clone(metrics);
    LogSettings {
        outputs: assembled.outputs(),
        rotation: assembled.rotation(),
        wall: Arc::new(move || clock.wall()),
        on_lost: Arc::new(move || metrics.count_lost_line()),
    }
}

/// The clock, as the encoder's queue takes it.
pub(super) fn monotonic(clock: &Arc<dyn Clock>) -> queue::Monotonic {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now().elapsed())
}

fn greet(engine: &Engine, address: SocketAddr, reporter: Reporter) {
    let plan = engine.plan();
    let identity = engine.encoder().identity();
    let assistants: Vec<String> = plan.assistants.keys().map(ToString::to_string).collect();
    let simulated: Vec<&str> = plan
        .targets
        .iter()
        .filter(|target| target.provider.is_simulated())
        .map(|target| target.model.name.as_str())
        .collect();
    reporter.note(&format!(
        "semroute {} listens on http://{address}\n  encoder    {} ({}, {})\n  intents    {}\n  assistants {}",
        env!("CARGO_PKG_VERSION"),
        identity.name,
        identity.kernel,
        identity.device,
        plan.centroids.intents().len(),
        assistants.join(", "),
    ));
    if !simulated.is_empty() {
        reporter.note(&format!(
            "  simulated  {} (no provider is asked)",
            simulated.join(", ")
        ));
    }
    reporter.note(&keys(&plan.access));
    let key = match plan.access {
        Access::Anyone => "",
        Access::KeyHolders(_) => " -H \"authorization: Bearer $KEY\"",
    };
    if let Some(assistant) = assistants.first() {
        reporter.note(&format!(
            "try: curl -s http://{address}/v1/chat/completions -H 'content-type: application/json'{key} \\\n       -d '{{\"model\":\"{assistant}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Why does my Rust loop never end?\"}}]}}' -D -"
        ));
    }
}

/// Who may ask, for people.
fn keys(access: &Access) -> String {
    match access {
        Access::Anyone => "  keys       none are asked for: every caller is tenant `anonymous`; listen on loopback only".to_owned(),
        Access::KeyHolders(ring) => {
            let teams: Vec<&str> = ring.teams().into_iter().map(TeamName::as_str).collect();
            format!("  keys       asked for under /v1/: of {}", teams.join(", "))
        }
    }
}

/// Resolves when the process is told to stop.
async fn stop() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "interrupts cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
    tracing::info!("stopping: running requests are finished first");
}

#[cfg(unix)]
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "the request to end cannot be heard");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use tokio::runtime::RuntimeFlavor;

    use super::*;

    #[test]
    fn one_processor_is_served_by_one_thread_and_more_by_more() {
        let flavour = |n_processors| runtime(n_processors).unwrap().handle().runtime_flavor();
        assert_eq!(flavour(1), RuntimeFlavor::CurrentThread);
        assert_eq!(flavour(2), RuntimeFlavor::MultiThread);
    }
}
