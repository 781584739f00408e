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

/// Scales to length 1. A zero vector, which has no direction, stays as it is.
pub fn normalise(vector: &mut [f32]) {
    let length = norm(vector);
    if 0.0 < length {
        for value in vector {
            *value /= length;
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
    fn the_heavier_vector_pulls_the_mean_to_itself() {
        let direction = weighted_direction([(&[1.0, 0.0][..], 3.0), (&[0.0, 1.0][..], 1.0)]);
        let direction = direction.unwrap_or_default();
        assert!(direction[1] < direction[0] && (norm(&direction) - 1.0).abs() < 1e-6);
    }
}
