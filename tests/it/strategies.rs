//! The page about strategies: what it offers for copying is fine.

use semroute::config::assemble::over_encoder;
use semroute::config::load::parse;
use semroute::config::{Environment, Problem, Problems};

use crate::support::shipped_encoder;

const PAGE: &str = include_str!("../../docs/strategies.md");

const QUALITY: &str = r#"{"version": 1, "data_digest": "", "centroid_digest": "", "confidence": 0.95, "overall": {},
    "intents": {"code": {"quick": {"mean": 0.5, "n": 400, "low": 0.46, "high": 0.54}}}}"#;

/// The fenced YAML in a page.
fn examples() -> Vec<&'static str> {
    let blocks = PAGE.split("```yaml\n").skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

/// A configuration around an example: the page's own models, and a route for the rest.
fn around(models: &str, example: &str) -> String {
    let is_route = example.starts_with("- name:");
    let (beside, routes) = if is_route {
        ("", example)
    } else {
        (example, "")
    };
    let routes: Vec<String> = routes.lines().map(|line| format!("      {line}")).collect();
    let routes = routes.join("\n");
    format!(
        "{models}\n{beside}\nassistants:\n  assistant:\n    routes:\n{routes}\n      - {{ name: rest, to: middle }}\n"
    )
}

fn problems(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("quality.json"), QUALITY).unwrap();
    let environment = Environment::from_lookup(|name| {
        name.ends_with("_KEY")
            .then(|| format!("{name}-of-the-examples"))
    });
    let assembled = parse(text, folder.path().to_owned())
        .and_then(|loaded| over_encoder(loaded, shipped_encoder(), environment));
    match assembled {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems.iter().map(Problem::to_string).collect(),
    }
}

#[test]
fn every_example_of_the_page_about_strategies_is_fine_and_every_way_has_one() {
    let examples = examples();
    let (models, rest) = examples.split_first().unwrap();
    for example in rest {
        let text = around(models, example);
        assert_eq!(problems(&text), [""; 0], "{text}");
    }
    for way in [
        "to", "weighted", "priority", "fastest", "cheapest", "score", "guards", "policy", "when",
    ] {
        let has_one = rest.iter().any(|example| {
            let mut lines = example.lines().map(str::trim_start);
            lines.any(|line| line.starts_with(&format!("{way}:")))
        });
        assert!(has_one, "{way}");
    }
    let spoilt = around(
        models,
        "- name: spoilt\n  when: { intent: code }\n  fastest: { of: [nobody] }\n",
    );
    assert!(
        problems(&spoilt)[0].contains("nobody"),
        "{:?}",
        problems(&spoilt)
    );
}
