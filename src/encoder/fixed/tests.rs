use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;
use crate::vector::{dot, norm};

/// A model of six tokens that only counts letters.
struct Letters(Identity);

impl Encoder for Letters {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(text.bytes().map(|byte| u32::from(byte - b'a')).collect())
    }

    fn encode(&self, _: &[Window]) -> Result<Vectors, Error> {
        Err(Error::Compute("nobody asks it".to_owned()))
    }
}

const TOKENS: u32 = 6;

fn model() -> Arc<dyn Encoder> {
    Arc::new(Letters(Identity {
        name: "letters".to_owned(),
        digest: "d1".to_owned(),
        kernel: "none".to_owned(),
        dimensions: 3,
        window_tokens: 12,
        device: "cpu".to_owned(),
    }))
}

/// Six rows of four dimensions, no two along the same line.
fn files(weights_sha256: &str) -> Files {
    let integers: Vec<u8> = (0..24_u8).map(|at| at.wrapping_mul(89) ^ 0x35).collect();
    let scales: Vec<u8> = (1..=6_u8)
        .flat_map(|at| (f32::from(at) * 0.01).to_le_bytes())
        .collect();
    let views = [
        (
            "tokens",
            TensorView::new(Dtype::I8, vec![6, 4], &integers).unwrap(),
        ),
        (
            "tokens.scale",
            TensorView::new(Dtype::F32, vec![6], &scales).unwrap(),
        ),
    ];
    let table = safetensors::serialize(views, None).unwrap();
    Files {
        folder: PathBuf::from("letters-static"),
        manifest: StaticManifest {
            format: 1,
            name: "letters-static".to_owned(),
            source: Origin {
                url: String::new(),
                weights_sha256: weights_sha256.to_owned(),
            },
            licence: "Apache-2.0".to_owned(),
            tokens: 6,
            dimensions: 4,
            window_tokens: 12,
            quantisation: Quantisation::Int8PerRow,
            tokeniser_sha256: String::new(),
            files: BTreeMap::from([(WEIGHTS_FILE.to_owned(), sha256(&table))]),
        },
        table: Cow::Owned(table),
    }
}

fn encoder() -> StaticEncoder {
    StaticEncoder::load(&files("d1"), &model()).unwrap()
}

fn window(tokens: &[u32]) -> Window {
    Window {
        tokens: tokens.to_vec(),
    }
}

fn vector(tokens: &[u32]) -> Vec<f32> {
    let rows = encoder().encode(&[window(tokens)]).unwrap();
    rows.row(0).unwrap().to_vec()
}

fn tokens() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(0..TOKENS, 1..=10)
}

#[test]
fn it_says_what_it_is_and_asks_its_model_for_tokens() {
    let encoder = encoder();
    let identity = encoder.identity();
    assert_eq!(
        (identity.name.as_str(), identity.kernel.as_str()),
        ("letters-static", "static-int8")
    );
    assert_eq!(encoder.tokenise("cab").unwrap(), [2, 0, 1]);
}

#[test]
fn the_table_of_another_model_is_refused() {
    let problem = StaticEncoder::load(&files("d2"), &model()).err().unwrap();
    assert!(
        matches!(&problem, Error::OtherEncoder { expected, found, .. } if expected == "d2" && found == "d1"),
        "{problem}"
    );
}

#[test]
fn an_unknown_token_a_long_window_and_an_empty_one_are_errors() {
    let encoder = encoder();
    let problem = |tokens: &[u32]| encoder.encode(&[window(tokens)]).unwrap_err();
    assert!(matches!(
        problem(&[0, 6]),
        Error::UnknownToken {
            token: 6,
            vocabulary: 6
        }
    ));
    assert!(matches!(
        problem(&[0; 11]),
        Error::WindowTooLong {
            found: 11,
            most: 10
        }
    ));
    assert!(matches!(problem(&[]), Error::NoTokens { index: 0 }));
    assert!(encoder.encode(&[]).unwrap().is_empty());
}

#[test]
fn the_folder_of_a_static_encoder_is_beside_that_of_its_model() {
    let beside = folder_beside(Path::new("models/mine"));
    assert_eq!(beside, Path::new("models/mine-static"));
}

#[test]
fn a_model_without_such_a_folder_has_no_static_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let source = ModelSource::Path(folder.path().join("model"));
    assert!(open_static(&source, &model()).unwrap().is_none());
}

proptest! {
    #[test]
    fn a_vector_has_length_1(tokens in tokens()) {
        prop_assert!((norm(&vector(&tokens)) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_vector_does_not_depend_on_what_stands_beside_it(texts in proptest::collection::vec(tokens(), 1..5)) {
        let windows: Vec<Window> = texts.iter().map(|tokens| window(tokens)).collect();
        let together = encoder().encode(&windows).unwrap();
        for (row, tokens) in together.rows().zip(&texts) {
            let single = vector(tokens);
            prop_assert_eq!(row, single.as_slice());
        }
    }

    #[test]
    fn saying_it_twice_or_backwards_changes_nothing(tokens in proptest::collection::vec(0..TOKENS, 1..=5)) {
        let once = vector(&tokens);
        let twice = vector(&[tokens.clone(), tokens.clone()].concat());
        let backwards: Vec<u32> = tokens.iter().rev().copied().collect();
        prop_assert!(0.9999 < dot(&once, &twice));
        prop_assert!(0.9999 < dot(&once, &vector(&backwards)));
    }
}
