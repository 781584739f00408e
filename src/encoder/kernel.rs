//! The arithmetic that the encoder's time goes by, in plain Rust that the compiler vectorises.
//!
//! Each operation is written once and compiled twice: for what every machine of the architecture
//! has, and, on x86-64, for AVX2 with fused multiplication, chosen at run time. Calling the second is the
//! only unsafe step: the processor must have been asked first. The bodies index nothing
//! unchecked.
//!
//! A matrix to multiply by is cut in panels of [`PANEL`] columns, `[panel][row][column]`, so that
//! one tile of the product reads it from one end to the other and keeps its sums in registers.

#![expect(
    clippy::inline_always,
    reason = "a body takes on the instructions of the function that it is inlined into; called \
              instead, it would be the portable one"
)]

#[cfg(test)]
mod tests;

/// The columns of a panel: two AVX2 registers, four of NEON or SSE.
pub(super) const PANEL: usize = 16;

/// The rows of a tile: 6 × 2 sums, two loads and a broadcast fill the sixteen registers of AVX2.
const TILE_ROWS: usize = 6;

/// How much of a panel one pass over the rows uses: 256 rows are 16 KiB, half the first-level cache.
const DEPTH_MAX: usize = 256;

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// What every machine of this architecture can do.
    #[cfg(test)]
    pub(super) const PORTABLE: Self = Self(Instructions::Portable);

    /// The best that this machine can do.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self(Instructions::Avx2);
        }
        Self(Instructions::Portable)
    }

    /// For the encoder's identity.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Instructions::Portable => "f32-portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "f32-avx2",
        }
    }
}

/// Rows that lie `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'values> {
    pub(super) values: &'values [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
}

/// A matrix in panels; the last one is filled up with zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct Panels {
    pub(super) values: Vec<f32>,
    /// The rows of the matrix: the length of what is multiplied by it.
    pub(super) depth: usize,
    /// The columns that count.
    pub(super) columns: usize,
}

impl Panels {
    /// Takes the matrix whose value at (row, column) is `value(row, column)`.
    pub(super) fn fill(
        &mut self,
        depth: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f32,
    ) {
        self.depth = depth;
        self.columns = columns;
        self.values.clear();
        for panel in 0..columns.div_ceil(PANEL) {
            let first = panel * PANEL;
            let width = PANEL.min(columns - first);
            for row in 0..depth {
                let start = self.values.len();
                self.values.resize(start + PANEL, 0.0);
                for (offset, slot) in self.values[start..start + width].iter_mut().enumerate() {
                    *slot = value(row, first + offset);
                }
            }
        }
    }

    /// The columns with the filling.
    pub(super) fn width(&self) -> usize {
        self.columns.next_multiple_of(PANEL)
    }
}

/// Compiles an operation for each level and chooses at run time.
macro_rules! operation {
    ($(#[$note:meta])* $name:ident, $body:ident, ($($argument:ident: $kind:ty),*)) => {
        $(#[$note])*
        pub(super) fn $name(level: Level, $($argument: $kind),*) {
            match level.0 {
                // NEON fuses on every machine; elsewhere a fused step would be a slow call.
                Instructions::Portable => $body::<{ cfg!(target_arch = "aarch64") }>($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    fn vectorised($($argument: $kind),*) {
                        $body::<true>($($argument),*);
                    }
                    #[expect(
                        unsafe_code,
                        reason = "the function is safe where AVX2 and FMA are, and only \
                                  `Level::detect`, which asked the processor, makes this level"
                    )]
                    // SAFETY: see above.
                    unsafe {
                        vectorised($($argument),*);
                    }
                }
            }
        }
    };
}

operation!(
    /// `out = rows × panels + bias`, row after row, each as wide as the panels with their filling.
    multiply, multiply_body, (rows: Rows<'_>, panels: &Panels, bias: &[f32], out: &mut [f32])
);
operation!(
    /// The Gaussian error linear unit of every value.
    gelu, gelu_body, (values: &mut [f32])
);
operation!(
    /// The softmax of the first `count` values of each row; the rest of the row becomes zero.
    softmax, softmax_body, (rows: &mut [f32], stride: usize, count: usize)
);
operation!(
    /// Adds `added` to `values`, then brings each row to mean 0 and variance 1, scaled and shifted.
    add_and_normalise, add_and_normalise_body, (values: &mut [f32], added: &[f32], norm: &Norm)
);

/// What a normalisation learnt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) epsilon: f32,
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(left: f32, right: f32, sum: f32) -> f32 {
    if FUSED {
        left.mul_add(right, sum)
    } else {
        left * right + sum
    }
}

#[inline(always)]
fn multiply_body<const FUSED: bool>(
    rows: Rows<'_>,
    panels: &Panels,
    bias: &[f32],
    out: &mut [f32],
) {
    let width = panels.width();
    let tiles = rows.count.div_ceil(TILE_ROWS);
    for (index, panel) in panels
        .values
        .chunks_exact((panels.depth * PANEL).max(1))
        .enumerate()
    {
        let column = index * PANEL;
        let mut first_sums = [0.0; PANEL];
        for (sum, bias) in first_sums
            .iter_mut()
            .zip(bias.get(column..).unwrap_or_default())
        {
            *sum = *bias;
        }
        for (part, block) in panel.chunks(DEPTH_MAX * PANEL).enumerate() {
            let (block, _) = block.as_chunks::<PANEL>();
            let start = part * DEPTH_MAX;
            for tile in 0..tiles {
                let first = rows.count * tile / tiles;
                let count = rows.count * (tile + 1) / tiles - first;
                let place = Place {
                    first,
                    column,
                    width,
                    start,
                };
                let sums = (part == 0).then_some(&first_sums);
                match count {
                    6 => multiply_tile::<FUSED, 6>(rows, block, place, sums, out),
                    5 => multiply_tile::<FUSED, 5>(rows, block, place, sums, out),
                    4 => multiply_tile::<FUSED, 4>(rows, block, place, sums, out),
                    3 => multiply_tile::<FUSED, 3>(rows, block, place, sums, out),
                    2 => multiply_tile::<FUSED, 2>(rows, block, place, sums, out),
                    _ => multiply_tile::<FUSED, 1>(rows, block, place, sums, out),
                }
            }
        }
    }
}

/// Where a tile lies.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    column: usize,
    width: usize,
    /// The first of the panel's rows that this pass uses.
    start: usize,
}

#[inline(always)]
fn multiply_tile<const FUSED: bool, const ROWS: usize>(
    rows: Rows<'_>,
    block: &[[f32; PANEL]],
    place: Place,
    first_sums: Option<&[f32; PANEL]>,
    out: &mut [f32],
) {
    let inputs: [&[f32]; ROWS] = std::array::from_fn(|row| {
        let start = (place.first + row) * rows.stride + place.start;
        &rows.values[start..start + block.len()]
    });
    let target = |row: usize| {
        let start = (place.first + row) * place.width + place.column;
        start..start + PANEL
    };
    let mut sums = [[0.0_f32; PANEL]; ROWS];
    for (row, sums) in sums.iter_mut().enumerate() {
        match first_sums {
            Some(first) => *sums = *first,
            None => sums.copy_from_slice(&out[target(row)]),
        }
    }
    for (depth, weights) in block.iter().enumerate() {
        for row in 0..ROWS {
            let input = inputs[row][depth];
            for lane in 0..PANEL {
                sums[row][lane] = multiply_add::<FUSED>(input, weights[lane], sums[row][lane]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        out[target(row)].copy_from_slice(sums);
    }
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

#[inline(always)]
fn gelu_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        let bounded = value.clamp(-GELU_BOUND, GELU_BOUND);
        let at = multiply_add::<FUSED>(bounded * bounded, 2.0 / (GELU_BOUND * GELU_BOUND), -1.0);
        let quotient = polynomial::<FUSED, 9>(&GELU_POLYNOMIAL, at);
        *value = 0.5 * *value * multiply_add::<FUSED>(bounded, quotient, 1.0);
    }
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
fn polynomial<const FUSED: bool, const TERMS: usize>(factors: &[f32; TERMS], at: f32) -> f32 {
    let mut sum = factors[TERMS - 1];
    for term in (0..TERMS - 1).rev() {
        sum = multiply_add::<FUSED>(sum, at, factors[term]);
    }
    sum
}

/// e^x for x ≤ 0; what would be below the smallest float is about 1e-38.
#[inline(always)]
fn power_of_e<const FUSED: bool>(exponent: f32) -> f32 {
    // Adding 1.5 × 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    // The exponent of the smallest float that has full precision.
    const EXPONENT_MIN: f32 = -126.0;
    let binary = (exponent * std::f32::consts::LOG2_E).max(EXPONENT_MIN);
    let shifted = binary + ROUNDER;
    let fraction = binary - (shifted - ROUNDER);
    let exponent_bits = shifted.to_bits() << 23;
    let mantissa = polynomial::<FUSED, 6>(&POWER_POLYNOMIAL, fraction);
    f32::from_bits(mantissa.to_bits().wrapping_add(exponent_bits))
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(rows: &mut [f32], stride: usize, count: usize) {
    for row in rows.chunks_exact_mut(stride.max(1)) {
        let (scores, filling) = row.split_at_mut(count);
        let largest = lanes(scores, f32::NEG_INFINITY, |score| score, f32::max);
        for score in scores.iter_mut() {
            *score = power_of_e::<FUSED>(*score - largest);
        }
        let share = sum(scores, |share| share).recip();
        for score in scores.iter_mut() {
            *score *= share;
        }
        filling.fill(0.0);
    }
}

/// Combines what `read` makes of each value, in eight lanes that do not wait for each other.
#[inline(always)]
fn lanes(
    values: &[f32],
    start: f32,
    read: impl Fn(f32) -> f32,
    combine: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut combined = [start; 8];
    let (whole, rest) = values.as_chunks::<8>();
    for chunk in whole {
        for lane in 0..8 {
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
fn add_and_normalise_body<const FUSED: bool>(values: &mut [f32], added: &[f32], norm: &Norm) {
    let width = norm.scale.len().max(1);
    let share = 1.0 / as_float(width);
    for (row, added) in values
        .chunks_exact_mut(width)
        .zip(added.chunks_exact(width))
    {
        for (value, added) in row.iter_mut().zip(added) {
            *value += added;
        }
        let mean = sum(row, |value| value) * share;
        for value in row.iter_mut() {
            *value -= mean;
        }
        let variance = sum(row, |value| value * value) * share;
        let factor = (variance + norm.epsilon).sqrt().recip();
        for ((value, scale), shift) in row.iter_mut().zip(&norm.scale).zip(&norm.shift) {
            *value = multiply_add::<FUSED>(*value * factor, *scale, *shift);
        }
    }
}

/// A length as a float; those of a model are far below 65,536.
fn as_float(length: usize) -> f32 {
    u16::try_from(length).map_or(f32::from(u16::MAX), f32::from)
}
