//! Reads logs back, line by line, so that a log of any length takes no more memory than its longest
//! line: files of records or feedback, plain or gzip, a log folder with all its rotated files, or
//! what a collector caught of standard output, where both kinds are mixed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::domain::feedback::Feedback;
use crate::domain::logged;
use crate::store::record_log::{FEEDBACK_FILE, RECORDS_FILE, log_files};

/// The first bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The longest line that is read: prompts are bounded by the body of a request.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A line of a log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogLine {
    /// A request.
    Record(Box<logged::Record>),
    /// What people said of one.
    Feedback(Feedback),
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {problem}")]
pub struct LineProblem {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The files that a path stands for: itself, or those of a log folder in the order of their lines.
pub fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = log_files(path, RECORDS_FILE)?;
    files.extend(log_files(path, FEEDBACK_FILE)?);
    Ok(files)
}

/// Reads a file, unpacked if it is gzip, whatever its name.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::new(File::open(path)?);
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        Ok(Box::new(BufReader::new(MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(file))
    }
}

/// Whether a file holds a log: its first line says so.
pub fn is_log(path: &Path) -> io::Result<bool> {
    let mut lines = open(path)?.split(b'\n');
    let first = lines.find(|line| {
        let blank = line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty());
        !blank
    });
    let first = first.transpose()?;
    Ok(first.is_some_and(|line| parse(line.trim_ascii()).is_ok()))
}

/// Hands every line of a file to `visit`, readable or not.
pub fn read(
    path: &Path,
    visit: &mut dyn FnMut(usize, Result<LogLine, LineProblem>),
) -> io::Result<()> {
    let mut reader = open(path)?;
    let mut text = Vec::new();
    let mut line = 0;
    loop {
        text.clear();
        let n_read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut text)?;
        if n_read == 0 {
            return Ok(());
        }
        line += 1;
        let content = text.trim_ascii();
        if !content.is_empty() {
            let problem = |problem: String| LineProblem {
                path: path.display().to_string(),
                line,
                problem,
            };
            visit(line, parse(content).map_err(problem));
        }
    }
}

/// Feedback has no `endpoint`, every record has; standard output wraps feedback in a key of its own.
#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    feedback: Option<Feedback>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

fn parse(text: &[u8]) -> Result<LogLine, String> {
    let told =
        |error: serde_json::Error| format!("neither a record nor feedback of semroute: {error}");
    let shape: Shape = serde_json::from_slice(text).map_err(told)?;
    if let Some(feedback) = shape.feedback {
        return Ok(LogLine::Feedback(feedback));
    }
    if shape.request_id.is_none() {
        return Err("neither a record nor feedback of semroute: it has no request_id".to_owned());
    }
    if shape.endpoint.is_some() {
        let record: logged::Record = serde_json::from_slice(text).map_err(told)?;
        return Ok(LogLine::Record(Box::new(record)));
    }
    serde_json::from_slice(text)
        .map(LogLine::Feedback)
        .map_err(told)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const RECORD: &str = r#"{"version":1,"request_id":"a","endpoint":"/v1/route","prompt":"hi","intent":{"name":"smalltalk","score":0.9},"future":[1]}"#;
    const FEEDBACK: &str = r#"{"version":1,"request_id":"a","intent":"code"}"#;

    fn read_all(path: &Path) -> Vec<Result<LogLine, LineProblem>> {
        let mut lines = Vec::new();
        read(path, &mut |_, line| lines.push(line)).unwrap();
        lines
    }

    fn kinds(lines: &[Result<LogLine, LineProblem>]) -> String {
        let kind = |line: &Result<LogLine, LineProblem>| match line {
            Ok(LogLine::Record(_)) => 'r',
            Ok(LogLine::Feedback(_)) => 'f',
            Err(_) => '!',
        };
        lines.iter().map(kind).collect()
    }

    #[test]
    fn what_a_collector_caught_is_told_apart_and_a_torn_line_is_a_problem_and_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("caught.jsonl");
        let text = format!(
            "{RECORD}\n\n{{\"feedback\":{FEEDBACK}}}\n{{\"request_id\":\"b\",\"end\n{FEEDBACK}\n{{\"other\":1}}\n{RECORD}"
        );
        std::fs::write(&path, text).unwrap();
        let lines = read_all(&path);
        assert_eq!(kinds(&lines), "rf!f!r");
        let problem = lines[2].clone().unwrap_err();
        assert!(
            problem.to_string().contains("caught.jsonl:4: neither"),
            "{problem}"
        );
    }

    #[test]
    fn a_log_is_known_by_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.jsonl");
        let label = r#"{"text":"hi","intent":"smalltalk","request_id":1}"#;
        for (text, expected) in [
            (RECORD, true),
            (FEEDBACK, true),
            (label, false),
            ("", false),
        ] {
            std::fs::write(&path, format!("\n  \n{text}\nnot json")).unwrap();
            assert_eq!(is_log(&path).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn gzip_is_known_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let file = File::create(&path).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        writeln!(packed, "{RECORD}").unwrap();
        packed.finish().unwrap();
        assert_eq!(kinds(&read_all(&path)), "r");
    }

    #[test]
    fn a_folder_is_read_in_the_order_in_which_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "records.jsonl",
            "feedback.jsonl",
            "records-20260102T-0000.jsonl",
            "records-20260101T-0001.jsonl",
            "notes.txt",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = files_of(folder.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names,
            [
                "records-20260101T-0001.jsonl",
                "records-20260102T-0000.jsonl",
                "records.jsonl",
                "feedback.jsonl"
            ]
        );
    }
}
