use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;

use super::*;

fn settings(folder: &Path, rotation: Rotation) -> (Settings, Arc<AtomicUsize>) {
    let lost = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lost);
    let settings = Settings {
        outputs: vec![Output::Folder(folder.to_owned())],
        rotation,
        wall: Arc::new(|| Duration::from_millis(1_795_235_786_123)),
        on_lost: Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    };
    (settings, lost)
}

const NEVER: Rotation = Rotation {
    bytes: u64::MAX,
    keep: None,
};

fn feedback(id: &str) -> Arc<Feedback> {
    Arc::new(Feedback {
        comment: Some("fine".to_owned()),
        ..Feedback::about(id)
    })
}

/// Runs to its end on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_line_is_in_the_file_when_its_writer_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, lost) = settings(folder.path(), NEVER);
    let log = RecordLog::open(&settings).unwrap();
    for n in 1..=3 {
        block_on(log.write_feedback(&feedback("a")));
        assert_eq!(lines(&folder.path().join("feedback.jsonl")).len(), n);
    }
    assert_eq!(lost.load(Ordering::SeqCst), 0);
}

#[test]
fn a_caller_that_leaves_while_one_output_writes_loses_no_line_of_another() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut settings, lost) = settings(folders[0].path(), NEVER);
    let second = Output::Folder(folders[1].path().to_owned());
    settings.outputs.push(second);
    let log = RecordLog::open(&settings).unwrap();
    for n in 0..100 {
        // It is polled once, and left.
        block_on(async { log.write_feedback(&feedback(&n.to_string())).now_or_never() });
    }
    drop(log);
    for folder in &folders {
        assert_eq!(lines(&folder.path().join("feedback.jsonl")).len(), 100);
    }
    assert_eq!(lost.load(Ordering::SeqCst), 0);
}

#[test]
fn a_full_file_is_closed_and_no_line_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let line = serde_json::to_string(feedback("a").as_ref()).unwrap();
    let rotation = Rotation {
        bytes: 2 * line.len() as u64 + 2,
        keep: None,
    };
    let (settings, _) = settings(folder.path(), rotation);
    let log = RecordLog::open(&settings).unwrap();
    for _ in 0..5 {
        block_on(log.write_feedback(&feedback("a")));
    }
    let files = file::files(folder.path(), FEEDBACK_FILE).unwrap();
    let counts: Vec<usize> = files.iter().map(|path| lines(path).len()).collect();
    assert_eq!(counts, [2, 2, 1], "{files:?}");
    assert!(
        files[0].ends_with("feedback-20261121T043626.123Z-0000.jsonl"),
        "{files:?}"
    );
}

#[test]
fn only_so_many_closed_files_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        bytes: 1,
        keep: Some(2),
    };
    let (settings, _) = settings(folder.path(), rotation);
    let log = RecordLog::open(&settings).unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        block_on(log.write_feedback(&feedback(id)));
    }
    let files = file::files(folder.path(), FEEDBACK_FILE).unwrap();
    let ids: Vec<String> = files.iter().flat_map(|path| lines(path)).collect();
    assert_eq!(ids.len(), 3);
    for (line, id) in ids.iter().zip(["c", "d", "e"]) {
        assert!(line.contains(&format!("\"request_id\":\"{id}\"")), "{line}");
    }
}

#[test]
fn a_line_that_was_left_half_written_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feedback.jsonl");
    std::fs::write(&path, "{\"whole\":1}\n{\"torn").unwrap();
    let (settings, _) = settings(folder.path(), NEVER);
    let log = RecordLog::open(&settings).unwrap();
    block_on(log.write_feedback(&feedback("a")));
    let found = lines(&path);
    assert_eq!(found[..2], ["{\"whole\":1}", "{\"torn"]);
    assert!(found[2].contains("\"request_id\":\"a\""));
}

#[test]
fn many_callers_share_writes_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, lost) = settings(folder.path(), NEVER);
    let log = RecordLog::open(&settings).unwrap();
    let one = feedback("a");
    block_on(futures_util::future::join_all(
        (0..3 * WAITING_MAX).map(|_| log.write_feedback(&one)),
    ));
    drop(log);
    assert_eq!(
        lines(&folder.path().join("feedback.jsonl")).len(),
        3 * WAITING_MAX
    );
    assert_eq!(lost.load(Ordering::SeqCst), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("feedback.jsonl")).unwrap();
    let (settings, lost) = settings(folder.path(), NEVER);
    let log = RecordLog::open(&settings).unwrap();
    block_on(log.write_feedback(&feedback("a")));
    assert_eq!(lost.load(Ordering::SeqCst), 1);
}
