//! The arithmetic that the encoder's time goes by: products of 8-bit integers ([`integer`]) and all that
//! stays in floats ([`float`]).
//!
//! Each operation is written once, as safe code that indexes nothing unchecked, and compiled for every
//! level of instructions; which of them runs is chosen at run time. Only the innermost product of
//! integers is written in each level's own instructions, since no compiler finds them by itself.
//!
//! Levels that fuse multiplication and addition give the same bits: the integers are exact, and every float
//! is rounded in the same steps, in lanes of sixteen whatever the registers hold. Where nothing
//! fuses, floats are rounded once more, an integer here and there becomes its neighbour, and vectors
//! differ by what the integers cost anyway.

#![expect(
    clippy::inline_always,
    reason = "a body takes on the instructions of the function that it is inlined into; called \
              instead, it would be the portable one"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod float;
mod integer;
mod lanes;
mod packed;
mod portable;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::Error;

pub(super) use float::{Attention, Heads, Norm, attend, normalise};
pub(super) use integer::{Activations, Effect, Part, product, quantise};
pub(super) use packed::{Layout, PackedLinear, TWO_STEPS_MAX, Unpacked, two_steps_sum};

/// What the processor can do. Only [`Level::best`] and [`Level::forced`] make one, and both have asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Level {
    /// What every machine of this architecture can do.
    pub(super) const PORTABLE: Self = Self(Instructions::Portable);

    /// All that this machine can do, the best first.
    pub(super) fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni")
            {
                levels.push(Self(Instructions::Avx512Vnni));
            }
            if is_x86_feature_detected!("avxvnni") {
                levels.push(Self(Instructions::AvxVnni));
            }
            levels.push(Self(Instructions::Avx2));
        }
        levels.push(Self::PORTABLE);
        levels
    }

    /// The best that this machine can do.
    pub(super) fn best() -> Self {
        Self::available()
            .into_iter()
            .next()
            .unwrap_or(Self::PORTABLE)
    }

    /// The level of this kernel, if the machine can do it.
    pub(super) fn forced(kernel: Kernel) -> Result<Self, Error> {
        let mut levels = Self::available().into_iter();
        levels
            .find(|level| level.kernel() == kernel)
            .ok_or(Error::KernelUnavailable(kernel))
    }

    fn kernel(self) -> Kernel {
        match self.0 {
            Instructions::Portable => Kernel::Portable,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Kernel::Avx2,
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni => Kernel::AvxVnni,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni => Kernel::Avx512Vnni,
        }
    }

    /// For the encoder's identity.
    pub(super) fn name(self) -> &'static str {
        match self.kernel() {
            Kernel::Portable => "int8-portable",
            Kernel::Avx2 => "int8-avx2",
            Kernel::AvxVnni => "int8-avx-vnni",
            Kernel::Avx512Vnni => "int8-avx512-vnni",
            Kernel::Candle => "candle-f32",
        }
    }
}

/// What may compute the layers on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// What every machine of the architecture can do.
    Portable,
    /// AVX2 with FMA: x86-64 processors since 2013.
    Avx2,
    /// AVX2 with products of bytes: processors without AVX-512 since 2021.
    AvxVnni,
    /// AVX-512 with products of bytes: servers since 2019.
    Avx512Vnni,
    /// Candle in 32-bit floats, which is slow: the reference that the others are compared with.
    Candle,
}

impl Kernel {
    const ALL: [Self; 5] = [
        Self::Portable,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512Vnni,
        Self::Candle,
    ];
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Candle => "candle",
        })
    }
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut kernels = Self::ALL.into_iter();
        kernels
            .find(|kernel| kernel.to_string() == text)
            .ok_or_else(|| Error::UnknownKernel(text.to_owned()))
    }
}

/// Compiles an operation on floats for each level and chooses at run time.
macro_rules! operation {
    ($(#[$note:meta])* $name:ident, $body:ident, ($($argument:ident: $kind:ty),*)) => {
        $(#[$note])*
        pub(in crate::encoder) fn $name(level: $crate::encoder::kernel::Level, $($argument: $kind),*) {
            use $crate::encoder::kernel::Instructions;
            use $crate::encoder::kernel::lanes::PortableLanes;
            #[cfg(target_arch = "x86_64")]
            use $crate::encoder::kernel::lanes::{Avx2Lanes, Avx512Lanes};
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $kind),*) {
                $body::<Avx2Lanes>($($argument),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq")]
            fn avx512($($argument: $kind),*) {
                $body::<Avx512Lanes>($($argument),*);
            }
            #[cfg_attr(target_arch = "x86_64", expect(
                unsafe_code,
                reason = "the functions are safe where their instructions are, and whoever made the \
                          level asked the processor"
            ))]
            match level.0 {
                Instructions::Portable => $body::<PortableLanes>($($argument),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: see the reason above.
                Instructions::Avx2 | Instructions::AvxVnni => unsafe { avx2($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: see the reason above.
                Instructions::Avx512Vnni => unsafe { avx512($($argument),*) },
            }
        }
    };
}
use operation;

/// Calls a function that is compiled for each number of rows up to a constant.
macro_rules! by_rows {
    ($count:expr, $most:expr, $name:ident[$($kind:tt)*]$arguments:tt) => {
        match $count {
            12 if 12 <= $most => $name::<$($kind)* 12>$arguments,
            11 if 11 <= $most => $name::<$($kind)* 11>$arguments,
            10 if 10 <= $most => $name::<$($kind)* 10>$arguments,
            9 if 9 <= $most => $name::<$($kind)* 9>$arguments,
            8 if 8 <= $most => $name::<$($kind)* 8>$arguments,
            7 if 7 <= $most => $name::<$($kind)* 7>$arguments,
            6 if 6 <= $most => $name::<$($kind)* 6>$arguments,
            5 if 5 <= $most => $name::<$($kind)* 5>$arguments,
            4 if 4 <= $most => $name::<$($kind)* 4>$arguments,
            3 => $name::<$($kind)* 3>$arguments,
            2 => $name::<$($kind)* 2>$arguments,
            _ => $name::<$($kind)* 1>$arguments,
        }
    };
}
use by_rows;

/// The rows of the tiles that so many rows are cut into: nearly equal, none above `rows_max`.
#[derive(Clone, Copy)]
struct Tiles {
    count: usize,
    tiles: usize,
}

impl Tiles {
    fn of(count: usize, rows_max: usize) -> Self {
        Self {
            count,
            tiles: count.div_ceil(rows_max.max(1)),
        }
    }

    /// The first row of a tile; of the one past the last, the number of rows.
    #[inline(always)]
    fn first(self, tile: usize) -> usize {
        self.count * tile / self.tiles.max(1)
    }

    /// The first row and the number of rows of each tile.
    #[inline(always)]
    fn spans(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.tiles).map(move |tile| {
            let first = self.first(tile);
            (first, self.first(tile + 1) - first)
        })
    }
}
