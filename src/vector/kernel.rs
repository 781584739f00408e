//! The dot product, of one row and of many, in plain Rust that the compiler vectorises.
//!
//! Each operation is written once and compiled twice: for what every machine of the architecture has,
//! and, on x86-64, for AVX2, chosen at run time. Calling the second is the only unsafe step: the processor
//! must have been asked first. The bodies index nothing unchecked.
//!
//! A product is summed in [`LANES`] parts, in the same order on every machine and beside whatever other
//! rows, and is never fused with the sum: the same rows give the same bits everywhere, and a scan gives
//! those that [`dot`] gives. Fusing would gain nothing, because the rows come from memory or the second-level
//! cache at the speed of one addition a load; AVX-512 would not either.

#![expect(
    clippy::inline_always,
    reason = "a body takes on the instructions of the function that it is inlined into; called \
              instead, it would be the portable one"
)]

#[cfg(test)]
mod tests;

/// The parts that a sum runs in: two AVX2 registers, four of SSE or NEON.
const LANES: usize = 16;

/// The rows that are read beside each other: with two registers of sums each they fill half of those that
/// AVX2 has, and the query is loaded once for all.
const ROWS: usize = 4;

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
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            return Self(Instructions::Avx2);
        }
        Self(Instructions::Portable)
    }
}

/// Compiles an operation for each level and chooses at run time.
macro_rules! operation {
    ($(#[$note:meta])* $name:ident, $portable:ident, $features:literal $vectorised:ident,
     ($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        $(#[$note])*
        pub(super) fn $name(level: Level, $($argument: $kind),*) $(-> $result)? {
            match level.0 {
                Instructions::Portable => $portable($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => {
                    #[target_feature(enable = $features)]
                    fn vectorised($($argument: $kind),*) $(-> $result)? {
                        $vectorised($($argument),*)
                    }
                    #[expect(
                        unsafe_code,
                        reason = "the function is safe where AVX2 and POPCNT are, and only \
                                  `Level::detect`, which asked the processor, makes this level"
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
    dot, dot_body, "avx2" dot_body, (left: &[f32], right: &[f32]) -> f32
);
operation!(
    /// The dot product of the query with each of the rows, which are as long and lie one after the other.
    dots, dots_one_by_one, "avx2" dots_side_by_side,
    (rows: &[f32], query: &[f32], out: &mut [f32])
);
operation!(
    /// In how many bits each of the rows differs from the query, which is as long. The compiler would count
    /// with AVX2 too, but slower.
    differences, differences_body, "popcnt" differences_body,
    (rows: &[u64], query: &[u64], out: &mut [u16])
);

#[inline(always)]
fn dot_body(left: &[f32], right: &[f32]) -> f32 {
    let shared = left.len().min(right.len());
    let (left, left_rest) = left[..shared].as_chunks::<LANES>();
    let (right, right_rest) = right[..shared].as_chunks::<LANES>();
    let mut sums = [[0.0; LANES]];
    for (left, right) in left.iter().zip(right) {
        add(&mut sums[0], left, right);
    }
    fold(&sums)[0] + dot_of_rest(left_rest, right_rest)
}

#[inline(always)]
fn dots_one_by_one(rows: &[f32], query: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
        *out = dot_body(row, query);
    }
}

#[inline(always)]
fn dots_side_by_side(rows: &[f32], query: &[f32], out: &mut [f32]) {
    let length = query.len().max(1);
    let (groups_out, rest_out) = out.as_chunks_mut::<ROWS>();
    let groups = rows.chunks_exact(length * ROWS);
    let rest = groups.remainder();
    for (group, out) in groups.zip(groups_out) {
        let (one, behind) = group.split_at(length);
        let (two, behind) = behind.split_at(length);
        let (three, four) = behind.split_at(length);
        *out = dots_of_group([one, two, three, four], query);
    }
    dots_one_by_one(rest, query, rest_out);
}

/// Written out row by row: a loop over the rows would not keep their sums in registers.
#[inline(always)]
fn dots_of_group(rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS] {
    let (query, query_rest) = query.as_chunks::<LANES>();
    let [
        (one, rest_one),
        (two, rest_two),
        (three, rest_three),
        (four, rest_four),
    ] = rows.map(|row| row.as_chunks::<LANES>());
    let mut sums = [[0.0; LANES]; ROWS];
    let [sum_one, sum_two, sum_three, sum_four] = &mut sums;
    let steps = query.iter().zip(one).zip(two).zip(three).zip(four);
    for ((((query, one), two), three), four) in steps {
        add(sum_one, one, query);
        add(sum_two, two, query);
        add(sum_three, three, query);
        add(sum_four, four, query);
    }
    let mut dots = fold(&sums);
    let rests = [rest_one, rest_two, rest_three, rest_four];
    for (dot, rest) in dots.iter_mut().zip(rests) {
        *dot += dot_of_rest(rest, query_rest);
    }
    dots
}

#[inline(always)]
fn add(sums: &mut [f32; LANES], left: &[f32; LANES], right: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] += left[lane] * right[lane];
    }
}

#[inline(always)]
fn dot_of_rest(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// The sums of the lanes, in halves. Inlined, it would have the compiler take the lanes apart in the loop
/// before it too.
#[inline(never)]
fn fold<const COUNT: usize>(sums: &[[f32; LANES]; COUNT]) -> [f32; COUNT] {
    const HALF: usize = LANES / 2;
    const QUARTER: usize = LANES / 4;
    let mut folded = [0.0; COUNT];
    for (folded, sums) in folded.iter_mut().zip(sums) {
        let mut halves = [0.0; HALF];
        for lane in 0..HALF {
            halves[lane] = sums[lane] + sums[lane + HALF];
        }
        let mut quarters = [0.0; QUARTER];
        for lane in 0..QUARTER {
            quarters[lane] = halves[lane] + halves[lane + QUARTER];
        }
        *folded = (quarters[0] + quarters[2]) + (quarters[1] + quarters[3]);
    }
    folded
}

#[inline(always)]
fn differences_body(rows: &[u64], query: &[u64], out: &mut [u16]) {
    // The lengths that most models have, in words, so that their loops are unrolled.
    match query.len() {
        6 => differences_of_length::<6>(rows, query, out),
        12 => differences_of_length::<12>(rows, query, out),
        16 => differences_of_length::<16>(rows, query, out),
        length => {
            for (row, out) in rows.chunks_exact(length.max(1)).zip(out) {
                *out = differing(row, query);
            }
        }
    }
}

#[inline(always)]
fn differences_of_length<const WORDS: usize>(rows: &[u64], query: &[u64], out: &mut [u16]) {
    let (rows, _) = rows.as_chunks::<WORDS>();
    let Some(query) = query.first_chunk::<WORDS>() else {
        return;
    };
    for (row, out) in rows.iter().zip(out) {
        *out = differing(row, query);
    }
}

#[inline(always)]
fn differing(row: &[u64], query: &[u64]) -> u16 {
    let bits = row.iter().zip(query).map(|(a, b)| (a ^ b).count_ones());
    // A row has far fewer bits than a `u16` counts.
    u16::try_from(bits.sum::<u32>()).unwrap_or(u16::MAX)
}
