//! Products of four rows at once, and sums read off tables, in AVX2's own instructions.
//!
//! The compiler vectorises the first by itself, but then adds up the lanes of each row through memory, which
//! took as long as the products did. It does not find the second, where a register holds a table and an
//! instruction reads it 32 times.

use std::arch::x86_64::{
    __m128, __m128i, __m256, __m256i, _mm_add_ps, _mm_loadu_si128, _mm_movehl_ps, _mm_movelh_ps,
    _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps, _mm256_add_epi8, _mm256_add_epi16,
    _mm256_add_ps, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_castps256_ps128,
    _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps,
    _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256,
    _mm256_sub_epi16, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16,
};

use super::{BLOCK, COLUMNS, Column, LANES, ROWS, Table, dot_of_rest};

#[target_feature(enable = "avx2")]
pub(super) fn dots(rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS] {
    let (query, query_rest) = query.as_chunks::<LANES>();
    let [one, two, three, four] = rows.map(|row| row.as_chunks::<LANES>());
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let steps = query.iter().zip(one.0).zip(two.0).zip(three.0).zip(four.0);
    for ((((query, one), two), three), four) in steps {
        let query = load(query);
        for (sums, row) in sums.iter_mut().zip([one, two, three, four]) {
            let row = load(row);
            sums[0] = _mm256_add_ps(sums[0], _mm256_mul_ps(row[0], query[0]));
            sums[1] = _mm256_add_ps(sums[1], _mm256_mul_ps(row[1], query[1]));
        }
    }
    let mut dots = fold(sums);
    for (dot, rest) in dots.iter_mut().zip([one.1, two.1, three.1, four.1]) {
        *dot += dot_of_rest(rest, query_rest);
    }
    dots
}

/// The sums of the lanes, in the order that [`super::fold`] has: the last two steps for all rows at once.
#[target_feature(enable = "avx2")]
fn fold([one, two, three, four]: [[__m256; 2]; ROWS]) -> [f32; ROWS] {
    let left = pairs(quarters(one), quarters(two));
    let right = pairs(quarters(three), quarters(four));
    let sums = _mm_add_ps(_mm_movelh_ps(left, right), _mm_movehl_ps(right, left));
    let mut folded = [0.0; ROWS];
    #[expect(
        unsafe_code,
        reason = "the four floats that are written are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        _mm_storeu_ps(folded.as_mut_ptr(), sums);
    }
    folded
}

/// Lanes 0 and 4 of the halves' sums added, 1 and 5, 2 and 6, 3 and 7.
#[target_feature(enable = "avx2")]
fn quarters([left, right]: [__m256; 2]) -> __m128 {
    let halves = _mm256_add_ps(left, right);
    _mm_add_ps(
        _mm256_castps256_ps128(halves),
        _mm256_extractf128_ps::<1>(halves),
    )
}

/// Of two rows each, lanes 0 and 2 added, and behind them 1 and 3.
#[target_feature(enable = "avx2")]
fn pairs(one: __m128, other: __m128) -> __m128 {
    _mm_add_ps(_mm_unpacklo_ps(one, other), _mm_unpackhi_ps(one, other))
}

#[target_feature(enable = "avx2")]
fn load(values: &[f32; LANES]) -> [__m256; 2] {
    #[expect(
        unsafe_code,
        reason = "the sixteen floats that are read are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        let values = values.as_ptr();
        [
            _mm256_loadu_ps(values),
            _mm256_loadu_ps(values.add(LANES / 2)),
        ]
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn sums_by_tables(columns: &[Column], tables: &[Table], out: &mut [[u16; BLOCK]]) {
    let (tables, _) = tables.as_chunks::<COLUMNS>();
    let (columns, _) = columns.as_chunks::<COLUMNS>();
    for (columns, out) in columns.chunks_exact(tables.len().max(1)).zip(out) {
        let mut low = Wide::zero();
        let mut high = Wide::zero();
        for (columns, tables) in columns.iter().zip(tables) {
            let mut sums = [_mm256_setzero_si256(); 2];
            for (column, table) in columns.iter().zip(tables) {
                let read = look_up(column, table);
                sums[0] = _mm256_add_epi8(sums[0], read[0]);
                sums[1] = _mm256_add_epi8(sums[1], read[1]);
            }
            low = low.add(sums[0]);
            high = high.add(sums[1]);
        }
        let (halves, _) = out.as_chunks_mut::<{ BLOCK / 2 }>();
        if let [to_low, to_high] = halves {
            low.store(to_low);
            high.store(to_high);
        }
    }
}

/// What the signs of the first half of a block stand for in a table, and those of the second half.
#[target_feature(enable = "avx2")]
fn look_up(column: &Column, table: &Table) -> [__m256i; 2] {
    let signs = load_bytes(column);
    let table = load_table(table);
    let low_bits = _mm256_set1_epi8(15);
    let low = _mm256_and_si256(signs, low_bits);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(signs), low_bits);
    [
        _mm256_shuffle_epi8(table, low),
        _mm256_shuffle_epi8(table, high),
    ]
}

/// Sums of 32 bytes each in 16 bits. Even bytes and odd ones are added together, and the odd ones besides:
/// to part them first would take an instruction more.
#[derive(Clone, Copy)]
struct Wide {
    /// The even bytes' sums, and 256 times the odd ones'.
    both: __m256i,
    odd: __m256i,
}

impl Wide {
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self {
            both: _mm256_setzero_si256(),
            odd: _mm256_setzero_si256(),
        }
    }

    #[target_feature(enable = "avx2")]
    fn add(self, bytes: __m256i) -> Self {
        Self {
            both: _mm256_add_epi16(self.both, bytes),
            odd: _mm256_add_epi16(self.odd, _mm256_srli_epi16::<8>(bytes)),
        }
    }

    #[target_feature(enable = "avx2")]
    fn store(self, out: &mut [u16; BLOCK / 2]) {
        let even = _mm256_sub_epi16(self.both, _mm256_slli_epi16::<8>(self.odd));
        // Both work on the halves of a register by themselves.
        let first = _mm256_unpacklo_epi16(even, self.odd);
        let second = _mm256_unpackhi_epi16(even, self.odd);
        let (to, _) = out.as_chunks_mut::<LANES>();
        if let [first_to, second_to] = to {
            store(_mm256_permute2x128_si256::<0x20>(first, second), first_to);
            store(_mm256_permute2x128_si256::<0x31>(first, second), second_to);
        }
    }
}

#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &Column) -> __m256i {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the 32 bytes that are read are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>())
    }
}

/// The table twice, since each half of a register is looked up in its own.
#[target_feature(enable = "avx2")]
fn load_table(table: &Table) -> __m256i {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the sixteen bytes that are read are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    let table = unsafe { _mm_loadu_si128(table.as_ptr().cast::<__m128i>()) };
    _mm256_broadcastsi128_si256(table)
}

#[target_feature(enable = "avx2")]
fn store(lanes: __m256i, out: &mut [u16; LANES]) {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the 32 bytes that are written are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>(), lanes);
    }
}
