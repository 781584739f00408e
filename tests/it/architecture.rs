//! Imports run one way through the layers. This test reads the sources and says which line breaks it.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the bottom: a module may import what lies in the layers below its own, and itself.
const LAYERS: [&[&str]; 7] = [
    &["domain", "vector"],
    &[
        "wire",
        "centroids",
        "routing",
        "cascade",
        "verify",
        "slo",
        "eval",
        "budget",
        "health",
        "catalogue",
    ],
    &["encoder", "provider", "store", "telemetry", "clock"],
    &["engine"],
    &["config"],
    &["gateway"],
    &["cli"],
];

/// What the layer that decides must not touch: time, files, sockets, the environment, threads.
const FORBIDDEN_TO_DECIDE: [&str; 9] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "tokio::",
    "reqwest::",
    "rand::rng(",
];

struct Source {
    module: String,
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap();
            let first = inside.components().next().unwrap().as_os_str();
            let module = first.to_string_lossy().trim_end_matches(".rs").to_owned();
            if path.extension().is_some_and(|it| it == "rs") && module != "lib" && module != "main"
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { module, path, text });
            }
        }
    }
    found
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("the module {module} has no layer: add it to LAYERS"))
}

/// The modules that a line names as `crate::module`, and inside braces after `crate::{`.
fn imported(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .filter_map(|(start, marker)| {
            let rest = &line[start + marker.len()..];
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
            Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
        })
        .collect()
}

#[test]
fn imports_run_downwards_only() {
    let sources = sources();
    assert!(60 < sources.len(), "the sources were not found");
    let mut against = Vec::new();
    for source in &sources {
        let own = layer(&source.module);
        let code = source.text.lines().enumerate();
        for (number, line) in code.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for module in imported(line) {
                if module == source.module || !is_module(module) {
                    continue;
                }
                if own <= layer(module) {
                    against.push(format!(
                        "{}:{}: {} imports {module}",
                        source.path.display(),
                        number + 1,
                        source.module
                    ));
                }
            }
        }
    }
    assert!(against.is_empty(), "{}", against.join("\n"));
}

fn is_module(name: &str) -> bool {
    LAYERS.iter().any(|modules| modules.contains(&name))
}

#[test]
fn what_decides_touches_neither_clock_nor_world() {
    let mut touching = Vec::new();
    for source in sources() {
        let is_test = source.path.ends_with("tests.rs");
        if layer(&source.module) != 1 || is_test {
            continue;
        }
        let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for forbidden in FORBIDDEN_TO_DECIDE {
                if !is_comment && line.contains(forbidden) {
                    let place = source.path.display();
                    touching.push(format!("{place}:{}: {forbidden}", number + 1));
                }
            }
        }
    }
    assert!(touching.is_empty(), "{}", touching.join("\n"));
}

#[test]
fn unsafe_code_stays_in_the_kernels() {
    for source in sources() {
        let is_kernel = source.path.to_string_lossy().contains("kernel");
        let has_unsafe = source
            .text
            .lines()
            .any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(is_kernel || !has_unsafe, "{}", source.path.display());
    }
}
