//! The product of integers by AVX2: bytes widened to 16 bits, since the instruction that multiplies
//! bytes saturates (two products of 8-bit integers exceed 16 bits), and multiplies no more a cycle.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
};

use super::integer::Dot;

/// Reads pairs.
pub(super) struct Avx2;

impl Dot<16> for Avx2 {
    const ROWS_MAX: usize = 6;

    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 16]; ROWS] {
        #[expect(
            unsafe_code,
            reason = "this is inlined only into products of a level that has AVX2"
        )]
        // SAFETY: see the reason above.
        unsafe {
            tile(units, panel)
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 16]; ROWS] {
    let (panel, _) = panel.as_chunks::<32>();
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for (units, weights) in units.iter().zip(panel) {
        let (halves, _) = weights.as_chunks::<16>();
        let weights = [widened(&halves[0]), widened(&halves[1])];
        for row in 0..ROWS {
            let inputs = _mm256_set1_epi32(units[row].cast_signed());
            for half in 0..2 {
                let products = _mm256_madd_epi16(weights[half], inputs);
                sums[row][half] = _mm256_add_epi32(sums[row][half], products);
            }
        }
    }
    // No closure: it would not take on the instructions of the function around it.
    let mut out = [[0; 16]; ROWS];
    for (row, [left, right]) in out.iter_mut().zip(sums) {
        let (halves, _) = row.as_chunks_mut::<8>();
        store(left, &mut halves[0]);
        store(right, &mut halves[1]);
    }
    out
}

#[target_feature(enable = "avx2")]
fn widened(bytes: &[u8; 16]) -> __m256i {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the sixteen bytes that are read are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()) };
    _mm256_cvtepi8_epi16(bytes)
}

#[target_feature(enable = "avx2")]
pub(super) fn store(lanes: __m256i, out: &mut [i32; 8]) {
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
