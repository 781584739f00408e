//! What stays in 32-bit floats: attention, normalisation, GELU and the exponential.
//!
//! A matrix to multiply by is cut in panels of [`PANEL`] columns, `[panel][row][column]`, so that one
//! tile of the product reads it from one end to the other and keeps its sums in registers. Every
//! output is added up in one order, whatever lies beside it: the vector of a text does not depend on
//! its batch.

use super::{Target, Tiles, by_rows, multiply_add, operation};

/// The columns of a panel: one register of AVX-512, two of AVX2, four of NEON or SSE.
pub(in crate::encoder) const PANEL: usize = 16;

/// The most rows of a tile on any level.
const ROWS_MAX: usize = 12;

/// What attention computes in; it grows to the longest sequence and is used again by every head.
#[derive(Default)]
pub(in crate::encoder) struct Attention {
    /// Panels of keys, a token a column.
    keys: Vec<f32>,
    /// Panels of values, a token a row.
    values: Vec<f32>,
    /// How much each query of a tile heeds each token.
    scores: Vec<f32>,
}

/// One head of one sequence.
#[derive(Clone, Copy)]
pub(in crate::encoder) struct Heads<'rows> {
    /// A row a token: its query, its key and its value.
    pub(in crate::encoder) rows: &'rows [f32],
    /// The length of each of the three; a multiple of [`PANEL`].
    pub(in crate::encoder) length: usize,
    /// Where the result goes in each row of the context.
    pub(in crate::encoder) place: usize,
    /// The width of the context.
    pub(in crate::encoder) width: usize,
}

impl Heads<'_> {
    fn tokens(&self) -> usize {
        self.rows.len() / self.stride().max(1)
    }

    fn stride(&self) -> usize {
        3 * self.length
    }

    /// The tokens that fill whole panels.
    fn padded(&self) -> usize {
        self.tokens().next_multiple_of(PANEL)
    }
}

operation!(
    /// What each token of a sequence takes from all of them, into its part of the rows of the context.
    attend, attend_body, (heads: Heads<'_>, scratch: &mut Attention, context: &mut [f32])
);
operation!(
    /// Brings each row to mean 0 and variance 1, then scales and shifts it.
    normalise, normalise_body, (values: &mut [f32], norm: &Norm)
);

/// What a normalisation learnt.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::encoder) struct Norm {
    pub(in crate::encoder) scale: Vec<f32>,
    pub(in crate::encoder) shift: Vec<f32>,
    pub(in crate::encoder) epsilon: f32,
}

#[inline(always)]
fn attend_body<T: Target>(heads: Heads<'_>, scratch: &mut Attention, context: &mut [f32]) {
    fill(heads, scratch);
    for (first, count) in Tiles::of(heads.tokens(), T::FLOAT_ROWS).spans() {
        by_rows!(count, attend_tile::<T, _>(heads, first, scratch, context));
    }
}

/// Cuts the keys and the values in panels.
#[inline(always)]
fn fill(heads: Heads<'_>, scratch: &mut Attention) {
    let (length, tokens) = (heads.length, heads.tokens());
    scratch.keys.clear();
    scratch.keys.resize(heads.padded() * length, 0.0);
    scratch.values.resize(tokens * length, 0.0);
    scratch.scores.resize(ROWS_MAX * heads.padded(), 0.0);
    let panels = scratch.keys.chunks_exact_mut(length * PANEL);
    let rows = heads.rows.chunks(PANEL * heads.stride());
    for (panel, rows) in panels.zip(rows) {
        let (columns, _) = panel.as_chunks_mut::<PANEL>();
        for (lane, row) in rows.chunks_exact(heads.stride()).enumerate() {
            for (column, key) in columns.iter_mut().zip(&row[length..2 * length]) {
                column[lane] = *key;
            }
        }
    }
    for (token, row) in heads.rows.chunks_exact(heads.stride()).enumerate() {
        let (pieces, _) = row[2 * length..].as_chunks::<PANEL>();
        for (panel, piece) in pieces.iter().enumerate() {
            let start = (panel * tokens + token) * PANEL;
            scratch.values[start..start + PANEL].copy_from_slice(piece);
        }
    }
}

/// Some queries of a head, from the first step to the last.
#[inline(always)]
fn attend_tile<T: Target, const ROWS: usize>(
    heads: Heads<'_>,
    first: usize,
    scratch: &mut Attention,
    context: &mut [f32],
) {
    let padded = heads.padded();
    let queries: [&[f32]; ROWS] = std::array::from_fn(|row| {
        let start = (first + row) * heads.stride();
        &heads.rows[start..start + heads.length]
    });
    let panels = scratch.keys.chunks_exact(heads.length * PANEL);
    for (panel, keys) in panels.enumerate() {
        let sums = tile::<T, ROWS>(queries, keys);
        for (row, sums) in sums.iter().enumerate() {
            let start = row * padded + panel * PANEL;
            scratch.scores[start..start + PANEL].copy_from_slice(sums);
        }
    }
    for row in scratch.scores.chunks_exact_mut(padded).take(ROWS) {
        softmax::<T>(&mut row[..heads.tokens()]);
    }
    let shares: [&[f32]; ROWS] = std::array::from_fn(|row| {
        let start = row * padded;
        &scratch.scores[start..start + heads.tokens()]
    });
    let panels = scratch.values.chunks_exact(heads.tokens() * PANEL);
    for (panel, values) in panels.enumerate() {
        let sums = tile::<T, ROWS>(shares, values);
        for (row, sums) in sums.iter().enumerate() {
            let start = (first + row) * heads.width + heads.place + panel * PANEL;
            context[start..start + PANEL].copy_from_slice(sums);
        }
    }
}

/// The product of some rows with a panel that has as many rows as they have values.
#[inline(always)]
fn tile<T: Target, const ROWS: usize>(
    inputs: [&[f32]; ROWS],
    panel: &[f32],
) -> [[f32; PANEL]; ROWS] {
    let (panel, _) = panel.as_chunks::<PANEL>();
    let inputs = inputs.map(|input| &input[..panel.len()]);
    let mut sums = [[0.0_f32; PANEL]; ROWS];
    for (depth, weights) in panel.iter().enumerate() {
        for row in 0..ROWS {
            let input = inputs[row][depth];
            for lane in 0..PANEL {
                sums[row][lane] = multiply_add::<T>(input, weights[lane], sums[row][lane]);
            }
        }
    }
    sums
}

/// Past this, the error function of x/√2 is one to five digits.
const GELU_BOUND: f32 = 4.4;

/// erf(x/√2)/x as a polynomial in 2(x/4.4)² − 1, fitted so that the largest error of GELU is least (3e-5).
const GELU_POLYNOMIAL: [f32; 9] = [
    0.320_808_74,
    -0.157_222_63,
    0.110_502_206,
    -0.080_206_96,
    0.053_615_797,
    -0.031_861_562,
    0.021_911_712,
    -0.015_848_238,
    0.005_573_853_4,
];

/// The Gaussian error linear unit.
#[inline(always)]
pub(super) fn gelu<T: Target>(value: f32) -> f32 {
    let bounded = value.clamp(-GELU_BOUND, GELU_BOUND);
    let at = multiply_add::<T>(
        bounded * bounded,
        2.0 / (GELU_BOUND * GELU_BOUND),
        -1.0,
    );
    let quotient = polynomial::<T, 9>(&GELU_POLYNOMIAL, at);
    0.5 * value * multiply_add::<T>(bounded, quotient, 1.0)
}

/// 2^x for x in −0.5..0.5, to seven digits.
const POWER_POLYNOMIAL: [f32; 6] = [
    1.000_000_1,
    0.693_146_94,
    0.240_221_2,
    0.055_507_13,
    0.009_675_541,
    0.001_327_647,
];

#[inline(always)]
fn polynomial<T: Target, const TERMS: usize>(factors: &[f32; TERMS], at: f32) -> f32 {
    let mut sum = factors[TERMS - 1];
    for term in (0..TERMS - 1).rev() {
        sum = multiply_add::<T>(sum, at, factors[term]);
    }
    sum
}

/// e^x for x ≤ 0; what would be below the smallest float is about 1e-38.
#[inline(always)]
fn power_of_e<T: Target>(exponent: f32) -> f32 {
    // Adding 1.5 × 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    // The exponent of the smallest float that has full precision.
    const EXPONENT_MIN: f32 = -126.0;
    let binary = larger(exponent * std::f32::consts::LOG2_E, EXPONENT_MIN);
    let shifted = binary + ROUNDER;
    let fraction = binary - (shifted - ROUNDER);
    let exponent_bits = shifted.to_bits() << 23;
    let mantissa = polynomial::<T, 6>(&POWER_POLYNOMIAL, fraction);
    f32::from_bits(mantissa.to_bits().wrapping_add(exponent_bits))
}

/// One instruction, where `f32::max` takes three to be right about what is no number.
#[inline(always)]
pub(super) fn larger(left: f32, right: f32) -> f32 {
    if left < right { right } else { left }
}

/// See [`larger`].
#[inline(always)]
pub(super) fn smaller(left: f32, right: f32) -> f32 {
    if right < left { right } else { left }
}

#[inline(always)]
fn softmax<T: Target>(scores: &mut [f32]) {
    let largest = lanes(scores, f32::NEG_INFINITY, |score| score, larger);
    for score in scores.iter_mut() {
        *score = power_of_e::<T>(*score - largest);
    }
    let share = sum(scores, |share| share).recip();
    for score in scores.iter_mut() {
        *score *= share;
    }
}

/// Combines what `read` makes of each value, in sixteen lanes that do not wait for each other.
#[inline(always)]
pub(super) fn lanes(
    values: &[f32],
    start: f32,
    read: impl Fn(f32) -> f32,
    combine: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut combined = [start; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for lane in 0..16 {
            combined[lane] = combine(combined[lane], read(chunk[lane]));
        }
    }
    let whole = combined.into_iter().fold(start, &combine);
    rest.iter()
        .fold(whole, |result, value| combine(result, read(*value)))
}

#[inline(always)]
fn sum(values: &[f32], read: impl Fn(f32) -> f32) -> f32 {
    lanes(values, 0.0, read, |sum, value| sum + value)
}

#[inline(always)]
fn normalise_body<T: Target>(values: &mut [f32], norm: &Norm) {
    let width = norm.scale.len().max(1);
    let share = 1.0 / as_float(width);
    for row in values.chunks_exact_mut(width) {
        let mean = sum(row, |value| value) * share;
        for value in row.iter_mut() {
            *value -= mean;
        }
        let variance = sum(row, |value| value * value) * share;
        let factor = (variance + norm.epsilon).sqrt().recip();
        for ((value, scale), shift) in row.iter_mut().zip(&norm.scale).zip(&norm.shift) {
            *value = multiply_add::<T>(*value * factor, *scale, *shift);
        }
    }
}

/// A length as a float; those of a model are far below 65,536.
fn as_float(length: usize) -> f32 {
    u16::try_from(length).map_or(f32::from(u16::MAX), f32::from)
}
