//! The control that sees only how long a prompt is.

use std::path::PathBuf;

use crate::centroids::labels::{Labels, OUT_OF_SCOPE, Row};
use crate::cli::dataset::{INTENT_KEY, read_files, text_of};
use crate::cli::report::Reporter;
use crate::eval::length::{Control, Measured, Rule, control as control_by};
use crate::eval::{Chance, Outcome};

/// What length alone makes of the evaluated rows, by a rule learnt from the file.
pub(super) fn control(
    learnt_from: &PathBuf,
    labels: &Labels,
    found: &[Outcome],
    (chance, reporter): (Chance, Reporter),
) -> anyhow::Result<Option<Control>> {
    let training = read_files(std::slice::from_ref(learnt_from), INTENT_KEY, reporter)?;
    let in_scope = training.rows.iter();
    let in_scope = in_scope.filter(|row| row.intent.as_str() != OUT_OF_SCOPE);
    let measured: Vec<Measured> = in_scope
        .map(|row| Measured {
            chars: chars_of(row),
            label: row.intent.clone(),
        })
        .collect();
    let Some(rule) = Rule::fit(&measured) else {
        return Ok(None);
    };
    let chars: Vec<usize> = labels.rows.iter().map(chars_of).collect();
    Ok(control_by(found, &chars, rule, chance))
}

/// How long a prompt is: of a conversation, its last question.
pub(super) fn chars_of(row: &Row) -> usize {
    text_of(&row.prompt).chars().count()
}
