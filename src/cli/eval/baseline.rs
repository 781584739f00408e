//! Results that were committed, and how much worse a later result may be before it fails.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::domain::name::IntentName;
use crate::eval::Report;

/// How far the recall of one intent may fall: with some 26 rows an intent, three rows.
const RECALL_LOSS_MAX: f64 = 0.12;

/// How far the calibration error may rise.
const ECE_RISE_MAX: f64 = 0.02;

/// What a result must reach. A figure that the data could not give is not asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    /// The least accuracy: the lower end of the interval when the baseline was written.
    accuracy_min: Option<f64>,
    /// The least area under the ROC curve of scope: likewise.
    oos_auroc_min: Option<f64>,
    /// The largest expected calibration error.
    ece_max: Option<f64>,
    /// The least recall of each intent.
    recall_min: BTreeMap<IntentName, f64>,
}

impl Baseline {
    /// What a result may not fall below from now on.
    pub(super) fn of(report: &Report) -> Self {
        let recall = report.intents.iter().filter_map(|intent| {
            let least = (intent.recall? - RECALL_LOSS_MAX).max(0.0);
            Some((intent.name.clone(), round(least)))
        });
        Self {
            accuracy_min: report.accuracy.map(|it| round(it.low)),
            oos_auroc_min: report.out_of_scope.map(|it| round(it.auroc.low)),
            ece_max: report
                .reliability
                .as_ref()
                .map(|it| round(it.ece.value + ECE_RISE_MAX)),
            recall_min: recall.collect(),
        }
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is no baseline; `semroute eval --write-baseline` writes one",
                path.display()
            )
        })
    }

    /// Each way in which a result is worse than allowed.
    pub(super) fn problems(&self, report: &Report) -> Vec<String> {
        let mut problems = Vec::new();
        let mut at_least = |what: &str, least: Option<f64>, found: Option<f64>| {
            if let Some(least) = least
                && found.is_none_or(|found| found < least)
            {
                problems.push(format!(
                    "{what} is {}, the baseline asks for at least {least}",
                    shown(found)
                ));
            }
        };
        at_least(
            "accuracy",
            self.accuracy_min,
            report.accuracy.map(|it| it.value),
        );
        let auroc = report.out_of_scope.map(|it| it.auroc.value);
        at_least("the AUROC of scope", self.oos_auroc_min, auroc);
        for (intent, least) in &self.recall_min {
            let found = report.intents.iter().find(|it| it.name == *intent);
            let recall = found.and_then(|found| found.recall);
            at_least(&format!("the recall of {intent}"), Some(*least), recall);
        }
        let ece = report.reliability.as_ref().map(|it| it.ece.value);
        if let Some(most) = self.ece_max
            && ece.is_none_or(|found| most < found)
        {
            problems.push(format!(
                "the calibration error is {}, the baseline allows {most}",
                shown(ece)
            ));
        }
        problems
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.4}"))
}

/// To four digits, which is more than the data can tell.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
