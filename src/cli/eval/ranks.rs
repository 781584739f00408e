//! Whether the levels of complexity rise with labels that others gave, in other words than ours.

use std::path::Path;

use serde::Serialize;

use crate::centroids::CentroidSet;
use crate::cli::Failure;
use crate::cli::dataset::{outcomes, read_files};
use crate::cli::eval::Arguments;
use crate::cli::eval::length::chars_of;
use crate::cli::report::{Reporter, table};
use crate::config::Environment;
use crate::config::artefacts::read_centroids;
use crate::domain::complexity::Level;
use crate::domain::name::IntentName;
use crate::domain::record::Intent;
use crate::eval::rank::{Correlation, Ranked, correlate};
use crate::eval::{Chance, Estimate, Outcome};

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Findings {
    n_rows: usize,
    /// Spearman's rank correlation; `null` where one side does not vary.
    rank_correlation: Option<Correlation>,
    /// Where the rows of each label lie, in the order given.
    ranks: Vec<OfRank>,
    /// Rows whose label is none of the ranks. They are in no other figure.
    left_out: usize,
}

/// The rows of one label.
#[derive(Debug, Serialize)]
struct OfRank {
    label: IntentName,
    n: usize,
    /// The mean of what was found, from 0, all simple, to 2, all hard; `null` without a row.
    mean: Option<f64>,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let labels = read_files(&arguments.data, &arguments.label_key, reporter)?;
    let embedder = arguments.embedding.open(environment)?;
    let set = read_centroids(&arguments.centroids, Path::new(""), &embedder.fitting())
        .map_err(Failure::Usage)?;
    check(&set, &arguments.centroids)?;
    let vectors = embedder.embed(&labels.rows, reporter)?;
    let found = outcomes(&labels.rows, &vectors, &set);
    let place = |label: &IntentName| arguments.ranks.iter().position(|rank| rank == label);
    let ranked = labels.rows.iter().zip(&found).filter_map(|(row, outcome)| {
        Some(Ranked {
            rank: place(&row.intent)?,
            found: degree(outcome),
            chars: chars_of(row),
        })
    });
    let rows: Vec<Ranked> = ranked.collect();
    let chance = Chance {
        seed: arguments.seed,
        ..Chance::default()
    };
    let findings = Findings {
        n_rows: rows.len(),
        rank_correlation: correlate(&rows, chance),
        ranks: of_ranks(&arguments.ranks, &rows),
        left_out: labels.rows.len() - rows.len(),
    };
    if arguments.json {
        reporter.json(&findings)?;
    } else {
        reporter.result(&told(&findings))?;
    }
    Ok(())
}

/// Only levels have an order that is known here.
fn check(set: &CentroidSet, name: &str) -> Result<(), Failure> {
    Level::check(set.intents().map(IntentName::as_str)).map_err(|problem| {
        Failure::Usage(format!(
            "--ranks needs centroids of complexity, and {name} {problem}"
        ))
    })
}

/// How far up a row lies: the mean of the levels' places, weighed by their probabilities.
fn degree(outcome: &Outcome) -> f64 {
    let Intent {
        name,
        score,
        runners_up,
        ..
    } = &outcome.found;
    let others = runners_up.iter().map(|other| (&other.name, other.score));
    let all = others.chain(std::iter::once((name, *score)));
    let weighed = all.filter_map(|(name, score)| {
        let level: Level = name.as_str().parse().ok()?;
        Some(f64::from(score) * f64::from(level as u8))
    });
    weighed.sum()
}

fn of_ranks(ranks: &[IntentName], rows: &[Ranked]) -> Vec<OfRank> {
    let of_rank = |(place, label): (usize, &IntentName)| {
        let of_it = rows.iter().filter(|row| row.rank == place);
        let sum: f64 = of_it.clone().map(|row| row.found).sum();
        let n = of_it.count();
        OfRank {
            label: label.clone(),
            n,
            mean: u32::try_from(n)
                .ok()
                .filter(|n| 0 < *n)
                .map(|n| sum / f64::from(n)),
        }
    };
    ranks.iter().enumerate().map(of_rank).collect()
}

fn told(findings: &Findings) -> String {
    let rows = findings.ranks.iter().map(|rank| {
        let mean = rank.mean.map(|mean| format!("{mean:.2}"));
        vec![
            rank.label.to_string(),
            rank.n.to_string(),
            mean.unwrap_or_else(|| "–".to_owned()),
        ]
    });
    let mut lines = vec![table(
        &["rank", "rows", "mean level, 0 to 2"],
        rows.collect(),
    )];
    match &findings.rank_correlation {
        Some(correlation) => lines.push(format!(
            "rank correlation  {}\n  length alone    {}\n  difference      {}",
            shown(&correlation.found),
            shown(&correlation.length),
            shown(&correlation.difference)
        )),
        None => lines.push("rank correlation  not measured: one side does not vary".to_owned()),
    }
    if 0 < findings.left_out {
        lines.push(format!(
            "left out          {} rows whose label is no rank",
            findings.left_out
        ));
    }
    lines.join("\n")
}

fn shown(estimate: &Estimate) -> String {
    let Estimate {
        value,
        low,
        high,
        n,
    } = estimate;
    format!("{value:+.3} ({low:+.3} to {high:+.3}), n = {n}")
}
