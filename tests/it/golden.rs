//! What users see and rely on, held against what is committed.

use std::fs;
use std::path::Path;

use semroute::config::reference::reference;
use semroute::config::schema::committed_text;
use semroute::gateway::error_table;

#[track_caller]
fn same_as_committed(path: &str, fresh: &str, command: &str) {
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let is_same = committed.is_ok_and(|committed| committed == fresh);
    assert!(is_same, "{path} is out of date; run: {command} > {path}");
}

#[test]
fn the_schema_of_configurations_is_committed() {
    let command = "cargo run -- check --schema";
    same_as_committed("docs/config.schema.json", &committed_text(), command);
}

#[test]
fn the_reference_of_every_key_is_committed() {
    let command = "cargo run -- check --reference";
    same_as_committed("docs/configuration.md", &reference(), command);
}

#[test]
fn the_error_table_is_documented() {
    let api =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    for (status, kind, code) in error_table() {
        let is_documented = api.lines().any(|line| {
            line.starts_with('|')
                && line.contains(&status.to_string())
                && line.contains(kind)
                && line.contains(code)
        });
        // A refusal keeps the provider's own status, which the table writes as a range.
        assert!(
            is_documented || code == "upstream_rejected",
            "{status} {kind} {code}"
        );
    }
}
