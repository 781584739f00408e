//! What stays in 32-bit floats: attention, normalisation, GELU and the exponential.
//!
//! Attention goes through a head of a sequence sixteen queries at a time, a query a lane: their scores
//! with every token, the softmax and the sum of values stay in the first-level cache, and no step has
//! to add up across lanes. Every output is added up in one order, whatever lies beside it: the vector
//! of a text does not depend on its batch.

use super::lanes::{LANES, Lanes, multiply_add};
use super::{Tiles, by_rows, operation};

/// How much each of sixteen queries heeds a token.
type Heed = [f32; LANES];

/// What attention computes in; it grows to the longest sequence and is used again by every head.
#[derive(Default)]
pub(in crate::encoder) struct Attention {
    scores: Vec<Heed>,
}

/// One head of one sequence.
#[derive(Clone, Copy)]
pub(in crate::encoder) struct Heads<'rows> {
    /// A row a token: its query, its key and its value.
    pub(in crate::encoder) rows: &'rows [f32],
    /// The length of each of the three: 32 or 64.
    pub(in crate::encoder) length: usize,
    /// Where the result goes in each row of the context.
    pub(in crate::encoder) place: usize,
    /// The width of the context.
    pub(in crate::encoder) width: usize,
}

impl Heads<'_> {
    /// Whether attention is compiled for heads of this length, which are those of nearly every BERT.
    pub(in crate::encoder) fn suit(length: usize) -> bool {
        matches!(length, 32 | 64)
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
pub(super) fn attend_body<L: Lanes>(
    heads: Heads<'_>,
    scratch: &mut Attention,
    context: &mut [f32],
) {
    match heads.length {
        64 => attend_rows::<L, 64, 192>(heads, scratch, context),
        _ => attend_rows::<L, 32, 96>(heads, scratch, context),
    }
}

/// `STRIDE` is three times `LENGTH`.
#[inline(always)]
fn attend_rows<L: Lanes, const LENGTH: usize, const STRIDE: usize>(
    heads: Heads<'_>,
    scratch: &mut Attention,
    context: &mut [f32],
) {
    let (rows, _) = heads.rows.as_chunks::<STRIDE>();
    scratch.scores.resize(rows.len(), [0.0; LANES]);
    let scores = &mut scratch.scores[..rows.len()];
    let outs = context.chunks_mut((LANES * heads.width).max(1));
    for (queries, out) in rows.chunks(LANES).zip(outs) {
        let mut lanes: [Heed; LENGTH] = [[0.0; LANES]; LENGTH];
        for (lane, query) in queries.iter().enumerate() {
            for (lanes, value) in lanes.iter_mut().zip(query) {
                lanes[lane] = *value;
            }
        }
        for (first, count) in Tiles::of(rows.len(), L::SUMS).spans() {
            let keys = &rows[first..first + count];
            let scores = &mut scores[first..first + count];
            by_rows!(
                count,
                L::SUMS,
                score_tile[L, LENGTH, STRIDE,](keys, &lanes, scores)
            );
        }
        let shares = softmax::<L>(scores);
        for (first, count) in Tiles::of(queries.len(), L::SUMS).spans() {
            let mut taken = Taken {
                scores,
                first,
                shares: &shares,
                out: &mut out[first * heads.width + heads.place..],
                width: heads.width,
            };
            by_rows!(
                count,
                L::SUMS,
                take_tile[L, LENGTH, STRIDE,](rows, &mut taken)
            );
        }
    }
}

/// The scores of some keys with every query.
#[inline(always)]
fn score_tile<L: Lanes, const LENGTH: usize, const STRIDE: usize, const ROWS: usize>(
    rows: &[[f32; STRIDE]],
    queries: &[Heed; LENGTH],
    scores: &mut [Heed],
) {
    let Some(rows) = rows.first_chunk::<ROWS>() else {
        return;
    };
    let mut sums = [L::splat(0.0); ROWS];
    for (at, queries) in queries.iter().enumerate() {
        let queries = L::load(queries);
        for row in 0..ROWS {
            let key = L::splat(rows[row][LENGTH + at]);
            sums[row] = key.multiply_add(queries, sums[row]);
        }
    }
    for (scores, sums) in scores.iter_mut().zip(sums) {
        sums.store(scores);
    }
}

/// What some queries take from the values, and where it goes.
struct Taken<'a> {
    scores: &'a [Heed],
    /// The lane of the first query.
    first: usize,
    /// What each lane's sums are multiplied by.
    shares: &'a Heed,
    out: &'a mut [f32],
    width: usize,
}

#[inline(always)]
fn take_tile<L: Lanes, const LENGTH: usize, const STRIDE: usize, const ROWS: usize>(
    rows: &[[f32; STRIDE]],
    taken: &mut Taken<'_>,
) {
    for piece in 0..LENGTH / LANES {
        let mut sums = [L::splat(0.0); ROWS];
        for (row, scores) in rows.iter().zip(taken.scores.iter()) {
            let (pieces, _) = row[2 * LENGTH..].as_chunks::<LANES>();
            let values = L::load(&pieces[piece]);
            let scores = &scores[taken.first..taken.first + ROWS];
            for query in 0..ROWS {
                sums[query] = L::splat(scores[query]).multiply_add(values, sums[query]);
            }
        }
        for (query, sums) in sums.into_iter().enumerate() {
            let share = L::splat(taken.shares[taken.first + query]);
            let (places, _) = taken.out[query * taken.width..].as_chunks_mut::<LANES>();
            sums.multiply(share).store(&mut places[piece]);
        }
    }
}

/// Makes powers of e of the scores, each less the largest of its lane, and gives one over their sums.
#[inline(always)]
fn softmax<L: Lanes>(scores: &mut [Heed]) -> Heed {
    let mut largest = L::splat(f32::NEG_INFINITY);
    for scores in scores.iter() {
        largest = largest.larger(L::load(scores));
    }
    let mut sums = L::splat(0.0);
    for scores in scores {
        let power = power_of_e(L::load(scores).subtract(largest));
        power.store(scores);
        sums = sums.add(power);
    }
    let mut shares = [0.0; LANES];
    sums.store(&mut shares);
    shares.map(f32::recip)
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
pub(super) fn gelu<L: Lanes>(value: f32) -> f32 {
    let bounded = value.clamp(-GELU_BOUND, GELU_BOUND);
    let at = multiply_add::<L>(bounded * bounded, 2.0 / (GELU_BOUND * GELU_BOUND), -1.0);
    let quotient = polynomial::<L, 9>(&GELU_POLYNOMIAL, at);
    0.5 * value * multiply_add::<L>(bounded, quotient, 1.0)
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
fn polynomial<L: Lanes, const TERMS: usize>(factors: &[f32; TERMS], at: f32) -> f32 {
    let mut sum = factors[TERMS - 1];
    for term in (0..TERMS - 1).rev() {
        sum = multiply_add::<L>(sum, at, factors[term]);
    }
    sum
}

/// e^x for x ≤ 0; what would be below the smallest float is about 1e-38.
#[inline(always)]
fn power_of_e<L: Lanes>(exponents: L) -> L {
    // Adding 1.5 × 2²³ rounds to a whole number and leaves it in the lowest bits.
    let rounder = L::splat(12_582_912.0);
    // The exponent of the smallest float that has full precision.
    let exponent_min = L::splat(-126.0);
    let binary = exponents.multiply(L::splat(std::f32::consts::LOG2_E));
    let binary = exponent_min.larger(binary);
    let shifted = binary.add(rounder);
    let fraction = binary.subtract(shifted.subtract(rounder));
    let [first @ .., last] = POWER_POLYNOMIAL;
    let mut mantissa = L::splat(last);
    for factor in first.into_iter().rev() {
        mantissa = mantissa.multiply_add(fraction, L::splat(factor));
    }
    mantissa.scale_by_bits(shifted)
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
pub(super) fn normalise_body<L: Lanes>(values: &mut [f32], norm: &Norm) {
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
            *value = multiply_add::<L>(*value * factor, *scale, *shift);
        }
    }
}

/// A length as a float; those of a model are far below 65,536.
fn as_float(length: usize) -> f32 {
    u16::try_from(length).map_or(f32::from(u16::MAX), f32::from)
}
