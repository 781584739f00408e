//! The product of integers in plain Rust: what runs where no better kernel is known, and what every
//! other kernel is tested against.

use super::integer::Dot;

/// Reads pairs.
pub(super) struct Pairs;

impl Dot<16> for Pairs {
    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 16]; ROWS] {
        let (panel, _) = panel.as_chunks::<32>();
        let mut sums = [[0; 16]; ROWS];
        for (units, weights) in units.iter().zip(panel) {
            for row in 0..ROWS {
                let (low, high) = (units[row] & 0xffff, units[row] >> 16);
                for column in 0..16 {
                    let pair = [weights[2 * column], weights[2 * column + 1]];
                    let [first, second] = pair.map(|byte| i32::from(byte.cast_signed()));
                    sums[row][column] +=
                        low.cast_signed() * first + high.cast_signed() * second;
                }
            }
        }
        sums
    }
}

/// Reads quads; the twin of the kernels that do.
#[cfg(test)]
pub(super) struct Quads;

#[cfg(test)]
impl Dot<32> for Quads {
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 32]; ROWS] {
        let (panel, _) = panel.as_chunks::<128>();
        let mut sums = [[0; 32]; ROWS];
        for (units, weights) in units.iter().zip(panel) {
            let (columns, _) = weights.as_chunks::<4>();
            for row in 0..ROWS {
                let inputs = units[row].to_le_bytes();
                for (sum, column) in sums[row].iter_mut().zip(columns) {
                    let products = inputs.iter().zip(column).map(|(input, weight)| {
                        i32::from(*input) * i32::from(weight.cast_signed())
                    });
                    *sum += products.sum::<i32>();
                }
            }
        }
        sums
    }
}
