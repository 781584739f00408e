//! An evaluation as text.

use crate::cli::eval::Findings;
use crate::cli::report::table;
use crate::eval::compare::{Comparison, Paired};
use crate::eval::length::Control;
use crate::eval::{Estimate, Report};

/// Confusions whose examples are shown.
const SHOWN_MAX: usize = 5;

pub(super) fn of(findings: &Findings) -> String {
    let report = &findings.report;
    let mut lines = vec![intents(report)];
    lines.push(format!(
        "accuracy          {}",
        percent(report.accuracy.as_ref())
    ));
    lines.extend(controls(findings));
    lines.push(format!(
        "accepted, right   {}",
        percent(report.accepted_accuracy.as_ref())
    ));
    lines.push(format!(
        "rejected in scope {} (threshold {})",
        percent(report.rejected_in_scope.as_ref()),
        threshold(report.threshold)
    ));
    if let Some(reliability) = &report.reliability {
        let Estimate {
            value, low, high, ..
        } = reliability.ece;
        lines.push(format!(
            "calibration error {value:.4} ({low:.4}–{high:.4}), Brier score {:.4}",
            reliability.brier
        ));
    }
    if let Some(separation) = &report.out_of_scope {
        lines.push(format!(
            "out of scope      AUROC {}\n                  FPR at 95% TPR {}\n                  rejected {}",
            percent(Some(&separation.auroc)),
            percent(Some(&separation.fpr_at_95_tpr)),
            percent(Some(&separation.rejected))
        ));
    }
    lines.extend(confusions(report));
    for unknown in &report.unknown_intents {
        lines.push(format!(
            "left out          {} rows of {}, which the set does not know",
            unknown.n, unknown.name
        ));
    }
    if let Some(fixed) = &findings.fixed {
        lines.push(format!(
            "static encoder    {}, rejected in scope {}",
            percent(fixed.accuracy.as_ref()),
            percent(fixed.rejected_in_scope.as_ref())
        ));
    }
    if let Some(comparison) = &findings.comparison {
        lines.push(of_comparison(comparison));
    }
    lines.join("\n")
}

/// What accuracy has to be compared with.
fn controls(findings: &Findings) -> Vec<String> {
    let controls = findings.report.controls.iter().map(|controls| {
        format!(
            "  majority        {:.2}% (always {})\n  shuffled labels {:.2}% (mean of {})",
            controls.majority.accuracy * 100.0,
            controls.majority.intent,
            controls.shuffled.accuracy * 100.0,
            controls.shuffled.n_permutations
        )
    });
    controls
        .chain(findings.length.iter().map(of_length))
        .collect()
}

/// The control by length, its limits in characters.
fn of_length(control: &Control) -> String {
    let stretches = control.rule.stretches().iter();
    let limits: Vec<String> = stretches
        .map(|stretch| format!("{} from {}", stretch.label, stretch.from_chars))
        .collect();
    format!(
        "  length alone    {} ({})\n    against it    {}",
        percent(Some(&control.accuracy)),
        limits.join(", "),
        of_paired(&control.comparison)
    )
}

fn intents(report: &Report) -> String {
    let share = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.1}%", value * 100.0))
    };
    let rows = report.intents.iter().map(|intent| {
        vec![
            intent.name.to_string(),
            intent.n.to_string(),
            share(intent.precision),
            share(intent.recall),
        ]
    });
    table(&["intent", "rows", "precision", "recall"], rows.collect())
}

fn confusions(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for (rank, confusion) in report.confusions.iter().enumerate() {
        lines.push(format!(
            "confused          {} taken for {}: {}",
            confusion.expected, confusion.found, confusion.n
        ));
        if rank < SHOWN_MAX {
            let examples = confusion.examples.iter();
            lines.extend(examples.map(|row| format!("    {}: {}", row.place, row.text)));
        }
    }
    lines
}

/// A comparison as text; `train` and `promote` tell it too.
pub(in crate::cli) fn of_comparison(comparison: &Comparison) -> String {
    let mut lines = vec![
        format!("verdict           {}", comparison.verdict),
        format!("  accuracy        {}", of_paired(&comparison.accuracy)),
        format!("  served rightly  {}", of_paired(&comparison.served)),
    ];
    for loss in &comparison.losses {
        lines.push(format!(
            "  lost            {}: {:.1}% → {:.1}% of {} rows, p = {:.2e}",
            loss.intent,
            loss.old * 100.0,
            loss.new * 100.0,
            loss.n,
            loss.p_value
        ));
        for lost in &loss.rows {
            lines.push(format!(
                "    {}: now {}: {}",
                lost.row.place, lost.found, lost.row.text
            ));
        }
    }
    lines.join("\n")
}

fn of_paired(paired: &Paired) -> String {
    format!(
        "{:.2}% → {:.2}%, difference {:+.2} ({:+.2} to {:+.2}) of {} rows; {} lost, {} won, p = {:.2e}",
        paired.old * 100.0,
        paired.new * 100.0,
        paired.difference.value * 100.0,
        paired.difference.low * 100.0,
        paired.difference.high * 100.0,
        paired.difference.n,
        paired.only_old,
        paired.only_new,
        paired.p_value
    )
}

fn threshold(value: f32) -> String {
    if value <= f32::MIN {
        "none".to_owned()
    } else {
        format!("{value:.3}")
    }
}

fn percent(estimate: Option<&Estimate>) -> String {
    match estimate {
        Some(Estimate {
            value,
            low,
            high,
            n,
        }) => format!(
            "{:.2}% ({:.2}–{:.2}), n = {n}",
            value * 100.0,
            low * 100.0,
            high * 100.0
        ),
        None => "not measured".to_owned(),
    }
}
