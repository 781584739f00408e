//! What is done to every value of embeddings: products of one row and of many, sums read off tables,
//! exponentials.
//!
//! Most operations are plain Rust that the compiler vectorises, compiled twice: for what every machine of
//! the architecture has, and, on x86-64, for AVX2, chosen at run time. Two are written in AVX2's own
//! instructions (`avx2`), because the compiler does not find them, and have a plain twin here.
//!
//! A product is summed in [`LANES`] parts, in the same order on every machine and beside whatever other
//! rows, and is never fused with the sum; no other operation is fused either: the same rows give the same
//! bits everywhere, and a scan gives those that [`dot`] gives. Fusing would gain nothing, because the rows
//! come from memory or the second-level cache at the speed of one addition a load; AVX-512 would not either.

#![expect(
    clippy::inline_always,
    reason = "a body takes on the instructions of the function that it is inlined into; called \
              instead, it would be the portable one"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod tests;

/// The parts that a sum runs in: two AVX2 registers, four of SSE or NEON.
const LANES: usize = 16;

/// The rows that are read beside each other: with two registers of sums each they fill half of those that
/// AVX2 has, and the query is loaded once for all.
const ROWS: usize = 4;

/// The rows whose signs lie together.
pub(super) const BLOCK: usize = 64;

/// Signs of four values of each row of a block: rows of the first half in the low four bits of the bytes,
/// rows of the second half in the high ones.
pub(super) type Column = [u8; BLOCK / 2];

/// What four signs add up to, whichever they are: the entry of none, raised by what each of them adds.
pub(super) type Table = [u8; 16];

/// Columns whose sums are added in bytes before they are widened.
pub(super) const COLUMNS: usize = 4;

/// The highest entry of a table: as many as [`COLUMNS`] of these fit a byte.
pub(super) const ENTRY_MAX: u8 = u8::MAX / 4;

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
    const PORTABLE: Self = Self(Instructions::Portable);

    /// The best that this machine can do; to ask again costs a load.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self(Instructions::Avx2);
        }
        Self(Instructions::Portable)
    }
}

/// Chooses between two ways of an operation at run time. The second is compiled for AVX2.
macro_rules! operation {
    ($(#[$note:meta])* $visible:vis $name:ident, $portable:path, avx2 $vectorised:path,
     ($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        $(#[$note])*
        $visible fn $name(level: Level, $($argument: $kind),*) $(-> $result)? {
            match level.0 {
                Instructions::Portable => $portable($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => {
                    #[target_feature(enable = "avx2")]
                    fn vectorised($($argument: $kind),*) $(-> $result)? {
                        $vectorised($($argument),*)
                    }
                    #[expect(
                        unsafe_code,
                        reason = "the function is safe where AVX2 is, and only `Level::detect`, \
                                  which asked the processor, makes this level"
                    )]
                    // SAFETY: see above.
                    unsafe {
                        vectorised($($argument),*)
                    }
                }
            }
        }
    };
}

operation!(
    /// The dot product of as many values as both have.
    pub(super) dot, dot_body, avx2 dot_body, (left: &[f32], right: &[f32]) -> f32
);
operation!(
    /// The dot product of the query with each of some rows, which are as long.
    dots_of_group, dots_one_by_one, avx2 avx2::dots,
    (rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS]
);
operation!(
    /// What the columns of each block add up to by their tables, row by row: a table a column, the columns of
    /// one block after those of the other. Columns are a multiple of [`COLUMNS`]; no entry is above
    /// [`ENTRY_MAX`], and no sum above what 16 bits hold.
    pub(super) sums_by_tables, sums_by_tables_plainly, avx2 avx2::sums_by_tables,
    (columns: &[Column], tables: &[Table], out: &mut [[u16; BLOCK]])
);
operation!(
    /// What sums stand for, each in a unit of its own.
    pub(super) scaled, scaled_body, avx2 scaled_body,
    (sums: &[u16], scale: Scale, units: &[Unit], out: &mut [f32])
);
operation!(
    /// The highest value that is a number, and at least `least`.
    pub(super) highest, highest_body, avx2 highest_body, (values: &[f32], least: f32) -> f32
);
operation!(
    /// The first value that is at least `least`.
    pub(super) first_from, first_from_body, avx2 first_from_body,
    (values: &[f32], least: f32) -> Option<usize>
);
operation!(
    /// The sum of the exponentials of how far values lie from the highest of them, in such units.
    pub(super) sum_of_powers, sum_of_powers_body, avx2 sum_of_powers_body,
    (values: &[f32], most: f32, unit: f32) -> f32
);

/// What all sums are reckoned by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// The sum that stands for nothing.
    pub(super) zero: f32,
    /// What 1 stands for.
    pub(super) factor: f32,
    /// What everything is raised by.
    pub(super) raise: f32,
}

/// What one sum is reckoned by besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub(super) factor: f32,
    pub(super) raise: f32,
}

/// The dot product of the query with each of the rows, which are as long and lie one after the other. Rows of
/// a group are a quarter of all apart, so that memory is read in as many streams without a jump.
pub(super) fn dots(level: Level, rows: &[f32], query: &[f32], out: &mut [f32]) {
    let length = query.len().max(1);
    let n_groups = out.len() / ROWS;
    let (grouped, rest) = rows.split_at(rows.len().min(n_groups * ROWS * length));
    let (grouped_out, rest_out) = out.split_at_mut(n_groups * ROWS);
    let row = |at: usize| &grouped[at * length..(at + 1) * length];
    for at in 0..n_groups {
        let places = [at, at + n_groups, at + 2 * n_groups, at + 3 * n_groups];
        let products = dots_of_group(level, places.map(row), query);
        for (place, product) in places.into_iter().zip(products) {
            grouped_out[place] = product;
        }
    }
    for (row, out) in rest.chunks_exact(length).zip(rest_out) {
        *out = dot(level, row, query);
    }
}

/// The dot product of the query with some of the rows, wherever they lie.
pub(super) fn dots_of(level: Level, rows: &[&[f32]], query: &[f32], out: &mut [f32]) {
    let (groups, rest) = rows.as_chunks::<ROWS>();
    let (groups_out, rest_out) = out.as_chunks_mut::<ROWS>();
    for (group, out) in groups.iter().zip(groups_out) {
        *out = dots_of_group(level, *group, query);
    }
    for (row, out) in rest.iter().zip(rest_out) {
        *out = dot(level, row, query);
    }
}

#[inline(always)]
fn dot_body(left: &[f32], right: &[f32]) -> f32 {
    let shared = left.len().min(right.len());
    let (left, left_rest) = left[..shared].as_chunks::<LANES>();
    let (right, right_rest) = right[..shared].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    fold(&sums) + dot_of_rest(left_rest, right_rest)
}

fn dots_one_by_one(rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS] {
    rows.map(|row| dot_body(row, query))
}

#[inline(always)]
fn dot_of_rest(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// The sum of the lanes, in halves. Inlined, it would have the compiler take the lanes apart in the loop
/// before it too.
#[inline(never)]
fn fold(sums: &[f32; LANES]) -> f32 {
    const HALF: usize = LANES / 2;
    const QUARTER: usize = LANES / 4;
    let mut halves = [0.0; HALF];
    for lane in 0..HALF {
        halves[lane] = sums[lane] + sums[lane + HALF];
    }
    let mut quarters = [0.0; QUARTER];
    for lane in 0..QUARTER {
        quarters[lane] = halves[lane] + halves[lane + QUARTER];
    }
    (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
}

/// Adds what each sign adds instead of looking all four up: without an instruction that looks up many at once,
/// this is ten times as quick.
fn sums_by_tables_plainly(columns: &[Column], tables: &[Table], out: &mut [[u16; BLOCK]]) {
    let (tables, _) = tables.as_chunks::<COLUMNS>();
    let (columns, _) = columns.as_chunks::<COLUMNS>();
    for (columns, out) in columns.chunks_exact(tables.len().max(1)).zip(out) {
        *out = [0; BLOCK];
        for (columns, tables) in columns.iter().zip(tables) {
            let mut sums = [[0; BLOCK / 2]; 2];
            for (column, table) in columns.iter().zip(tables) {
                add_signs(&mut sums, column, table);
            }
            for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
                *out += u16::from(*sum);
            }
        }
    }
}

#[inline(always)]
fn add_signs([low, high]: &mut [[u8; BLOCK / 2]; 2], column: &Column, table: &Table) {
    for sign in 0..4 {
        let added = table[1 << sign].wrapping_sub(table[0]);
        for row in 0..BLOCK / 2 {
            let of_low = if column[row] & (1 << sign) == 0 {
                0
            } else {
                added
            };
            let of_high = if column[row] & (16 << sign) == 0 {
                0
            } else {
                added
            };
            low[row] = low[row].wrapping_add(of_low);
            high[row] = high[row].wrapping_add(of_high);
        }
    }
    for row in 0..BLOCK / 2 {
        low[row] = low[row].wrapping_add(table[0]);
        high[row] = high[row].wrapping_add(table[0]);
    }
}

#[inline(always)]
fn scaled_body(sums: &[u16], scale: Scale, units: &[Unit], out: &mut [f32]) {
    for ((sum, unit), out) in sums.iter().zip(units).zip(out) {
        let counted = (f32::from(*sum) - scale.zero) * scale.factor;
        *out = counted * unit.factor + unit.raise + scale.raise;
    }
}

#[inline(always)]
fn highest_body(values: &[f32], least: f32) -> f32 {
    const HALF: usize = LANES / 2;
    const QUARTER: usize = LANES / 4;
    // The last values may be seen twice, which spares going through those behind the last chunk one by one.
    let Some(end) = values.last_chunk::<LANES>() else {
        return values.iter().fold(least, |most, it| larger(most, *it));
    };
    let mut highest = [least; LANES];
    for chunk in values.as_chunks::<LANES>().0.iter().chain([end]) {
        for lane in 0..LANES {
            highest[lane] = larger(highest[lane], chunk[lane]);
        }
    }
    let mut halves = [0.0; HALF];
    for lane in 0..HALF {
        halves[lane] = larger(highest[lane], highest[lane + HALF]);
    }
    let mut quarters = [0.0; QUARTER];
    for lane in 0..QUARTER {
        quarters[lane] = larger(halves[lane], halves[lane + QUARTER]);
    }
    larger(
        larger(quarters[0], quarters[2]),
        larger(quarters[1], quarters[3]),
    )
}

#[inline(always)]
fn first_from_body(values: &[f32], least: f32) -> Option<usize> {
    let (chunks, _) = values.as_chunks::<LANES>();
    let is_reached = |value: &f32| least <= *value;
    // To ask the values of a chunk together takes as long as to ask one.
    let is_in = |chunk: &[f32; LANES]| chunk.iter().fold(false, |is_in, it| is_in | is_reached(it));
    let n_before = chunks.iter().position(is_in).unwrap_or(chunks.len()) * LANES;
    let at = values.get(n_before..)?.iter().position(is_reached)?;
    Some(n_before + at)
}

/// The first unless the second is a larger number. This is one instruction, which `f32::max` is not.
#[inline(always)]
fn larger(first: f32, second: f32) -> f32 {
    if first < second { second } else { first }
}

#[inline(always)]
fn sum_of_powers_body(values: &[f32], most: f32, unit: f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    // What stands for no value adds 10⁻³⁸, and the sum is at least 1, so that it stays as it is.
    let mut last = [f32::NEG_INFINITY; LANES];
    for (last, value) in last.iter_mut().zip(rest) {
        *last = *value;
    }
    let mut sums = [0.0; LANES];
    for chunk in chunks.iter().chain([&last]) {
        let powers = chunk.map(|value| power_of_e((value - most) / unit));
        for lane in 0..LANES {
            sums[lane] += powers[lane];
        }
    }
    fold(&sums)
}

/// The exponential of a number that is not above 88, to the last bit or two; no less than the smallest
/// float of full precision. A power of two times that of what is left, which is a polynomial (after
/// Moshier's Cephes).
#[inline(always)]
fn power_of_e(exponent: f32) -> f32 {
    /// The logarithm of the smallest float of full precision.
    const EXPONENT_MIN: f32 = -87.336_54;
    /// Adding this leaves no bit for what is behind the point.
    const ROUNDING: f32 = 12_582_912.0;
    /// The logarithm of 2 in two parts; the first has few enough bits that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let exponent = larger(EXPONENT_MIN, exponent);
    let rounded = exponent * std::f32::consts::LOG2_E + ROUNDING;
    let whole = rounded - ROUNDING;
    let left = exponent - whole * LN_2[0] - whole * LN_2[1];
    let mut polynomial = 0.0;
    for coefficient in COEFFICIENTS {
        polynomial = polynomial * left + coefficient;
    }
    let power = polynomial * left * left + left + 1.0;
    let doublings = rounded.to_bits() << 23;
    f32::from_bits(power.to_bits().wrapping_add(doublings))
}
