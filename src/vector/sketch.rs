//! Rows by the signs of their values: a bit a value, which is a thirty-second of the memory. A look at all
//! sketches estimates every product, and finds the few rows that are worth computing one.
//!
//! The query keeps its values: how a row's signs agree with those tells its product twice as well as how they
//! agree with the query's signs, and the error is known beforehand: what signs leave of a row is nearly
//! orthogonal to it, and lies to a query like a random direction (`RaBitQ`, Gao and Long 2024; there rows are
//! turned at random first, which changed nothing for embeddings). Four signs at a time are looked up in tables
//! that the query makes (Quick ADC, André et al. 2017).

use super::kernel::{self, BLOCK, COLUMNS, Column, ENTRY_MAX, Level, Scale, Table, Unit};
use super::{Vectors, dot, norm};

/// Values whose signs are looked up together.
const GROUP: usize = 4;

/// The longest rows that can be sketched: the sums of what is looked up fit 16 bits.
const DIMENSIONS_MAX: usize = 4_096;

/// What no sign counts in an entry of a table, so that entries are not negative.
const ENTRY_ZERO: u8 = ENTRY_MAX / 2;

/// The sketches of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketches {
    /// The mean of the rows. Rows lie to one side of the origin, and signs about it would tell less.
    middle: Vec<f32>,
    /// The signs of blocks of rows, column after column; the last block is filled up.
    columns: Vec<Column>,
    /// What makes a product of a row's sum.
    units: Vec<Unit>,
    /// How far estimates are from products (the root of the mean square), for a query at distance 1 from
    /// the middle.
    error: f32,
}

/// What a look at the sketches tells of all products with a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimates {
    /// The product of each row, about.
    pub of_rows: Vec<f32>,
    /// How far these are from the products (the root of the mean square).
    pub error: f32,
}

impl Sketches {
    /// The sketches of rows, in their order. `None` of rows that are too long.
    pub fn of(rows: &Vectors) -> Option<Self> {
        if DIMENSIONS_MAX < rows.dimensions() {
            return None;
        }
        let middle = mean(rows);
        let n_columns = rows.dimensions().div_ceil(GROUP * COLUMNS) * COLUMNS;
        let mut columns = vec![[0; BLOCK / 2]; rows.len().div_ceil(BLOCK) * n_columns];
        let mut units = Vec::with_capacity(rows.len());
        let mut lost = 0.0;
        for (at, row) in rows.rows().enumerate() {
            let relative = difference(row, &middle);
            let block = &mut columns[at / BLOCK * n_columns..];
            for (column, values) in block.iter_mut().zip(relative.chunks(GROUP)) {
                let shift = if at % BLOCK < BLOCK / 2 { 0 } else { 4 };
                column[at % (BLOCK / 2)] |= signs(values) << shift;
            }
            let fit = Fit::of(&relative);
            units.push(Unit {
                factor: fit.factor,
                raise: dot(&relative, &middle),
            });
            lost += fit.lost;
        }
        Some(Self {
            error: (lost / count(rows.len()) / count(rows.dimensions())).sqrt(),
            middle,
            columns,
            units,
        })
    }

    /// About what each row's product is with a query that is as long.
    pub fn estimates(&self, query: &[f32]) -> Estimates {
        let relative = difference(query, &self.middle);
        let tables = Tables::of(&relative);
        let level = Level::detect();
        let mut sums = vec![[0; BLOCK]; self.units.len().div_ceil(BLOCK)];
        kernel::sums_by_tables(level, &self.columns, &tables.entries, &mut sums);
        let mut of_rows = vec![0.0; self.units.len()];
        let scale = Scale {
            zero: count(usize::from(ENTRY_ZERO) * tables.entries.len()),
            factor: tables.unit,
            raise: dot(query, &self.middle),
        };
        kernel::scaled(level, sums.as_flattened(), scale, &self.units, &mut of_rows);
        Estimates {
            of_rows,
            error: self.error * norm(&relative),
        }
    }
}

fn mean(rows: &Vectors) -> Vec<f32> {
    let mut mean = vec![0.0_f32; rows.dimensions()];
    let share = 1.0 / count(rows.len().max(1));
    for row in rows.rows() {
        for (mean, value) in mean.iter_mut().zip(row) {
            *mean += value * share;
        }
    }
    mean
}

fn difference(values: &[f32], middle: &[f32]) -> Vec<f32> {
    let pairs = values.iter().zip(middle);
    pairs.map(|(value, middle)| value - middle).collect()
}

/// Which of up to four values are above zero, a bit each.
fn signs(values: &[f32]) -> u8 {
    let bits = values.iter().zip(0_u32..);
    bits.fold(0, |signs, (value, bit)| {
        signs | u8::from(0.0 < *value) << bit
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count to reckon with")]
fn count(n: usize) -> f32 {
    n as f32
}

/// How a row is told by its signs.
struct Fit {
    /// What the signs are multiplied by, so that what is left of the row is orthogonal to it.
    factor: f32,
    /// The square of the length of what is left.
    lost: f32,
}

impl Fit {
    fn of(row: &[f32]) -> Self {
        let along_signs: f32 = row.iter().map(|value| value.abs()).sum();
        if along_signs == 0.0 {
            return Self {
                factor: 0.0,
                lost: 0.0,
            };
        }
        let square = dot(row, row);
        let factor = square / along_signs;
        // Rounding may put it a little below zero.
        let lost = (factor * factor * count(row.len()) - square).max(0.0);
        Self { factor, lost }
    }
}

/// What four signs count, for every four of a query's values.
struct Tables {
    entries: Vec<Table>,
    /// What 1 in an entry stands for.
    unit: f32,
}

impl Tables {
    fn of(query: &[f32]) -> Self {
        /// What the values of a group may come to, leaving half of 1 for each to be rounded up.
        const GROUP_MAX: f32 = 29.0;
        let (groups, rest) = query.as_chunks::<GROUP>();
        let mut last = [0.0; GROUP];
        for (last, value) in last.iter_mut().zip(rest) {
            *last = *value;
        }
        let groups = || groups.iter().chain([&last]);
        let widest = groups().fold(0.0_f32, |widest, group| {
            let [a, b, c, d] = group.map(f32::abs);
            let width = (a + b) + (c + d);
            if widest < width { width } else { widest }
        });
        let in_units = if 0.0 < widest {
            GROUP_MAX / widest
        } else {
            0.0
        };
        let n_columns = query.len().div_ceil(GROUP * COLUMNS) * COLUMNS;
        let none = [&[0.0; GROUP]];
        let groups = groups().chain(none.into_iter().cycle()).take(n_columns);
        Self {
            entries: groups.map(|group| table(group, in_units)).collect(),
            unit: widest / GROUP_MAX,
        }
    }
}

/// The sum of four values, rounded in units, for each choice of their signs.
fn table(values: &[f32; GROUP], in_units: f32) -> Table {
    /// Adding this leaves a whole number in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    /// Which choices have a value's sign below zero.
    const BELOW: [Table; GROUP] = {
        let mut below = [[0; 16]; GROUP];
        let mut value = 0;
        while value < GROUP {
            let mut choice = 0;
            while choice < 16 {
                if (choice >> value) & 1 == 0 {
                    below[value][choice] = u8::MAX;
                }
                choice += 1;
            }
            value += 1;
        }
        below
    };
    let mut table = [ENTRY_ZERO; 16];
    for (value, below) in values.iter().zip(&BELOW) {
        let [whole, ..] = (value * in_units + ROUNDING).to_le_bytes();
        for (entry, below) in table.iter_mut().zip(below) {
            // The whole number, or its negative.
            let counted = (whole ^ below).wrapping_sub(*below);
            *entry = entry.wrapping_add(counted);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::vector::{normalise, scores};

    /// Unit vectors that lie to one side, as embeddings do.
    fn random(n: usize, dimensions: usize, seed: u64) -> Vectors {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut rows = Vectors::new(dimensions);
        for _ in 0..n {
            let values = (0..dimensions).map(|_| chance.random_range(-0.8..1.2));
            let mut row: Vec<f32> = values.collect();
            normalise(&mut row);
            assert!(rows.push(&row));
        }
        rows
    }

    #[test]
    fn rows_whose_values_lie_equally_far_off_lose_nothing_by_their_signs() {
        let flat = [[1.0, 1.0, 5.0], [3.0, -1.0, 3.0]].concat();
        let rows = Vectors::from_flat(3, flat).unwrap();
        let query = [2.1, -0.1, 4.2];
        let estimates = Sketches::of(&rows).unwrap().estimates(&query);
        for (estimate, score) in estimates.of_rows.iter().zip(scores(&rows, &query)) {
            // What remains is the rounding of the query.
            assert!((estimate - score).abs() < 0.021, "{estimate} {score}");
        }
        assert!(estimates.error < 1e-3);
    }

    #[test]
    fn the_error_is_known_beforehand() {
        for dimensions in [256, 384, 1_000] {
            let rows = random(500, dimensions, 1);
            let sketches = Sketches::of(&rows).unwrap();
            for query in random(20, dimensions, 2).rows() {
                let Estimates { of_rows, error } = sketches.estimates(query);
                let off = of_rows.iter().zip(scores(&rows, query));
                let off: Vec<f32> = off.map(|(a, b)| (a - b) / error).collect();
                let mean_square = off.iter().map(|off| off * off).sum::<f32>() / 500.0;
                assert!((0.8..1.2).contains(&mean_square.sqrt()), "{mean_square}");
                assert!(off.iter().all(|off| off.abs() < 5.0));
            }
        }
    }

    #[test]
    fn a_query_in_the_middle_and_equal_rows_are_told_without_an_error() {
        let rows = Vectors::from_flat(4, [0.5; 12].to_vec()).unwrap();
        let estimates = Sketches::of(&rows).unwrap().estimates(&[0.5; 4]);
        assert_eq!(estimates.of_rows.len(), 3);
        assert!(estimates.of_rows.iter().all(|it| (it - 1.0).abs() < 1e-6));
        assert!(estimates.error < 1e-6);
    }

    #[test]
    fn rows_that_are_too_long_have_no_sketch() {
        let length = DIMENSIONS_MAX + 1;
        let rows = Vectors::from_flat(length, vec![0.1; length]).unwrap();
        assert_eq!(Sketches::of(&rows), None);
    }

    proptest! {
        #[test]
        fn tables_stay_in_bounds_and_hold_the_rounded_sums(
            query in prop::collection::vec(-3.0_f32..3.0, 1..50),
        ) {
            let tables = Tables::of(&query);
            prop_assert_eq!(tables.entries.len() % COLUMNS, 0);
            for (at, entries) in tables.entries.iter().enumerate() {
                for (choice, entry) in entries.iter().enumerate() {
                    prop_assert!(*entry <= 2 * ENTRY_ZERO && 2 * ENTRY_ZERO <= ENTRY_MAX);
                    let values = (0..GROUP).map(|bit| {
                        let value = query.get(at * GROUP + bit).copied().unwrap_or(0.0);
                        if (choice >> bit) & 1 == 1 { value } else { -value }
                    });
                    let counted = (f32::from(*entry) - f32::from(ENTRY_ZERO)) * tables.unit;
                    prop_assert!((values.sum::<f32>() - counted).abs() < 2.01 * tables.unit);
                }
            }
        }
    }
}
