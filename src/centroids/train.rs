//! From labelled rows to a set: rules are compared, one is fitted to all rows, and rows that were
//! held out say how far to trust it.
//!
//! The prototypes are made of all rows. Accuracy, temperature, scope and the distributions that live
//! traffic is compared with come from models that did not see the row they judge, or all of them
//! would flatter the set. The same rows in the same order and the same seed give the same set, bit
//! for bit, on the same kind of processor, whatever the number of threads.

use std::collections::BTreeSet;

use crate::centroids::as_f64;
use crate::centroids::classify::{CentroidSet, Prototypes};
use crate::centroids::format;
use crate::centroids::manifest::{
    Candidate, DataUsed, EncoderIdentity, FORMAT_VERSION, IntentEntry, Manifest, Metrics, Share,
    VectorsEntry,
};
use crate::centroids::review::{Review, review};
use crate::centroids::rules::{Choices, Unfit, fit, mean};
use crate::centroids::sample::Dealt;
use crate::centroids::select::{Judged, Selection, select};
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;
use crate::vector::{Vectors, norm};

mod held_out;

pub use crate::centroids::rules::Weighting;
pub use crate::centroids::select::Wanted;

use held_out::HeldOut;
pub(super) use held_out::Placed;

/// The fewest rows of an intent: one is held out while another stands for the intent.
pub const ROWS_MIN: usize = 2;

/// Past so many folds each one more only costs time.
const FOLDS_MAX: usize = 50;

/// Embedded rows to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// One unit vector a row.
    pub rows: &'a Vectors,
    /// The intent of each.
    pub intents: &'a [IntentName],
    /// Rows that belong to no intent; they only tell scope.
    pub out_of_scope: Option<&'a Vectors>,
}

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Which rules are tried; the best is taken.
    pub wanted: Wanted,
    /// Whether rows or intents count alike; only a regression can weigh them.
    pub weighting: Weighting,
    /// Decides which rows are held out together and where clusters begin.
    pub seed: u64,
    /// Into how many parts the rows are cut, each of which is held out once.
    pub folds: usize,
    /// The share of rows in scope that may be rejected for the sake of those out of scope.
    pub in_scope_loss_max: Ratio,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            wanted: Wanted::Auto,
            weighting: Weighting::Rows,
            seed: 1,
            folds: 5,
            in_scope_loss_max: Ratio::of_counts(1, 20),
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
    /// [`rows::Rows::digest`](crate::centroids::rows::Rows::digest) of the rows.
    pub data_digest: String,
}

/// A set, and what in its rows looks wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The set.
    pub set: CentroidSet,
    /// What a person should look at.
    pub review: Review,
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
    /// The rows of each intent are all the same.
    #[error(
        "the rows of each intent are all the same, so nothing is known of how they spread: give \
        different prompts, or train with `--rule centroid`"
    )]
    NoSpread,
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

/// Learns a set from rows. `on_judged` hears of each rule that was tried.
pub fn train(
    examples: Examples<'_>,
    training: Training,
    provenance: Provenance,
    on_judged: &mut dyn FnMut(&Candidate),
) -> Result<Trained, Error> {
    check(examples, training, &provenance)?;
    let classes = Classes::of(examples)?;
    let choices = Choices {
        seed: training.seed,
        weighting: training.weighting,
    };
    let dealt = Dealt::new(
        examples.rows,
        &classes.of_row,
        training.folds,
        training.seed,
    );
    let explained = |unfit| classes.explain(unfit);
    let Selection {
        chosen: judged,
        candidates,
    } = select(&dealt, training.wanted, choices, on_judged).map_err(explained)?;
    let fitted = fit(judged.rule, &dealt.all(), choices).map_err(explained)?;
    let means = classes.means(examples.rows)?;
    let held_out = HeldOut::of(&judged, &dealt, examples)?;
    let scope = held_out.scope(examples, training).ok_or(Error::NoRows)?;
    let prototypes = fitted.prototypes;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: provenance.name,
        rule: fitted.rule,
        candidates,
        encoder: provenance.encoder,
        data: DataUsed {
            digest: provenance.data_digest,
            n_rows: dealt.len(),
            n_out_of_scope: examples.out_of_scope.map_or(0, Vectors::len),
        },
        seed: training.seed,
        intents: classes.entries(&prototypes, &held_out),
        // Written when the set is put together.
        vectors: VectorsEntry {
            digest: String::new(),
        },
        temperature: judged.calibration.temperature,
        metrics: metrics(&judged, &held_out, &scope.judged, training.folds),
        scope: scope.judged.scope,
    };
    let review = review(&classes.names, &held_out.placed(), &means);
    let set = CentroidSet::from_parts(manifest, prototypes, means, scope.direction)?;
    Ok(Trained { set, review })
}

fn metrics(
    judged: &Judged,
    held_out: &HeldOut,
    scope: &crate::centroids::scope::Judged,
    folds: usize,
) -> Metrics {
    let n_right = judged.right.iter().filter(|right| **right).count();
    let n = judged.right.len();
    Metrics {
        accuracy: Share::of_counts(n_right, n),
        folds,
        majority: as_f64(held_out.largest_class()) / as_f64(n),
        ece: held_out.ece(),
        log_loss: judged.calibration.log_loss(),
        rejected_in_scope: scope.rejected_in_scope,
        rejected_out_of_scope: scope.rejected_out_of_scope,
        oos_auroc: scope.chosen.map(|chosen| chosen.auroc),
        oos_fpr_at_95_tpr: scope.chosen.map(|chosen| chosen.fpr_at_95_tpr),
        neighbour_similarity: None,
    }
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

/// The intents in the order of their names, and the rows of each.
struct Classes {
    names: Vec<IntentName>,
    of_row: Vec<usize>,
    counts: Vec<usize>,
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
        let class = |intent: &IntentName| names.binary_search(intent).unwrap_or_default();
        let of_row: Vec<usize> = examples.intents.iter().map(class).collect();
        let mut counts = vec![0; names.len()];
        for class in &of_row {
            counts[*class] += 1;
        }
        if let [intent] = names.as_slice() {
            return Err(Error::OneIntent {
                intent: intent.clone(),
            });
        }
        match names
            .iter()
            .zip(&counts)
            .find(|(_, found)| **found < ROWS_MIN)
        {
            Some((intent, found)) => Err(Error::TooFewRows {
                intent: intent.clone(),
                found: *found,
            }),
            None => Ok(Self {
                names,
                of_row,
                counts,
            }),
        }
    }

    /// The direction of each intent's rows.
    fn means(&self, rows: &Vectors) -> Result<Vectors, Error> {
        let mut means = Vectors::new(rows.dimensions());
        for class in 0..self.names.len() {
            let own = rows.rows().zip(&self.of_row);
            let own = own.filter(|(_, of_row)| **of_row == class);
            let is_kept = mean(own.map(|(row, _)| row)).is_some_and(|mean| means.push(&mean));
            if !is_kept {
                return Err(self.explain(Unfit::NoDirection(class)));
            }
        }
        Ok(means)
    }

    fn explain(&self, unfit: Unfit) -> Error {
        match unfit {
            Unfit::NoSpread => Error::NoSpread,
            Unfit::NoDirection(class) => {
                self.names
                    .get(class)
                    .map_or(Error::NoRows, |intent| Error::NoDirection {
                        intent: intent.clone(),
                    })
            }
        }
    }

    fn entries(&self, prototypes: &Prototypes, held_out: &HeldOut) -> Vec<IntentEntry> {
        let counts = self.counts.iter().zip(prototypes.n_of_intent());
        let named = self.names.iter().zip(counts).enumerate();
        named
            .map(|(class, (name, (n_rows, n_prototypes)))| IntentEntry {
                name: name.clone(),
                n_rows: *n_rows,
                n_prototypes: *n_prototypes,
                reference: held_out.reference(class),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
