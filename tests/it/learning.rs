//! The loop that the product learns by, with the real binary: serve, correct, train again, compare,
//! replay, promote in the running server, roll back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use semroute::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::binary::{Process, semroute};

/// How long a test waits for the server to notice something. It looks ten times a second here.
const PATIENCE: Duration = Duration::from_mins(1);

async fn digest(server: &Process) -> String {
    let url = format!("{}/readyz", server.url);
    let ready = server.client.get(url).send().await;
    let ready: Value = serde_json::from_str(&ready.unwrap().text().await.unwrap()).unwrap();
    ready["centroid_digest"].as_str().unwrap().to_owned()
}

/// Asks for decisions until other centroids are in force, and fails if any request does.
async fn swapped_from(server: &Process, digest: &str) -> String {
    let clock = SystemClock::start();
    loop {
        let decision = server
            .post("/v1/route", &json!({"text": "translate this"}))
            .await;
        let found = decision["centroid_digest"].as_str().unwrap().to_owned();
        if found != digest {
            return found;
        }
        assert!(
            clock.now().elapsed() < PATIENCE,
            "the server swaps its centroids"
        );
    }
}

/// Callers that ask without pause until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Load {
    /// Callers at the same time.
    const CALLERS: usize = 6;

    fn on(url: &str) -> Self {
        let url = format!("{url}/v1/route");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let client = reqwest::Client::new();
            let caller = async || {
                let mut n = 0;
                while !stopped.load(Ordering::SeqCst) {
                    let asked = client.post(&url).body(r#"{"text": "good morning"}"#).send();
                    let answer = asked.await.unwrap();
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.unwrap();
                    n += 1;
                }
                n
            };
            let callers = futures_util::future::join_all((0..Self::CALLERS).map(|_| caller()));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(callers).into_iter().sum()
        });
        Self { stop, thread }
    }

    /// How many requests were answered; fails if one was not.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    told(output)
}

fn rows(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("evals/assistant")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The person's last turn.
fn text_of(row: &Value) -> String {
    if let Some(text) = row["text"].as_str() {
        return text.to_owned();
    }
    let turns = row["messages"].as_array().unwrap();
    let last = turns.iter().rfind(|turn| turn["role"] == "user").unwrap();
    last["content"].as_str().unwrap().to_owned()
}

fn write_rows(path: &Path, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(path, lines.concat()).unwrap();
}

/// So many rows of each intent.
fn of_each(rows: &[Value], n: usize) -> Vec<Value> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    rows.iter()
        .filter(|row| {
            let count = counts.entry(row["intent"].to_string()).or_default();
            *count += 1;
            *count <= n
        })
        .cloned()
        .collect()
}

fn config(folder: &Path) -> PathBuf {
    let embedded = semroute::config::load::EMBEDDED;
    let text = embedded.replace("prompts: none", "prompts: full").replace(
        "to: [stdout]",
        &format!("to: [\"jsonl:{}\"]", folder.join("log").display()),
    );
    assert!(
        text.contains("jsonl:") && text.contains("prompts: full"),
        "{text}"
    );
    let path = folder.join("semroute.yaml");
    // What is tested is not how fast this machine is.
    let intents = "intents: { centroids: set, watch: 100ms }\nencoder: { wait: 60s }\n";
    assert!(
        !text.contains("\nintents:") && !text.contains("\nencoder:"),
        "{text}"
    );
    fs::write(&path, format!("{text}\n{intents}")).unwrap();
    path
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Asks for decisions on prompts, and tells the right intent of the first so many that were placed
/// wrongly.
async fn ask_and_correct(server: &Process, prompts: &[Value], n: usize) {
    let mut corrected = 0;
    for some in prompts.chunks(250) {
        let texts: Vec<String> = some.iter().map(text_of).collect();
        let answer = server
            .post("/v1/route/batch", &json!({ "texts": texts }))
            .await;
        for (decision, row) in answer["decisions"].as_array().unwrap().iter().zip(some) {
            if corrected < n && decision["intent"]["name"] != row["intent"] {
                let feedback = json!({
                    "request_id": decision["request_id"], "intent": row["intent"],
                });
                let noted = server.post("/v1/feedback", &feedback).await;
                assert_eq!(noted["known"], true);
                assert_eq!(noted["intent_known"], true);
                corrected += 1;
            }
        }
    }
    assert_eq!(corrected, n);
}

/// The centroids that the records of a log name.
fn digests_in(log: &Path) -> BTreeSet<String> {
    let logged = fs::read_to_string(log).unwrap();
    logged
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["centroid_digest"].to_string())
        .collect()
}

/// The folder of a version by its number.
fn version(set: &str, number: &str) -> String {
    fs::read_dir(Path::new(set).join("versions"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .find(|path| path.contains(number))
        .unwrap()
}

#[tokio::test]
async fn five_hundred_prompts_fifty_corrections_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = rows("train.jsonl");
    write_rows(&folder.join("labels.jsonl"), &of_each(&train, 30));
    let (labels, set, log) = (
        path(folder, "labels.jsonl"),
        path(folder, "set"),
        path(folder, "log"),
    );
    let learn = |data: &[&str]| semroute(&[&["train"], data, &["--rule", "whitened"]].concat());
    succeeded(&learn(&[&labels, "--out", &set]));

    let config = config(folder);
    let server = Process::start(&config, &[]);
    let before = digest(&server).await;
    let asked = train.iter().skip(300).take(162).cloned();
    let prompts: Vec<Value> = asked.chain(rows("test.jsonl")).collect();
    assert_eq!(prompts.len(), 500);
    ask_and_correct(&server, &prompts, 50).await;

    let trained = succeeded(&learn(&[&log, "--base", &set]));
    assert!(
        trained.contains("50 of 500 logged requests are labelled"),
        "{trained}"
    );
    assert!(trained.contains("against the base"), "{trained}");
    assert_eq!(
        digest(&server).await,
        before,
        "a version that was added is not in force"
    );
    let versions = succeeded(&semroute(&["versions", &set]));
    assert!(
        versions.contains("0001-first") && versions.contains("0002-"),
        "{versions}"
    );

    let newer = version(&set, "0002-");
    for file in ["static.manifest.json", "static.vectors.safetensors"] {
        let of = |version: &str| fs::read(Path::new(version).join(file)).unwrap();
        assert_eq!(of(&newer), of(&version(&set, "0001-")), "{file}");
    }
    let held_out = path(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        "evals/assistant/test.jsonl",
    );
    let compared = semroute(&["eval", &held_out, "--centroids", &newer, "--compare", &set]);
    assert!(succeeded(&compared).contains("verdict"));
    let config = config.display().to_string();
    let replay = ["replay", &log, "--centroids", &newer, "--config", &config];
    let replayed = succeeded(&semroute(&replay));
    assert!(
        replayed.contains("replayed   500 requests; 100.0% have the intent"),
        "{replayed}"
    );
    assert!(replayed.contains("would change"), "{replayed}");
    let drifted = succeeded(&semroute(&["drift", &log, "--centroids", &set]));
    assert!(drifted.contains("mix of intents"), "{drifted}");
    put_in_force_and_back(&server, &set, &before).await;
    let digests = digests_in(&folder.join("log/records.jsonl"));
    assert_eq!(digests.len(), 2, "each record says which centroids it had");
}

/// Promotes and rolls back while callers ask, and none of them may notice.
async fn put_in_force_and_back(server: &Process, set: &str, before: &str) {
    let load = Load::on(&server.url);
    succeeded(&semroute(&["promote", set, "2"]));
    let after = swapped_from(server, before).await;
    assert_eq!(digest(server).await, after);
    succeeded(&semroute(&["rollback", set]));
    assert_eq!(swapped_from(server, &after).await, before);
    assert!(Load::CALLERS < load.end(), "callers were served throughout");
}

#[test]
fn a_retraining_that_ruins_an_intent_is_refused_and_says_which_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = of_each(&rows("train.jsonl"), 60);
    write_rows(&folder.join("labels.jsonl"), &train);
    let (labels, set) = (path(folder, "labels.jsonl"), path(folder, "set"));
    succeeded(&semroute(&[
        "train", &labels, "--out", &set, "--rule", "whitened",
    ]));
    // Every row of one intent gets the label of some other.
    let others = ["code", "maths", "advice", "factual"];
    let shuffled: Vec<Value> = train
        .iter()
        .filter(|row| row["intent"] == "sql")
        .enumerate()
        .map(|(place, row)| {
            let mut row = row.clone();
            row["intent"] = json!(others[place % others.len()]);
            row
        })
        .collect();
    write_rows(&folder.join("bad.jsonl"), &shuffled);
    // Two rows keep the intent alive.
    let kept = json!({"text": "write a query that counts orders per month", "intent": "sql"});
    let also = json!({"text": "select every customer without an invoice", "intent": "sql"});
    write_rows(&folder.join("kept.jsonl"), &[kept, also]);
    let (bad, kept) = (path(folder, "bad.jsonl"), path(folder, "kept.jsonl"));
    let review = path(folder, "review.jsonl");
    let arguments = [
        "train",
        &bad,
        &kept,
        "--base",
        &set,
        "--rule",
        "whitened",
        "--promote",
    ];
    let output = semroute(&[&arguments[..], &["--review", &review]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let text = told(&output);
    assert!(text.contains("verdict           worse"), "{text}");
    assert!(text.contains("lost            sql:"), "{text}");
    assert!(
        text.contains("labels.jsonl:"),
        "the rows that are lost are named: {text}"
    );
    assert!(text.contains("--despite-loss"), "{text}");
    let doubted = fs::read_to_string(&review).unwrap();
    assert!(
        doubted.contains("bad.jsonl:"),
        "the rows to look at are listed: {doubted}"
    );

    let promoted = semroute(&["promote", &set, "2"]);
    assert_eq!(promoted.status.code(), Some(1), "{}", told(&promoted));
    succeeded(&semroute(&["promote", &set, "2", "--despite-loss"]));
    succeeded(&semroute(&["rollback", &set]));
    let versions = succeeded(&semroute(&["versions", &set, "--json"]));
    let listed: Value = serde_json::from_str(versions.split("\n20").next().unwrap()).unwrap();
    assert_eq!(
        (&listed[0]["in_force"], &listed[1]["verdict"]),
        (&json!(true), &json!("worse"))
    );
}

#[test]
fn shares_that_were_embedded_apart_make_the_same_set() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(
        &folder.join("labels.jsonl"),
        &of_each(&rows("train.jsonl"), 12),
    );
    write_rows(&folder.join("oos.jsonl"), &rows("oos_train.jsonl")[..30]);
    let (labels, oos) = (path(folder, "labels.jsonl"), path(folder, "oos.jsonl"));
    let data = ["train", labels.as_str(), "--oos", oos.as_str()];
    let rule = ["--rule", "logistic:3"];
    let (whole, parts) = (path(folder, "whole/set"), path(folder, "parts"));
    succeeded(&semroute(&[&data[..], &rule, &["--out", &whole]].concat()));
    for shard in ["3/3", "1/3"] {
        succeeded(&semroute(
            &[&data[..], &["--shard", shard, "--out", &parts]].concat(),
        ));
    }
    let merged = path(folder, "merged/set");
    let merge = [
        &["train", "--merge", &parts][..],
        &rule,
        &["--out", &merged],
    ]
    .concat();
    let missing = semroute(&merge);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        told(&missing).contains("parts 2 of 3 are missing"),
        "{}",
        told(&missing)
    );
    succeeded(&semroute(
        &[&data[..], &["--shard", "2/3", "--out", &parts]].concat(),
    ));
    succeeded(&semroute(&merge));
    for file in [
        "manifest.json",
        "vectors.safetensors",
        "rows.safetensors",
        "static.manifest.json",
        "static.vectors.safetensors",
    ] {
        let of = |set: &str| fs::read(Path::new(set).join(file)).unwrap();
        assert_eq!(of(&whole), of(&merged), "{file}");
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_finished_request() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(
        &folder.join("labels.jsonl"),
        &of_each(&rows("train.jsonl"), 10),
    );
    let (labels, set) = (path(folder, "labels.jsonl"), path(folder, "set"));
    succeeded(&semroute(&[
        "train", &labels, "--out", &set, "--rule", "centroid",
    ]));
    let mut server = Process::start(&config(folder), &[]);
    let mut n = 0;
    for round in 0..5 {
        for stream in [false, true] {
            let body = json!({
                "model": "assistant", "stream": stream,
                "messages": [{"role": "user", "content": format!("hello number {round}")}],
            });
            let url = format!("{}/v1/chat/completions", server.url);
            let response = server
                .client
                .post(url)
                .body(body.to_string())
                .send()
                .await
                .unwrap();
            assert!(response.status().is_success());
            let text = response.text().await.unwrap();
            assert!(!stream || text.contains("[DONE]"), "{text}");
            n += 1;
        }
        server.post("/v1/route", &json!({"text": "hello"})).await;
        n += 1;
    }
    server.kill();
    let text = fs::read_to_string(folder.join("log/records.jsonl")).unwrap();
    assert_eq!(text.lines().count(), n);
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}
