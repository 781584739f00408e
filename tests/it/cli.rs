//! The commands as they are typed: exit codes, what goes where, and what bad files lead to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::binary::semroute;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const LABELS: &str = r#"{"text": "What's the weather like in Oslo?", "intent": "weather"}
{"text": "will it rain tomorrow", "intent": "weather"}
{"text": "is it sunny outside right now", "intent": "weather"}
{"text": "how cold does it get tonight", "intent": "weather"}
{"text": "transfer 50 euros to Anna", "intent": "banking"}
{"text": "what's the balance on my savings account", "intent": "banking"}
{"text": "my debit card was stolen", "intent": "banking"}
{"text": "open a new current account", "intent": "banking"}
"#;

/// Trains on the labels into a new folder.
fn trained(labels: &str, folder: &Path, extra: &[&str]) -> (PathBuf, Output) {
    let file = folder.join("labels.jsonl");
    fs::write(&file, labels).unwrap();
    let set = folder.join("set");
    let mut arguments = vec![
        "train",
        file.to_str().unwrap(),
        "--out",
        set.to_str().unwrap(),
    ];
    arguments.extend(extra);
    let output = semroute(&arguments);
    (set, output)
}

#[test]
fn a_prompt_is_routed_and_explained() {
    let output = semroute(&[
        "route",
        "Fix this stack trace: index out of bounds",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let decision: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(decision["target"], "coder", "{decision}");
    let output = semroute(&["route", "good evening"]);
    assert!(
        out(&output).starts_with("route   everyday → small"),
        "{}",
        out(&output)
    );
    let output = semroute(&["route", "x", "--assistant", "nobody"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn training_is_the_same_each_time_and_can_be_evaluated() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (set, output) = trained(LABELS, first.path(), &["--seed", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let (again, _) = trained(LABELS, second.path(), &["--seed", "3"]);
    for file in [
        "manifest.json",
        "vectors.safetensors",
        "static.manifest.json",
        "static.vectors.safetensors",
    ] {
        assert_eq!(
            fs::read(set.join(file)).unwrap(),
            fs::read(again.join(file)).unwrap(),
            "{file}"
        );
    }
    let labels = first.path().join("labels.jsonl");
    let output = semroute(&[
        "eval",
        labels.to_str().unwrap(),
        "--centroids",
        set.to_str().unwrap(),
        "--json",
    ]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["accuracy"]["value"], 1.0, "{report}");
    assert_eq!(report["accuracy"]["n"], 8);
    assert_eq!(report["controls"]["majority"]["accuracy"], 0.5);
    assert_eq!(report["static"]["accuracy"]["n"], 8);
}

#[test]
fn bad_rows_are_left_out_and_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let labels = format!(
        "{LABELS}{{\"text\": \"hello\"}}\nnot json\n{{\"txt\": \"a\", \"intent\": \"b\"}}\n"
    );
    let (_, output) = trained(&labels, folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for line in ["labels.jsonl:9", "labels.jsonl:10", "labels.jsonl:11"] {
        assert!(err(&output).contains(line), "{}", err(&output));
    }
    let (_, output) = trained("{}\n", folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "nothing is left to train on");
}

#[test]
fn a_damaged_set_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (set, _) = trained(LABELS, folder.path(), &[]);
    let vectors = set.join("vectors.safetensors");
    let whole = fs::read(&vectors).unwrap();
    let eval = || {
        let labels = folder.path().join("labels.jsonl");
        semroute(&[
            "eval",
            labels.to_str().unwrap(),
            "--centroids",
            set.to_str().unwrap(),
        ])
    };
    assert_eq!(eval().status.code(), Some(0));
    fs::write(&vectors, &whole[..whole.len() - 5]).unwrap();
    assert_eq!(eval().status.code(), Some(2), "truncated: {}", err(&eval()));
    let mut changed = whole.clone();
    let last = changed.len() - 2;
    changed[last] ^= 1;
    fs::write(&vectors, changed).unwrap();
    assert_eq!(eval().status.code(), Some(2), "changed: {}", err(&eval()));
    fs::write(&vectors, whole).unwrap();
    let manifest = fs::read_to_string(set.join("manifest.json")).unwrap();
    let mut other: Value = serde_json::from_str(&manifest).unwrap();
    other["encoder"]["digest"] = Value::from("0".repeat(64));
    fs::write(set.join("manifest.json"), other.to_string()).unwrap();
    let output = eval();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("semroute train"), "{}", err(&output));
}

#[test]
fn check_tells_every_problem_and_exits_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.yaml");
    fs::write(
        &path,
        "providers: {}\nmodels: {}\nassistants: {}\nsever: 1\nlogs: 2\n",
    )
    .unwrap();
    let output = semroute(&["check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let told = err(&output);
    assert!(
        told.contains("error: sever: ") && told.contains("error: logs: "),
        "{told}"
    );
    assert_eq!(semroute(&["check"]).status.code(), Some(0));
    assert_eq!(
        semroute(&["check", "no-such-file.yaml"]).status.code(),
        Some(2)
    );
    assert_eq!(semroute(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn init_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("semroute.yaml");
    let path = path.to_str().unwrap();
    assert_eq!(semroute(&["init", path]).status.code(), Some(0));
    assert_eq!(semroute(&["check", path]).status.code(), Some(0));
    assert_eq!(semroute(&["init", path]).status.code(), Some(2));
}

#[test]
fn bench_measures_every_stage() {
    let output = semroute(&["bench", "--rounds", "1", "--json", "--quiet"]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        report["stages"].as_array().map(Vec::len),
        Some(20),
        "{report}"
    );
    let loads = report["load"].as_array().unwrap();
    assert!(
        loads
            .iter()
            .all(|load| 0.0 < load["prompts_per_second"].as_f64().unwrap())
    );
}

/// The gate that every change has to pass: what the shipped intents reach.
#[test]
fn the_shipped_intents_reach_their_baseline() {
    let data = [
        "eval",
        "evals/assistant/test.jsonl",
        "evals/assistant/oos_test.jsonl",
    ];
    let gate = |baseline: &str| semroute(&[&data[..], &["--baseline", baseline]].concat());
    let output = gate("evals/baselines/assistant.json");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let folder = tempfile::tempdir().unwrap();
    let strict = folder.path().join("strict.json");
    fs::write(
        &strict,
        r#"{"accuracy_min": 0.99, "oos_auroc_min": null, "ece_max": 0.001, "recall_min": {"sql": 1.0}}"#,
    )
    .unwrap();
    let output = gate(strict.to_str().unwrap());
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    for figure in ["accuracy is", "calibration error is", "recall of sql is"] {
        assert!(told.contains(figure), "{told}");
    }
}

#[test]
fn a_page_shows_what_prompts_say_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (set, _) = trained(LABELS, folder.path(), &["--rule", "centroid"]);
    let set = set.display().to_string();
    // Its label is wrong, so that it stands among the confusions.
    let data = folder.path().join("data.jsonl");
    let row = r#"{"text": "<script>alert(1)</script> will it rain?", "intent": "banking"}"#;
    fs::write(&data, format!("{LABELS}{row}\n")).unwrap();
    let data = data.display().to_string();
    let page = folder.path().join("page.html").display().to_string();
    let eval = [
        "eval",
        &data,
        "--centroids",
        &set,
        "--compare",
        &set,
        "--html",
        &page,
    ];
    let output = semroute(&eval);
    assert_eq!(
        output.status.code(),
        Some(0),
        "a set is no worse than itself: {}",
        err(&output)
    );
    let html = fs::read_to_string(page).unwrap();
    assert!(
        html.contains("&lt;script&gt;alert(1)") && !html.contains("<script"),
        "{html}"
    );
    assert!(!html.contains("http") && html.contains("<svg"), "{html}");
    assert!(html.contains("no significant difference"), "{html}");
}

#[test]
fn a_rule_or_a_share_that_makes_no_sense_is_told_with_what_does() {
    for (flag, value, remedy) in [
        ("--rule", "logistic:-1", "logistic:C with C above 0"),
        ("--rule", "kmeans:1", "kmeans:K with K from 2 to 64"),
        ("--rule", "svm", "write auto, centroid"),
        ("--shard", "4/3", "such as 3/16"),
    ] {
        let output = semroute(&["train", "x.jsonl", "--out", "y", flag, value]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(remedy), "{}", err(&output));
    }
}

#[test]
fn several_files_of_labels_are_read_packed_or_not_and_repeats_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("more.jsonl.gz");
    let file = fs::File::create(&packed).unwrap();
    let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let more = "{\"text\": \"shares of Acme, sell them all\", \"intent\": \"banking\"}\n";
    std::io::Write::write_all(&mut writer, format!("{LABELS}{more}").as_bytes()).unwrap();
    writer.finish().unwrap();
    let packed = packed.display().to_string();
    let (set, output) = trained(LABELS, folder.path(), &[&packed, "--rule", "centroid"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        err(&output).contains("8 rows stand twice and count once"),
        "{}",
        err(&output)
    );
    let manifest = fs::read_to_string(set.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["data"]["n_rows"], 9);
}
