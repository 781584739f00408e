//! How well the score tells what is in scope from what is not.
//!
//! Two figures do not depend on the threshold: the chance that a row in scope scores above one out
//! of scope (AUROC), and the share of rows out of scope that get in when 95% of those in scope do.

use rand::RngExt;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::eval::as_f64;
use crate::eval::bootstrap::{Chance, Estimate, Figure, around, of_share};

/// How scope is told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Separation {
    /// The chance that a row in scope scores above one out of scope.
    pub auroc: Estimate,
    /// The share of rows out of scope that get in when 95% of those in scope do.
    pub fpr_at_95_tpr: Estimate,
    /// The share of rows out of scope that the threshold rejects.
    pub rejected: Estimate,
}

/// The score of a row out of scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutOfScope {
    pub(super) score: f32,
    pub(super) is_rejected: bool,
}

/// `None` unless there are rows of both kinds.
pub(super) fn measure(
    in_scope: &[f32],
    out_of_scope: &[OutOfScope],
    chance: Chance,
) -> Option<Separation> {
    let n_rejected = out_of_scope.iter().filter(|row| row.is_rejected).count();
    let rejected = of_share(
        n_rejected,
        out_of_scope.len(),
        chance,
        Figure::RejectedOutOfScope,
    )?;
    let sweep = Sweep::new(in_scope, out_of_scope.iter().map(|row| row.score))?;
    let seen = sweep.figures(&sweep.once());
    let mut generator = chance.generator(Figure::Scope);
    let drawn: Vec<Figures> = (0..chance.n_resamples)
        .map(|_| sweep.figures(&sweep.draw(&mut generator)))
        .collect();
    let n = in_scope.len() + out_of_scope.len();
    let fprs = drawn.iter().map(|figures| figures.fpr).collect();
    Some(Separation {
        auroc: around(
            seen.auroc,
            drawn.iter().map(|figures| figures.auroc).collect(),
            n,
        ),
        fpr_at_95_tpr: around(seen.fpr, fprs, n),
        rejected,
    })
}

/// The share of rows in scope that must get in for [`Separation::fpr_at_95_tpr`].
const TPR: f64 = 0.95;

/// All rows by falling score. Drawing rows anew only changes how often each counts, so one sort
/// serves every draw.
struct Sweep {
    /// The rank of each row's score, equal scores sharing one; rows in scope first.
    rank_of_row: Vec<usize>,
    n_in: usize,
    n_out: usize,
    n_ranks: usize,
}

/// How often rows of each rank count.
struct Weights {
    of_in: Vec<usize>,
    of_out: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Figures {
    auroc: f64,
    fpr: f64,
}

impl Sweep {
    fn new(in_scope: &[f32], out_of_scope: impl ExactSizeIterator<Item = f32>) -> Option<Self> {
        let (n_in, n_out) = (in_scope.len(), out_of_scope.len());
        if n_in == 0 || n_out == 0 {
            return None;
        }
        let scores: Vec<f32> = in_scope.iter().copied().chain(out_of_scope).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
        let mut rank_of_row = vec![0; scores.len()];
        let mut n_ranks = 0;
        for equals in order.chunk_by(|left, right| scores[*left].total_cmp(&scores[*right]).is_eq())
        {
            for row in equals {
                rank_of_row[*row] = n_ranks;
            }
            n_ranks += 1;
        }
        Some(Self {
            rank_of_row,
            n_in,
            n_out,
            n_ranks,
        })
    }

    /// Every row counts once.
    fn once(&self) -> Weights {
        self.weigh(0..self.n_in, 0..self.n_out)
    }

    /// As many rows of each kind as there are, drawn with replacement.
    fn draw(&self, generator: &mut StdRng) -> Weights {
        let of_in: Vec<usize> = (0..self.n_in)
            .map(|_| generator.random_range(0..self.n_in))
            .collect();
        let of_out: Vec<usize> = (0..self.n_out)
            .map(|_| generator.random_range(0..self.n_out))
            .collect();
        self.weigh(of_in, of_out)
    }

    fn weigh(
        &self,
        of_in: impl IntoIterator<Item = usize>,
        of_out: impl IntoIterator<Item = usize>,
    ) -> Weights {
        let mut weights = Weights {
            of_in: vec![0; self.n_ranks],
            of_out: vec![0; self.n_ranks],
        };
        for row in of_in {
            weights.of_in[self.rank_of_row[row]] += 1;
        }
        for row in of_out {
            weights.of_out[self.rank_of_row[self.n_in + row]] += 1;
        }
        weights
    }

    /// Lets the threshold fall from the highest score to the lowest.
    fn figures(&self, weights: &Weights) -> Figures {
        let (n_in, n_out) = (as_f64(self.n_in), as_f64(self.n_out));
        let (mut accepted_in, mut accepted_out, mut pairs) = (0, 0, 0.0);
        let mut fpr = None;
        for (new_in, new_out) in weights.of_in.iter().zip(&weights.of_out) {
            // A new row out of scope loses to all in scope above it and ties with those beside it.
            pairs += as_f64(*new_out) * (as_f64(accepted_in) + as_f64(*new_in) / 2.0);
            accepted_in += new_in;
            accepted_out += new_out;
            if TPR * n_in <= as_f64(accepted_in) {
                fpr.get_or_insert(as_f64(accepted_out) / n_out);
            }
        }
        Figures {
            auroc: pairs / (n_in * n_out),
            fpr: fpr.unwrap_or(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scored(scores: &[f32]) -> Vec<OutOfScope> {
        scores
            .iter()
            .map(|score| OutOfScope {
                score: *score,
                is_rejected: *score < 0.5,
            })
            .collect()
    }

    #[test]
    fn scores_that_part_the_kinds_are_perfect() {
        let found = measure(&[0.9, 0.8, 0.7], &scored(&[0.6, 0.2]), Chance::default()).unwrap();
        assert!((found.auroc.value - 1.0).abs() < 1e-12);
        assert!(found.fpr_at_95_tpr.value.abs() < 1e-12);
        assert!((found.rejected.value - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_row_below_the_others_costs_the_false_positives_that_letting_it_in_takes() {
        let in_scope = [0.9, 0.8, 0.7, 0.1];
        let found = measure(&in_scope, &scored(&[0.75, 0.3, 0.05]), Chance::default()).unwrap();
        assert!((found.fpr_at_95_tpr.value - 2.0 / 3.0).abs() < 1e-12);
        // 2 + 3 + 4 of 12 pairs are in order.
        assert!((found.auroc.value - 9.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn one_kind_alone_cannot_be_told_from_another() {
        assert_eq!(measure(&[0.5], &[], Chance::default()), None);
        assert_eq!(measure(&[], &scored(&[0.5]), Chance::default()), None);
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            in_scope in prop::collection::vec(0_u8..20, 1..30),
            out in prop::collection::vec(0_u8..20, 1..30),
        ) {
            let scores = |values: &[u8]| values.iter().map(|value| f32::from(*value)).collect::<Vec<_>>();
            let (in_scope, out) = (scores(&in_scope), scores(&out));
            let pairs = in_scope.iter().flat_map(|above| out.iter().map(move |below| (above, below)));
            let points = |(above, below): (&f32, &f32)| match above.total_cmp(below) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            let expected = pairs.map(points).sum::<f64>() / as_f64(in_scope.len() * out.len());
            let chance = Chance { n_resamples: 20, ..Chance::default() };
            let found = measure(&in_scope, &scored(&out), chance).unwrap();
            prop_assert!((found.auroc.value - expected).abs() < 1e-9);
            prop_assert!(found.auroc.low <= found.auroc.value && found.auroc.value <= found.auroc.high);
        }
    }
}
