//! What training tells people.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::centroids::CentroidSet;
use crate::centroids::manifest::{Candidate, Manifest, ScopeCandidate, ThresholdRule};
use crate::centroids::review::{Doubt, Review};
use crate::cli::report::{Reporter, excerpt, table};
use crate::cli::train::gather::Gathered;
use crate::domain::name::IntentName;
use crate::eval::NeighbourSimilarity;

/// Doubted rows that are told one by one.
const DOUBTS_TOLD: usize = 10;

/// Pairs of intents that are told one by one.
const PAIRS_TOLD: usize = 10;

/// A rule that was just tried.
pub(super) fn of_candidate(candidate: &Candidate) -> String {
    format!(
        "tried {}: {:.2}% ± {:.2}",
        candidate.rule,
        candidate.accuracy * 100.0,
        candidate.standard_error * 100.0
    )
}

/// What a person should look at.
pub(super) fn warn(review: &Review, gathered: &Gathered, reporter: Reporter) {
    for thin in &review.thin {
        reporter.warning(&format!(
            "the intent {} has {} rows: its figures are mostly chance; give it 50",
            thin.name, thin.n_rows
        ));
    }
    if let Some(ratio) = review.imbalance {
        reporter.warning(&format!(
            "the largest intent has {ratio:.0} times the rows of the smallest; `--balance` lets \
             each intent count alike"
        ));
    }
    for pair in review.alike.iter().take(PAIRS_TOLD) {
        reporter.warning(&format!(
            "{} and {} are hard to tell apart: {:.0}% of their rows were placed at the other one, \
             their means have a cosine of {:.2}; join them, or tell more clearly what parts them",
            pair.left,
            pair.right,
            pair.confused * 100.0,
            pair.cosine
        ));
    }
    if !review.doubted.is_empty() {
        reporter.warning(&format!(
            "{} labels are doubtful: held out, their rows are placed elsewhere with confidence; \
             the surest follow, `--review FILE` writes all",
            review.doubted.len()
        ));
    }
    for doubt in review.doubted.iter().take(DOUBTS_TOLD) {
        reporter.note(&format!(
            "  {}: {} → {} ({:.2} against {:.2}) {}",
            place_of(doubt, gathered),
            doubt.label,
            doubt.found,
            doubt.probability,
            doubt.label_probability,
            gathered
                .text(doubt.row)
                .map(|text| excerpt(text))
                .unwrap_or_default()
        ));
    }
}

/// Writes every doubted row, one JSON object a line.
pub(super) fn write_doubts(
    review: &Review,
    gathered: &Gathered,
    path: &Path,
) -> anyhow::Result<()> {
    let lines: Vec<String> = review
        .doubted
        .iter()
        .map(|doubt| {
            let line = json!({
                "place": place_of(doubt, gathered),
                "text": gathered.text(doubt.row),
                "intent": doubt.label,
                "found": doubt.found,
                "probability": doubt.probability,
                "label_probability": doubt.label_probability,
            });
            format!("{line}\n")
        })
        .collect();
    std::fs::write(path, lines.concat())
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Rows of intents come before those out of scope, so a doubt's position is one among all.
fn place_of(doubt: &Doubt, gathered: &Gathered) -> String {
    let label = gathered.rows.labels.get(doubt.row);
    label.map_or_else(String::new, |label| label.place.to_string())
}

/// A trained set.
pub(super) fn of_set(set: &CentroidSet, similarity: Option<&NeighbourSimilarity>) -> String {
    let manifest = set.manifest();
    let metrics = &manifest.metrics;
    let accuracy = metrics.accuracy;
    let mut lines = vec![intents(manifest, similarity)];
    if 1 < manifest.candidates.len() {
        lines.push(candidates(manifest));
    }
    if !manifest.scope.candidates.is_empty() {
        lines.push(scopes(manifest));
    }
    lines.push(format!(
        "rule        {} ({} prototypes)\n\
         accuracy    {:.2}% ({:.2}–{:.2}) of {} rows, {}-fold cross-validated; majority {:.2}%\n\
         calibration temperature {:.4}, expected calibration error {:.4}\n\
         scope       by {}, threshold {} ({})\n\
         rejected    {:.2}% of rows in scope{}",
        manifest.rule,
        set.n_prototypes(),
        accuracy.value * 100.0,
        accuracy.low * 100.0,
        accuracy.high * 100.0,
        accuracy.n,
        metrics.folds,
        metrics.majority * 100.0,
        manifest.temperature,
        metrics.ece,
        manifest.scope.rule,
        threshold(manifest.scope.threshold),
        how(manifest.scope.how),
        metrics.rejected_in_scope.value * 100.0,
        metrics
            .rejected_out_of_scope
            .map_or_else(String::new, |share| {
                format!(", {:.2}% of those out of scope", share.value * 100.0)
            }),
    ));
    lines.extend(set.static_part().map(of_static_part));
    lines.join("\n")
}

/// How sure the static encoder is of the same intents.
fn of_static_part(part: &CentroidSet) -> String {
    let manifest = part.manifest();
    let accuracy = manifest.metrics.accuracy;
    format!(
        "static      {:.2}% ({:.2}–{:.2}) of {} rows while the encoder has too much to do: {} by {}",
        accuracy.value * 100.0,
        accuracy.low * 100.0,
        accuracy.high * 100.0,
        accuracy.n,
        manifest.rule,
        manifest.encoder.name
    )
}

fn intents(manifest: &Manifest, similarity: Option<&NeighbourSimilarity>) -> String {
    let similar = |name: &IntentName| {
        let intents = similarity.map(|similarity| similarity.intents.as_slice());
        let own = intents
            .unwrap_or_default()
            .iter()
            .find(|intent| &intent.name == name);
        own.map_or_else(|| "–".to_owned(), |own| format!("{:.3}", own.mean))
    };
    let rows = manifest.intents.iter().map(|intent| {
        vec![
            intent.name.to_string(),
            intent.n_rows.to_string(),
            similar(&intent.name),
        ]
    });
    table(
        &["intent", "rows", "nearest-neighbour cosine"],
        rows.collect(),
    )
}

fn candidates(manifest: &Manifest) -> String {
    let chosen = |candidate: &Candidate| {
        std::mem::discriminant(&candidate.rule) == std::mem::discriminant(&manifest.rule)
            && candidate.rule.to_string() == manifest.rule.to_string()
    };
    let rows = manifest.candidates.iter().map(|candidate| {
        vec![
            if chosen(candidate) { "→" } else { "" }.to_owned(),
            candidate.rule.to_string(),
            format!(
                "{:.2} ± {:.2}",
                candidate.accuracy * 100.0,
                candidate.standard_error * 100.0
            ),
            format!(
                "{:.2} ± {:.2}",
                candidate.behind * 100.0,
                candidate.behind_standard_error * 100.0
            ),
            format!("{:.4}", candidate.log_loss),
            if candidate.converged {
                ""
            } else {
                "not converged"
            }
            .to_owned(),
        ]
    });
    let header = ["", "rule", "accuracy %", "behind the best", "log loss", ""];
    table(&header, rows.collect())
}

fn scopes(manifest: &Manifest) -> String {
    let scope = &manifest.scope;
    let row = |candidate: &ScopeCandidate| {
        let is_chosen = candidate.rule == scope.rule;
        vec![
            if is_chosen { "→" } else { "" }.to_owned(),
            candidate.rule.to_string(),
            format!("{:.2}", candidate.auroc * 100.0),
            format!(
                "{:.2} ± {:.2}",
                candidate.behind * 100.0,
                candidate.behind_standard_error * 100.0
            ),
            format!("{:.1}", candidate.fpr_at_95_tpr * 100.0),
        ]
    };
    let header = [
        "",
        "scope by",
        "AUROC %",
        "behind the best",
        "FPR at 95% TPR, %",
    ];
    table(&header, scope.candidates.iter().map(row).collect())
}

fn threshold(value: f32) -> String {
    if value <= f32::MIN {
        "none".to_owned()
    } else {
        format!("{value:.3}")
    }
}

/// How a threshold was found, for people.
const fn how(rule: ThresholdRule) -> &'static str {
    match rule {
        ThresholdRule::YoudenHeldOutAndOos => "best tells held-out from out-of-scope rows",
        ThresholdRule::Conformal5Percent => {
            "5% of held-out rows lie below; no out-of-scope row was given"
        }
    }
}
