//! Whether live traffic still looks like the rows that a set was trained on.
//!
//! Training kept, for each intent, how its rows scored while they were held out. Live prompts found
//! at the intent are counted into the tenths of that distribution; were nothing changed, each tenth
//! would hold a tenth of them. The population stability index (PSI) sums the differences. Small
//! samples differ by chance, and among hundreds of figures some always stand out, so the bound is
//! what the largest of all of them reaches in 95 of 100 logs that are drawn from the reference itself.

pub mod clusters;
pub mod live;
mod tenths;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::centroids::as_f64;
use crate::centroids::manifest::{IntentEntry, Manifest, Reference, Share};
use crate::domain::name::IntentName;

use tenths::Tenths;

/// Fewer prompts of an intent say nothing of it.
const PROMPTS_MIN: usize = 30;

/// A smaller PSI matters to nobody, however sure it is; the customary limit of "no change".
const PSI_MIN: f64 = 0.1;

/// Logs that are drawn from the reference.
const DRAWS: usize = 400;

/// How many of them the largest figure may exceed the bound in.
const ALARMS: f64 = 0.05;

/// A prompt of the log, as it was classified.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed<'a> {
    /// The intent that was found.
    pub intent: &'a IntentName,
    /// Its probability.
    pub score: f32,
    /// How far the second was behind.
    pub margin: f32,
    /// The cosine with its mean.
    pub similarity: f32,
    /// Whether the prompt was rejected.
    pub out_of_scope: bool,
}

/// What drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Prompts that were looked at.
    pub n: usize,
    /// The intents that were found, by name.
    pub intents: Vec<Intent>,
    /// The share of prompts that was rejected.
    pub out_of_scope: Scope,
    /// Whether the mix of intents changed within the log.
    pub mix: MixChange,
}

impl Report {
    /// Whether anything drifted.
    pub fn drifted(&self) -> bool {
        let intents = self.intents.iter();
        let mut verdicts = intents.map(|intent| intent.verdict);
        self.out_of_scope.verdict == Verdict::Drifted || verdicts.any(|it| it == Verdict::Drifted)
    }
}

/// What is made of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is not enough to tell.
    TooFew,
    /// Nothing that chance could not do.
    Stable,
    /// More than chance would do.
    Drifted,
}

/// One intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intent {
    /// Its name.
    pub name: IntentName,
    /// Prompts that were found there, in scope or not.
    pub n: usize,
    /// The largest PSI that chance explains; none without enough prompts.
    pub bound: Option<f64>,
    /// Each measure; none where training kept no distribution.
    pub psi: Option<Psi>,
    /// The verdict on all of them.
    pub verdict: Verdict,
}

/// The population stability index of each measure: 0 is the same distribution, 0.1 a small change and
/// 0.25 a large one, if there are prompts enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Psi {
    /// Of the probability.
    pub score: f64,
    /// Of the lead over the second.
    pub margin: f64,
    /// Of the cosine with the mean.
    pub similarity: f64,
}

impl Psi {
    fn largest(self) -> f64 {
        self.score.max(self.margin).max(self.similarity)
    }
}

/// The share of prompts that was rejected, against the rows in scope that training rejected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scope {
    /// The share now.
    pub found: Share,
    /// The share of held-out training rows in scope.
    pub expected: Share,
    /// Drifted, if the intervals do not touch and the share is the higher one.
    pub verdict: Verdict,
}

/// The first half of the log against the second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MixChange {
    /// How probable a difference as large is by chance, by permutation; 1 of nothing.
    pub p_value: f64,
}

/// Compares a log with what training saw. `observed` comes in the order of the log.
pub fn drift(manifest: &Manifest, observed: &[Observed<'_>], seed: u64) -> Report {
    let mut by_intent: BTreeMap<&IntentName, Vec<Observed<'_>>> = BTreeMap::new();
    for prompt in observed {
        by_intent.entry(prompt.intent).or_default().push(*prompt);
    }
    let found: Vec<Found<'_>> = by_intent
        .iter()
        .map(|(name, prompts)| Found::of(name, prompts, &manifest.intents))
        .collect();
    let mut chance = StdRng::seed_from_u64(seed);
    let limit = largest_by_chance(&found, &mut chance);
    Report {
        n: observed.len(),
        intents: found.iter().map(|it| it.judged(limit)).collect(),
        out_of_scope: scope(manifest, observed),
        mix: mix(observed, &mut chance),
    }
}

/// An intent and what is known of it.
struct Found<'a> {
    name: &'a IntentName,
    n: usize,
    /// The tenths of each measure, and what they hold now.
    measures: Option<[(Tenths, Vec<usize>); 3]>,
    /// How much the figures of this intent are worth: the harmonic mean of both samples' sizes, halved.
    weight: f64,
}

impl<'a> Found<'a> {
    fn of(name: &'a IntentName, prompts: &[Observed<'_>], entries: &[IntentEntry]) -> Self {
        let entry = entries.iter().find(|entry| entry.name == *name);
        let reference = entry.and_then(|entry| entry.reference.as_ref());
        let measure = |reference: &Reference| {
            let count = |quantiles, of: fn(&Observed<'_>) -> f32| {
                let tenths = Tenths::of(quantiles);
                let counts = tenths.count(prompts.iter().map(of));
                (tenths, counts)
            };
            [
                count(&reference.score, |prompt| prompt.score),
                count(&reference.margin, |prompt| prompt.margin),
                count(&reference.similarity, |prompt| prompt.similarity),
            ]
        };
        let n_trained = entry.map_or(0, |entry| entry.n_rows);
        Self {
            name,
            n: prompts.len(),
            measures: reference.map(measure),
            weight: 1.0 / (1.0 / as_f64(prompts.len().max(1)) + 1.0 / as_f64(n_trained.max(1))),
        }
    }

    fn is_enough(&self) -> bool {
        PROMPTS_MIN <= self.n && self.measures.is_some()
    }

    /// `limit` is the largest weighted PSI that chance explains.
    fn judged(&self, limit: f64) -> Intent {
        let psi = self.measures.as_ref().map(|measures| {
            let [score, margin, similarity] = measures
                .each_ref()
                .map(|(tenths, counts)| tenths.psi(counts));
            Psi {
                score,
                margin,
                similarity,
            }
        });
        let bound = self.is_enough().then(|| PSI_MIN.max(limit / self.weight));
        Intent {
            name: self.name.clone(),
            n: self.n,
            verdict: match (psi, bound) {
                (Some(psi), Some(bound)) if bound < psi.largest() => Verdict::Drifted,
                (Some(_), Some(_)) => Verdict::Stable,
                _ => Verdict::TooFew,
            },
            bound,
            psi,
        }
    }
}

/// The weighted PSI that the largest of all figures exceeds in one log of twenty, if nothing changed.
/// Weighted by the sizes of both samples, the figures of all intents are distributed nearly alike.
fn largest_by_chance(found: &[Found<'_>], chance: &mut StdRng) -> f64 {
    let mut largest: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let measures = found.iter().filter(|it| it.is_enough()).flat_map(|it| {
                it.measures
                    .iter()
                    .flatten()
                    .map(move |(tenths, _)| (it, tenths))
            });
            measures
                .map(|(it, tenths)| {
                    // The reference is a sample too, so it is drawn as well.
                    let n_trained = 1.0 / (1.0 / it.weight - 1.0 / as_f64(it.n)).max(1e-9);
                    let reference = tenths.draw(rounded(n_trained), chance);
                    let drawn = tenths.like(&reference).psi(&tenths.draw(it.n, chance));
                    drawn * it.weight
                })
                .fold(0.0, f64::max)
        })
        .collect();
    largest.sort_by(f64::total_cmp);
    let place = rounded(as_f64(DRAWS) * (1.0 - ALARMS)).min(DRAWS - 1);
    largest[place]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of samples, from 0 up"
)]
fn rounded(value: f64) -> usize {
    value.round() as usize
}

fn scope(manifest: &Manifest, observed: &[Observed<'_>]) -> Scope {
    let n_rejected = observed.iter().filter(|prompt| prompt.out_of_scope).count();
    let found = Share::of_counts(n_rejected, observed.len());
    let expected = manifest.metrics.rejected_in_scope;
    Scope {
        found,
        expected,
        verdict: if observed.len() < PROMPTS_MIN {
            Verdict::TooFew
        } else if expected.high < found.low {
            Verdict::Drifted
        } else {
            Verdict::Stable
        },
    }
}

/// A permutation test: how often do halves dealt at random differ as much?
fn mix(observed: &[Observed<'_>], chance: &mut StdRng) -> MixChange {
    let mut names: Vec<&IntentName> = observed.iter().map(|prompt| prompt.intent).collect();
    let seen = distance_of_halves(&names);
    if names.len() < 2 * PROMPTS_MIN {
        return MixChange { p_value: 1.0 };
    }
    let as_far = (0..DRAWS).filter(|_| {
        names.shuffle(chance);
        seen <= distance_of_halves(&names)
    });
    let n_as_far = as_far.count();
    MixChange {
        p_value: (as_f64(n_as_far) + 1.0) / (as_f64(DRAWS) + 1.0),
    }
}

/// Chi-square between the counts of the first half and of the second.
fn distance_of_halves(names: &[&IntentName]) -> f64 {
    let half = names.len() / 2;
    let mut counts: BTreeMap<&IntentName, (f64, f64)> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        let (first, second) = counts.entry(name).or_default();
        *(if place < half { first } else { second }) += 1.0;
    }
    counts
        .values()
        .map(|(first, second)| (first - second).powi(2) / (first + second))
        .sum()
}

/// One of the numbers below `n`, for draws.
fn below(n: usize, chance: &mut StdRng) -> usize {
    chance.random_range(0..n.max(1))
}

#[cfg(test)]
mod tests;
