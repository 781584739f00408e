//! Keys are told to nobody: not in answers, records or metrics, and not in any line that can be
//! logged.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::access::{
    CLINIC, CLINIC_NEW, CONFIG, Guarded, KEYS, LAB, STRANGER, guarded_paths, question,
};
use crate::binary::Process;

fn bearer(key: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {key}"))]
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
    pairs.collect()
}

#[tokio::test]
async fn no_answer_record_or_metric_holds_a_key() {
    let guarded = Guarded::start().await;
    let mut said = String::new();
    for key in [CLINIC, CLINIC_NEW, LAB, STRANGER] {
        for (method, path, body) in guarded_paths() {
            let headers = bearer(key);
            let headers = borrowed(&headers);
            let reply = guarded.send(method, path, &headers, body).await;
            writeln!(said, "{reply:?}").unwrap();
        }
        let differing = [("x-api-key", key), ("api-key", "another-key-00000")];
        said += &guarded.chat("common", &differing).await.text;
    }
    said += &guarded.get("/metrics", &[]).await.text;
    said += &guarded.get("/readyz", &[]).await.text;
    said += &folder_text(guarded.folder.path());
    assert!(said.contains("\"tenant\":\"clinic\""), "the log was read");
    for key in [CLINIC, CLINIC_NEW, LAB, STRANGER, "another-key-00000"] {
        assert!(!said.contains(key), "{key} was told");
    }
}

fn folder_text(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

/// The binary over a configuration, with every line that it can log.
fn served(folder: &Path, config: &str) -> Process {
    let path = folder.join("semroute.yaml");
    fs::write(&path, config).unwrap();
    let mut environment = KEYS.to_vec();
    environment.push(("SEMROUTE_LOG", "trace"));
    Process::start(&path, &environment)
}

#[tokio::test]
async fn the_server_says_whether_it_asks_for_keys_and_logs_none() {
    let folder = tempfile::tempdir().unwrap();
    let process = served(folder.path(), CONFIG);
    let greeting = &process.greeting;
    assert!(greeting.contains("of clinic, lab"), "{greeting}");
    assert!(!greeting.contains("anonymous"), "{greeting}");
    let asking = [CLINIC, LAB, STRANGER];
    for key in asking {
        let url = format!("{}/v1/chat/completions", process.url);
        let request = process.client.post(url);
        let request = request.bearer_auth(key).header("x-api-key", key);
        let reply = request.body(question("common").to_string()).send().await;
        reply.unwrap().text().await.unwrap();
    }
    let said = process.said(asking.len());
    assert!(said.contains("\"tenant\":\"lab\""), "{said}");
    assert!(said.contains("tenant=\"lab\""), "lines were logged: {said}");
    for key in [CLINIC, CLINIC_NEW, LAB, STRANGER] {
        assert!(!said.contains(key), "{key} was logged");
    }

    let open = CONFIG.split("teams:\n").next().unwrap();
    let open = open.replace("teams: [clinic], ", "");
    let greeting = served(folder.path(), &open).said(0);
    assert!(
        greeting.contains("every caller is tenant `anonymous`"),
        "{greeting}"
    );
}
