//! The product of integers by AVX2: an instruction multiplies bytes and adds neighbours in 16 bits, another adds
//! those neighbours in 32.
//!
//! The first saturates where a sum exceeds 16 bits. That is why activations have seven bits; and where the
//! weights leave room for it, two steps are added in 16 bits before the second instruction, which is then
//! needed half as often.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256,
};

use super::integer::Dot;

/// Reads quads, and adds so many of them in 16 bits.
pub(super) struct Avx2<const STEPS: usize>;

impl<const STEPS: usize> Dot<16> for Avx2<STEPS> {
    const ROWS_MAX: usize = 4;

    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 16]; ROWS] {
        #[expect(
            unsafe_code,
            reason = "this is inlined only into products of a level that has AVX2"
        )]
        // SAFETY: see the reason above.
        unsafe {
            tile::<ROWS, STEPS>(units, panel)
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn tile<const ROWS: usize, const STEPS: usize>(
    units: &[[u32; ROWS]],
    panel: &[u8],
) -> [[i32; 16]; ROWS] {
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    let (steps, _) = panel.as_chunks::<64>();
    let (groups, rest) = units.as_chunks::<STEPS>();
    let (panels, rest_panel) = steps.as_chunks::<STEPS>();
    for (units, weights) in groups.iter().zip(panels) {
        add(&mut sums, units, weights);
    }
    for (units, weights) in rest.iter().zip(rest_panel) {
        add(&mut sums, &[*units], &[*weights]);
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

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add<const ROWS: usize, const STEPS: usize>(
    sums: &mut [[__m256i; 2]; ROWS],
    units: &[[u32; ROWS]; STEPS],
    weights: &[[u8; 64]; STEPS],
) {
    let ones = _mm256_set1_epi16(1);
    for row in 0..ROWS {
        for half in 0..2 {
            let mut sums_16 = _mm256_setzero_si256();
            for step in 0..STEPS {
                let inputs = _mm256_set1_epi32(units[step][row].cast_signed());
                let (halves, _) = weights[step].as_chunks::<32>();
                let products = _mm256_maddubs_epi16(inputs, load(&halves[half]));
                sums_16 = _mm256_add_epi16(sums_16, products);
            }
            let sums_32 = _mm256_madd_epi16(sums_16, ones);
            sums[row][half] = _mm256_add_epi32(sums[row][half], sums_32);
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
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
