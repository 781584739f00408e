use super::*;

fn manifest(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![("manifest.json", text.as_bytes().to_vec())]
}

fn add(versions: &Versions, digest: &str) -> Version {
    let files = manifest(digest);
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, it)| (*name, it.as_slice()))
        .collect();
    versions.add(digest, &files).unwrap()
}

/// What a server would read now.
fn in_force(versions: &Versions) -> String {
    fs::read_to_string(versions.current_folder().unwrap().join("manifest.json")).unwrap()
}

fn now() -> String {
    "2026-11-21T04:36:26.000Z".to_owned()
}

#[test]
fn the_first_version_is_in_force_and_later_ones_wait() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    assert!(add(&versions, "aaaaaaaaaaaaaaaa").is_current);
    let second = add(&versions, "bbbb");
    assert_eq!(
        (second.name.as_str(), second.is_current),
        ("0002-bbbb", false)
    );
    assert_eq!(in_force(&versions), "aaaaaaaaaaaaaaaa");
    versions.promote(&second, now()).unwrap();
    assert_eq!(in_force(&versions), "bbbb");
    let names: Vec<String> = versions
        .list()
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["0001-aaaaaaaaaaaa", "0002-bbbb"]);
}

#[test]
fn rolling_back_goes_to_what_was_in_force_before_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    let all: Vec<Version> = ["aaaa", "bbbb", "cccc", "dddd"]
        .map(|it| add(&versions, it))
        .into();
    for place in [1, 3] {
        versions.promote(&all[place], now()).unwrap();
    }
    assert_eq!(versions.rollback(now()).unwrap().to, "0002-bbbb");
    assert_eq!(versions.rollback(now()).unwrap().to, "0001-aaaa");
    assert_eq!(in_force(&versions), "aaaa");
    assert!(matches!(
        versions.rollback(now()),
        Err(Error::NothingBefore { .. })
    ));
    versions.promote(&all[2], now()).unwrap();
    assert_eq!(versions.rollback(now()).unwrap().to, "0001-aaaa");
    let done: Vec<What> = versions
        .history()
        .unwrap()
        .iter()
        .map(|it| it.what)
        .collect();
    assert_eq!(
        done,
        [
            What::Promote,
            What::Promote,
            What::Rollback,
            What::Rollback,
            What::Promote,
            What::Rollback
        ]
    );
}

#[test]
fn an_artefact_in_the_folder_itself_becomes_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.json"), "flat").unwrap();
    fs::write(folder.path().join("rows.safetensors"), "rows").unwrap();
    let versions = Versions::of(folder.path());
    assert_eq!(in_force(&versions), "flat");
    let second = add(&versions, "bbbb");
    assert_eq!(second.name, "0002-bbbb");
    assert_eq!(in_force(&versions), "flat");
    let first = versions.current_folder().unwrap();
    assert_eq!(
        fs::read_to_string(first.join("rows.safetensors")).unwrap(),
        "rows"
    );
    assert!(!folder.path().join("manifest.json").exists());
    versions.promote(&second, now()).unwrap();
    assert_eq!(versions.rollback(now()).unwrap().to, "0001-first");
    assert_eq!(in_force(&versions), "flat");
}

#[test]
fn what_a_killed_command_left_half_done_is_not_a_version() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    add(&versions, "aaaa");
    // A version without its manifest, and a pointer that was never renamed.
    let half = folder.path().join("versions/.0002-bbbb");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("vectors.safetensors"), "half").unwrap();
    fs::write(folder.path().join(".CURRENT"), "0002-bbbb\n").unwrap();
    assert_eq!(versions.list().unwrap().len(), 1);
    assert_eq!(in_force(&versions), "aaaa");
    let again = add(&versions, "bbbb");
    assert!(!again.folder.join("vectors.safetensors").exists());
}

#[test]
fn a_flat_artefact_that_was_copied_and_not_yet_deleted_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    let first = add(&versions, "aaaa");
    fs::write(folder.path().join("manifest.json"), "left behind").unwrap();
    assert_eq!(in_force(&versions), "aaaa");
    assert_eq!(add(&versions, "bbbb").name, "0002-bbbb");
    assert!(first.folder.exists());
}

#[test]
fn two_commands_do_not_change_the_same_set() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    let first = add(&versions, "aaaa");
    let lock = versions.lock().unwrap();
    let refused = versions.promote(&first, now()).unwrap_err().to_string();
    assert!(refused.contains("another command"), "{refused}");
    drop(lock);
    versions.promote(&first, now()).unwrap();
}

#[test]
fn a_version_is_found_by_number_digest_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    assert!(matches!(versions.find(None), Err(Error::Nothing { .. })));
    for digest in ["aaaa1111", "bbbb2222"] {
        add(&versions, digest);
    }
    let name = |wanted| versions.find(wanted).map(|it| it.name);
    for wanted in [Some("1"), Some("0001"), Some("aaaa"), Some("0001-aaaa1111")] {
        assert_eq!(name(wanted).unwrap(), "0001-aaaa1111", "{wanted:?}");
    }
    assert_eq!(name(None).unwrap(), "0002-bbbb2222");
    let refused = name(Some("7")).unwrap_err().to_string();
    assert!(
        refused.contains("there is 0001-aaaa1111, 0002-bbbb2222"),
        "{refused}"
    );
}

#[test]
fn a_command_killed_while_it_adopted_a_flat_artefact_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.json"), "flat").unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    // Copied and renamed into place, and no word of it yet.
    let first = folder.path().join("versions/0001-first");
    fs::create_dir_all(&first).unwrap();
    fs::write(first.join("manifest.json"), "flat").unwrap();
    let versions = Versions::of(folder.path());
    assert_eq!(add(&versions, "bbbb").name, "0002-bbbb");
    assert_eq!(in_force(&versions), "flat");
    assert!(
        folder.path().join("notes.txt").exists(),
        "what is not of the artefact stays"
    );
}

#[test]
fn a_change_that_was_noted_and_not_made_does_not_mislead_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let versions = Versions::of(folder.path());
    let all: Vec<Version> = ["aaaa", "bbbb"].map(|it| add(&versions, it)).into();
    versions.promote(&all[1], now()).unwrap();
    // Noted whole, and then torn.
    let line = r#"{"time":"t","what":"promote","from":"0002-bbbb","to":"0003-cccc"}"#;
    let history = folder.path().join("history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, format!("{text}{line}\n{{\"time\":\"t")).unwrap();
    assert_eq!(versions.rollback(now()).unwrap().to, "0001-aaaa");
    assert_eq!(in_force(&versions), "aaaa");
    assert!(versions.rollback(now()).is_err());
}
