//! What intents score where prototypes are many, from products with few of them: those that can be the
//! nearest by what their sketches tell, and one an intent. All products would take a quarter of a millisecond at
//! 10,000 rows; this takes a sixth of it, and there is no graph to make.
//!
//! Every intent has a row looked at, since probabilities come from the scores of all: the one that its sketches
//! put nearest. The highest of these products is a bound that the nearest row cannot be below, and a
//! row whose estimate is below it by more than the error explains is left out.

use crate::vector::sketch::{Estimates, Sketches};
use crate::vector::{Vectors, first_from, highest, scores_of};

/// Rows from which looking at all of them takes longer than a short list does by more than it matters.
const ROWS_MIN: usize = 4_096;

/// The shortest rows whose signs tell enough. A scan over shorter ones is quick anyway.
const DIMENSIONS_MIN: usize = 256;

/// How far below the highest product a row's estimate may be for it to be looked at, in mean errors; one row of
/// a thousand lies further off than that. Of 5,500 prompts of CLINC150, 1,000 of them out of scope, none missed
/// the nearest of 10,000 rows; with 2 four did.
const ERRORS: f32 = 3.0;

/// A way to the few rows that count.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shortlist {
    sketches: Sketches,
}

impl Shortlist {
    /// `None` where a scan is as good.
    pub(super) fn over(rows: &Vectors) -> Option<Self> {
        let is_worth_it = ROWS_MIN <= rows.len() && DIMENSIONS_MIN <= rows.dimensions();
        let sketches = is_worth_it.then(|| Sketches::of(rows))??;
        Some(Self { sketches })
    }

    /// The highest product with a row of each intent, among the rows that count.
    pub(super) fn scores(&self, rows: &Vectors, n_of_intent: &[usize], query: &[f32]) -> Vec<f32> {
        let Estimates { of_rows, error } = self.sketches.estimates(query);
        let intents = intents(&of_rows, n_of_intent);
        let foremost: Vec<usize> = intents.iter().map(|intent| intent.foremost).collect();
        let mut scores = scores_of(rows, &foremost, query);
        let least = highest(&scores, f32::MIN) - ERRORS * error;
        let near = intents.iter().enumerate();
        let others: Vec<(usize, usize)> = near
            .filter(|(_, intent)| least <= intent.estimate)
            .flat_map(|(at, intent)| intent.rows_from(least).map(move |row| (at, row)))
            .collect();
        let chosen: Vec<usize> = others.iter().map(|(_, row)| *row).collect();
        for ((intent, _), score) in others.iter().zip(scores_of(rows, &chosen, query)) {
            scores[*intent] = scores[*intent].max(score);
        }
        scores
    }
}

/// What the rows of an intent are estimated to score.
struct Intent<'a> {
    estimates: &'a [f32],
    /// The first row.
    first: usize,
    /// The row that is put nearest.
    foremost: usize,
    /// What that row is estimated to score.
    estimate: f32,
}

impl Intent<'_> {
    /// The rows that are estimated to score so much, but for the foremost.
    fn rows_from(&self, least: f32) -> impl Iterator<Item = usize> {
        let rows = self.estimates.iter().zip(self.first..);
        rows.filter(move |(estimate, row)| least <= **estimate && *row != self.foremost)
            .map(|(_, row)| row)
    }
}

fn intents<'a>(estimates: &'a [f32], n_of_intent: &[usize]) -> Vec<Intent<'a>> {
    let mut first = 0;
    let intents = n_of_intent.iter().map(|n_rows| {
        let own = estimates.get(first..first + n_rows).unwrap_or_default();
        let estimate = highest(own, f32::MIN);
        let intent = Intent {
            estimates: own,
            first,
            foremost: first + first_from(own, estimate).unwrap_or(0),
            estimate,
        };
        first += n_rows;
        intent
    });
    intents.collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::vector::{dot, normalise, scores};

    const DIMENSIONS: usize = 256;
    const INTENTS: usize = 16;

    /// Rows of intents, each around a direction of its own, one intent after the other.
    fn around_directions(n_rows: usize, seed: u64) -> Vectors {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut directions = StdRng::seed_from_u64(1);
        let mut rows = Vectors::new(DIMENSIONS);
        for _ in 0..INTENTS {
            let direction: Vec<f32> = (0..DIMENSIONS)
                .map(|_| directions.random_range(-1.0..1.0))
                .collect();
            for _ in 0..n_rows / INTENTS {
                let aside = |value: &f32| value + chance.random_range(-1.5..1.5);
                let mut row: Vec<f32> = direction.iter().map(aside).collect();
                normalise(&mut row);
                assert!(rows.push(&row));
            }
        }
        rows
    }

    #[test]
    fn the_nearest_intent_is_found_and_no_score_is_above_the_true_one() {
        let rows = around_directions(ROWS_MIN, 2);
        let n_of_intent = [ROWS_MIN / INTENTS; INTENTS];
        let shortlist = Shortlist::over(&rows).unwrap();
        let asked = around_directions(160, 3);
        let mut n_nearest = 0;
        for query in asked.rows() {
            let found = shortlist.scores(&rows, &n_of_intent, query);
            let all = scores(&rows, query);
            let of_intents = all.chunks_exact(ROWS_MIN / INTENTS);
            let highest = |scores: &[f32]| scores.iter().copied().fold(f32::MIN, f32::max);
            for (found, all) in found.iter().zip(of_intents) {
                assert!(*found <= highest(all) && -1.0 <= *found);
            }
            n_nearest += usize::from(highest(&all) <= highest(&found));
        }
        assert!(159 <= n_nearest, "{n_nearest} of 160");
    }

    #[test]
    fn few_or_short_rows_are_scanned() {
        let few = around_directions(160, 1);
        let short = Vectors::from_flat(2, vec![0.6; ROWS_MIN * 2]).unwrap();
        assert!(Shortlist::over(&few).is_none() && Shortlist::over(&short).is_none());
    }

    #[test]
    fn an_intent_has_a_foremost_row_and_others_from_a_bound() {
        let estimates = [0.1, 0.5, 0.3, 0.9, 0.9, 0.2];
        let intents = intents(&estimates, &[3, 3]);
        let foremost: Vec<usize> = intents.iter().map(|intent| intent.foremost).collect();
        assert_eq!(foremost, [1, 3], "the earlier of equal ones");
        let others = |intent: usize| intents[intent].rows_from(0.2).collect::<Vec<usize>>();
        assert_eq!((others(0), others(1)), (vec![2], vec![4, 5]));
    }

    #[test]
    fn the_nearest_of_many_equal_rows_is_found() {
        let mut rows = around_directions(ROWS_MIN, 2);
        let query = rows.row(7).map(<[f32]>::to_vec).unwrap();
        assert!(rows.push(&query), "the same row again, as another intent");
        let n_of_intent = [rows.len() - 1, 1];
        let shortlist = Shortlist::over(&rows);
        let found = shortlist.map(|it| it.scores(&rows, &n_of_intent, &query));
        let same = dot(&query, &query);
        assert_eq!(found, Some(vec![same, same]));
    }
}
