//! Counting tokens: for callers who ask, and for records, without holding anybody up.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use semroute::budget::tokens;
use semroute::engine::ledger::Ledger;
use semroute::engine::serve::Piece;
use semroute::engine::{Engine, Reply};
use semroute::wire::Inbound;
use serde_json::{Value, json};

use crate::engine::engine_of;
use crate::support::Server;
use crate::upstream::{config, upstream};

const PATH: &str = "/v1/messages/count_tokens";

#[tokio::test]
async fn the_tokens_of_a_conversation_are_counted_by_semroute() {
    let server = Server::start(None).await;
    let tool = json!({ "name": "find", "input_schema": { "type": "object" } });
    let body = json!({
        "model": "assistant", "system": "Be brief.", "tools": [tool],
        "messages": [{ "role": "user", "content": "hello world" }],
    });
    let reply = server.post(PATH, body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let expected =
        tokens::count_messages(["Be brief.", "hello world"]) + tokens::count(&tool.to_string());
    assert_eq!(reply.json(), json!({ "input_tokens": expected }));
    assert_eq!(reply.header("x-semroute-counted-by"), "semroute");
    assert_eq!(reply.header("x-semroute-attempts"), "0");
    assert!(!reply.header("request-id").is_empty());
}

#[tokio::test]
async fn what_cannot_be_counted_is_told_in_anthropics_shape() {
    let server = Server::start(None).await;
    let asked = json!([{ "role": "user", "content": "hi" }]);
    for (body, status, kind) in [
        (
            json!({ "model": "nobody", "messages": asked }),
            404,
            "not_found_error",
        ),
        (
            json!({ "model": "assistant" }),
            400,
            "invalid_request_error",
        ),
        (
            json!({ "model": "assistant", "messages": asked, "tools": 1 }),
            400,
            "invalid_request_error",
        ),
    ] {
        let reply = server.post(PATH, body.to_string()).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        assert_eq!(reply.json()["type"], "error");
        assert_eq!(reply.json()["error"]["type"], kind, "{}", reply.text);
        assert_eq!(reply.header("x-semroute-counted-by"), "");
    }
}

/// A stream of two pieces whose tokens nobody counts.
fn uncounted(_: &Value) -> Vec<String> {
    let piece = |text: &str, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "choices": [choice] }))
    };
    let end = "data: [DONE]\n\n".to_owned();
    vec![piece("hello", None), piece(" world", Some("stop")), end]
}

fn engine_over(address: SocketAddr, folder: &std::path::Path) -> Arc<Engine> {
    engine_of(&config(address, address), folder.to_owned(), |it| it)
}

/// Its pieces, after a prompt that takes tens of milliseconds to count.
async fn answered(engine: &Arc<Engine>) -> BoxStream<'static, Piece> {
    let prompt = "one two three four ".repeat(1 << 16);
    let body = json!({
        "model": "assistant", "stream": true, "messages": [{ "role": "user", "content": prompt }],
    });
    let request = Inbound::OpenAi.read_request(body.to_string().as_bytes());
    let ledger = Ledger::open(engine, "/v1/chat/completions", "long".to_owned());
    match engine.answer(&request.unwrap(), ledger).await.reply {
        Ok(Reply::Streamed(pieces)) => pieces,
        _ => panic!("a stream was asked for"),
    }
}

fn counted_in(folder: &std::path::Path) -> Value {
    let line = std::fs::read_to_string(folder.join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(line.trim()).unwrap();
    record["attempts"][0]["usage"].clone()
}

#[tokio::test]
async fn others_go_on_while_a_request_that_ends_is_counted() {
    let address = upstream(200, uncounted).await;
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_over(address, folder.path());
    let mut pieces = answered(&engine).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    // Those that were missed do not come later.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut n_ticks_at_end = 0;
    let mut is_ending = false;
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Piece::Chunk(chunk)) => is_ending = chunk.finish.is_some(),
                Some(Piece::End(record)) => {
                    let usage = record.attempts[0].usage.unwrap();
                    assert_eq!(usage.output_tokens, tokens::count("hello world"));
                    break;
                }
                other => panic!("{other:?}"),
            },
            _ = ticks.tick(), if is_ending => n_ticks_at_end += 1,
        }
    }
    // On the thread of this test, the count would have taken the time of nearly all of them.
    assert!(10 < n_ticks_at_end, "{n_ticks_at_end}");
    assert_eq!(counted_in(folder.path())["counted_by"], "semroute");
}

#[test]
fn whoever_leaves_is_not_waited_for_and_counted_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = runtime.block_on(async {
        let address = upstream(200, uncounted).await;
        let engine = engine_over(address, folder.path());
        let mut pieces = answered(&engine).await;
        assert!(matches!(pieces.next().await, Some(Piece::Chunk(_))));
        drop(pieces);
        // Somebody else holds the engine, to write the record when all is counted.
        assert!(1 < Arc::strong_count(&engine));
        engine
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&engine), 1);
    drop(engine);
    let usage = counted_in(folder.path());
    assert_eq!(usage["output_tokens"], tokens::count("hello"));
    assert_eq!(usage["counted_by"], "semroute");
}

#[test]
fn what_a_runtime_had_no_time_to_count_is_counted_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (stopped, is_stopped) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .on_thread_stop(move || stopped.send(()).unwrap())
        .build()
        .unwrap();
    let engine = runtime.block_on(async {
        let address = upstream(200, uncounted).await;
        let engine = engine_over(address, folder.path());
        let mut pieces = answered(&engine).await;
        assert!(matches!(pieces.next().await, Some(Piece::Chunk(_))));
        // The only thread there is has something else to do until the runtime ends.
        let (begun, is_begun) = mpsc::channel();
        tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            may_end.recv().unwrap();
        });
        is_begun.recv().unwrap();
        drop(pieces);
        engine
    });
    runtime.shutdown_background();
    end.send(()).unwrap();
    is_stopped.recv().unwrap();
    drop(engine);
    assert_eq!(counted_in(folder.path())["counted_by"], "semroute");
}
