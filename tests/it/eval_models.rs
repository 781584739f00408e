//! `eval models`: from graded answers to a table, a report and labels of clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

use semroute::domain::quality::{QUALITY_VERSION, QualityTable};
use serde_json::{Value, json};

use crate::binary::semroute;
use crate::support::Server;

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
const NAMED: [&str; 5] = [
    "table.overall",
    "table.intents",
    "choices.*.*.intents",
    "left_out.models",
    "left_out.ungraded",
];

/// Keys under which all are alike, so what is in them stands there once: ways of routing and shares.
const ALIKE: [&str; 4] = [".routing", ".routing.*.at", ".choices", ".choices.*"];

/// The path of every key.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let own = format!("{path}.{key}");
                let is_named = NAMED.iter().any(|named| own.ends_with(named));
                let inside = if ALIKE.contains(&path) {
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

/// A figure of each model, by intent.
type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// What is known of an intent.
struct Known {
    /// A prompt of it.
    prompt: Value,
    /// What the prompt costs at a dollar for a million tokens.
    dollars: f64,
    /// What an answer costs on average.
    costs: BTreeMap<String, f64>,
}

/// A server whose assistants are the intents. Each chooses among the graded models by the written table,
/// at prices of its own, so that a request costs what is wanted.
async fn router(route: &str, table: &Path, prices: &Figures) -> Server {
    let (mut models, mut assistants) = (String::new(), String::new());
    for (intent, prices) in prices {
        let name = |model: &String| format!("{model}-for-{intent}");
        for (model, price) in prices {
            let price = format!("price: {{ input: {price:.9}, output: 0 }}");
            let own = format!("{{ provider: demo, name: {model}, {price} }}");
            models.extend(["  ", &name(model), ": ", &own, "\n"]);
        }
        let of: Vec<String> = prices.keys().map(name).collect();
        let route = route.replace("MODELS", &of.join(", "));
        let own = format!("{{ routes: [{{ name: only, {route} }}] }}");
        assistants.extend(["  ", intent, ": ", &own, "\n"]);
    }
    let table = table.display();
    let config = format!(
        "quality: {table}\nproviders: {{ demo: {{ kind: simulated }} }}\nmodels:\n{models}assistants:\n{assistants}"
    );
    Server::start(Some(&config)).await
}

async fn decided(server: &Server, assistant: &str, prompt: &Value) -> Value {
    let body = json!({ "model": assistant, "text": prompt });
    let reply = server.post("/v1/route", body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

/// What the committed answers say of each intent that the server finds in them.
async fn known(table: &Path) -> BTreeMap<String, Known> {
    let models = ["wren-mini", "heron-code", "osprey-large"];
    let a_dollar = models.map(|model| (model.to_owned(), 1.0)).into();
    let any = Figures::from([("any".to_owned(), a_dollar)]);
    let route = "score: { of: [MODELS], weights: { quality: 1, cost: 1 } }";
    let server = router(route, table, &any).await;
    let mut found: BTreeMap<String, (Known, f64)> = BTreeMap::new();
    for row in fs::read_to_string(SIMULATED).unwrap().lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let told = decided(&server, "any", &row["prompt"]).await;
        if told["intent"]["out_of_scope"] == true {
            continue;
        }
        let intent = told["intent"]["name"].as_str().unwrap().to_owned();
        let first = || Known {
            prompt: row["prompt"].clone(),
            dollars: told["candidates"][0]["expected_cost_usd"].as_f64().unwrap(),
            costs: BTreeMap::new(),
        };
        let (known, n) = found.entry(intent).or_insert_with(|| (first(), 0.0));
        *n += 1.0;
        for model in models {
            let cost = row["models"][model]["cost_usd"].as_f64().unwrap();
            *known.costs.entry(model.to_owned()).or_default() += cost;
        }
    }
    let mean = |(mut known, n): (Known, f64)| {
        for cost in known.costs.values_mut() {
            *cost /= n;
        }
        known
    };
    let found = found.into_iter();
    found.map(|(intent, sum)| (intent, mean(sum))).collect()
}

/// Asks a server for a prompt of each intent, and tells whom it takes.
async fn takes(server: &Server, known: &BTreeMap<String, Known>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (intent, known) in known {
        let told = decided(server, intent, &known.prompt).await;
        assert_eq!(told["intent"]["name"], **intent);
        let candidates = told["candidates"].as_array().unwrap();
        assert_eq!(candidates.len(), known.costs.len());
        for (model, cost) in &known.costs {
            let name = format!("{model}-for-{intent}");
            let own = candidates.iter().find(|it| it["model"] == *name).unwrap();
            let expected = own["expected_cost_usd"].as_f64().unwrap();
            assert!((expected / cost - 1.0).abs() < 1e-3, "{own}, not {cost}");
        }
        let target = told["target"].as_str().unwrap();
        let (model, _) = target.split_once("-for-").unwrap();
        found.insert(intent.clone(), model.to_owned());
    }
    found
}

#[tokio::test]
async fn the_router_takes_whom_the_report_says_it_takes_with_the_numbers_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("quality.json");
    let report = report(&[SIMULATED, "--out", table.to_str().unwrap()]);
    let known = known(&table).await;
    let price = |known: &Known| {
        let costs = known.costs.iter();
        let price = |(it, cost): (&String, &f64)| (it.clone(), cost / known.dollars);
        costs.map(price).collect()
    };
    let prices: Figures = known
        .iter()
        .map(|(it, known)| (it.clone(), price(known)))
        .collect();
    let score = "score: { of: [MODELS], weights: { quality: 1, cost: NUMBER } }";
    let cheapest = "cheapest: { of: [MODELS], quality: NUMBER }";
    for (way, route) in [("table", score), ("table_over_bar", cheapest)] {
        let mut seen = BTreeSet::new();
        for share in ["99", "98", "95"] {
            let number = &report["routing"][way]["at"][share]["configure"]["value"];
            let route = route.replace("NUMBER", &number.to_string());
            let server = router(&route, &table, &prices).await;
            let taken = takes(&server, &known).await;
            let said = &report["choices"][way][share]["intents"];
            assert_eq!(json!(taken), *said, "{way} at {share}");
            seen.extend(taken.into_values());
        }
        assert!(1 < seen.len(), "{way}: one model for all shows nothing");
    }
}
