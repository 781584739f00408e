//! Writes records and feedback as JSON lines, off the request's path.
//!
//! Each output has a thread of its own, so that a pipe nobody reads does not hold up the file. A
//! request hands its line over and, where the output is a folder, waits until the line has been
//! written to the file: once the caller has the last byte of its answer, a process that dies loses
//! nothing of it, because the operating system has it. Requests that end together share one write, so
//! the wait is that of one write, whatever the load. A request never writes itself, though that would be
//! quicker: a disk that stands still would take the thread with it that all the others run on.

mod file;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::domain::feedback::Feedback;
use crate::domain::record::Record;

pub use file::Rotation;
pub(super) use file::{FEEDBACK_FILE, RECORDS_FILE, files as log_files};

use file::RotatedFile;

/// Entries that may wait for one writer. At 2 KB each they hold 8 MB at most.
const WAITING_MAX: usize = 4096;

/// The longest that a request waits for a folder. A disk that takes longer is as good as gone, and the
/// answer must not go with it.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Lines that are written at once.
const BATCH_MAX: usize = 1024;

/// Tells the time of day, as the time since 1970.
pub type WallClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// `records.jsonl` and `feedback.jsonl` in this folder, appended to.
    Folder(PathBuf),
}

/// How a log is kept.
pub struct Settings {
    /// Where lines go.
    pub outputs: Vec<Output>,
    /// When files are closed and which are kept.
    pub rotation: Rotation,
    /// What names closed files.
    pub wall: WallClock,
    /// Hears of every line that could not be written.
    pub on_lost: Arc<dyn Fn() + Send + Sync>,
}

/// Whether others are being served while a request waits for its record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Nobody: the thread has nothing else to do.
    Alone,
    /// Others, who go on meanwhile, and may share the write.
    Others,
}

/// The way to the log.
pub struct RecordLog {
    ways: Vec<Way>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    on_lost: Arc<dyn Fn() + Send + Sync>,
}

/// The way to one output.
struct Way {
    lines: mpsc::Sender<Line>,
    waits: bool,
}

impl Way {
    /// Hands an entry over, if there is room for it.
    fn hand_over(&self, entry: Entry, company: Company) -> Handed<'_> {
        let (written, receipt) = oneshot::channel();
        let line = Line {
            entry,
            written: self.waits.then_some(written),
            company,
        };
        match self.lines.try_send(line) {
            Ok(()) if self.waits => Handed::Over(receipt),
            Ok(()) => Handed::Behind,
            Err(TrySendError::Closed(_)) => Handed::Lost(ENDED),
            Err(TrySendError::Full(line)) if self.waits => Handed::Full(&self.lines, line, receipt),
            // Nobody may be reading the pipe, and that is no reason to answer nobody.
            Err(TrySendError::Full(_)) => Handed::Lost("standard output is not read fast enough"),
        }
    }
}

/// Why a line is lost whose writer is gone.
const ENDED: &str = "its writer has ended";

/// An entry on its way to one output.
enum Handed<'a> {
    /// The writer has it, and will say when it is written.
    Over(oneshot::Receiver<()>),
    /// The writer has it, and nobody waits.
    Behind,
    /// The writer's queue has no room for it yet.
    Full(&'a mpsc::Sender<Line>, Line, oneshot::Receiver<()>),
    /// It is lost, for this reason.
    Lost(&'static str),
}

impl Handed<'_> {
    /// Waits until it is written, but not for ever. An error says why it is lost.
    async fn written(self) -> Result<(), &'static str> {
        let mut receipt = match self {
            Self::Behind => return Ok(()),
            Self::Lost(reason) => return Err(reason),
            Self::Over(receipt) => receipt,
            Self::Full(lines, line, receipt) => {
                timeout(WRITE_WAIT_MAX, lines.send(line))
                    .await
                    .map_err(|_| "its writer does not keep up")?
                    .map_err(|_| ENDED)?;
                receipt
            }
        };
        match receipt.try_recv() {
            Ok(()) => return Ok(()),
            Err(TryRecvError::Closed) => return Err(ENDED),
            Err(TryRecvError::Empty) => {}
        }
        if let Ok(written) = timeout(WRITE_WAIT_MAX, receipt).await {
            return written.map_err(|_| ENDED);
        }
        // The writer may still get to it.
        tracing::error!("a request went on before its line of the log was written");
        Ok(())
    }
}

/// What becomes a line. Its JSON is made by the writer, off the request's path.
#[derive(Clone)]
enum Entry {
    Record(Arc<Record>),
    Feedback(Arc<Feedback>),
}

struct Line {
    entry: Entry,
    written: Option<oneshot::Sender<()>>,
    company: Company,
}

impl RecordLog {
    /// A log that keeps nothing.
    pub fn none() -> Self {
        Self {
            ways: Vec::new(),
            writers: Mutex::new(Vec::new()),
            on_lost: Arc::new(|| {}),
        }
    }

    /// Opens the outputs and starts their writers. Without an output, lines go nowhere.
    pub fn open(settings: &Settings) -> io::Result<Self> {
        let (mut ways, mut writers) = (Vec::new(), Vec::new());
        for output in &settings.outputs {
            let sink = Sink::open(output, settings)?;
            let (lines, waiting) = mpsc::channel(WAITING_MAX);
            let on_lost = Arc::clone(&settings.on_lost);
            let writer = std::thread::Builder::new()
                .name("record-log".to_owned())
                .spawn(move || write_all(waiting, sink, on_lost.as_ref()))?;
            writers.push(writer);
            ways.push(Way {
                lines,
                waits: matches!(output, Output::Folder(_)),
            });
        }
        Ok(Self {
            ways,
            writers: Mutex::new(writers),
            on_lost: Arc::clone(&settings.on_lost),
        })
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        !self.ways.is_empty()
    }

    /// Writes a record; done when every folder has it.
    pub async fn write(&self, record: &Arc<Record>, company: Company) {
        self.write_entry(|| Entry::Record(Arc::clone(record)), company)
            .await;
    }

    /// Writes feedback; done when every folder has it.
    pub async fn write_feedback(&self, feedback: &Arc<Feedback>) {
        self.write_entry(|| Entry::Feedback(Arc::clone(feedback)), Company::Others)
            .await;
    }

    /// Hands a record over without waiting, for a request whose caller has left. If the writer is so
    /// far behind that its queue is full, the record is lost, and counted as lost.
    pub fn hand_over(&self, record: &Arc<Record>) {
        for way in &self.ways {
            let line = Line {
                entry: Entry::Record(Arc::clone(record)),
                written: None,
                company: Company::Others,
            };
            if way.lines.try_send(line).is_err() {
                tracing::error!(request_id = %record.request_id, "a record was lost: the log is behind");
                (self.on_lost)();
            }
        }
    }

    async fn write_entry(&self, entry: impl Fn() -> Entry, company: Company) {
        // Every output has its line before one is waited for: a request whose caller leaves meanwhile does not come
        // back to hand over the rest.
        let hand_over = |way| Way::hand_over(way, entry(), company);
        let handed: Vec<Handed<'_>> = self.ways.iter().map(hand_over).collect();
        if company == Company::Alone {
            // Where both share a processor, the writer is done when this returns. Sleeping until it says so would
            // take the thread two more changes.
            std::thread::yield_now();
        }
        for handed in handed {
            if let Err(reason) = handed.written().await {
                self.lost(reason);
            }
        }
    }

    fn lost(&self, reason: &str) {
        tracing::error!(reason, "a line of the log was lost");
        (self.on_lost)();
    }
}

impl Drop for RecordLog {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.ways.clear();
        let writers = self.writers.get_mut().map(std::mem::take);
        for writer in writers.unwrap_or_default() {
            if writer.join().is_err() {
                tracing::error!("a writer of the record log panicked");
            }
        }
    }
}

/// One opened output.
enum Sink {
    Stdout,
    Folder {
        records: Box<RotatedFile>,
        feedback: Box<RotatedFile>,
    },
}

impl Sink {
    fn open(output: &Output, settings: &Settings) -> io::Result<Self> {
        let Output::Folder(folder) = output else {
            return Ok(Self::Stdout);
        };
        std::fs::create_dir_all(folder)?;
        let open =
            |name| RotatedFile::open(folder, name, settings.rotation, Arc::clone(&settings.wall));
        Ok(Self::Folder {
            records: Box::new(open(RECORDS_FILE)?),
            feedback: Box::new(open(FEEDBACK_FILE)?),
        })
    }

    /// Writes lines so that the operating system has them when this returns.
    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut text = Vec::new();
                for line in lines {
                    match &line.entry {
                        Entry::Record(record) => serde_json::to_writer(&mut text, record.as_ref())?,
                        // Told from a record by its only key.
                        Entry::Feedback(feedback) => {
                            text.extend_from_slice(b"{\"feedback\":");
                            serde_json::to_writer(&mut text, feedback.as_ref())?;
                            text.push(b'}');
                        }
                    }
                    text.push(b'\n');
                }
                let mut out = io::stdout().lock();
                out.write_all(&text)?;
                out.flush()
            }
            Self::Folder { records, feedback } => {
                let appended = lines.iter().try_for_each(|line| match &line.entry {
                    Entry::Record(record) => records.append(record.as_ref()),
                    Entry::Feedback(one) => feedback.append(one.as_ref()),
                });
                // What can be written is, whatever became of the rest.
                let flushed = (records.flush(), feedback.flush());
                appended.and(flushed.0).and(flushed.1)
            }
        }
    }
}

/// Writes until every sender is gone. A line that cannot be written is told and counted; whoever
/// waits for it goes on all the same, since an answer is worth more than its record.
fn write_all(
    mut waiting: mpsc::Receiver<Line>,
    mut sink: Sink,
    on_lost: &(dyn Fn() + Send + Sync),
) {
    let mut lines = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        if first.company == Company::Others {
            // Where it shares a processor with the requests, those that are ready end first, and share this write.
            // It costs half a microsecond where nobody is.
            std::thread::yield_now();
        }
        lines.push(first);
        while lines.len() < BATCH_MAX
            && let Ok(line) = waiting.try_recv()
        {
            lines.push(line);
        }
        if let Err(error) = sink.write(&lines) {
            tracing::error!(%error, lines = lines.len(), "lines of the log could not be written");
            for _ in &lines {
                on_lost();
            }
        }
        for line in lines.drain(..) {
            if let Some(written) = line.written {
                // The caller may have left.
                let _ = written.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
