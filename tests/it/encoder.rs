//! The shipped encoder against the original f32 model, and against every text that people write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use semroute::encoder::corpus::embed_all;
use semroute::encoder::queue::{self, EncoderQueue};
use semroute::encoder::windowing::{Passage, WINDOWS_MAX, Window, prepare};
use semroute::encoder::{
    Class, DevicePreference, Encoder, Error, Kernel, ModelSource, Settings, open,
};
use semroute::vector::{dot, norm};
use serde::Deserialize;

/// Opened once: every test of this file reads the same weights.
pub(crate) static ENCODER: LazyLock<Arc<dyn Encoder>> =
    LazyLock::new(|| open_folder(&shipped()).unwrap());

pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2")
}

pub(crate) fn open_folder(folder: &Path) -> Result<Arc<dyn Encoder>, Error> {
    open(Settings {
        model: ModelSource::Path(folder.to_owned()),
        device: DevicePreference::Cpu,
        kernel: None,
    })
}

fn embed(text: &str) -> Vec<f32> {
    let texts = [vec![Passage::new(text)]];
    let vectors = embed_all(ENCODER.as_ref(), &texts, WINDOWS_MAX, &mut |_| {}).unwrap();
    vectors.row(0).unwrap().to_vec()
}

fn window(text: &str) -> Window {
    Window {
        tokens: ENCODER.tokenise(text).unwrap(),
    }
}

#[derive(Deserialize)]
struct Golden {
    text: String,
    tokens: usize,
    vector: String,
}

impl Golden {
    fn all() -> Vec<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/encoder/golden.jsonl");
        let lines = fs::read_to_string(path).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn vector(&self) -> Vec<f32> {
        let bytes = STANDARD.decode(&self.vector).unwrap();
        let (halves, _) = bytes.as_chunks::<2>();
        halves
            .iter()
            .map(|half| from_half(u16::from_le_bytes(*half)))
            .collect()
    }
}

/// A half float; those of a unit vector are finite.
fn from_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f32::from(bits & 1023) / 1024.0;
    let magnitude = match exponent {
        0 => fraction * 2.0_f32.powi(-14),
        _ => (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    };
    sign * magnitude
}

#[test]
fn the_shipped_encoder_is_near_the_original_model() {
    let golden = Golden::all();
    assert!(200 <= golden.len(), "{} golden texts", golden.len());
    let texts: Vec<_> = golden
        .iter()
        .map(|golden| vec![Passage::new(&golden.text)])
        .collect();
    // The golden vectors are of the first window.
    let vectors = embed_all(ENCODER.as_ref(), &texts, 1, &mut |_| {}).unwrap();
    let cosines = golden.iter().zip(vectors.rows());
    let cosines = cosines.map(|(golden, vector)| (dot(&golden.vector(), vector), &golden.text));
    let mut cosines: Vec<_> = cosines.collect();
    cosines.sort_by(|left, right| left.0.total_cmp(&right.0));
    let count = u16::try_from(cosines.len()).unwrap();
    let mean = cosines.iter().map(|(cosine, _)| cosine).sum::<f32>() / f32::from(count);
    println!("mean {mean}, least {:?}", &cosines[..5]);
    assert!(0.998 <= mean, "the mean cosine is {mean}");
    assert!(0.99 <= cosines[0].0, "the least cosine is {:?}", cosines[0]);
}

/// Windows of so many tokens each, all different.
fn windows_of(lengths: &[usize]) -> Vec<Window> {
    let token =
        |window: usize, at: usize| u32::try_from((window * 911 + at * 37) % 20_000).unwrap();
    let windows = lengths.iter().enumerate().map(|(window, length)| Window {
        tokens: (0..*length).map(|at| 2_000 + token(window, at)).collect(),
    });
    windows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_lengths_in_any_company_on_any_number_of_threads_give_the_same_bits(
        lengths in prop::collection::vec(1_usize..=254, 1..12),
        threads in 1_usize..=8,
    ) {
        let windows = windows_of(&lengths);
        let together = ENCODER.encode(&windows).unwrap();
        let shares: Vec<_> = (0..threads)
            .map(|thread| windows.iter().skip(thread).step_by(threads).cloned().collect::<Vec<_>>())
            .collect();
        let apart: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = shares
                .iter()
                .map(|share| scope.spawn(|| ENCODER.encode(share).unwrap()))
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (index, row) in together.rows().enumerate() {
            prop_assert_eq!(row, apart[index % threads].row(index / threads).unwrap());
        }
    }
}

#[test]
fn every_kernel_of_this_machine_gives_nearly_the_vectors_of_floats_and_those_that_fuse_the_same_bits()
 {
    let windows = windows_of(&[1, 6, 30, 64, 200, 254]);
    let by = |kernel| {
        let encoder = open(Settings {
            model: ModelSource::Path(shipped()),
            device: DevicePreference::Cpu,
            kernel: Some(kernel),
        });
        encoder.map(|encoder| encoder.encode(&windows).unwrap())
    };
    let floats = by(Kernel::Candle).unwrap();
    let ours = ENCODER.encode(&windows).unwrap();
    for kernel in [
        Kernel::Portable,
        Kernel::Avx2,
        Kernel::AvxVnni,
        Kernel::Avx512Vnni,
    ] {
        let Ok(vectors) = by(kernel) else {
            continue;
        };
        for ((row, own), float) in vectors.rows().zip(ours.rows()).zip(floats.rows()) {
            if kernel != Kernel::Portable || ENCODER.identity().kernel == "int8-portable" {
                assert_eq!(row, own, "{kernel}");
            }
            // The tokens mean nothing, which is harder on integers than language is.
            assert!(0.98 < dot(row, float), "{kernel}: {}", dot(row, float));
        }
    }
}

#[test]
fn the_tokeniser_counts_as_the_original_one_does() {
    for golden in Golden::all() {
        let tokens = ENCODER.tokenise(&golden.text).unwrap().len();
        assert_eq!((tokens + 2).min(256), golden.tokens, "{:?}", golden.text);
    }
}

#[test]
fn a_vector_does_not_depend_on_its_batch() {
    let long = "A long text about the history of the postal service. ".repeat(18);
    let texts = [
        "hi",
        "Where is my parcel?",
        &long,
        "SELECT 1;",
        "Where is my parcel?",
    ];
    let windows: Vec<_> = (0..8).flat_map(|_| texts.map(window)).collect();
    let together = ENCODER.encode(&windows).unwrap();
    for (position, row) in together.rows().enumerate() {
        let alone = ENCODER.encode(&windows[position..=position]).unwrap();
        assert_eq!(row, alone.row(0).unwrap(), "window {position}");
        assert!((norm(row) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn nothing_to_encode_gives_no_vector() {
    assert!(ENCODER.encode(&[]).unwrap().is_empty());
}

#[test]
fn a_text_without_words_is_told_by_its_position() {
    let texts = ["a word", " \n "].map(|text| vec![Passage::new(text)]);
    let outcome = embed_all(ENCODER.as_ref(), &texts, WINDOWS_MAX, &mut |_| {});
    assert!(matches!(outcome, Err(Error::NoTokens { index: 1 })));
}

#[test]
fn a_window_past_the_models_and_a_token_past_its_vocabulary_are_errors() {
    let long = Window {
        tokens: vec![2000; 255],
    };
    let outcome = ENCODER.encode(&[long]);
    assert!(matches!(
        outcome,
        Err(Error::WindowTooLong {
            found: 255,
            most: 254
        })
    ));
    let strange = Window {
        tokens: vec![30_522],
    };
    let outcome = ENCODER.encode(&[window("fine"), strange]);
    assert!(matches!(
        outcome,
        Err(Error::UnknownToken {
            token: 30_522,
            vocabulary: 30_522
        })
    ));
}

#[test]
fn a_long_prompt_is_windows_and_a_megabyte_is_no_more_of_them() {
    let prepared =
        |text: &str| prepare(ENCODER.as_ref(), &[Passage::new(text)], WINDOWS_MAX).unwrap();
    let page = prepared(&"The committee met on Tuesday to discuss the budget. ".repeat(60));
    assert!((2..=WINDOWS_MAX).contains(&page.windows.len()) && !page.truncated);
    let megabyte = "The committee met on Tuesday to discuss the budget. ".repeat(20_000);
    assert!(1_000_000 < megabyte.len());
    let megabyte = prepared(&megabyte);
    assert!(megabyte.truncated);
    assert_eq!(
        (megabyte.windows.len(), megabyte.tokens),
        (WINDOWS_MAX, WINDOWS_MAX * 254)
    );
    let one_word = prepared(&"a".repeat(1_000_000));
    assert!(one_word.truncated && one_word.tokens == 1);
}

#[test]
fn emoji_and_right_to_left_text_and_control_characters_have_vectors_too() {
    for text in [
        "🔥🔥🔥",
        "👩‍💻",
        "ما هي عاصمة المغرب؟",
        "תודה רבה",
        "\u{202e}abc\u{202c}",
        "a\u{0}b",
    ] {
        assert!((norm(&embed(text)) - 1.0).abs() < 1e-5, "{text:?}");
    }
    let nothing_is_left = [vec![Passage::new("\u{fffd}")]];
    let outcome = embed_all(ENCODER.as_ref(), &nothing_is_left, 1, &mut |_| {});
    assert!(matches!(outcome, Err(Error::NoTokens { index: 0 })));
}

#[test]
fn what_means_the_same_is_nearer_than_what_does_not() {
    let [question, same, other] = [
        "How do I reset my password?",
        "I forgot my login credentials, how can I get a new password?",
        "Write a poem about autumn leaves.",
    ]
    .map(embed);
    assert!(dot(&question, &other) + 0.3 < dot(&question, &same));
}

#[test]
fn the_queue_answers_as_the_encoder_does() {
    let encoder = Arc::clone(&ENCODER);
    let now = Arc::new(|| std::time::Duration::ZERO);
    let queue = EncoderQueue::start(encoder, queue::Settings::default(), now, Box::new(|_| {}));
    let queue = queue.unwrap();
    let texts = ["Where is my parcel?", "Translate this.", "x = 1"];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let passages = texts.map(|text| [Passage::new(text)]);
    let calls = passages
        .each_ref()
        .map(|passages| queue.embed(passages, Class::Interactive));
    let embeddings = runtime.block_on(futures_util::future::join_all(calls));
    for (text, embedding) in texts.iter().zip(embeddings) {
        let cosine = dot(&embedding.unwrap().vector, &embed(text));
        assert!((cosine - 1.0).abs() < 1e-5, "{text}: {cosine}");
    }
}
