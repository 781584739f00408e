//! Labelled rows from the router's own log: what people said of requests, joined with the prompts that
//! the log kept.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::centroids::labels::{Place, PromptSource, Row};
use crate::cli::report::Reporter;
use crate::domain::feedback::{Feedback, Judgement};
use crate::domain::name::IntentName;
use crate::store::log_reader::{self, LogLine};

/// Unreadable lines that are told one by one.
const PROBLEMS_TOLD: usize = 10;

/// Whether a file is a log and not one of labels: its first line says so.
pub(super) fn is_log(path: &Path) -> bool {
    if path.is_dir() {
        return true;
    }
    // A file that cannot be read is told where it is read in earnest.
    log_reader::is_log(path).unwrap_or(false)
}

/// Reads logs and feedback, and joins them.
pub(super) fn labelled(
    logs: &[PathBuf],
    feedback: &[PathBuf],
    reporter: Reporter,
) -> anyhow::Result<Vec<Row>> {
    let mut joined = Joined::default();
    for path in logs.iter().chain(feedback) {
        let files = log_reader::files_of(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        for file in files {
            joined
                .read(&file, reporter)
                .with_context(|| format!("{} cannot be read", file.display()))?;
        }
    }
    Ok(joined.rows(reporter))
}

/// A request, as far as it can become a row.
struct Request {
    place: Place,
    prompt: Option<String>,
    found: Option<IntentName>,
}

#[derive(Default)]
struct Joined {
    requests: HashMap<String, Request>,
    /// In the order in which it came.
    feedback: Vec<Feedback>,
    n_problems: usize,
}

impl Joined {
    fn read(&mut self, path: &Path, reporter: Reporter) -> std::io::Result<()> {
        let file: Arc<str> = path.display().to_string().into();
        log_reader::read(path, &mut |line, read| match read {
            Ok(LogLine::Feedback(feedback)) => self.feedback.push(feedback),
            Ok(LogLine::Record(record)) => {
                let request = Request {
                    place: Place {
                        file: Arc::clone(&file),
                        line,
                    },
                    prompt: record.prompt_text().map(ToOwned::to_owned),
                    found: record.intent.map(|intent| intent.name),
                };
                self.requests.insert(record.request_id, request);
            }
            Err(problem) => {
                self.n_problems += 1;
                if self.n_problems <= PROBLEMS_TOLD {
                    reporter.warning(&format!("{problem}; the line is left out"));
                }
            }
        })
    }

    /// One row a request that somebody gave an intent or found right; what was said last counts.
    fn rows(self, reporter: Reporter) -> Vec<Row> {
        let mut last: BTreeMap<&str, &Feedback> = BTreeMap::new();
        for feedback in &self.feedback {
            if feedback.intent.is_some() || feedback.outcome.is_some() {
                last.insert(&feedback.request_id, feedback);
            }
        }
        let (mut rows, mut unserved, mut unkept, mut open) = (Vec::new(), 0, 0, 0);
        for (id, feedback) in last {
            let Some(request) = self.requests.get(id) else {
                unserved += 1;
                continue;
            };
            let right = feedback.outcome == Some(Judgement::Right);
            let found = request.found.clone().filter(|_| right);
            match (feedback.intent.clone().or(found), &request.prompt) {
                (Some(intent), Some(prompt)) => rows.push(Row {
                    place: request.place.clone(),
                    prompt: PromptSource::Text(prompt.clone()),
                    intent,
                }),
                (Some(_), None) => unkept += 1,
                (None, _) => open += 1,
            }
        }
        // Sorted by id so far, and by place from here on.
        rows.sort_by(|one, other| {
            let place = |row: &Row| (row.place.file.clone(), row.place.line);
            place(one).cmp(&place(other))
        });
        reporter.note(&format!(
            "{} of {} logged requests are labelled by feedback",
            rows.len(),
            self.requests.len()
        ));
        let told = [
            (unserved, "requests with feedback are not in the log"),
            (
                unkept,
                "requests with feedback have no prompt in the log: set log.prompts to full",
            ),
            (
                open,
                "requests are said to be wrong without their right intent: look them up",
            ),
        ];
        for (n, what) in told.into_iter().filter(|(n, _)| 0 < *n) {
            reporter.warning(&format!("{n} {what}"));
        }
        rows
    }
}
