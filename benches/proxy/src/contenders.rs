//! Who is measured: processes that are started here, pinned, and ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::upstream::{FAST, SLOW};

/// How long a server may take to start.
const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// Whether semroute keeps records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Logging {
    /// In a folder, and no answer ends before its record is there.
    Folder,
    /// Nowhere.
    Nowhere,
}

/// A server that ends with this value.
pub(crate) struct Contender {
    process: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Contender {
    /// The upstream, on these processors.
    pub(crate) fn upstream(cpus: &str) -> anyhow::Result<Self> {
        Self::of_this_program(cpus, &["upstream"])
    }

    /// The bare proxy before the upstream.
    pub(crate) fn proxy(cpus: &str, upstream: SocketAddr) -> anyhow::Result<Self> {
        Self::of_this_program(cpus, &["proxy", &upstream.to_string()])
    }

    fn of_this_program(cpus: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut process = pinned(cpus, &program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().context("its output is a pipe")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().parse().context("the server told no address")?;
        Ok(Self { process, address })
    }

    /// semroute before the upstream, as an operator runs it: one route, its records in a folder, its lines for people
    /// in a file.
    pub(crate) fn semroute(
        cpus: &str,
        program: &Path,
        upstream: SocketAddr,
        folder: &Path,
        logging: Logging,
    ) -> anyhow::Result<Self> {
        let config = write_config(upstream, folder, logging)?;
        let errors = folder.join("stderr.txt");
        let process = pinned(cpus, program)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors)?)
            .spawn()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        let mut contender = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let began = Instant::now();
        while began.elapsed() < START_WAIT_MAX {
            let text = fs::read_to_string(&errors)?;
            let told = text.split("http://").nth(1);
            if let Some(address) = told.and_then(|rest| rest.split_whitespace().next()) {
                contender.address = address.parse()?;
                return Ok(contender);
            }
            if contender.process.try_wait()?.is_some() {
                bail!("semroute ended: {text}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("semroute did not start in {START_WAIT_MAX:?}")
    }

    /// The time that its threads have run, in nanoseconds.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let told = fs::read_to_string(thread?.path().join("schedstat"))?;
            let run = told.split_whitespace().next();
            sum += run.context("a thread's time is not told")?.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix("kB"));
        let kib: u64 = kib.context("its memory is not told")?.trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that runs on these processors only.
fn pinned(cpus: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cpus]).arg(program);
    command
}

/// Writes semroute's configuration.
pub(crate) fn write_config(
    upstream: SocketAddr,
    folder: &Path,
    logging: Logging,
) -> anyhow::Result<PathBuf> {
    let to = match logging {
        Logging::Folder => format!("\"jsonl:{}\"", folder.join("log").display()),
        Logging::Nowhere => String::new(),
    };
    let text = format!(
        "\
providers:
  mock: {{ kind: openai, base_url: \"http://{upstream}/v1\" }}
models:
  {FAST}: {{ provider: mock, price: {{ input: 1, output: 4 }} }}
  {SLOW}: {{ provider: mock, price: {{ input: 1, output: 4 }} }}
assistants:
  {FAST}: {{ routes: [ {{ name: all, to: {FAST} }} ] }}
  {SLOW}: {{ routes: [ {{ name: all, to: {SLOW} }} ] }}
log:
  to: [ {to} ]
"
    );
    let path = folder.join("semroute.yaml");
    fs::write(&path, text)?;
    Ok(path)
}
