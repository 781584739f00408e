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

/// A manifest as an older reader would have written it, and vectors that belong to it.
fn files(change: impl FnOnce(&mut Value, &mut Vec<f32>)) -> Files {
    let mut manifest = json!({
        "format_version": 1,
        "name": "assistant",
        "rule": "centroid",
        "encoder": {"name": "tiny", "digest": "abc123", "dimensions": 2},
        "data": {"digest": "d", "n_rows": 4, "n_out_of_scope": 0},
        "seed": 1,
        "intents": [
            {"name": "red", "n_rows": 2, "n_prototypes": 1},
            {"name": "blue", "n_rows": 2, "n_prototypes": 2},
        ],
        "vectors": {"digest": ""},
        "threshold": {"value": 0.25, "how": "conformal_5_percent", "in_scope_loss_max": 0.05},
        "metrics": {
            "accuracy": {"value": 1.0, "low": 0.5, "high": 1.0, "n": 4},
            "folds": 2,
            "majority": 0.5,
            "rejected_in_scope": {"value": 0.0, "low": 0.0, "high": 0.5, "n": 4},
            "rejected_out_of_scope": null,
            "oos_auroc": null,
            "neighbour_similarity": 0.3,
        },
    });
    let mut values = vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
    change(&mut manifest, &mut values);
    let vectors: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
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
fn a_newer_format_is_refused_before_its_fields_are_read() {
    let newer = Files {
        manifest: br#"{"format_version": 2, "shape": "new"}"#.to_vec(),
        vectors: vec![],
    };
    assert!(refusal(&newer).contains("format version 2, and this semroute reads up to 1"));
}

#[test]
fn each_way_to_be_broken_says_what_is_broken() {
    type Change = fn(&mut Value, &mut Vec<f32>);
    let cases: [(Change, &str); 10] = [
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
            "vectors.bin has 24 bytes",
        ),
        (
            |_, values| values.truncate(4),
            "vectors.bin has 16 bytes where its manifest says 24",
        ),
        (
            |manifest, _| manifest["vectors"]["digest"] = json!("00"),
            "its manifest says 00",
        ),
        (
            |_, values| values[4] = 0.9,
            "row 2 of vectors.bin has the length 1.2",
        ),
        (
            |_, values| values[0] = f32::NAN,
            "row 0 of vectors.bin has the length NaN",
        ),
        (
            |manifest, _| manifest["threshold"]["value"] = json!(1.5),
            "the threshold 1.5",
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
        manifest.as_object_mut().unwrap().remove("threshold");
    });
    assert!(
        refusal(&files).contains("missing field `threshold`"),
        "{}",
        refusal(&files)
    );
}

#[test]
fn the_digest_changes_with_any_part_of_the_set() {
    let digest = |change: fn(&mut Value, &mut Vec<f32>)| {
        CentroidSet::from_files(&files(change), &encoder())
            .unwrap()
            .digest()
            .unwrap()
    };
    let base = digest(|_, _| {});
    assert_eq!(base, digest(|_, _| {}));
    assert_ne!(
        base,
        digest(|manifest, _| manifest["threshold"]["value"] = json!(0.3))
    );
    assert_ne!(base, digest(|_, values| values.swap(0, 1)));
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
