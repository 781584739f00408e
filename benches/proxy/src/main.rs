//! What semroute adds to a request, beside a proxy that does nothing but pass bytes on.
//!
//! `upstream` is a model's server that answers at once, `proxy` the least that hyper needs to pass a
//! request on, `run` starts both and semroute, each pinned to processors of its own, and asks them in turns.

mod contenders;
mod load;
mod proxy;
mod report;
mod run;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use tokio::net::TcpListener;

use crate::contenders::Logging;

/// Measures semroute as a proxy.
#[derive(Debug, Parser)]
enum Command {
    /// Answers chat completions at once.
    Upstream,
    /// Passes requests on to a server, whole bodies untouched.
    Proxy {
        /// The server.
        to: SocketAddr,
    },
    /// Starts everyone and measures.
    Run(run::Arguments),
    /// Asks a server as often as told and says how many a second; for profilers.
    Load(load::Arguments),
    /// Writes a configuration of semroute before this upstream into a folder; for profilers.
    Config {
        /// The upstream.
        upstream: SocketAddr,
        /// The folder.
        folder: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Upstream => one_core(async { upstream::serve(announced().await?).await }),
        Command::Proxy { to } => one_core(async { proxy::serve(announced().await?, to).await }),
        Command::Run(arguments) => run::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Config { upstream, folder } => {
            let path = contenders::write_config(upstream, &folder, Logging::Folder)?;
            println!("{}", path.display());
            Ok(())
        }
    }
}

/// Runs a server on one thread, the least that its work needs.
fn one_core(server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(server)
}

/// A listener on a free port, whose address is printed for whoever started this.
async fn announced() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}
