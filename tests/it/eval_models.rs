//! `eval models`: from graded answers to a table, a report and labels of clusters.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use semroute::domain::quality::{QUALITY_VERSION, QualityTable};
use serde_json::Value;

use crate::binary::semroute;

const SIMULATED: &str = "evals/models/simulated.jsonl";

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn eval(arguments: &[&str]) -> Output {
    let mut all = vec!["eval", "models", "--quiet"];
    all.extend(arguments);
    let output = semroute(&all);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    output
}

#[track_caller]
fn report(arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    serde_json::from_str(&out(&eval(&all))).unwrap()
}

/// Keys that are names from the data.
const NAMED: [&str; 4] = [
    "table.overall",
    "table.intents",
    "left_out.models",
    "left_out.ungraded",
];

/// The path of every key. Ways of routing are all alike, so what is in them stands there once.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let own = format!("{path}.{key}");
                let is_named = NAMED.iter().any(|named| own.ends_with(named));
                let is_alike = [".routing", ".routing.*.at"].contains(&path);
                let inside = if is_alike {
                    format!("{path}.*")
                } else {
                    own.clone()
                };
                if !is_named {
                    keys(value, &inside, found);
                }
                found.insert(own);
            }
        }
        Value::Array(list) => {
            for value in list {
                keys(value, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_keys_of_the_report_are_committed() {
    let mut found = BTreeSet::new();
    keys(&report(&[SIMULATED]), "", &mut found);
    let fresh: String = found.into_iter().map(|key| key + "\n").collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval_models.keys");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, fresh, "{} is out of date", path.display());
}

#[test]
fn a_table_a_page_and_a_report_come_of_the_committed_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (table, page) = (
        folder.path().join("quality.json"),
        folder.path().join("page.html"),
    );
    let told = out(&eval(&[
        SIMULATED,
        "--out",
        table.to_str().unwrap(),
        "--html",
        page.to_str().unwrap(),
    ]));
    assert!(
        told.contains("random mix") && told.contains("oracle"),
        "{told}"
    );
    let table: QualityTable = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    assert_eq!(table.version, QUALITY_VERSION);
    let sql = "sql".parse().unwrap();
    let measured = table.of(Some(&sql), "heron-code").unwrap();
    assert!(
        measured.low < measured.mean && 5 < measured.n,
        "{measured:?}"
    );
    assert_eq!(table.of(Some(&sql), "nobody"), None);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script") && !page.contains("src="));
}

#[test]
fn the_same_seed_says_the_same_and_the_oracle_is_above_all() {
    let first = report(&[SIMULATED, "--seed", "5"]);
    assert_eq!(first, report(&[SIMULATED, "--seed", "5"]));
    let area = |key: &str| first["routing"][key]["area"]["value"].as_f64().unwrap();
    for (key, _) in first["routing"].as_object().unwrap() {
        assert!(area(key) <= area("oracle"), "{key}");
    }
    assert_eq!(first["routing"]["table"]["area"]["n"], 96);
}

#[test]
fn bad_rows_are_told_and_ungraded_ones_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.jsonl");
    let mut rows = fs::read_to_string(SIMULATED).unwrap();
    rows += "{\"id\": \"bad\", \"prompt\": \"x\", \"models\": {\"wren-mini\": {\"score\": 3}}}\n";
    rows += "{\"id\": \"lone\", \"prompt\": \"hi there\", \"models\": {\"wren-mini\": {\"score\": 1, \"cost_usd\": 0.1}}}\n";
    fs::write(&path, rows).unwrap();
    let output = semroute(&["eval", "models", path.to_str().unwrap(), "--json"]);
    let told = err(&output);
    assert!(
        told.contains("results.jsonl:97: `models.wren-mini.score` is 3"),
        "{told}"
    );
    assert!(
        told.contains("1 of 97 rows lack the score of a model"),
        "{told}"
    );
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["data"]["n_rejected"], 1);
    assert_eq!(report["data"]["left_out"]["n_rows"], 1);
    assert_eq!(report["n_rows"], 96);
    assert_eq!(report["table"]["overall"]["wren-mini"]["n"], 97);
    fs::write(&path, "{}\n").unwrap();
    let output = semroute(&["eval", "models", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "nothing is left");
}

#[test]
fn a_missing_cost_is_unknown_and_no_cost_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.jsonl");
    let rows = fs::read_to_string(SIMULATED).unwrap();
    fs::write(
        &path,
        rows.replacen("\"cost_usd\": ", "\"cost_usd\": null, \"was\": ", 1),
    )
    .unwrap();
    let output = semroute(&["eval", "models", path.to_str().unwrap()]);
    assert!(
        err(&output).contains("costs are unknown, not 0"),
        "{}",
        err(&output)
    );
    assert!(
        out(&output).contains("Costs are not known"),
        "{}",
        out(&output)
    );
    let report = report(&[path.to_str().unwrap()]);
    assert_eq!(report["cost"], "unknown");
    assert!(report["models"][0]["cost_usd"].is_null());
    assert!(report["routing"]["mix"].is_null());
    assert!(report["routing"]["table"]["area"].is_null());
}

#[test]
fn clusters_become_intents_that_the_router_can_look_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (labels, set, table) = (path("labels.jsonl"), path("set"), path("quality.json"));
    let refused = semroute(&[
        "eval",
        "models",
        SIMULATED,
        "--by",
        "clusters:4",
        "--out",
        &table,
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("--write-labels"),
        "{}",
        err(&refused)
    );
    eval(&[SIMULATED, "--by", "clusters:4", "--write-labels", &labels]);
    let trained = semroute(&[
        "train", &labels, "--out", &set, "--rule", "centroid", "--quiet",
    ]);
    assert_eq!(trained.status.code(), Some(0), "{}", err(&trained));
    eval(&[SIMULATED, "--centroids", &set, "--out", &table]);
    let table: QualityTable = serde_json::from_slice(&fs::read(table).unwrap()).unwrap();
    assert_eq!(table.intents.len(), 4);
    assert!(
        table
            .intents
            .keys()
            .all(|name| name.as_str().starts_with("cluster-"))
    );
}

#[test]
fn labels_that_the_centroids_cannot_find_make_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("quality.json");
    let table = table.to_str().unwrap();
    // Every task of the committed answers is an intent of the shipped centroids.
    eval(&[SIMULATED, "--by", "task", "--out", table]);
    let path = folder.path().join("results.jsonl");
    let rows = fs::read_to_string(SIMULATED).unwrap();
    fs::write(
        &path,
        rows.replace("\"task\": \"maths\"", "\"task\": \"sums\""),
    )
    .unwrap();
    let arguments = [
        "eval",
        "models",
        path.to_str().unwrap(),
        "--by",
        "task",
        "--out",
        table,
    ];
    let output = semroute(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("labelled sums"), "{}", err(&output));
}
