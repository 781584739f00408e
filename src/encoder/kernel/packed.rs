//! Weights in the order that a level's innermost loop reads them, packed once when a model is loaded.

use std::ops::Range;

use super::{Instructions, Level};

/// The most that the positive weights of two steps may add up to, and likewise the negative ones, so that
/// their products with activations fit in 16 bits.
pub(in crate::encoder) const TWO_STEPS_MAX: i32 = i16::MAX as i32 / 127;

/// How many integers of one row or column lie together: what one instruction adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::encoder) enum Layout {
    /// Four bytes, in panels of 32 columns.
    WideQuads,
    /// Four bytes, in panels of 16 columns.
    Quads,
    /// One, as a float, in panels of 16 columns.
    Singles,
}

impl Layout {
    /// What the kernels of a level read.
    pub(in crate::encoder) fn of(level: Level) -> Self {
        match level.0 {
            Instructions::Portable => Self::Singles,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Self::Quads,
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni | Instructions::Avx512Vnni => Self::WideQuads,
        }
    }

    /// The columns of a panel.
    pub(in crate::encoder) const fn columns(self) -> usize {
        match self {
            Self::WideQuads => 32,
            Self::Quads | Self::Singles => 16,
        }
    }

    pub(super) const fn together(self) -> usize {
        match self {
            Self::WideQuads | Self::Quads => 4,
            Self::Singles => 1,
        }
    }
}

/// The weights of `y = W x + b`, packed for a layout.
pub(in crate::encoder) struct PackedLinear {
    layout: Layout,
    pub(super) depth: usize,
    /// `[panel][step][column][together]`.
    pub(super) panels: Vec<u8>,
    /// The scale of each column.
    pub(super) scales: Vec<f32>,
    /// The sum of each column's weights.
    pub(super) sums: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) input_factors: Option<Vec<f32>>,
    #[cfg(target_arch = "x86_64")]
    pub(super) room: Room,
}

/// Whether what two steps of a column add up to stays within 16 bits, whatever the activations.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    OneStep,
    TwoSteps,
}

#[cfg(target_arch = "x86_64")]
impl Room {
    fn of(depth: usize, integers: &[i8]) -> Self {
        let mut columns = integers.chunks_exact(depth.max(1));
        if columns.all(|column| two_steps_sum(column) <= TWO_STEPS_MAX) {
            Self::TwoSteps
        } else {
            Self::OneStep
        }
    }
}

/// The largest sums of positive and of negative weights that AVX2 adds up in one 16-bit lane in two steps: of
/// four weights, two that lie together and the two of the same place in the next step.
pub(in crate::encoder) fn two_steps_sum(column: &[i8]) -> i32 {
    let (steps, _) = column.as_chunks::<8>();
    let lanes = steps
        .iter()
        .flat_map(|[a, b, c, d, e, f, g, h]| [[a, b, e, f], [c, d, g, h]]);
    let sums = lanes.map(|lane| {
        let sum = |sign: i32| -> i32 {
            let parts = lane
                .iter()
                .map(|weight| (i32::from(**weight) * sign).max(0));
            parts.sum()
        };
        sum(1).max(sum(-1))
    });
    sums.max().unwrap_or(0)
}

/// Weights as they are stored: the integers of an output lie together.
pub(in crate::encoder) struct Unpacked<'weights> {
    pub(in crate::encoder) integers: &'weights [i8],
    pub(in crate::encoder) scales: &'weights [f32],
    pub(in crate::encoder) bias: &'weights [f32],
    /// What each input is multiplied by before it becomes an integer; the integers are those of weights that
    /// were divided by it.
    pub(in crate::encoder) input_factors: Option<&'weights [f32]>,
}

impl PackedLinear {
    /// Packs columns of `depth` integers.
    pub(in crate::encoder) fn pack(layout: Layout, depth: usize, weights: &Unpacked<'_>) -> Self {
        let together = layout.together();
        let mut panels = vec![0; weights.integers.len()];
        let columns = weights.integers.chunks_exact(depth.max(1));
        let mut sums = Vec::with_capacity(weights.scales.len());
        for ((column, integers), scale) in columns.enumerate().zip(weights.scales) {
            let (panel, lane) = (column / layout.columns(), column % layout.columns());
            let start = panel * layout.columns() * depth + lane * together;
            let places = panels[start..].chunks_mut(layout.columns() * together);
            for (place, integers) in places.zip(integers.chunks_exact(together)) {
                for (byte, integer) in place.iter_mut().zip(integers) {
                    *byte = integer.cast_unsigned();
                }
            }
            let sum: i32 = integers.iter().map(|integer| i32::from(*integer)).sum();
            sums.push(scale * as_float(sum));
        }
        Self {
            layout,
            depth,
            panels,
            scales: weights.scales.to_vec(),
            sums,
            bias: weights.bias.to_vec(),
            input_factors: weights.input_factors.map(<[f32]>::to_vec),
            #[cfg(target_arch = "x86_64")]
            room: Room::of(depth, weights.integers),
        }
    }

    /// Whether a matrix of this shape can be packed for every layout.
    pub(in crate::encoder) fn suits(depth: usize, columns: usize) -> bool {
        depth.is_multiple_of(Layout::WideQuads.together())
            && columns.is_multiple_of(Layout::WideQuads.columns())
    }

    /// How many values it takes.
    pub(in crate::encoder) fn inputs(&self) -> usize {
        self.depth
    }

    /// All its panels.
    pub(in crate::encoder) fn panels(&self) -> Range<usize> {
        0..self.scales.len() / self.layout.columns()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums past 2²⁴ lose what is far below the rounding of the activations"
)]
#[inline(always)]
pub(super) fn as_float(sum: i32) -> f32 {
    sum as f32
}
