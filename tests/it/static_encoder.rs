//! The static encoder: that the shipped one belongs to the shipped model, how one is made, and what
//! becomes of damaged ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use semroute::config::artefacts::{Fitting, read_artefact};
use semroute::encoder::corpus::embed_all;
use semroute::encoder::distill::distill;
use semroute::encoder::fixed::{StaticManifest, folder_beside};
use semroute::encoder::manifest::{MANIFEST_FILE, TOKENISER_FILE, WEIGHTS_FILE, sha256};
use semroute::encoder::quantise::{Source, quantise_model};
use semroute::encoder::{
    DevicePreference, Encoder, Error, ModelSource, Passage, Settings, open, open_static,
};
use semroute::vector::dot;

use crate::encoder::shipped;
use crate::encoder_files::tiny_model;

fn settings(folder: &Path) -> Settings {
    Settings {
        model: ModelSource::Path(folder.to_owned()),
        device: DevicePreference::Cpu,
        kernel: None,
    }
}

/// The static encoder beside a model.
fn beside(model: &Path) -> Result<Option<Arc<dyn Encoder>>, Error> {
    let settings = settings(model);
    let source = settings.model.clone();
    open_static(&source, &open(settings).unwrap())
}

/// A small model in its own form, and its static encoder beside it.
fn distilled(folder: &Path) -> PathBuf {
    let model = folder.join("tiny");
    let source = Source {
        name: "tiny".to_owned(),
        url: "https://example.org/tiny".to_owned(),
        licence: "MIT".to_owned(),
    };
    quantise_model(tiny_model().path(), &model, source).unwrap();
    distill(&settings(&model), &folder_beside(&model), 8, &mut |_, _| {}).unwrap();
    model
}

#[test]
fn the_shipped_table_is_that_of_the_shipped_model() {
    let folder = folder_beside(&shipped());
    let manifest = fs::read(folder.join(MANIFEST_FILE)).unwrap();
    let manifest: StaticManifest = serde_json::from_slice(&manifest).unwrap();
    let digest = |path: PathBuf| sha256(&fs::read(path).unwrap());
    assert_eq!(
        manifest.source.weights_sha256,
        digest(shipped().join(WEIGHTS_FILE))
    );
    assert_eq!(
        manifest.tokeniser_sha256,
        digest(shipped().join(TOKENISER_FILE))
    );
    assert_eq!(
        manifest.files[WEIGHTS_FILE],
        digest(folder.join(WEIGHTS_FILE))
    );
    assert_eq!(
        (manifest.dimensions, manifest.licence.as_str()),
        (256, "Apache-2.0")
    );
}

#[test]
fn the_one_in_the_binary_is_the_one_beside_the_model() {
    let compiled_in = open(Settings::default()).ok().map(|model| {
        open_static(&ModelSource::Embedded, &model)
            .unwrap()
            .expect("it comes with its model")
    });
    let read = beside(&shipped()).unwrap().expect("it ships");
    if let Some(compiled_in) = compiled_in {
        assert_eq!(compiled_in.identity(), read.identity());
    }
    assert_eq!(read.identity().kernel, "static-int8");
}

#[test]
fn what_is_about_the_same_is_nearer_than_what_is_not() {
    let encoder = beside(&shipped()).unwrap().unwrap();
    let texts = [
        "How do I reset my password?",
        "I forgot the password of my account",
        "Bake a chocolate cake for eight people",
    ]
    .map(|text| vec![Passage::new(text)]);
    let vectors = embed_all(encoder.as_ref(), &texts, 4, &mut |_| {}).unwrap();
    let [asked, same, other] = [0, 1, 2].map(|row| vectors.row(row).unwrap());
    assert!(dot(asked, other) + 0.2 < dot(asked, same));
}

#[test]
fn distilling_gives_the_same_bytes_each_time_under_the_models_licence() {
    let folder = tempfile::tempdir().unwrap();
    let model = distilled(folder.path());
    let again = folder.path().join("again");
    distill(&settings(&model), &again, 8, &mut |_, _| {}).unwrap();
    for name in [MANIFEST_FILE, WEIGHTS_FILE] {
        let first = fs::read(folder_beside(&model).join(name)).unwrap();
        assert_eq!(first, fs::read(again.join(name)).unwrap(), "{name}");
    }
    let encoder = beside(&model).unwrap().unwrap();
    assert_eq!(
        (
            encoder.identity().name.as_str(),
            encoder.identity().dimensions
        ),
        ("tiny-static", 8)
    );
    let manifest = fs::read_to_string(again.join(MANIFEST_FILE)).unwrap();
    assert!(manifest.contains("\"licence\": \"MIT\""), "{manifest}");
}

#[test]
fn a_model_of_unknown_licence_and_more_dimensions_than_there_are_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let published = tiny_model();
    let problem = distill(&settings(published.path()), &out, 8, &mut |_, _| {}).unwrap_err();
    assert!(matches!(problem, Error::Missing { .. }), "{problem}");
    let model = distilled(folder.path());
    let problem = distill(&settings(&model), &out, 17, &mut |_, _| {}).unwrap_err();
    assert!(problem.to_string().contains("1 to 16"), "{problem}");
}

#[test]
fn a_changed_table_and_another_tokeniser_are_told_by_their_digest() {
    let folder = tempfile::tempdir().unwrap();
    let model = distilled(folder.path());
    let table = folder_beside(&model).join(WEIGHTS_FILE);
    let whole = fs::read(&table).unwrap();
    let mut changed = whole.clone();
    changed[100_000] ^= 1;
    fs::write(&table, changed).unwrap();
    let problem = beside(&model).err().unwrap();
    assert!(matches!(problem, Error::Digest { .. }), "{problem}");

    fs::write(&table, whole).unwrap();
    let opened = open(settings(&model)).unwrap();
    let tokeniser = model.join(TOKENISER_FILE);
    let mut other = fs::read(&tokeniser).unwrap();
    other.push(b'\n');
    fs::write(&tokeniser, other).unwrap();
    let problem = open_static(&ModelSource::Path(model), &opened)
        .err()
        .unwrap();
    assert!(problem.to_string().contains("tokenizer.json"), "{problem}");
}

/// A copy of the shipped set, one of whose files was changed.
fn changed_set(name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> tempfile::TempDir {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("centroids/assistant");
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let path = copy.path().join(name);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    copy
}

#[test]
fn a_static_part_that_is_damaged_is_an_error_and_one_for_another_encoder_is_left_out() {
    let fixed = beside(&shipped()).unwrap().unwrap();
    let model = open(settings(&shipped())).unwrap();
    let fitting = Fitting::of(model.as_ref(), Some(fixed.as_ref()));
    let whole = changed_set("manifest.json", |bytes| bytes);
    let set = read_artefact(whole.path(), &fitting).unwrap();
    assert!(set.static_part().is_some());
    let only_main = Fitting::of(model.as_ref(), None);
    let set = read_artefact(whole.path(), &only_main).unwrap();
    assert!(set.static_part().is_none());

    let digest = fixed.identity().digest.clone();
    let other = changed_set("static.manifest.json", |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(&digest, "another").into_bytes()
    });
    let set = read_artefact(other.path(), &fitting).unwrap();
    assert!(set.static_part().is_none());

    let damaged = changed_set("static.vectors.safetensors", |mut bytes| {
        bytes[20_000] ^= 1;
        bytes
    });
    let problem = read_artefact(damaged.path(), &fitting).unwrap_err();
    assert!(problem.contains("the static part"), "{problem}");
}
