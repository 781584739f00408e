//! The product of integers by AVX-512 VNNI: four products of bytes and their sum are one instruction.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use super::integer::Dot;

/// Reads quads.
pub(super) struct Avx512Vnni;

impl Dot<32> for Avx512Vnni {
    const ROWS_MAX: usize = 12;

    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 32]; ROWS] {
        #[expect(
            unsafe_code,
            reason = "this is inlined only into products of a level that has AVX-512 VNNI"
        )]
        // SAFETY: see the reason above.
        unsafe {
            tile(units, panel)
        }
    }
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 32]; ROWS] {
    let (panel, _) = panel.as_chunks::<128>();
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (units, weights) in units.iter().zip(panel) {
        let (halves, _) = weights.as_chunks::<64>();
        let weights = [load(&halves[0]), load(&halves[1])];
        for row in 0..ROWS {
            let inputs = _mm512_set1_epi32(units[row].cast_signed());
            for half in 0..2 {
                sums[row][half] = _mm512_dpbusd_epi32(sums[row][half], inputs, weights[half]);
            }
        }
    }
    // No closure: it would not take on the instructions of the function around it.
    let mut out = [[0; 32]; ROWS];
    for (row, [left, right]) in out.iter_mut().zip(sums) {
        let (halves, _) = row.as_chunks_mut::<16>();
        store(left, &mut halves[0]);
        store(right, &mut halves[1]);
    }
    out
}

#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the 64 bytes that are read are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        _mm512_loadu_si512(bytes.as_ptr().cast::<__m512i>())
    }
}

#[target_feature(enable = "avx512f")]
fn store(lanes: __m512i, out: &mut [i32; 16]) {
    #[expect(
        unsafe_code,
        clippy::cast_ptr_alignment,
        reason = "the 64 bytes that are written are those of the array, at any alignment"
    )]
    // SAFETY: see the reason above.
    unsafe {
        _mm512_storeu_si512(out.as_mut_ptr().cast::<__m512i>(), lanes);
    }
}
