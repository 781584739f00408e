//! A vector to its intent, with all that a request pays for it: 150 prototypes, and 10,000 by every way to
//! the nearest of them. How often each way finds the nearest is told once.
//!
//! The rows are those of the shipped assistant; 10,000 are made of pairs of neighbours, so that they lie as
//! sentences do.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a benchmark that cannot begin has nothing to tell, and one that finds other rows says so"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use safetensors::tensor::{Dtype, TensorView};
use semroute::centroids::rows::Part;
use semroute::centroids::{CentroidSet, Files};
use semroute::domain::hex;
use semroute::vector::{Vectors, dot, normalise, scores};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &[u8] = include_bytes!("../centroids/assistant/manifest.json");
const ROWS: &[u8] = include_bytes!("../centroids/assistant/rows.safetensors");
const INTENTS: usize = 150;

/// So many rows, each made of two of the shipped ones that stand near each other in their file.
fn mixed(shipped: &Vectors, n: usize) -> Vectors {
    let mut mixed = Vectors::new(shipped.dimensions());
    for row in 0..n {
        let at = row * shipped.len() / n;
        let near = (at + 1 + row % 7) % shipped.len();
        let pair = shipped.row(at).zip(shipped.row(near));
        let (one, other) = pair.expect("both stand in the file");
        let mut values: Vec<f32> = one.iter().zip(other).map(|(a, b)| a + 0.6 * b).collect();
        normalise(&mut values);
        assert!(mixed.push(&values));
    }
    mixed
}

fn bytes(rows: &Vectors) -> Vec<u8> {
    let values = rows.as_flat().iter();
    values.flat_map(|value| value.to_le_bytes()).collect()
}

/// A set whose intents have as many rows each, and whose scope score is that of the nearest one.
fn set(rows: &Vectors) -> CentroidSet {
    let mut manifest: Value = serde_json::from_slice(MANIFEST).expect("the manifest is JSON");
    let border = |intent: usize| rows.len() * intent / INTENTS;
    let intents = (0..INTENTS).map(|intent| {
        let n_rows = border(intent + 1) - border(intent);
        json!({"name": format!("intent {intent}"), "n_rows": n_rows, "n_prototypes": n_rows})
    });
    manifest["intents"] = intents.collect();
    manifest["rule"] = json!({"kind": "nearest"});
    manifest["scope"]["rule"] = json!({"kind": "score"});
    let bias = vec![0; rows.len() * size_of::<f32>()];
    let means = bytes(&mixed(rows, INTENTS));
    let tensors = [
        ("prototypes", rows.len(), bytes(rows)),
        ("bias", rows.len(), bias),
        ("means", INTENTS, means),
    ];
    let views = tensors.iter().map(|(name, n_rows, bytes)| {
        let shape = vec![*n_rows, bytes.len() / size_of::<f32>() / n_rows];
        let view = TensorView::new(Dtype::F32, shape, bytes);
        (*name, view.expect("the shape fits"))
    });
    let vectors = safetensors::serialize(views, None).expect("tensors can be written");
    manifest["vectors"]["digest"] = json!(hex(&Sha256::digest(&vectors)));
    let files = Files {
        manifest: serde_json::to_vec(&manifest).expect("it can be written"),
        vectors,
    };
    let part = Part::from_bytes(ROWS).expect("the rows are whole");
    CentroidSet::from_files(&files, &part.rows.embedding.encoder).expect("the set is whole")
}

#[derive(Clone, Copy)]
struct Cosine;

impl Distance<f32> for Cosine {
    fn eval(&self, left: &[f32], right: &[f32]) -> f32 {
        (1.0 - dot(left, right)).max(0.0)
    }
}

/// In how many of a hundred cases the score that was found is the highest that there is.
fn recall(rows: &Vectors, asked: &Vectors, found: impl Fn(&[f32]) -> f32) -> usize {
    let highest = |query: &[f32]| scores(rows, query).into_iter().fold(-1.0, f32::max);
    let queries = asked.rows();
    let right = queries.filter(|query| highest(query) <= found(query) + 1e-5);
    right.count() * 100 / asked.len()
}

fn classify(bench: &mut Criterion) {
    let part = Part::from_bytes(ROWS).expect("the rows are whole");
    let mut asked = Vectors::new(part.rows.vectors.dimensions());
    let mut shipped = asked.clone();
    for (at, row) in part.rows.vectors.rows().enumerate() {
        let kind = if at % 8 == 0 {
            &mut asked
        } else {
            &mut shipped
        };
        assert!(kind.push(row));
    }
    let queries: Vec<&[f32]> = asked.rows().collect();
    let mut queries = queries.iter().cycle();
    let mut next = || black_box(queries.next().expect("there are rows"));

    let few = set(&mixed(&shipped, INTENTS));
    bench.bench_function("classify/150", |bench| {
        bench.iter(|| few.classify(next(), 0.3));
    });

    let rows = mixed(&shipped, 10_000);
    let many = set(&rows);
    let scope_score = |query: &[f32]| many.classify(query, 0.3).scope_score;
    eprintln!(
        "classify: nearest found {}%",
        recall(&rows, &asked, scope_score)
    );
    bench.bench_function("classify/10000", |bench| {
        bench.iter(|| many.classify(next(), 0.3));
    });
    bench.bench_function("exact/10000", |bench| bench.iter(|| scores(&rows, next())));

    let graph = Hnsw::new(24, rows.len(), 16, 200, Cosine);
    for (at, row) in rows.rows().enumerate() {
        graph.insert_slice((row, at));
    }
    for sight in [24, 64] {
        let nearest = |query: &[f32]| 1.0 - graph.search(query, sight, sight)[0].distance;
        eprintln!(
            "hnsw, {sight} in sight: nearest found {}%",
            recall(&rows, &asked, nearest)
        );
        bench.bench_function(&format!("hnsw/10000/{sight}"), |bench| {
            bench.iter(|| nearest(next()));
        });
    }
}

criterion_group!(benches, classify);
criterion_main!(benches);
