//! Sixteen floats that are computed with together: one register of AVX-512, two of AVX2, four of NEON
//! or SSE.
//!
//! The loops that matter say in these what goes to a register. Loops over single floats are vectorised
//! by the compiler as well, but whether they are depends on what surrounds them.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm256_add_epi32, _mm256_add_ps, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castps_si512, _mm512_castps256_ps512, _mm512_castsi512_ps, _mm512_extractf32x8_ps,
    _mm512_fmadd_ps, _mm512_insertf32x8, _mm512_loadu_ps, _mm512_max_ps, _mm512_mul_ps,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

/// How many floats.
pub(super) const LANES: usize = 16;

/// Sixteen floats, for a level.
pub(super) trait Lanes: Copy {
    /// Whether a fused multiplication and addition is one instruction; elsewhere it would be a slow call.
    const FUSED: bool;
    /// How many of these the registers hold beside three that are at work.
    const SUMS: usize;

    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    /// `self · factor + sum`.
    fn multiply_add(self, factor: Self, sum: Self) -> Self;
    /// The larger ones.
    fn larger(self, other: Self) -> Self;
    /// Multiplied by 2 to the power of the whole number in the lowest bits of the other.
    fn scale_by_bits(self, exponents: Self) -> Self;
}

/// `left · right + sum`, fused where the level is.
#[inline(always)]
pub(super) fn multiply_add<L: Lanes>(left: f32, right: f32, sum: f32) -> f32 {
    if L::FUSED {
        left.mul_add(right, sum)
    } else {
        left * right + sum
    }
}

/// For every machine. A fused step is exact everywhere, and slow where it is no instruction.
#[derive(Clone, Copy)]
pub(super) struct PlainLanes<const FUSED: bool>([f32; LANES]);

/// What is quick on every machine of the architecture.
pub(super) type PortableLanes = PlainLanes<{ cfg!(target_arch = "aarch64") }>;

impl<const FUSED: bool> PlainLanes<FUSED> {
    #[inline(always)]
    fn with(self, other: Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| {
            combine(self.0[lane], other.0[lane])
        }))
    }
}

impl<const FUSED: bool> Lanes for PlainLanes<FUSED> {
    const FUSED: bool = FUSED;
    const SUMS: usize = 6;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |left, right| left + right)
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.with(other, |left, right| left - right)
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        self.with(other, |left, right| left * right)
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            multiply_add::<Self>(self.0[lane], factor.0[lane], sum.0[lane])
        }))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.with(other, |left, right| if left < right { right } else { left })
    }

    #[inline(always)]
    fn scale_by_bits(self, exponents: Self) -> Self {
        self.with(exponents, |value, exponent| {
            f32::from_bits(value.to_bits().wrapping_add(exponent.to_bits() << 23))
        })
    }
}

/// For AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2Lanes([__m256; 2]);

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "these are inlined only into operations of a level that has AVX2, and read and write the \
              sixteen floats of an array"
)]
// SAFETY: see the reason above, for every block below; loads and stores need no alignment.
impl Lanes for Avx2Lanes {
    const FUSED: bool = true;
    const SUMS: usize = 6;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { [_mm256_set1_ps(value); 2] })
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(unsafe {
            [
                _mm256_loadu_ps(values.as_ptr()),
                _mm256_loadu_ps(values[8..].as_ptr()),
            ]
        })
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        unsafe {
            _mm256_storeu_ps(values.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(values[8..].as_mut_ptr(), self.0[1]);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe {
            [
                _mm256_add_ps(self.0[0], other.0[0]),
                _mm256_add_ps(self.0[1], other.0[1]),
            ]
        })
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        Self(unsafe {
            [
                _mm256_sub_ps(self.0[0], other.0[0]),
                _mm256_sub_ps(self.0[1], other.0[1]),
            ]
        })
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        Self(unsafe {
            [
                _mm256_mul_ps(self.0[0], other.0[0]),
                _mm256_mul_ps(self.0[1], other.0[1]),
            ]
        })
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self(unsafe {
            [
                _mm256_max_ps(self.0[0], other.0[0]),
                _mm256_max_ps(self.0[1], other.0[1]),
            ]
        })
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(unsafe {
            [
                _mm256_fmadd_ps(self.0[0], factor.0[0], sum.0[0]),
                _mm256_fmadd_ps(self.0[1], factor.0[1], sum.0[1]),
            ]
        })
    }

    #[inline(always)]
    fn scale_by_bits(self, exponents: Self) -> Self {
        Self(unsafe {
            let [low, high] = exponents.0;
            let low = _mm256_slli_epi32::<23>(_mm256_castps_si256(low));
            let high = _mm256_slli_epi32::<23>(_mm256_castps_si256(high));
            [
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0[0]), low)),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0[1]), high)),
            ]
        })
    }
}

/// For AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512Lanes(__m512);

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "these are inlined only into operations of a level that has AVX-512, and read and write the \
              sixteen floats of an array"
)]
// SAFETY: see the reason above, for every block below; loads and stores need no alignment.
impl Lanes for Avx512Lanes {
    const FUSED: bool = true;
    const SUMS: usize = 12;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // Miri, which runs these kernels where no processor does, knows the instruction for half of it only.
        if cfg!(miri) {
            let halves = |lanes: __m512| unsafe {
                [
                    _mm512_extractf32x8_ps::<0>(lanes),
                    _mm512_extractf32x8_ps::<1>(lanes),
                ]
            };
            let ([low, high], [other_low, other_high]) = (halves(self.0), halves(other.0));
            return Self(unsafe {
                let low = _mm512_castps256_ps512(_mm256_max_ps(low, other_low));
                _mm512_insertf32x8::<1>(low, _mm256_max_ps(high, other_high))
            });
        }
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    fn scale_by_bits(self, exponents: Self) -> Self {
        Self(unsafe {
            let bits = _mm512_slli_epi32::<23>(_mm512_castps_si512(exponents.0));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), bits))
        })
    }
}
