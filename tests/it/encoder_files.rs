//! What users and disks do to an encoder's files: each is an error that says what to do.

use std::fs;
use std::path::Path;

use semroute::encoder::manifest::{MANIFEST_FILE, Manifest, WEIGHTS_FILE};
use semroute::encoder::quantise::{Source, quantise_model};
use semroute::encoder::{DevicePreference, Kernel, ModelSource, Settings, Window, open};
use semroute::vector::dot;

use crate::encoder::{ENCODER, open_folder, shipped};

/// Why a folder cannot be opened.
fn problem(folder: &Path) -> String {
    open_folder(folder)
        .map(|_| ())
        .expect_err("the folder is broken")
        .to_string()
}

/// A copy of the shipped folder, to break.
fn copied() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(shipped()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_changed_file_and_one_that_was_cut_off_are_told_by_their_digest() {
    let copy = copied();
    let weights = copy.path().join(WEIGHTS_FILE);
    change(&weights, |bytes| bytes[5_000_000] ^= 1);
    let changed = problem(copy.path());
    assert!(changed.contains("model.safetensors is not the file") && changed.contains("SHA-256"));
    change(&weights, |bytes| bytes.truncate(10_000_000));
    assert!(problem(copy.path()).contains("cut off"));
}

#[test]
fn without_a_manifest_the_header_tells_what_was_cut_off_or_damaged() {
    let copy = copied();
    fs::remove_file(copy.path().join(MANIFEST_FILE)).unwrap();
    assert!(open_folder(copy.path()).is_ok(), "a manifest is not needed");
    let weights = copy.path().join(WEIGHTS_FILE);
    change(&weights, |bytes| bytes.truncate(10_000_000));
    assert!(problem(copy.path()).contains("damaged or cut off"));
    change(&weights, |bytes| bytes.truncate(4));
    assert!(problem(copy.path()).contains("damaged or cut off"));
    change(&weights, |bytes| {
        *bytes = b"not a tensor in sight, but long enough".to_vec();
    });
    assert!(problem(copy.path()).contains("damaged or cut off"));
}

#[test]
fn files_that_are_missing_or_no_json_are_named() {
    let copy = copied();
    for name in ["config.json", "tokenizer.json", "manifest.json"] {
        change(&copy.path().join(name), |bytes| bytes.truncate(20));
        assert!(problem(copy.path()).contains(name), "{name}");
        fs::copy(shipped().join(name), copy.path().join(name)).unwrap();
    }
    fs::remove_file(copy.path().join("tokenizer.json")).unwrap();
    assert!(problem(copy.path()).contains("tokenizer.json is missing"));
    assert!(problem(Path::new("no/such/folder")).contains("is missing"));
}

#[test]
fn weights_of_another_shape_are_refused_with_both_shapes() {
    let copy = copied();
    fs::remove_file(copy.path().join(MANIFEST_FILE)).unwrap();
    let config = fs::read_to_string(shipped().join("config.json")).unwrap();
    let wider = config.replace("\"intermediate_size\": 1536", "\"intermediate_size\": 1024");
    fs::write(copy.path().join("config.json"), wider).unwrap();
    let problem = problem(copy.path());
    assert!(
        problem.contains("[1536, 384]") && problem.contains("[1024, 384]"),
        "{problem}"
    );
}

#[test]
fn an_architecture_that_is_not_built_here_is_refused() {
    let copy = copied();
    fs::remove_file(copy.path().join(MANIFEST_FILE)).unwrap();
    let config = fs::read_to_string(shipped().join("config.json")).unwrap();
    let other = config.replace("\"model_type\": \"bert\"", "\"model_type\": \"qwen\"");
    fs::write(copy.path().join("config.json"), other).unwrap();
    assert!(problem(copy.path()).contains("model_type is \"qwen\", expected \"bert\""));
}

#[test]
fn what_is_not_compiled_in_says_with_which_feature_it_is() {
    let metal = open(Settings {
        model: ModelSource::Path(shipped()),
        device: DevicePreference::Metal,
        kernel: None,
    });
    if cfg!(not(feature = "metal")) {
        let problem = metal.map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains("--features metal"), "{problem}");
    }
    let embedded = open(Settings {
        device: DevicePreference::Cpu,
        ..Settings::default()
    });
    match embedded {
        Ok(encoder) => assert_eq!(encoder.identity().digest, ENCODER.identity().digest),
        Err(problem) => assert!(problem.to_string().contains("--features embedded-model")),
    }
}

#[test]
fn quantising_gives_the_same_bytes_each_time_and_refuses_what_is_quantised_already() {
    let folder = tempfile::tempdir().unwrap();
    let source = || Source {
        name: "again".to_owned(),
        url: "https://example.org".to_owned(),
        licence: "Apache-2.0".to_owned(),
    };
    let published = tiny_model();
    let reports = ["one", "two"]
        .map(|name| quantise_model(published.path(), &folder.path().join(name), source()).unwrap());
    assert_eq!(reports[0].digest, reports[1].digest);
    assert!(reports[0].bytes < reports[0].source_bytes);
    let manifests =
        ["one", "two"].map(|name| fs::read(folder.path().join(name).join(MANIFEST_FILE)));
    let [first, second] = manifests.map(Result::unwrap);
    assert_eq!(first, second);
    assert_eq!(
        Manifest::parse(Path::new("m"), &first).unwrap().dimensions,
        16
    );

    let before = open_folder(published.path()).unwrap();
    let after = open_folder(&folder.path().join("one")).unwrap();
    assert_eq!(after.identity().name, "again");
    let window = [Window {
        tokens: vec![5, 6, 7, 8],
    }];
    let (before, after) = (
        before.encode(&window).unwrap(),
        after.encode(&window).unwrap(),
    );
    assert!(0.999 < dot(before.row(0).unwrap(), after.row(0).unwrap()));

    let again = quantise_model(
        &folder.path().join("one"),
        &folder.path().join("three"),
        source(),
    );
    assert!(again.unwrap_err().to_string().contains("expected F32"));
}

#[test]
fn a_published_model_is_smoothed_when_it_is_loaded_and_when_it_is_quantised() {
    // A middle that is cut in two unequal parts.
    let published = published_model(64, 416);
    let folder = tempfile::tempdir().unwrap();
    let quantised = folder.path().join("quantised");
    let source = Source {
        name: "small".to_owned(),
        url: String::new(),
        licence: String::new(),
    };
    quantise_model(published.path(), &quantised, source).unwrap();
    let weights = fs::read(quantised.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let factors = |part: &str| {
        let name = format!("encoder.layer.0.{part}.weight.input_factor");
        tensors.tensor(&name).map(|tensor| tensor.data().to_vec())
    };
    let query = factors("attention.self.query").unwrap();
    assert_eq!(query, factors("attention.self.value").unwrap());
    assert!(
        query != 1.0_f32.to_le_bytes().repeat(64),
        "nothing was smoothed"
    );
    assert!(factors("output.dense").is_err());

    let windows = [vec![5, 6, 7, 8], vec![2_000; 17], (900..920).collect()];
    let windows = windows.map(|tokens| Window { tokens });
    let by = |folder: &Path, kernel| {
        let encoder = open(Settings {
            model: ModelSource::Path(folder.to_owned()),
            device: DevicePreference::Cpu,
            kernel,
        });
        encoder.unwrap().encode(&windows).unwrap()
    };
    let floats = by(published.path(), Some(Kernel::Candle));
    for vectors in [
        by(published.path(), None),
        by(published.path(), Some(Kernel::Portable)),
        by(&quantised, None),
        by(&quantised, Some(Kernel::Portable)),
        by(&quantised, Some(Kernel::Candle)),
    ] {
        for (row, float) in vectors.rows().zip(floats.rows()) {
            assert!(0.995 < dot(row, float), "{}", dot(row, float));
        }
    }
}

#[test]
fn queries_keys_and_values_must_agree_on_their_factors() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source {
        name: "small".to_owned(),
        url: String::new(),
        licence: String::new(),
    };
    quantise_model(published_model(64, 416).path(), folder.path(), source).unwrap();
    fs::remove_file(folder.path().join(MANIFEST_FILE)).unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let dropped = "encoder.layer.0.attention.self.key.weight.input_factor";
    let kept = tensors.iter().filter(|(name, _)| *name != dropped);
    let kept: Vec<_> = kept.collect();
    let file = safetensors::serialize(kept, None).unwrap();
    fs::write(&path, file).unwrap();
    let problem = open_folder(folder.path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(problem.contains("different input factors"), "{problem}");
}

/// A model of a shape that only candle computes.
pub(crate) fn tiny_model() -> tempfile::TempDir {
    published_model(16, 32)
}

/// A model of one layer and two heads with weights that follow from their places, in the form of the Hub.
fn published_model(hidden: usize, wide: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = serde_json::json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": wide, "max_position_embeddings": 32,
        "type_vocab_size": 2, "vocab_size": 30522, "layer_norm_eps": 1e-12,
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    fs::copy(
        shipped().join("tokenizer.json"),
        folder.path().join("tokenizer.json"),
    )
    .unwrap();
    let attention = "encoder.layer.0.attention";
    let linears = [
        (format!("{attention}.self.query"), hidden, hidden),
        (format!("{attention}.self.key"), hidden, hidden),
        (format!("{attention}.self.value"), hidden, hidden),
        (format!("{attention}.output.dense"), hidden, hidden),
        (
            "encoder.layer.0.intermediate.dense".to_owned(),
            wide,
            hidden,
        ),
        ("encoder.layer.0.output.dense".to_owned(), hidden, wide),
    ];
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![30_522, hidden],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![32, hidden],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, hidden],
        ),
        ("pooler.dense.weight".to_owned(), vec![hidden, hidden]),
    ];
    for (name, outputs, inputs) in linears {
        tensors.push((format!("{name}.weight"), vec![outputs, inputs]));
        tensors.push((format!("{name}.bias"), vec![outputs]));
    }
    for place in [
        "embeddings",
        &format!("{attention}.output"),
        "encoder.layer.0.output",
    ] {
        tensors.push((format!("{place}.LayerNorm.weight"), vec![hidden]));
        tensors.push((format!("{place}.LayerNorm.bias"), vec![hidden]));
    }
    write_varied(&folder.path().join(WEIGHTS_FILE), &tensors);
    folder
}

/// Writes tensors of these names and shapes.
fn write_varied(path: &Path, tensors: &[(String, Vec<usize>)]) {
    let bytes = tensors
        .iter()
        .map(|(_, shape)| varied_floats(shape.iter().product()));
    let bytes: Vec<Vec<u8>> = bytes.collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name, view.unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(path, file).unwrap();
}

fn varied_floats(count: usize) -> Vec<u8> {
    let numbers = (0_u32..).map(|at| at.wrapping_mul(2_654_435_761) >> 16);
    let floats = numbers.map(|number| f32::from(u16::try_from(number).unwrap()) / 32_768.0 - 1.0);
    floats.take(count).flat_map(f32::to_le_bytes).collect()
}
