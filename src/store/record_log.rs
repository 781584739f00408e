//! Writes records as JSON lines, off the request's path.
//!
//! A request hands its record over and goes; one thread writes. The way to it is bounded: when the
//! disk cannot keep up, the request waits for a moment rather than losing its record, because the
//! bill and the next training run are read from this log.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::domain::record::Record;

/// Records that may wait for the writer. At 2 KB each they hold 8 MB at most.
const WAITING_MAX: usize = 4096;

/// The file inside a log folder.
const FILE_NAME: &str = "records.jsonl";

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// `records.jsonl` in this folder, appended to.
    Folder(PathBuf),
}

/// The way to the log.
pub struct RecordLog {
    lines: Option<SyncSender<String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl RecordLog {
    /// Opens the outputs and starts the writer. Without an output, records go nowhere.
    pub fn open(outputs: &[Output]) -> io::Result<Self> {
        let mut sinks = Vec::new();
        for output in outputs {
            sinks.push(sink(output)?);
        }
        if sinks.is_empty() {
            return Ok(Self {
                lines: None,
                writer: Mutex::new(None),
            });
        }
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("record-log".to_owned())
            .spawn(move || write_all(&waiting, &mut sinks))?;
        Ok(Self {
            lines: Some(lines),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Hands a record over.
    pub fn write(&self, record: &Record) {
        let Some(lines) = &self.lines else { return };
        let sent = match serde_json::to_string(record) {
            Ok(line) => lines
                .send(line)
                .map_err(|_| "the writer has ended".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = sent {
            tracing::error!(request_id = %record.request_id, reason, "a record was lost");
        }
    }
}

impl Drop for RecordLog {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.lines = None;
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the writer of the record log panicked");
        }
    }
}

/// One opened output.
struct Sink {
    name: String,
    writer: Box<dyn Write + Send>,
}

fn sink(output: &Output) -> io::Result<Sink> {
    match output {
        Output::Stdout => Ok(Sink {
            name: "standard output".to_owned(),
            writer: Box::new(io::stdout()),
        }),
        Output::Folder(folder) => {
            std::fs::create_dir_all(folder)?;
            let path = folder.join(FILE_NAME);
            let file: File = OpenOptions::new().create(true).append(true).open(&path)?;
            Ok(Sink {
                name: path.display().to_string(),
                writer: Box::new(BufWriter::new(file)),
            })
        }
    }
}

/// Writes until every sender is gone. Buffers are flushed whenever nothing waits, so that a quiet log
/// is complete.
fn write_all(waiting: &Receiver<String>, sinks: &mut [Sink]) {
    while let Ok(line) = waiting.recv() {
        write_line(sinks, &line);
        while let Ok(line) = waiting.try_recv() {
            write_line(sinks, &line);
        }
        for sink in sinks.iter_mut() {
            report(&sink.name, sink.writer.flush());
        }
    }
}

fn write_line(sinks: &mut [Sink], line: &str) {
    for sink in sinks {
        report(&sink.name, writeln!(sink.writer, "{line}"));
    }
}

fn report(name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(output = name, %error, "a record could not be written");
    }
}
