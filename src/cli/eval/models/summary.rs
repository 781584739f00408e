//! What graded answers come to, as text.

use crate::cli::eval::models::Findings;
use crate::cli::report::table;
use crate::domain::name::ModelName;
use crate::domain::quality::{Quality, QualityTable};
use crate::eval::Estimate;
use crate::eval::models::configure::Configure;
use crate::eval::models::report::{At, Line, Role, Single};

/// USD for so many answers are told, since those for one are too small to read.
pub(super) const ANSWERS: f64 = 1000.0;

pub(super) fn of(findings: &Findings) -> String {
    let report = &findings.report;
    let mut parts = vec![models(&report.models)];
    parts.extend(findings.table.as_ref().map(intents));
    parts.push(routing(&report.routing));
    parts.push(format!(
        "{} rows, each judged once by what the other {} fifths taught; 95% intervals over rows.\n\
         Cost is a share of {}'s, at the share of its quality that was aimed at; what was reached stands in brackets.\n\
         router: looks the table up; control: what it must beat; beside: what else could be had.",
        report.n_rows,
        report.folds - 1,
        report.best_single.name
    ));
    parts.extend(to_write(findings));
    parts.extend(findings.clusters.map(|k| {
        format!("Clusters: {k} did best on most training parts; --write-labels FILE writes them for `semroute train`.")
    }));
    parts.push(report.verdict.join("\n"));
    parts.join("\n\n")
}

fn models(models: &[Single]) -> String {
    let rows = models.iter().map(|model| {
        let cost = model.cost_usd.map_or_else(
            || "unknown".to_owned(),
            |cost| {
                format!(
                    "{:.4} ({:.4}–{:.4})",
                    cost.value * ANSWERS,
                    cost.low * ANSWERS,
                    cost.high * ANSWERS
                )
            },
        );
        vec![model.name.to_string(), figure(model.quality), cost]
    });
    table(
        &["model", "quality", "USD for 1000 answers"],
        rows.collect(),
    )
}

/// The best model of each intent by the lower bound, beside the best of all prompts.
fn intents(quality: &QualityTable) -> String {
    let best = |models: &std::collections::BTreeMap<_, Quality>| {
        let mut sorted: Vec<_> = models
            .iter()
            .map(|(name, it)| (format!("{name}"), *it))
            .collect();
        sorted.sort_by(|left, right| right.1.low.total_cmp(&left.1.low));
        sorted.into_iter().next()
    };
    let row = |kind: String, models: &std::collections::BTreeMap<_, Quality>| {
        let (name, quality) = best(models)?;
        let n = quality.n.to_string();
        let figure = format!(
            "{:.3} ({:.3}–{:.3})",
            quality.mean, quality.low, quality.high
        );
        Some(vec![kind, n, name, figure])
    };
    let mut rows = Vec::new();
    rows.extend(row("all prompts".to_owned(), &quality.overall));
    for (intent, models) in &quality.intents {
        rows.extend(row(intent.to_string(), models));
    }
    table(
        &["intent", "answers", "best by lower bound", "quality"],
        rows,
    )
}

fn routing(lines: &[Line]) -> String {
    let rows = lines.iter().map(|line| {
        let mut row = vec![line.title.clone(), role(line.role).to_owned()];
        match line.area {
            Some(area) => {
                row.push(figure(area));
                row.push(line.area_over_mix.map_or_else(String::new, signed));
                row.extend(line.at.iter().map(shares));
            }
            None => row.push(figure(line.quality)),
        }
        row
    });
    let is_priced = lines.iter().any(|line| line.area.is_some());
    let header: &[&str] = if is_priced {
        &[
            "routing",
            "",
            "quality over cost",
            "over the mix",
            "cost at 99%",
            "at 98%",
            "at 95%",
        ]
    } else {
        &["routing", "", "quality"]
    };
    table(header, rows.collect())
}

/// The numbers to write and who is taken then. None where there is no table to write beside them, or
/// no cost is known.
fn to_write(findings: &Findings) -> Option<String> {
    let choices = findings.choices.as_ref()?;
    let lines = findings.report.routing.iter();
    let wanted = lines.flat_map(|line| &line.at);
    let rows: Vec<Vec<String>> = wanted
        .filter_map(|at| Some((at.wanted, at.configure.as_ref()?)))
        .map(|(wanted, it)| {
            vec![
                format!("{:.0}%", wanted * 100.0),
                route(it),
                format!("{} ({}–{})", it.folds.median, it.folds.low, it.folds.high),
                percent(it.cost_share),
                percent(it.quality_share),
            ]
        })
        .collect();
    let scored = choices.get("table")?;
    let at = ["99", "98", "95"].map(|share| scored.get(share));
    let name = |model: Option<&ModelName>| model.map_or_else(String::new, ToString::to_string);
    let overall = at.map(|it| name(it.and_then(|it| it.overall.as_ref())));
    let mut taken = vec![[&["all prompts".to_owned()][..], &overall].concat()];
    for intent in scored.values().next()?.intents.keys() {
        let own = at.map(|it| name(it.and_then(|it| it.intents.get(intent))));
        taken.push([&[intent.to_string()][..], &own].concat());
    }
    let header = ["to keep", "write", "median of folds", "spent", "kept"];
    Some(format!(
        "{}\n\nChosen on all rows; beside it the median of what each fold chose, least to largest, and what those\n\
         spent and kept on rows that had no say: one number alone, where the table above takes turns.\n\n{}",
        table(&header, rows),
        table(&["score takes", "at 99%", "at 98%", "at 95%"], taken)
    ))
}

/// How a number is written in a route.
fn route(it: &Configure) -> String {
    match it.key {
        "quality" => format!("cheapest: {{ quality: {} }}", it.value),
        _ => format!("score: {{ weights: {{ quality: 1, cost: {} }} }}", it.value),
    }
}

fn percent(it: Estimate) -> String {
    let [value, low, high] = [it.value, it.low, it.high].map(|it| it * 100.0);
    format!("{value:.1}% ({low:.1}–{high:.1})")
}

fn shares(at: &At) -> String {
    format!(
        "{:.1}% [{:.1}%]",
        at.cost_share.value * 100.0,
        at.quality_share.value * 100.0
    )
}

/// What a way of routing is there for, in a word.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Router => "router",
        Role::Control => "control",
        Role::NotInRouter => "beside",
        Role::Hindsight => "hindsight",
    }
}

pub(super) fn figure(estimate: Estimate) -> String {
    format!(
        "{:.3} ({:.3}–{:.3})",
        estimate.value, estimate.low, estimate.high
    )
}

pub(super) fn signed(estimate: Estimate) -> String {
    format!(
        "{:+.3} ({:+.3} to {:+.3})",
        estimate.value, estimate.low, estimate.high
    )
}
