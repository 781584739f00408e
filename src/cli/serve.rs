//! `semroute serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use crate::cli::Failure;
use crate::cli::report::Reporter;
use crate::clock::{Clock, SystemClock};
use crate::config::{Assembled, Environment, assemble};
use crate::encoder::{EncoderQueue, queue};
use crate::engine::{Engine, Parts};
use crate::gateway;
use crate::store::{Output, RecordLog};
use crate::telemetry::Metrics;

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
    let outputs = assembled.outputs();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    runtime.block_on(async {
        let engine = engine(assembled, &outputs)?;
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
    reporter.note("stopped; every record is written");
    Ok(())
}

/// An engine over what was assembled.
pub(super) fn engine(assembled: Assembled, outputs: &[Output]) -> anyhow::Result<Arc<Engine>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let metrics = Arc::new(Metrics::new());
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
        clock,
        metrics,
        log: RecordLog::open(outputs).context("the log of records cannot be opened")?,
    }))
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
    reporter.note(
        "  keys       none are asked for: every caller is tenant `anonymous`; listen on loopback only",
    );
    if let Some(assistant) = assistants.first() {
        reporter.note(&format!(
            "try: curl -s http://{address}/v1/chat/completions -H 'content-type: application/json' \\\n       -d '{{\"model\":\"{assistant}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Why does my Rust loop never end?\"}}]}}' -D -"
        ));
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
