//! Drift of a running server: of each intent the last prompts, counted into the tenths of the
//! training distribution. Memory is bounded, and counting one prompt takes a few comparisons.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::centroids::drift::tenths::Tenths;
use crate::centroids::drift::{Psi, Verdict};
use crate::centroids::manifest::Manifest;
use crate::domain::name::IntentName;
use crate::domain::record::Intent;

/// Prompts of an intent that are remembered: enough for a change to stand out, few enough that it shows
/// within a day on a busy route.
const WINDOW: usize = 1_000;

/// Prompts of an intent from which its PSI is judged.
const JUDGED_FROM: usize = 200;

/// What is customarily called a large change.
const PSI_LARGE: f64 = 0.25;

/// How large the PSI of two samples of one distribution becomes by chance: divided by 1/n + 1/m it is
/// nearly chi-square with nine degrees of freedom (ten pieces), and above 45.8 once in 1.6 million. A
/// server looks at every intent again and again, so the bound is far out. An intent of 30 rows hence
/// needs a PSI above 1.5, and one of 300 rows of 0.25.
const CHI_SQUARE_MAX: f64 = 45.8;

/// The drift of every intent, so far.
#[derive(Debug, Clone, Default)]
pub struct Live {
    intents: BTreeMap<IntentName, Counted>,
    /// Whether each of the last prompts was rejected.
    rejected: VecDeque<bool>,
    n_rejected: usize,
}

/// The drift of one intent, so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Prompts that it rests on.
    pub n: usize,
    /// The PSI of each measure.
    pub psi: Psi,
    /// What the PSI must exceed to count as drift: 0.25, or what chance explains with so few rows.
    pub bound: f64,
    /// What is made of it.
    pub verdict: Verdict,
}

#[derive(Debug, Clone)]
struct Counted {
    n_trained: usize,
    tenths: [Tenths; 3],
    counts: [Vec<usize>; 3],
    /// The pieces that the last prompts fell into.
    last: VecDeque<[usize; 3]>,
}

impl Live {
    /// Nothing counted yet, against what training saw.
    pub fn against(manifest: &Manifest) -> Self {
        let intents = manifest.intents.iter().filter_map(|entry| {
            let reference = entry.reference.as_ref()?;
            let tenths =
                [&reference.score, &reference.margin, &reference.similarity].map(Tenths::of);
            let counts = tenths.each_ref().map(|tenths| vec![0; tenths.len()]);
            let counted = Counted {
                n_trained: entry.n_rows,
                tenths,
                counts,
                last: VecDeque::new(),
            };
            Some((entry.name.clone(), counted))
        });
        Self {
            intents: intents.collect(),
            ..Self::default()
        }
    }

    /// Counts a prompt.
    pub fn count(&mut self, intent: &Intent) {
        if self.rejected.len() == WINDOW {
            self.n_rejected -= usize::from(self.rejected.pop_front() == Some(true));
        }
        self.rejected.push_back(intent.out_of_scope);
        self.n_rejected += usize::from(intent.out_of_scope);
        if let Some(counted) = self.intents.get_mut(&intent.name) {
            counted.count([intent.score, intent.margin, intent.similarity]);
        }
    }

    /// The share of the last prompts that was rejected; unknown of none.
    pub fn out_of_scope_share(&self) -> Option<f64> {
        let n = self.rejected.len();
        (0 < n).then(|| crate::centroids::as_f64(self.n_rejected) / crate::centroids::as_f64(n))
    }

    /// The drift of an intent; unknown where training kept no distribution, or nothing came yet.
    pub fn of(&self, intent: &IntentName) -> Option<Figures> {
        self.intents.get(intent).and_then(Counted::figures)
    }

    /// The drift of every intent of which something came.
    pub fn all(&self) -> impl Iterator<Item = (&IntentName, Figures)> {
        let intents = self.intents.iter();
        intents.filter_map(|(name, counted)| Some((name, counted.figures()?)))
    }
}

impl Counted {
    fn count(&mut self, values: [f32; 3]) {
        if self.last.len() == WINDOW
            && let Some(oldest) = self.last.pop_front()
        {
            for (counts, piece) in self.counts.iter_mut().zip(oldest) {
                counts[piece] -= 1;
            }
        }
        let mut pieces = [0; 3];
        for (measure, value) in values.into_iter().enumerate() {
            pieces[measure] = self.tenths[measure].piece(value);
            self.counts[measure][pieces[measure]] += 1;
        }
        self.last.push_back(pieces);
    }

    fn figures(&self) -> Option<Figures> {
        let n = self.last.len();
        if n == 0 {
            return None;
        }
        let psi = |measure: usize| self.tenths[measure].psi(&self.counts[measure]);
        let psi = Psi {
            score: psi(0),
            margin: psi(1),
            similarity: psi(2),
        };
        let bound = PSI_LARGE.max(CHI_SQUARE_MAX * (reciprocal(n) + reciprocal(self.n_trained)));
        Some(Figures {
            n,
            psi,
            bound,
            verdict: if n < JUDGED_FROM {
                Verdict::TooFew
            } else if bound < psi.largest() {
                Verdict::Drifted
            } else {
                Verdict::Stable
            },
        })
    }
}

fn reciprocal(n: usize) -> f64 {
    1.0 / crate::centroids::as_f64(n.max(1))
}
