//! A file of lines that is closed when it is full and goes on as a new one.
//!
//! The current file keeps its name; a full one is renamed by the time at which it was closed, so that
//! names sort by time and whoever follows the current name always sees the newest lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::store::json_line;
use crate::store::record_log::WallClock;

/// The name of the file of records, without its ending.
pub(in crate::store) const RECORDS_FILE: &str = "records";

/// The name of the file of feedback, without its ending.
pub(in crate::store) const FEEDBACK_FILE: &str = "feedback";

/// How much memory is kept for the next lines: that of a batch as it comes under load.
const KEPT_BYTES: usize = 256 * 1024;

/// When a file is closed, and which closed ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// No line is added that would make a file longer than this, unless it is the first.
    pub bytes: u64,
    /// How many closed files stay; all of them, if there is no number.
    pub keep: Option<usize>,
}

/// The current file, and the way to the next.
pub(super) struct RotatedFile {
    folder: PathBuf,
    name: &'static str,
    rotation: Rotation,
    wall: WallClock,
    file: File,
    length: u64,
    /// Lines that are not yet in the file.
    text: Vec<u8>,
}

impl RotatedFile {
    /// Opens the current file to append to it. A line that a killed process left half written gets
    /// its end, so that the next one does not become part of it.
    pub(super) fn open(
        folder: &Path,
        name: &'static str,
        rotation: Rotation,
        wall: WallClock,
    ) -> io::Result<Self> {
        let mut file = open(&folder.join(current(name)))?;
        let mut length = file.metadata()?.len();
        if 0 < length {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            name,
            rotation,
            wall,
            file,
            length,
            text: Vec::new(),
        })
    }

    /// Appends a line, whole in one file. It is there after the next [`Self::flush`].
    pub(super) fn append(&mut self, value: &impl Serialize) -> io::Result<()> {
        let start = self.text.len();
        if let Err(error) = json_line::append(&mut self.text, value) {
            self.text.truncate(start);
            return Err(error.into());
        }
        self.text.push(b'\n');
        let is_too_long = self.rotation.bytes < self.length + self.text.len() as u64;
        if is_too_long && 0 < self.length + start as u64 {
            let line = self.text.split_off(start);
            self.flush()?;
            self.rotate()?;
            self.text = line;
        }
        Ok(())
    }

    /// Gives the operating system what was appended. Whether or not it takes it, it is gone from here.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.text);
        if written.is_ok() {
            self.length += self.text.len() as u64;
        }
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        if written.is_err() {
            // Half a line may stand there, and the next one must not go on with it. Readers pass over blank ones.
            self.text.push(b'\n');
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = self.folder.join(current(self.name));
        std::fs::rename(&path, self.closed_path()?)?;
        self.file = open(&path)?;
        self.length = 0;
        self.forget_oldest()
    }

    /// A name of its own: the time in UTC, and a number that rises where several are closed at the same
    /// time. It rises past names that were deleted since, or the new file would sort before older ones.
    fn closed_path(&self) -> io::Result<PathBuf> {
        let start = format!("{}-{}-", self.name, stamp((self.wall)()));
        let turn_of = |path: &PathBuf| -> Option<u32> {
            let name = path.file_name()?.to_str()?;
            let rest = name.strip_prefix(&start)?;
            rest.split('.').next()?.parse().ok()
        };
        let closed = closed_files(&self.folder, self.name)?;
        let last = closed.iter().filter_map(turn_of).max();
        let turn = last.map_or(0, |turn| turn + 1);
        Ok(self.folder.join(format!("{start}{turn:04}.jsonl")))
    }

    fn forget_oldest(&self) -> io::Result<()> {
        let Some(keep) = self.rotation.keep else {
            return Ok(());
        };
        let mut closed = closed_files(&self.folder, self.name)?;
        let n_forgotten = closed.len().saturating_sub(keep);
        for path in closed.drain(..n_forgotten) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The files of a log in the order in which they were written, the current one last.
pub(in crate::store) fn files(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = closed_files(folder, name)?;
    let current = folder.join(current(name));
    if current.exists() {
        files.push(current);
    }
    Ok(files)
}

fn current(name: &str) -> String {
    format!("{name}.jsonl")
}

/// Closed files, the oldest first.
fn closed_files(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let start = format!("{name}-");
    let mut closed = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let file_name = path.file_name().map(|it| it.to_string_lossy().into_owned());
        // Somebody may have packed them since.
        let is_closed = file_name.is_some_and(|it| {
            let name = it.strip_suffix(".gz").unwrap_or(&it);
            name.starts_with(&start) && name.strip_suffix(".jsonl").is_some()
        });
        if is_closed {
            closed.push(path);
        }
    }
    closed.sort();
    Ok(closed)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
}

/// `20261121T043626.123Z`.
fn stamp(wall: Duration) -> String {
    let millis = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
    let text = jiff::Timestamp::from_millisecond(millis)
        .map(|timestamp| format!("{timestamp:.3}"))
        .unwrap_or_default();
    text.replace(['-', ':'], "")
}
