//! Products of integers: weights of 8 bits with a sign and a scale a column, activations of 7 bits without
//! a sign and with a scale and a least value a row.
//!
//! A value x of an activation is nearly `scale · u + least`, with u from 0 to 127, so that
//! `Σ x w + b = scale · scale_w · Σ u q + least · Σ w + b`: one product of integers, and sums of weights
//! that are known beforehand. Of the forms that a row can take this one is the nearest to it,
//! because what a layer passes on is seldom centred on zero.
//!
//! Seven bits and not eight, because AVX2 adds two products of bytes in 16 bits: 2 · 127 · 127 just fits.
//! What the eighth bit would give is won back by multiplying each input with a factor of its own, whose inverse
//! is in the weights ([`Unpacked::input_factors`](super::Unpacked::input_factors)).
//!
//! Weights lie in panels of some columns ([`packed`](super::packed)) and activations in tiles of some rows, each in
//! the order that the innermost loop reads: a tile's sums stay in registers while it goes through a panel.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
use super::float::{gelu, lanes, larger, smaller};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2Lanes, Avx512Lanes};
use super::lanes::{Lanes, PortableLanes, multiply_add};
#[cfg(target_arch = "x86_64")]
use super::packed::Room;
use super::packed::{Layout, PackedLinear, as_float};
use super::{Instructions, Level, Tiles, by_rows, operation};

/// The largest integer of an activation.
const ACTIVATION_MAX: f32 = 127.0;

/// Rows as integers of seven bits, in tiles: `[tile][step][row]`, each unit what lies together of a row.
pub(in crate::encoder) struct Activations {
    layout: Layout,
    rows_max: usize,
    depth: usize,
    units: Vec<u32>,
    factors: Vec<Factor>,
    multiplied: Vec<f32>,
    bytes: Vec<u8>,
}

/// What makes a value of an integer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Factor {
    scale: f32,
    least: f32,
}

impl Activations {
    /// No rows yet, for products of this level.
    pub(in crate::encoder) fn of(level: Level) -> Self {
        Self {
            layout: Layout::of(level),
            rows_max: rows_max(level),
            depth: 0,
            units: Vec::new(),
            factors: Vec::new(),
            multiplied: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn tiles(&self) -> Tiles {
        Tiles::of(self.factors.len(), self.rows_max)
    }

    fn steps(&self) -> usize {
        self.depth / self.layout.together()
    }
}

/// The rows of a tile.
fn rows_max(level: Level) -> usize {
    match level.0 {
        Instructions::Portable => super::portable::Portable::ROWS_MAX,
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => Avx2::<1>::ROWS_MAX,
        #[cfg(target_arch = "x86_64")]
        Instructions::AvxVnni => super::avx_vnni::AvxVnni::ROWS_MAX,
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512Vnni => super::avx512::Avx512Vnni::ROWS_MAX,
    }
}

operation!(
    /// Takes rows as the inputs of a matrix, in place of those before.
    quantise, quantise_body, (rows: &[f32], linear: &PackedLinear, activations: &mut Activations)
);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what is cast is a whole number from 0 to 127"
)]
#[inline(always)]
pub(super) fn quantise_body<L: Lanes>(
    rows: &[f32],
    linear: &PackedLinear,
    activations: &mut Activations,
) {
    let depth = linear.depth;
    let count = rows.len() / depth.max(1);
    activations.depth = depth;
    activations.factors.clear();
    activations.factors.resize(
        count,
        Factor {
            scale: 0.0,
            least: 0.0,
        },
    );
    let steps = activations.steps();
    activations.units.resize(count * steps, 0);
    activations.multiplied.resize(depth, 0.0);
    activations.bytes.resize(depth, 0);
    for (first, in_tile) in activations.tiles().spans() {
        let tile = &mut activations.units[first * steps..(first + in_tile) * steps];
        for offset in 0..in_tile {
            let mut row = &rows[(first + offset) * depth..(first + offset + 1) * depth];
            if let Some(factors) = &linear.input_factors {
                let places = activations
                    .multiplied
                    .iter_mut()
                    .zip(row.iter().zip(factors));
                places.for_each(|(place, (value, factor))| *place = value * factor);
                row = &activations.multiplied;
            }
            let least = lanes(row, f32::INFINITY, |value| value, smaller);
            let most = lanes(row, f32::NEG_INFINITY, |value| value, larger);
            let scale = (most - least) / ACTIVATION_MAX;
            activations.factors[first + offset] = Factor { scale, least };
            let inverse = if 0.0 < scale { scale.recip() } else { 0.0 };
            let steps = tile.chunks_exact_mut(in_tile);
            match activations.layout {
                Layout::WideQuads | Layout::Quads => {
                    for (byte, value) in activations.bytes.iter_mut().zip(row) {
                        *byte = nearest::<L>(*value - least, inverse) as u8;
                    }
                    let (quads, _) = activations.bytes.as_chunks::<4>();
                    for (step, quad) in steps.zip(quads) {
                        step[offset] = u32::from_le_bytes(*quad);
                    }
                }
                Layout::Singles => {
                    for (step, value) in steps.zip(row) {
                        step[offset] = (nearest::<L>(*value - least, inverse) as f32).to_bits();
                    }
                }
            }
        }
    }
}

/// The nearest whole number to `value · inverse`, which is between 0 and 127.
#[inline(always)]
fn nearest<L: Lanes>(value: f32, inverse: f32) -> u32 {
    // Adding 1.5 × 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    multiply_add::<L>(value, inverse, ROUNDER).to_bits() & 0x7f
}

/// What is done with a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::encoder) enum Effect {
    /// It replaces what is there.
    Store,
    /// Its GELU replaces what is there.
    Gelu,
    /// It is added to what is there.
    Add,
}

/// Some panels of a matrix.
#[derive(Clone)]
pub(in crate::encoder) struct Part<'linear> {
    pub(in crate::encoder) linear: &'linear PackedLinear,
    pub(in crate::encoder) panels: Range<usize>,
}

/// `rows × panels + bias`, row after row, each as wide as the panels. Everything must be packed for the
/// level's layout.
pub(in crate::encoder) fn product(
    level: Level,
    rows: &Activations,
    part: Part<'_>,
    effect: Effect,
    out: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(rows: &Activations, part: Part<'_>, effect: Effect, out: &mut [f32]) {
        match part.linear.room {
            Room::OneStep => product_body::<Avx2Lanes, Avx2<1>, 16>(rows, part, effect, out),
            Room::TwoSteps => product_body::<Avx2Lanes, Avx2<2>, 16>(rows, part, effect, out),
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    fn avx_vnni(rows: &Activations, part: Part<'_>, effect: Effect, out: &mut [f32]) {
        product_body::<Avx2Lanes, super::avx_vnni::AvxVnni, 32>(rows, part, effect, out);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn avx512(rows: &Activations, part: Part<'_>, effect: Effect, out: &mut [f32]) {
        product_body::<Avx512Lanes, super::avx512::Avx512Vnni, 32>(rows, part, effect, out);
    }
    #[cfg_attr(
        target_arch = "x86_64",
        expect(
            unsafe_code,
            reason = "the functions are safe where their instructions are, and whoever made the level \
                      asked the processor"
        )
    )]
    match level.0 {
        Instructions::Portable => {
            product_body::<PortableLanes, super::portable::Portable, 16>(rows, part, effect, out);
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: see the reason above.
        Instructions::Avx2 => unsafe { avx2(rows, part, effect, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: see the reason above.
        Instructions::AvxVnni => unsafe { avx_vnni(rows, part, effect, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: see the reason above.
        Instructions::Avx512Vnni => unsafe { avx512(rows, part, effect, out) },
    }
}

/// The innermost product: `Σ u q` of a tile of rows and a panel of columns.
pub(super) trait Dot<const COLUMNS: usize> {
    /// The rows of a tile whose sums fill the registers.
    const ROWS_MAX: usize;

    /// `units` are the steps of the tile, `panel` the same steps of the columns.
    fn tile<const ROWS: usize>(units: &[[u32; ROWS]], panel: &[u8]) -> [[i32; COLUMNS]; ROWS];
}

#[inline(always)]
pub(super) fn product_body<L: Lanes, D: Dot<COLUMNS>, const COLUMNS: usize>(
    rows: &Activations,
    part: Part<'_>,
    effect: Effect,
    out: &mut [f32],
) {
    let linear = part.linear;
    let first_panel = part.panels.start;
    let width = part.panels.len() * COLUMNS;
    for panel in part.panels {
        let place = Place {
            bytes: &linear.panels[panel * COLUMNS * linear.depth..][..COLUMNS * linear.depth],
            scales: column_values(&linear.scales, panel),
            sums: column_values(&linear.sums, panel),
            bias: column_values(&linear.bias, panel),
            column: (panel - first_panel) * COLUMNS,
            width,
            effect,
        };
        for (first, count) in rows.tiles().spans() {
            by_rows!(
                count,
                D::ROWS_MAX,
                product_tile[L, D, COLUMNS,](rows, first, &place, out)
            );
        }
    }
}

/// The values of a panel's columns.
#[inline(always)]
fn column_values<const COLUMNS: usize>(values: &[f32], panel: usize) -> &[f32; COLUMNS] {
    let (panels, _) = values.as_chunks::<COLUMNS>();
    &panels[panel]
}

/// A panel, and where its product goes.
struct Place<'linear, const COLUMNS: usize> {
    bytes: &'linear [u8],
    scales: &'linear [f32; COLUMNS],
    sums: &'linear [f32; COLUMNS],
    bias: &'linear [f32; COLUMNS],
    column: usize,
    width: usize,
    effect: Effect,
}

#[inline(always)]
fn product_tile<L: Lanes, D: Dot<COLUMNS>, const COLUMNS: usize, const ROWS: usize>(
    rows: &Activations,
    first: usize,
    place: &Place<'_, COLUMNS>,
    out: &mut [f32],
) {
    let steps = rows.steps();
    let (units, _) = rows.units[first * steps..(first + ROWS) * steps].as_chunks::<ROWS>();
    let sums = D::tile::<ROWS>(units, place.bytes);
    for (row, (sums, factor)) in sums.iter().zip(&rows.factors[first..]).enumerate() {
        let start = (first + row) * place.width + place.column;
        let (targets, _) = out[start..].as_chunks_mut::<COLUMNS>();
        let target = &mut targets[0];
        let value = |column: usize| {
            let constant = multiply_add::<L>(factor.least, place.sums[column], place.bias[column]);
            let scaled = place.scales[column] * factor.scale;
            multiply_add::<L>(scaled, as_float(sums[column]), constant)
        };
        match place.effect {
            Effect::Store => (0..COLUMNS).for_each(|column| target[column] = value(column)),
            Effect::Gelu => {
                (0..COLUMNS).for_each(|column| target[column] = gelu::<L>(value(column)));
            }
            Effect::Add => (0..COLUMNS).for_each(|column| target[column] += value(column)),
        }
    }
}
