//! Training on top of an older set: its rows and the newer ones together, and whether what comes out
//! may take the older set's place.
//!
//! The older set has seen its own rows, so comparing the two artefacts on them would flatter it. Both
//! are therefore fitted again without a fifth of the rows, each by its own rule, and judged by that
//! fifth. A row that the older set knew is judged by the label that it had there: newer labels are
//! what is on trial, and a batch of wrong ones must not be its own judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::centroids::labels::OUT_OF_SCOPE;
use crate::centroids::manifest::{EncoderIdentity, Rule};
use crate::centroids::rows::{Label, ROWS_FILE, Rows};
use crate::centroids::{CentroidSet, Examples, Provenance, Training, Wanted, train};
use crate::cli::Failure;
use crate::cli::dataset::{outcomes, read_files};
use crate::cli::report::{Reporter, excerpt};
use crate::cli::train::Arguments;
use crate::config::artefacts::{Fitting, read_artefact};
use crate::domain::name::IntentName;
use crate::eval::{Chance, Comparison, Example, Expected, Outcome, compare};
use crate::store::versions::Versions;

/// One row in so many is held out.
const HELD_OUT_ONE_IN: usize = 5;

/// Rows that an intent keeps to be fitted on.
const ROWS_LEFT_MIN: usize = 4;

/// An older set and what it was trained on.
pub(super) struct Base {
    pub(super) set: CentroidSet,
    pub(super) rows: Rows,
}

impl Base {
    /// Reads the version in force.
    pub(super) fn open(folder: &Path, encoder: &EncoderIdentity) -> Result<Self, Failure> {
        let current = Versions::of(folder)
            .current_folder()
            .map_err(anyhow::Error::from)?;
        let set = Fitting::as_trained(encoder.clone(), &current)
            .and_then(|fitting| read_artefact(&current, &fitting))
            .map_err(Failure::Usage)?;
        let path = current.join(ROWS_FILE);
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "{} cannot be read: a set without its rows cannot be trained further; train a new \
                 one from all labels",
                path.display()
            )
        })?;
        let rows = Rows::from_bytes(&bytes)
            .with_context(|| format!("{} cannot be used", path.display()))?;
        Ok(Self { set, rows })
    }
}

/// What was compared on, and what came out.
pub(super) struct Trial {
    pub(super) comparison: Comparison,
    pub(super) n_held_out: usize,
}

/// The newer set against the base, on rows that neither has seen.
pub(super) fn try_on_held_out(
    base: &Base,
    joined: &Rows,
    rule: Rule,
    texts: &BTreeMap<[u8; 32], String>,
    arguments: &Arguments,
) -> anyhow::Result<Trial> {
    // What the base says of a row comes before what newer rows say of it.
    let reference = joined.corrected_by(&base.rows);
    let held_out = hold_out(&reference.labels);
    let judges = reference.filter(|row, _| held_out.contains(&row));
    let judge_prompts: BTreeSet<[u8; 32]> = judges.labels.iter().map(|it| it.prompt).collect();
    let rest = |rows: &Rows| {
        let rest = rows.filter(|_, label| !judge_prompts.contains(&label.prompt));
        without_lone_rows(&rest)
    };
    let base_rule = base.set.manifest().rule;
    let old = fit(&rest(&base.rows), base_rule, arguments.seed)
        .context("the base cannot be fitted without the rows held out")?;
    let new = fit(&rest(joined), rule, arguments.seed)
        .context("the new rows cannot be fitted without those held out")?;
    let seen_by = |set: &CentroidSet| -> Vec<Outcome> {
        let rows = judges.labels.iter().zip(judges.vectors.rows());
        rows.map(|(label, vector)| outcome(label, vector, set, texts))
            .collect()
    };
    Ok(Trial {
        comparison: compare(&seen_by(&old), &seen_by(&new), chance(arguments))?,
        n_held_out: judges.len(),
    })
}

/// The two artefacts on a file of rows that the caller vouches for.
pub(super) fn try_on_file(
    base: &Base,
    new: &CentroidSet,
    path: &PathBuf,
    arguments: &Arguments,
    context: (crate::config::Environment, Reporter),
) -> Result<Trial, Failure> {
    let (environment, reporter) = context;
    let labels = read_files(
        std::slice::from_ref(path),
        crate::cli::dataset::INTENT_KEY,
        reporter,
    )?;
    let embedder = arguments.embedding.open(environment)?;
    let vectors = embedder.embed(&labels.rows, reporter)?;
    let of = |set| outcomes(&labels.rows, &vectors, set);
    let comparison =
        compare(&of(&base.set), &of(new), chance(arguments)).map_err(anyhow::Error::from)?;
    Ok(Trial {
        comparison,
        n_held_out: labels.rows.len(),
    })
}

fn chance(arguments: &Arguments) -> Chance {
    Chance {
        seed: arguments.seed,
        ..Chance::default()
    }
}

/// Every fifth row of each intent in the order of the prompts' digests, which has nothing to do with
/// what they say, as long as enough are left.
fn hold_out(labels: &[Label]) -> BTreeSet<usize> {
    let mut members: BTreeMap<Option<&IntentName>, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        members.entry(label.intent.as_ref()).or_default().push(row);
    }
    let mut held_out = BTreeSet::new();
    for mut rows in members.into_values() {
        rows.sort_by_key(|row| labels[*row].prompt);
        let n = (rows.len() / HELD_OUT_ONE_IN).min(rows.len().saturating_sub(ROWS_LEFT_MIN));
        held_out.extend(rows.into_iter().step_by(HELD_OUT_ONE_IN).take(n));
    }
    held_out
}

/// An intent of one row cannot be fitted, and is none to miss.
fn without_lone_rows(rows: &Rows) -> Rows {
    let mut counts: BTreeMap<&IntentName, usize> = BTreeMap::new();
    for intent in rows.labels.iter().filter_map(|it| it.intent.as_ref()) {
        *counts.entry(intent).or_default() += 1;
    }
    let is_alone = |label: &Label| {
        let intent = label.intent.as_ref();
        intent.is_some_and(|intent| counts.get(intent).is_none_or(|count| *count < 2))
    };
    rows.filter(|_, label| !is_alone(label))
}

fn fit(rows: &Rows, rule: Rule, seed: u64) -> anyhow::Result<CentroidSet> {
    let (within, intents, outside) = rows.by_scope();
    let examples = Examples {
        rows: &within.vectors,
        intents: &intents,
        out_of_scope: Some(&outside.vectors).filter(|vectors| !vectors.is_empty()),
    };
    let training = Training {
        wanted: wanted(rule),
        seed,
        ..Training::default()
    };
    let provenance = Provenance {
        name: "trial".to_owned(),
        encoder: rows.embedding.encoder.clone(),
        data_digest: rows.digest(),
    };
    Ok(train(examples, training, provenance, &mut |_| {})?.set)
}

/// The rule that a set was made by, demanded.
const fn wanted(rule: Rule) -> Wanted {
    match rule {
        Rule::Centroid => Wanted::Centroid,
        Rule::Whitened { .. } => Wanted::Whitened,
        Rule::Logistic { c } => Wanted::Logistic(Some(c)),
        Rule::KMeans { k } => Wanted::KMeans(Some(k)),
        Rule::Nearest => Wanted::Nearest,
    }
}

fn outcome(
    label: &Label,
    vector: &[f32],
    set: &CentroidSet,
    texts: &BTreeMap<[u8; 32], String>,
) -> Outcome {
    let expected = match &label.intent {
        Some(intent) if intent.as_str() != OUT_OF_SCOPE => Expected::Intent(intent.clone()),
        _ => Expected::OutOfScope,
    };
    Outcome {
        expected,
        found: set.classify(vector, set.threshold()),
        row: Example {
            place: label.place.to_string(),
            text: texts
                .get(&label.prompt)
                .map(|text| excerpt(text))
                .unwrap_or_default(),
        },
    }
}
