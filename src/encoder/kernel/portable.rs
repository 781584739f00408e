//! The product of integers in plain Rust: what runs where no better kernel is known, and a
//! twin that says what every kernel must add up to.

use super::integer::Dot;

/// Reads one integer a step, as a float: products of floats are what compilers vectorise everywhere.
pub(super) struct Portable;

/// So many products of an unsigned and a signed byte stay below 2²⁴, where floats are exact.
const EXACT_MAX: usize = 512;

impl Dot<16> for Portable {
    const ROWS_MAX: usize = 4;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is cast is a whole number below 2²⁴"
    )]
    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 16]; ROWS] {
        let (panel, _) = panel.as_chunks::<16>();
        let mut sums = [[0_i32; 16]; ROWS];
        for (units, panel) in units.chunks(EXACT_MAX).zip(panel.chunks(EXACT_MAX)) {
            let partial = exact(units, panel);
            for (sums, partial) in sums.iter_mut().zip(partial) {
                for (sum, part) in sums.iter_mut().zip(partial) {
                    *sum += part as i32;
                }
            }
        }
        sums
    }
}

#[inline(always)]
fn exact<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[[u8; 16]]) -> [[f32; 16]; ROWS] {
    let mut sums = [[0.0_f32; 16]; ROWS];
    for (units, weights) in units.iter().zip(panel) {
        let weights = weights.map(|byte| f32::from(byte.cast_signed()));
        for row in 0..ROWS {
            let input = f32::from_bits(units[row]);
            for column in 0..16 {
                let product = input * weights[column];
                sums[row][column] += product;
            }
        }
    }
    sums
}

/// Any layout, from the definition.
#[cfg(test)]
pub(super) fn twin<const ROWS: usize, const COLUMNS: usize>(
    units: &[[u32; ROWS]],
    panel: &[u8],
    integers: fn(u32) -> Vec<i32>,
) -> [[i32; COLUMNS]; ROWS] {
    let mut sums = [[0; COLUMNS]; ROWS];
    for (step, units) in units.iter().enumerate() {
        for (row, unit) in units.iter().enumerate() {
            let inputs = integers(*unit);
            let together = inputs.len();
            for (column, sum) in sums[row].iter_mut().enumerate() {
                let start = (step * COLUMNS + column) * together;
                let weights = &panel[start..start + together];
                for (input, weight) in inputs.iter().zip(weights) {
                    *sum += input * i32::from(weight.cast_signed());
                }
            }
        }
    }
    sums
}
