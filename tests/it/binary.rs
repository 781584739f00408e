//! The real binary: a command that is run to its end, and a server that ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semroute"));
    command
        .env_remove("SEMROUTE_LOG")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs a command to its end.
pub(crate) fn semroute(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// A server, which ends with the test.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    /// What it said until it was ready.
    pub(crate) greeting: String,
    records: BufReader<ChildStdout>,
    log: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    /// Serves a configuration, with these variables in the environment.
    pub(crate) fn start(config: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("try: curl") {
            assert!(0 < stderr.read_line(&mut greeting).unwrap(), "{greeting}");
        }
        // Read as it comes, or the server would wait for somebody to read its log.
        let log = std::thread::spawn(move || {
            let mut rest = Vec::new();
            stderr.read_to_end(&mut rest).unwrap();
            rest
        });
        let (_, address) = greeting.split_once("listens on ").unwrap();
        Self {
            url: address.split_whitespace().next().unwrap().to_owned(),
            client: reqwest::Client::new(),
            records: BufReader::new(child.stdout.take().unwrap()),
            log: Some(log),
            child,
            greeting,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.url);
        let sent = self.client.post(url).body(body.to_string()).send().await;
        let response = sent.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Ends it by SIGKILL: nothing in the process gets to run any more.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it once so many records stand on its standard output, and gives all that it ever said.
    /// Nobody's answer waits for that output, so a process that is killed right after an answer may
    /// not have written its record.
    pub(crate) fn said(mut self, n_records: usize) -> String {
        let mut said = self.greeting.clone();
        for _ in 0..n_records {
            assert!(0 < self.records.read_line(&mut said).unwrap(), "{said}");
        }
        self.kill();
        self.records.read_to_string(&mut said).unwrap();
        // The last line may be cut within a letter.
        let log = self.log.take().unwrap().join().unwrap();
        said + &String::from_utf8_lossy(&log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
