//! What a caller may rely on once it has an answer: its record is written. A log that stands still shows who
//! waits for it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use semroute::domain::chat::Request;
use semroute::encoder::Class;
use semroute::engine::ledger::Ledger;
use semroute::engine::serve::Piece;
use semroute::engine::{Engine, Reply};
use semroute::wire::Inbound;

use crate::engine::{engine, said};

/// A log that stands still: its file is a pipe that is full.
struct StandingLog {
    folder: tempfile::TempDir,
    pipe: fs::File,
}

impl StandingLog {
    fn new() -> Self {
        /// Reading and writing return at once, whatever is in the pipe.
        const O_NONBLOCK: i32 = 0o4000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut open = fs::OpenOptions::new();
        let mut pipe = open
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(path)
            .unwrap();
        // A page at a time, so that no room for a part of one is left.
        while pipe.write(&[b'\n'; 4096]).is_ok() {}
        Self { folder, pipe }
    }

    /// Takes out what is in it, so that writing goes on.
    fn read(&mut self) -> String {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n) = self.pipe.read(&mut piece) {
            text.extend(&piece[..n]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Runs a request until it is counted, which is before it is logged. Its caller must still wait then, and has its
    /// answer as soon as the log has gone on.
    async fn holds_up<T>(mut self, engine: &Engine, request: impl Future<Output = T>) -> T {
        let mut request = std::pin::pin!(request);
        while !engine.metrics_text().contains("semroute_requests_total{") {
            assert!(
                request.as_mut().now_or_never().is_none(),
                "the answer came before its record was written"
            );
            tokio::task::yield_now().await;
        }
        let mut text = self.read();
        let answer = request.await;
        text += &self.read();
        assert!(text.contains("\"request_id\":\"request-1\""), "{text}");
        answer
    }
}

#[tokio::test]
async fn no_answer_is_complete_before_its_record_is_written() {
    let ready = || {
        let log = StandingLog::new();
        let engine = engine("none", log.folder.path().to_owned(), Duration::from_mins(1));
        let ledger = Ledger::open(&engine, "/v1/test", "request-1".to_owned());
        (log, engine, ledger)
    };
    let (log, engine, ledger) = ready();
    let asked = said("assistant", "good morning");
    let decision = engine.decide(&asked, Class::Interactive, ledger);
    assert!(log.holds_up(&engine, decision).await.outcome.is_ok());

    let (log, engine, ledger) = ready();
    let whole = request("assistant", false);
    let answer = log.holds_up(&engine, engine.answer(&whole, ledger)).await;
    assert!(matches!(answer.reply, Ok(Reply::Whole(_))));

    let (log, engine, ledger) = ready();
    let unknown = request("nobody", false);
    let answer = log.holds_up(&engine, engine.answer(&unknown, ledger)).await;
    assert!(answer.reply.is_err());

    let (log, engine, ledger) = ready();
    let streamed = request("assistant", true);
    let pieces = log.holds_up(&engine, async {
        match engine.answer(&streamed, ledger).await.reply {
            Ok(Reply::Streamed(pieces)) => pieces.collect::<Vec<Piece>>().await,
            _ => Vec::new(),
        }
    });
    assert!(matches!(Box::pin(pieces).await.last(), Some(Piece::End(_))));
}

fn request(model: &str, stream: bool) -> Request {
    let body = serde_json::json!({
        "model": model, "stream": stream, "messages": [{ "role": "user", "content": "good morning" }],
    });
    Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .unwrap()
}
