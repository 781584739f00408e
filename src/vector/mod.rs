//! Arithmetic on embeddings: flat rows, dot products, norms, means and the scan for the nearest row.
//!
//! Rows lie in one allocation, so that a scan over all of them reads memory in order. What is done to
//! every value of them is in `kernel`, by the instructions that the machine has; the results are the
//! same bits on all.

mod kernel;
pub mod sketch;

use serde::{Deserialize, Serialize};

use self::kernel::Level;

/// Equally long rows in one allocation, row after row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Vectors {
    dimensions: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// No rows yet.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            values: Vec::new(),
        }
    }

    /// Takes rows that already lie one after the other. `None` if they do not fill whole rows.
    pub fn from_flat(dimensions: usize, values: Vec<f32>) -> Option<Self> {
        let is_whole = 0 < dimensions && values.len().is_multiple_of(dimensions);
        is_whole.then_some(Self { dimensions, values })
    }

    /// Appends a row. `false`, and no change, if its length is not that of the others.
    #[must_use]
    pub fn push(&mut self, row: &[f32]) -> bool {
        if row.len() != self.dimensions {
            return false;
        }
        self.values.extend_from_slice(row);
        true
    }

    /// The length of each row.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dimensions).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.dimensions)?;
        self.values.get(start..start.checked_add(self.dimensions)?)
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimensions.max(1))
    }

    /// All values, row after row.
    pub fn as_flat(&self) -> &[f32] {
        &self.values
    }
}

/// The dot product; of two unit vectors, their cosine. Values past the shorter one are ignored.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    kernel::dot(Level::detect(), left, right)
}

/// The Euclidean length.
pub fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

/// What a value of a unit vector counts from: two that are at least this have a product of full precision.
const VALUE_MIN: f32 = 1.1e-19;

/// Scales to length 1. A zero vector, which has no direction, stays as it is.
///
/// Values that count for nothing become zero. Models have them (two of `MiniLM`'s 384 are 10⁻³² in every
/// text), and processors take as long over products that are too small for a float as over ten others.
pub fn normalise(vector: &mut [f32]) {
    let length = norm(vector);
    if 0.0 < length {
        for value in vector {
            let scaled = *value / length;
            *value = if scaled.abs() < VALUE_MIN {
                0.0
            } else {
                scaled
            };
        }
    }
}

/// The mean of weighted vectors, scaled to length 1: how the windows of a long prompt, or the turns
/// of a conversation, become one embedding. `None` without a vector.
pub fn weighted_direction<'a>(
    weighted: impl IntoIterator<Item = (&'a [f32], f32)>,
) -> Option<Vec<f32>> {
    let mut sum: Option<Vec<f32>> = None;
    for (vector, weight) in weighted {
        let sum = sum.get_or_insert_with(|| vec![0.0; vector.len()]);
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += weight * value;
        }
    }
    let mut direction = sum?;
    normalise(&mut direction);
    Some(direction)
}

/// The dot product of every row with the query, each the same as [`dot`] gives.
pub fn scores(rows: &Vectors, query: &[f32]) -> Vec<f32> {
    if query.len() != rows.dimensions() {
        return rows.rows().map(|row| dot(row, query)).collect();
    }
    let mut scores = vec![0.0; rows.len()];
    kernel::dots(Level::detect(), rows.as_flat(), query, &mut scores);
    scores
}

/// The dot product of some of the rows with a query that is as long, each the same as [`dot`] gives.
pub fn scores_of(rows: &Vectors, chosen: &[usize], query: &[f32]) -> Vec<f32> {
    let length = rows.dimensions();
    let row = |at: &usize| &rows.as_flat()[at * length..(at + 1) * length];
    let chosen: Vec<&[f32]> = chosen.iter().map(row).collect();
    let mut scores = vec![0.0; chosen.len()];
    kernel::dots_of(Level::detect(), &chosen, query, &mut scores);
    scores
}

/// The highest value that is a number, and at least `least`.
pub fn highest(values: &[f32], least: f32) -> f32 {
    kernel::highest(Level::detect(), values, least)
}

/// The place of the first value that is at least `least`.
pub fn first_from(values: &[f32], least: f32) -> Option<usize> {
    kernel::first_from(Level::detect(), values, least)
}

/// The sum of the exponentials of how far values lie from the highest of them, in such units.
pub fn sum_of_powers(values: &[f32], most: f32, unit: f32) -> f32 {
    kernel::sum_of_powers(Level::detect(), values, most, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let mut rows = Vectors::new(2);
        assert!(rows.push(&[1.0, 2.0]) && rows.push(&[3.0, 4.0]));
        assert!(!rows.push(&[5.0]), "a short row is refused");
        assert_eq!((rows.len(), rows.row(1)), (2, Some(&[3.0, 4.0][..])));
        assert_eq!(rows.row(2), None);
    }

    #[test]
    fn a_flat_list_must_fill_whole_rows() {
        assert!(Vectors::from_flat(2, vec![1.0, 2.0, 3.0]).is_none());
        assert!(Vectors::from_flat(0, vec![]).is_none());
    }

    #[test]
    fn the_dot_product_counts_what_does_not_fill_the_lanes() {
        let ones = [1.0; 19];
        let twos = [2.0; 19];
        assert!((dot(&ones, &twos) - 38.0).abs() < 1e-6);
    }

    #[test]
    fn a_zero_vector_survives_normalising() {
        let mut zero = [0.0; 4];
        normalise(&mut zero);
        assert!(norm(&zero).abs() < f32::EPSILON);
    }

    #[test]
    fn values_that_count_for_nothing_become_zero() {
        let mut vector = [3.0, -2e-32, 4.0, 1e-18];
        normalise(&mut vector);
        assert_eq!(vector[..3], [0.6, 0.0, 0.8]);
        assert!((1e-19..3e-19).contains(&vector[3]), "small, but it counts");
    }

    #[test]
    fn the_heavier_vector_pulls_the_mean_to_itself() {
        let direction = weighted_direction([(&[1.0, 0.0][..], 3.0), (&[0.0, 1.0][..], 1.0)]);
        let direction = direction.unwrap_or_default();
        assert!(direction[1] < direction[0] && (norm(&direction) - 1.0).abs() < 1e-6);
    }
}
