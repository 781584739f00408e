//! Rows by the signs of their values: a bit a value, which is a thirty-second of the memory, and two rows
//! differ in the more bits the wider the angle between them is (Charikar 2002). A look at all sketches finds
//! the few rows that are worth a product.

use super::Vectors;
use super::kernel::{self, Level};

/// The bits of a word.
const WORD_BITS: usize = u64::BITS as usize;

/// The sketches of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketches {
    /// The mean of the rows. Rows lie to one side of the origin, and signs about it would tell less.
    middle: Vec<f32>,
    /// The sketches, row after row; the last word of each is filled up with zeros.
    words: Vec<u64>,
}

impl Sketches {
    /// The sketches of rows, in their order.
    pub fn of(rows: &Vectors) -> Self {
        let mut middle = vec![0.0_f32; rows.dimensions()];
        #[expect(clippy::cast_precision_loss, reason = "a count to divide by")]
        let share = 1.0 / rows.len().max(1) as f32;
        for row in rows.rows() {
            for (middle, value) in middle.iter_mut().zip(row) {
                *middle += value * share;
            }
        }
        let words = rows.rows().flat_map(|row| sketch(row, &middle)).collect();
        Self { middle, words }
    }

    /// The most bits that two sketches can differ in.
    pub fn bits(&self) -> usize {
        self.middle.len()
    }

    /// In how many bits each row differs from a query that is as long.
    pub fn differences(&self, query: &[f32]) -> Vec<u16> {
        let query: Vec<u64> = sketch(query, &self.middle).collect();
        let mut differences = vec![0; self.words.len() / query.len().max(1)];
        kernel::differences(Level::detect(), &self.words, &query, &mut differences);
        differences
    }
}

fn sketch<'a>(row: &'a [f32], middle: &'a [f32]) -> impl Iterator<Item = u64> + 'a {
    let values = row.chunks(WORD_BITS).zip(middle.chunks(WORD_BITS));
    values.map(|(values, middle)| {
        let signs = values.iter().zip(middle).zip(0_u32..);
        signs.fold(0, |word, ((value, middle), bit)| {
            word | u64::from(middle < value) << bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_differs_in_the_bits_where_it_lies_on_the_other_side_of_the_middle() {
        let rows = Vectors::from_flat(3, vec![1.0, 1.0, 5.0, 3.0, -1.0, 5.0]).unwrap();
        let sketches = Sketches::of(&rows);
        assert_eq!(sketches.differences(&[1.0, 1.0, 5.0]), [0, 2]);
        assert_eq!(sketches.differences(&[9.0, -9.0, 9.0]), [3, 1]);
        assert_eq!(sketches.bits(), 3);
    }

    #[test]
    fn a_sketch_may_have_many_words() {
        let mut rows = Vectors::new(130);
        assert!(rows.push(&[1.0; 130]) && rows.push(&[-1.0; 130]));
        assert_eq!(Sketches::of(&rows).differences(&[2.0; 130]), [0, 130]);
    }
}
