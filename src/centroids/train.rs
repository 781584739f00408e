//! From labelled rows to a set: class means, and what held-out rows say of them.
//!
//! The prototypes are made of all rows. Accuracy and threshold come from prototypes that did not see
//! the row they judge, or both would flatter the set. The same rows in the same order and the same
//! seed give the same set, bit for bit.

use std::collections::BTreeSet;

use crate::centroids::classify::{CentroidSet, Prototypes};
use crate::centroids::format;
use crate::centroids::manifest::{
    DataUsed, EncoderIdentity, FORMAT_VERSION, IntentEntry, Manifest, Metrics, Rule, Share,
    VectorsEntry, as_f64,
};
use crate::centroids::threshold::judge;
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;
use crate::vector::{Vectors, norm, weighted_direction};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// The fewest rows of an intent: one is held out while another stands for the intent.
pub const ROWS_MIN: usize = 2;

/// Past so many folds each one more only costs time.
const FOLDS_MAX: usize = 50;

/// A mean shorter than this has no direction worth the name: its rows point against each other.
const MEAN_NORM_MIN: f32 = 1e-6;

/// Embedded rows to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// One unit vector a row.
    pub rows: &'a Vectors,
    /// The intent of each.
    pub intents: &'a [IntentName],
    /// Rows that belong to no intent; they only set the threshold.
    pub out_of_scope: Option<&'a Vectors>,
}

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Decides which rows are held out together.
    pub seed: u64,
    /// Into how many parts the rows are cut, each of which is held out once.
    pub folds: usize,
    /// The share of rows in scope that may be rejected for the sake of those out of scope.
    pub in_scope_loss_max: Ratio,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            seed: 1,
            folds: 5,
            in_scope_loss_max: Ratio::of_counts(1, 10),
        }
    }
}

/// Where the rows come from, as the artefact will tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What the set shall be called.
    pub name: String,
    /// The encoder that made the vectors.
    pub encoder: EncoderIdentity,
    /// [`labels::digest`](crate::centroids::labels::digest) of the rows, those out of scope last.
    pub data_digest: String,
}

/// Why no set can be made of the rows, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to learn from.
    #[error(
        "there are no rows to train on: give a file of lines like {{\"text\": \"…\", \
        \"intent\": \"…\"}}"
    )]
    NoRows,
    /// Every prompt would get the same intent.
    #[error(
        "all rows have the intent {intent}: add rows of at least one other, for there is \
        nothing to tell apart"
    )]
    OneIntent {
        /// The intent.
        intent: IntentName,
    },
    /// An intent cannot be judged by rows that it did not learn from.
    #[error(
        "the intent {intent} has {found} row: give it at least {ROWS_MIN}, better 50, or leave \
        it out"
    )]
    TooFewRows {
        /// The intent.
        intent: IntentName,
        /// Its rows.
        found: usize,
    },
    /// Rows and intents do not belong together.
    #[error("there are {n_rows} vectors and {n_intents} labels: each vector needs its label")]
    Mismatched {
        /// Vectors.
        n_rows: usize,
        /// Labels.
        n_intents: usize,
    },
    /// The vectors are not as long as the encoder says.
    #[error(
        "the vectors have {found} dimensions, the encoder's {expected}: embed all rows with \
        that encoder"
    )]
    WrongDimension {
        /// Dimensions of the rows.
        found: usize,
        /// Dimensions of the encoder.
        expected: usize,
    },
    /// A row has no usable embedding.
    #[error("the vector of row {row} is empty or not finite: look at its text and leave it out")]
    NoVector {
        /// The row, from 0; those out of scope follow the others.
        row: usize,
    },
    /// The rows of an intent cancel each other out.
    #[error(
        "the rows of the intent {intent} have no common direction: they share nothing to \
        recognise it by"
    )]
    NoDirection {
        /// The intent.
        intent: IntentName,
    },
    /// The number of folds makes no sense.
    #[error("{found} folds are not between 2 and {FOLDS_MAX}")]
    Folds {
        /// The number.
        found: usize,
    },
    /// The set does not pass the checks of its own format.
    #[error(transparent)]
    Format(#[from] format::Error),
}

/// Learns a set from rows. `progress` hears how many of how many steps are done.
pub fn train(
    examples: Examples<'_>,
    training: Training,
    provenance: Provenance,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<CentroidSet, Error> {
    check(examples, training, &provenance)?;
    let classes = Classes::of(examples)?;
    let n_steps = training.folds + 1;
    let mut fold_done = |done| progress(done, n_steps);
    let held_out = classes.cross_validate(examples.rows, training, &mut fold_done)?;
    let vectors = classes.means(examples.rows, |_| true)?;
    let scores: Vec<f32> = held_out.iter().map(|row| row.score).collect();
    let judged = judge(
        &scores,
        &out_of_scope_scores(examples, &vectors)?,
        training.in_scope_loss_max,
    );
    progress(n_steps, n_steps);
    let n_right = held_out.iter().filter(|row| row.is_right).count();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: provenance.name,
        rule: Rule::Centroid,
        encoder: provenance.encoder,
        data: DataUsed {
            digest: provenance.data_digest,
            n_rows: held_out.len(),
            n_out_of_scope: examples.out_of_scope.map_or(0, Vectors::len),
        },
        seed: training.seed,
        intents: classes.entries(),
        // Written when the set is put together.
        vectors: VectorsEntry {
            digest: String::new(),
        },
        threshold: judged.threshold,
        metrics: Metrics {
            accuracy: Share::of_counts(n_right, held_out.len()),
            folds: training.folds,
            majority: as_f64(classes.largest()) / as_f64(held_out.len()),
            rejected_in_scope: judged.rejected_in_scope,
            rejected_out_of_scope: judged.rejected_out_of_scope,
            oos_auroc: judged.auroc,
            neighbour_similarity: None,
        },
    };
    Ok(CentroidSet::from_parts(manifest, vectors)?)
}

fn check(examples: Examples<'_>, training: Training, provenance: &Provenance) -> Result<(), Error> {
    if !(2..=FOLDS_MAX).contains(&training.folds) {
        return Err(Error::Folds {
            found: training.folds,
        });
    }
    let (n_rows, n_intents) = (examples.rows.len(), examples.intents.len());
    if n_rows != n_intents {
        return Err(Error::Mismatched { n_rows, n_intents });
    }
    if n_rows == 0 {
        return Err(Error::NoRows);
    }
    let all = [
        Some(examples.rows),
        examples.out_of_scope.filter(|rows| !rows.is_empty()),
    ];
    let expected = provenance.encoder.dimensions;
    for found in all.iter().flatten().map(|rows| rows.dimensions()) {
        if found != expected {
            return Err(Error::WrongDimension { found, expected });
        }
    }
    let has_direction = |row: &[f32]| norm(row).is_finite() && 0.0 < norm(row);
    match all
        .iter()
        .flatten()
        .flat_map(|rows| rows.rows())
        .position(|row| !has_direction(row))
    {
        Some(row) => Err(Error::NoVector { row }),
        None => Ok(()),
    }
}

/// A row scored by prototypes that it had no part in.
#[derive(Debug, Clone, Copy, PartialEq)]
struct HeldOut {
    /// The score of the nearest intent.
    score: f32,
    /// Whether that intent is the row's own.
    is_right: bool,
}

/// What rows out of scope score; they are part of no prototype, so all prototypes may judge them.
fn out_of_scope_scores(examples: Examples<'_>, means: &Vectors) -> Result<Vec<f32>, Error> {
    let prototypes = Prototypes::one_each(means.clone()).ok_or(Error::NoRows)?;
    let rows = examples.out_of_scope.map(Vectors::rows);
    Ok(rows
        .into_iter()
        .flatten()
        .map(|row| prototypes.rank(row).first().score)
        .collect())
}

/// The rows by intent; intents in the order of their names.
struct Classes {
    names: Vec<IntentName>,
    /// The rows of each intent.
    members: Vec<Vec<usize>>,
}

impl Classes {
    fn of(examples: Examples<'_>) -> Result<Self, Error> {
        let names: Vec<IntentName> = examples
            .intents
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .cloned()
            .collect();
        let mut members = vec![Vec::new(); names.len()];
        for (row, intent) in examples.intents.iter().enumerate() {
            if let Ok(class) = names.binary_search(intent) {
                members[class].push(row);
            }
        }
        if let [intent] = names.as_slice() {
            return Err(Error::OneIntent {
                intent: intent.clone(),
            });
        }
        for (intent, rows) in names.iter().zip(&members) {
            if rows.len() < ROWS_MIN {
                return Err(Error::TooFewRows {
                    intent: intent.clone(),
                    found: rows.len(),
                });
            }
        }
        Ok(Self { names, members })
    }

    /// The direction of each intent's rows, of those rows that are let in.
    fn means(&self, rows: &Vectors, lets_in: impl Fn(usize) -> bool) -> Result<Vectors, Error> {
        let mut means = Vectors::new(rows.dimensions());
        for (intent, members) in self.names.iter().zip(&self.members) {
            let own = members
                .iter()
                .filter(|row| lets_in(**row))
                .filter_map(|row| rows.row(*row));
            let weight = 1.0 / as_f32(members.len());
            let mean = weighted_direction(own.map(|row| (row, weight)));
            let is_kept = mean.is_some_and(|mean| MEAN_NORM_MIN < norm(&mean) && means.push(&mean));
            if !is_kept {
                return Err(Error::NoDirection {
                    intent: intent.clone(),
                });
            }
        }
        Ok(means)
    }

    /// Scores each row by the means of the folds that it is not in.
    fn cross_validate(
        &self,
        rows: &Vectors,
        training: Training,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<HeldOut>, Error> {
        let fold_of = self.deal(training, rows.len());
        let mut held_out = Vec::with_capacity(rows.len());
        for fold in 0..training.folds {
            let means = self.means(rows, |row| fold_of[row] != fold)?;
            let prototypes = Prototypes::one_each(means).ok_or(Error::NoRows)?;
            for (class, members) in self.members.iter().enumerate() {
                let own = members.iter().filter(|row| fold_of[**row] == fold);
                held_out.extend(own.filter_map(|row| rows.row(*row)).map(|row| {
                    let nearest = prototypes.rank(row).first();
                    HeldOut {
                        score: nearest.score,
                        is_right: nearest.intent == class,
                    }
                }));
            }
            progress(fold + 1);
        }
        Ok(held_out)
    }

    /// Deals each intent's rows, shuffled, to the folds in turn. Each intent begins at another fold,
    /// so that the folds stay equally large; two rows of an intent never share a fold unless every
    /// fold has one, so no fold holds them all.
    fn deal(&self, training: Training, n_rows: usize) -> Vec<usize> {
        let mut chance = StdRng::seed_from_u64(training.seed);
        let mut fold_of = vec![0; n_rows];
        for (class, members) in self.members.iter().enumerate() {
            let mut shuffled = members.clone();
            shuffled.shuffle(&mut chance);
            for (turn, row) in shuffled.into_iter().enumerate() {
                fold_of[row] = (class + turn) % training.folds;
            }
        }
        fold_of
    }

    fn entries(&self) -> Vec<IntentEntry> {
        let entry = |(name, members): (&IntentName, &Vec<usize>)| IntentEntry {
            name: name.clone(),
            n_rows: members.len(),
            n_prototypes: 1,
            reference: None,
        };
        self.names.iter().zip(&self.members).map(entry).collect()
    }

    /// The rows of the largest intent.
    fn largest(&self) -> usize {
        self.members.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// A count as the weight of a mean.
#[expect(
    clippy::cast_precision_loss,
    reason = "the weight is the same for all rows and cancels out"
)]
const fn as_f32(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests;
