//! All figures of an evaluation in one document whose keys do not change.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::name::IntentName;
use crate::eval::bootstrap::{Chance, Estimate, Figure, of_share};
use crate::eval::metrics::{
    Confusion, Controls, IntentFigures, Pair, by_intent, confusions, controls,
};
use crate::eval::outcome::{Expected, Outcome};
use crate::eval::reliability::{Judged, Reliability, reliability};
use crate::eval::scope::{OutOfScope, Separation, measure};

/// What an evaluation found. A figure that the rows cannot give is `null`, never 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// All rows, whatever their label.
    pub n_rows: usize,
    /// The share of rows in scope whose nearest intent is their label, whatever the threshold says.
    pub accuracy: Option<Estimate>,
    /// What that has to be compared with.
    pub controls: Option<Controls>,
    /// The share of rows in scope that are accepted with the right intent.
    pub accepted_accuracy: Option<Estimate>,
    /// The share of rows in scope that the threshold rejects.
    pub rejected_in_scope: Option<Estimate>,
    /// The threshold in force.
    pub threshold: f32,
    /// How far the probabilities can be trusted, over rows in scope.
    pub reliability: Option<Reliability>,
    /// How rows out of scope are told, if there are any.
    pub out_of_scope: Option<Separation>,
    /// Each intent.
    pub intents: Vec<IntentFigures>,
    /// The commonest mistakes.
    pub confusions: Vec<Confusion>,
    /// Rows whose label is an intent that the set does not know. They are in no other figure.
    pub unknown_intents: Vec<UnknownIntent>,
}

/// A label that the set does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownIntent {
    /// The label.
    pub name: IntentName,
    /// How many rows carry it.
    pub n: usize,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No row at all.
    #[error(
        "there are no rows to evaluate: give a file of lines like {{\"text\": \"…\", \
        \"intent\": \"…\"}}"
    )]
    NoRows,
    /// Nothing could be right.
    #[error(
        "no label is an intent of the set: the labels are {labels}, the set knows {known}; give \
         rows labelled with these, or evaluate another set"
    )]
    NothingKnown {
        /// Some labels.
        labels: String,
        /// Some intents of the set.
        known: String,
    },
}

/// The figures of these rows. `known` are the intents of the set.
pub fn evaluate(
    outcomes: &[Outcome],
    known: &[IntentName],
    chance: Chance,
) -> Result<Report, Error> {
    let threshold = outcomes.first().ok_or(Error::NoRows)?.found.threshold;
    let sorted = Sorted::of(outcomes, known);
    if sorted.in_scope.is_empty() && sorted.out_of_scope.is_empty() {
        return Err(Error::NothingKnown {
            labels: some(sorted.unknown.keys().copied()),
            known: some(known),
        });
    }
    let pairs: Vec<Pair<'_>> = sorted.in_scope.iter().map(|row| row.pair).collect();
    let count = |holds: &dyn Fn(&InScope<'_>) -> bool| {
        sorted.in_scope.iter().filter(|row| holds(row)).count()
    };
    let estimate = |part, figure| of_share(part, pairs.len(), chance, figure);
    let scores: Vec<f32> = sorted.in_scope.iter().map(|row| row.scope_score).collect();
    let judged: Vec<Judged> = sorted.in_scope.iter().map(InScope::judged).collect();
    Ok(Report {
        n_rows: outcomes.len(),
        accuracy: estimate(count(&|row| row.pair.is_right()), Figure::Accuracy),
        controls: controls(&pairs, chance),
        accepted_accuracy: estimate(
            count(&|row| row.pair.is_right() && !row.is_rejected),
            Figure::AcceptedAccuracy,
        ),
        rejected_in_scope: estimate(count(&|row| row.is_rejected), Figure::RejectedInScope),
        threshold,
        reliability: reliability(&judged, chance),
        out_of_scope: measure(&scores, &sorted.out_of_scope, chance),
        intents: by_intent(&pairs),
        confusions: confusions(&pairs),
        unknown_intents: sorted.unknown_intents(),
    })
}

/// Rows by what can be said of them.
struct Sorted<'a> {
    in_scope: Vec<InScope<'a>>,
    out_of_scope: Vec<OutOfScope>,
    unknown: BTreeMap<&'a IntentName, usize>,
}

/// A row of an intent that the set knows.
struct InScope<'a> {
    pair: Pair<'a>,
    probability: f32,
    scope_score: f32,
    is_rejected: bool,
}

impl InScope<'_> {
    fn judged(&self) -> Judged {
        Judged {
            probability: f64::from(self.probability),
            is_right: self.pair.is_right(),
        }
    }
}

impl<'a> Sorted<'a> {
    fn of(outcomes: &'a [Outcome], known: &[IntentName]) -> Self {
        let known: BTreeSet<&IntentName> = known.iter().collect();
        let mut sorted = Self {
            in_scope: Vec::new(),
            out_of_scope: Vec::new(),
            unknown: BTreeMap::new(),
        };
        for Outcome {
            expected,
            found,
            row,
        } in outcomes
        {
            let (scope_score, is_rejected) = (found.scope_score, found.out_of_scope);
            match expected {
                Expected::OutOfScope => sorted.out_of_scope.push(OutOfScope {
                    score: scope_score,
                    is_rejected,
                }),
                Expected::Intent(expected) if known.contains(expected) => {
                    let pair = Pair {
                        expected,
                        found: &found.name,
                        row,
                    };
                    sorted.in_scope.push(InScope {
                        pair,
                        probability: found.score,
                        scope_score,
                        is_rejected,
                    });
                }
                Expected::Intent(unknown) => *sorted.unknown.entry(unknown).or_default() += 1,
            }
        }
        sorted
    }

    fn unknown_intents(&self) -> Vec<UnknownIntent> {
        let entry = |(name, n): (&&IntentName, &usize)| UnknownIntent {
            name: (*name).clone(),
            n: *n,
        };
        self.unknown.iter().map(entry).collect()
    }
}

/// A few names for a message.
fn some<'a>(names: impl IntoIterator<Item = &'a IntentName>) -> String {
    /// Enough to see what kind of names they are.
    const NAMED_MAX: usize = 5;
    let mut names = names.into_iter();
    let mut text = names
        .by_ref()
        .take(NAMED_MAX)
        .map(IntentName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if names.next().is_some() {
        text.push_str(" and others");
    }
    text
}

#[cfg(test)]
mod tests;
