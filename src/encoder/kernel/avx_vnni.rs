//! The product of integers by AVX-VNNI: as AVX-512 does it, in registers half as wide.

use std::arch::x86_64::{_mm256_dpbusd_avx_epi32, _mm256_set1_epi32, _mm256_setzero_si256};

use super::avx2::{load, store};
use super::integer::Dot;

/// Reads quads.
pub(super) struct AvxVnni;

impl Dot<32> for AvxVnni {
    const ROWS_MAX: usize = 3;

    #[inline(always)]
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 32]; ROWS] {
        #[expect(
            unsafe_code,
            reason = "this is inlined only into products of a level that has AVX-VNNI"
        )]
        // SAFETY: see the reason above.
        unsafe {
            tile(units, panel)
        }
    }
}

#[target_feature(enable = "avx2,fma,avxvnni")]
fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; 32]; ROWS] {
    let (panel, _) = panel.as_chunks::<128>();
    let mut sums = [[_mm256_setzero_si256(); 4]; ROWS];
    for (units, weights) in units.iter().zip(panel) {
        let (quarters, _) = weights.as_chunks::<32>();
        let mut weights = [_mm256_setzero_si256(); 4];
        for (weights, quarter) in weights.iter_mut().zip(quarters) {
            *weights = load(quarter);
        }
        for row in 0..ROWS {
            let inputs = _mm256_set1_epi32(units[row].cast_signed());
            for quarter in 0..4 {
                let sum = sums[row][quarter];
                sums[row][quarter] = _mm256_dpbusd_avx_epi32(sum, inputs, weights[quarter]);
            }
        }
    }
    // No closure: it would not take on the instructions of the function around it.
    let mut out = [[0; 32]; ROWS];
    for (row, quarters) in out.iter_mut().zip(sums) {
        let (places, _) = row.as_chunks_mut::<8>();
        for (quarter, place) in quarters.into_iter().zip(places) {
            store(quarter, place);
        }
    }
    out
}
