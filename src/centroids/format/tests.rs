use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn encoder() -> EncoderIdentity {
    EncoderIdentity {
        name: "tiny".to_owned(),
        digest: "abc123".to_owned(),
        dimensions: 2,
    }
}

/// What a file of vectors holds.
struct Numbers {
    prototypes: Vec<f32>,
    bias: Vec<f32>,
    means: Vec<f32>,
}

/// A manifest as another writer would have written it, and vectors that belong to it.
fn files(change: impl FnOnce(&mut Value, &mut Numbers)) -> Files {
    let mut manifest = json!({
        "format_version": 2,
        "name": "assistant",
        "rule": {"kind": "k_means", "k": 2},
        "candidates": [],
        "encoder": {"name": "tiny", "digest": "abc123", "dimensions": 2},
        "data": {"digest": "d", "n_rows": 4, "n_out_of_scope": 0},
        "seed": 1,
        "intents": [
            {"name": "red", "n_rows": 2, "n_prototypes": 1},
            {"name": "blue", "n_rows": 2, "n_prototypes": 2},
        ],
        "vectors": {"digest": ""},
        "temperature": 0.1,
        "scope": {
            "rule": {"kind": "score"},
            "threshold": 0.25,
            "how": "conformal_5_percent",
            "in_scope_loss_max": 0.05,
            "held_out": [0.2, 0.6, 1.0],
            "candidates": [],
        },
        "metrics": {
            "accuracy": {"value": 1.0, "low": 0.5, "high": 1.0, "n": 4},
            "folds": 2,
            "majority": 0.5,
            "ece": 0.01,
            "log_loss": 0.1,
            "rejected_in_scope": {"value": 0.0, "low": 0.0, "high": 0.5, "n": 4},
            "rejected_out_of_scope": null,
            "oos_auroc": null,
            "oos_fpr_at_95_tpr": null,
            "neighbour_similarity": 0.3,
        },
    });
    let mut numbers = Numbers {
        prototypes: vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8],
        bias: vec![0.0; 3],
        means: vec![1.0, 0.0, 0.0, 1.0],
    };
    change(&mut manifest, &mut numbers);
    let tensors = [
        ("prototypes", as_bytes(&numbers.prototypes), 2),
        ("bias", as_bytes(&numbers.bias), 1),
        ("means", as_bytes(&numbers.means), 2),
    ];
    let views = tensors.iter().map(|(name, bytes, columns)| {
        let shape = vec![bytes.len() / 4 / columns, *columns];
        (*name, TensorView::new(Dtype::F32, shape, bytes).unwrap())
    });
    let vectors = safetensors::serialize(views, None).unwrap();
    if manifest["vectors"]["digest"] == "" {
        manifest["vectors"]["digest"] = json!(sha256_hex([vectors.as_slice()]));
    }
    Files {
        manifest: serde_json::to_vec(&manifest).unwrap(),
        vectors,
    }
}

fn refusal(files: &Files) -> String {
    CentroidSet::from_files(files, &encoder())
        .unwrap_err()
        .to_string()
}

#[test]
fn an_artefact_is_read_and_classifies() {
    let set = CentroidSet::from_files(&files(|_, _| {}), &encoder()).unwrap();
    let found = set.classify(&[0.6, 0.8], set.threshold());
    assert_eq!((found.name.as_str(), found.out_of_scope), ("blue", false));
    assert!(set.classify(&[0.0, 0.0], set.threshold()).out_of_scope);
}

#[test]
fn fields_of_a_later_writer_are_ignored() {
    let files = files(|manifest, _| {
        manifest["note"] = json!("from the future");
        manifest["metrics"]["calibration_error"] = json!(0.02);
    });
    assert!(CentroidSet::from_files(&files, &encoder()).is_ok());
}

#[test]
fn another_encoder_is_named_together_with_both_remedies() {
    let running = EncoderIdentity {
        name: "other".to_owned(),
        digest: "f".repeat(64),
        dimensions: 2,
    };
    let message = CentroidSet::from_files(&files(|_, _| {}), &running)
        .unwrap_err()
        .to_string();
    for part in [
        "trained with tiny (digest abc123…)",
        "runs other (digest ffffffffffff…)",
        "semroute train",
        "encoder.model",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn another_format_is_refused_before_its_fields_are_read() {
    for (version, message) in [(1, "format version 1, and"), (3, "format version 3, and")] {
        let other = Files {
            manifest: json!({"format_version": version, "shape": "new"})
                .to_string()
                .into_bytes(),
            vectors: vec![],
        };
        assert!(refusal(&other).contains(message));
        assert!(refusal(&other).contains("train them again"));
    }
}

/// Something done to a set.
type Change = fn(&mut Value, &mut Numbers);

#[test]
fn each_way_to_be_broken_says_what_is_broken() {
    let cases: [(Change, &str); 9] = [
        (
            |manifest, _| manifest["encoder"]["dimensions"] = json!(3),
            "3 dimensions, the encoder's vectors 2",
        ),
        (
            |manifest, _| manifest["intents"] = json!([]),
            "no prototype at all",
        ),
        (
            |manifest, _| manifest["intents"][1]["n_prototypes"] = json!(0),
            "no prototype of the intent blue",
        ),
        (
            |manifest, _| manifest["intents"][1]["name"] = json!("red"),
            "the intent \"red\" twice",
        ),
        (
            |manifest, _| manifest["intents"][1]["n_prototypes"] = json!(u64::MAX),
            "no tensor \"prototypes\" of 18446744073709551615 rows",
        ),
        (
            |manifest, _| manifest["vectors"]["digest"] = json!("00"),
            "its manifest says 00",
        ),
        (
            |_, numbers| numbers.prototypes[4] = 0.9,
            "row 2 of prototypes in vectors.safetensors has the length 1.2",
        ),
        (
            |_, numbers| numbers.prototypes[0] = f32::NAN,
            "row 0 of prototypes in vectors.safetensors has the length NaN",
        ),
        (
            |manifest, _| manifest["temperature"] = json!(0.0),
            "temperature is 0 in manifest.json",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(&files(change));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let cases: [(Change, &str); 4] = [
        (
            |_, numbers| numbers.prototypes.truncate(4),
            "no tensor \"prototypes\" of 3 rows and 2 columns",
        ),
        (
            |_, numbers| numbers.bias.truncate(2),
            "no tensor \"bias\" of 3 rows and 1 columns",
        ),
        (
            |_, numbers| numbers.means.truncate(2),
            "no tensor \"means\" of 2 rows and 2 columns",
        ),
        (
            |manifest, _| {
                manifest["scope"]["rule"] = json!({"kind": "direction", "gain": 1.0, "bias": 0.0});
            },
            "no tensor \"scope_direction\" of 1 rows",
        ),
    ];
    for (change, expected) in cases {
        let message = refusal(&files(change));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_manifest_that_lacks_a_field_names_it() {
    let files = files(|manifest, _| {
        manifest.as_object_mut().unwrap().remove("temperature");
    });
    assert!(
        refusal(&files).contains("missing field `temperature`"),
        "{}",
        refusal(&files)
    );
}

#[test]
fn the_digest_changes_with_any_part_of_the_set() {
    let digest = |change: fn(&mut Value, &mut Numbers)| {
        CentroidSet::from_files(&files(change), &encoder())
            .unwrap()
            .digest()
            .unwrap()
    };
    let base = digest(|_, _| {});
    assert_eq!(base, digest(|_, _| {}));
    assert_ne!(
        base,
        digest(|manifest, _| manifest["scope"]["threshold"] = json!(0.3))
    );
    assert_ne!(base, digest(|_, numbers| numbers.prototypes.swap(0, 1)));
}

proptest! {
    #[test]
    fn a_file_cut_short_anywhere_is_an_error(cut: prop::sample::Index, which: bool) {
        let mut files = files(|_, _| {});
        let part = if which { &mut files.manifest } else { &mut files.vectors };
        part.truncate(cut.index(part.len()));
        prop_assert!(CentroidSet::from_files(&files, &encoder()).is_err());
    }

    #[test]
    fn a_flipped_bit_of_the_vectors_is_an_error(at: prop::sample::Index, bit in 0_u32..8) {
        let mut files = files(|_, _| {});
        let byte = at.index(files.vectors.len());
        files.vectors[byte] ^= 1 << bit;
        prop_assert!(CentroidSet::from_files(&files, &encoder()).is_err());
    }

    #[test]
    fn no_bytes_whatever_panic(
        manifest in prop::collection::vec(any::<u8>(), 0..200),
        vectors in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let files = Files { manifest, vectors };
        prop_assert!(CentroidSet::from_files(&files, &encoder()).is_err());
    }
}
