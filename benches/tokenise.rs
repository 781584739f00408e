//! Text to token ids: the shipped tokeniser beside the crate `tokenizers`, which it falls back to.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot begin has nothing to tell"
)]

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use semroute::encoder::{ModelSource, Settings, open};
use tokenizers::Tokenizer;

/// Prompts of 9, 37 and 130 tokens.
const PROMPTS: [&str; 3] = [
    "what is the capital city of new zealand?",
    "Write a polite email to my landlord asking him to repair the heating before the weekend, since \
     we have guests and the temperature in the living room doesn't exceed fifteen degrees any more.",
    "I run a small bakery and want to know how much flour I should order for December. Last year we \
     sold 1,200 loaves of sourdough, 800 baguettes and about 350 stollen; each loaf takes 550 g of \
     flour, a baguette 250 g and a stollen 400 g. This year I expect 15% more customers, but the \
     stollen will be baked by a partner, so we only need half of them. Please give me the total in \
     kilograms, rounded up to full 25 kg bags, and explain every step of the calculation. Also tell me \
     whether buying whole pallets would be cheaper.",
];

fn tokenise(bench: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2");
    let file = folder.join("tokenizer.json");
    let encoder = open(Settings {
        model: ModelSource::Path(folder),
        ..Settings::default()
    });
    let encoder = encoder.expect("the shipped encoder opens");
    let mut tokenizer = Tokenizer::from_file(file).expect("the shipped file is whole");
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).expect("nothing is cut");
    let mut group = bench.benchmark_group("tokenise");
    for prompt in PROMPTS {
        let ours = encoder.tokenise(prompt).expect("it has tokens");
        let encoding = tokenizer.encode_fast(prompt, false).expect("it has tokens");
        assert_eq!(ours, encoding.get_ids());
        group.bench_function(BenchmarkId::new("semroute", ours.len()), |bench| {
            bench.iter(|| encoder.tokenise(black_box(prompt)));
        });
        group.bench_function(BenchmarkId::new("tokenizers", ours.len()), |bench| {
            bench.iter(|| tokenizer.encode_fast(black_box(prompt), false));
        });
    }
    group.finish();
}

criterion_group!(benches, tokenise);
criterion_main!(benches);
