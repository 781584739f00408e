//! The layers on the CPU, in one pass over buffers of our own, with weights of 8 bits and activations of 7.
//!
//! A general tensor library allocates for every operation, repacks both operands of every product
//! and divides each among all threads; for prompts of ten tokens that is most of the time. Here the
//! weights are packed once, the sequences of a group lie end to end without padding, and a group is
//! one thread's work from the first layer to the last.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::kernel::{
    self, Activations, Attention, Effect, Heads, Layout, Level, Norm, PackedLinear, Part, Unpacked,
};
use super::parameters::{Layer, Linear};
use super::published::Config;
use super::weights::largest_of_columns;

/// The layers of a BERT, ready for the CPU.
pub(super) struct NativeLayers {
    level: Level,
    layers: Vec<PackedLayer>,
    heads: usize,
    width: usize,
    /// What groups were computed in and others may be; as many as ever ran beside each other.
    idle: Mutex<Vec<Buffers>>,
}

struct PackedLayer {
    /// The queries, keys and values of the first head, then those of the next.
    attend: PackedLinear,
    gather: PackedLinear,
    gather_norm: Norm,
    widen: PackedLinear,
    narrow: Vec<NarrowPart>,
    narrow_norm: Norm,
}

/// What some outputs of `widen` contribute to the layer's output. Each part of a row has a scale of its own when it
/// becomes integers: one for all would be that of the few largest values.
struct NarrowPart {
    /// Those of `widen` that it reads.
    panels: Range<usize>,
    linear: PackedLinear,
}

/// The most inputs of such a part: few enough that a panel of its weights stays in the first-level cache.
const PART_INPUTS_MAX: usize = 384;

/// What the inputs of a part are a multiple of: the panels of every layout end there.
const PART_UNIT: usize = Layout::WideQuads.columns();

/// What a group is computed in; it grows to the largest one.
struct Buffers {
    activations: Activations,
    /// Those of a part of the wide rows.
    wide_activations: Activations,
    /// The queries, keys and values of one head.
    attended: Vec<f32>,
    attention: Attention,
    context: Vec<f32>,
    wide: Vec<f32>,
}

impl Buffers {
    fn of(level: Level) -> Self {
        Self {
            activations: Activations::of(level),
            wide_activations: Activations::of(level),
            attended: Vec::new(),
            attention: Attention::default(),
            context: Vec::new(),
            wide: Vec::new(),
        }
    }
}

/// The largest magnitude of, or by, each value that comes into the halves of a layer.
pub(super) struct Largest {
    pub(super) attend: Vec<f32>,
    pub(super) widen: Vec<f32>,
}

impl NativeLayers {
    /// Whether every width fills whole panels. Those of nearly every published BERT do; the others are
    /// candle's.
    pub(super) fn suit(config: &Config) -> bool {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let head_length = hidden / config.num_attention_heads.max(1);
        PackedLinear::suits(hidden, wide)
            && PackedLinear::suits(wide, hidden)
            && PackedLinear::suits(hidden, head_length)
            && Heads::suit(head_length)
    }

    /// Packs layers that [`suit`](Self::suit).
    pub(super) fn pack(level: Level, layers: &[Layer], heads: usize) -> Self {
        let layout = Layout::of(level);
        let packed = layers.iter().map(|layer| PackedLayer {
            attend: pack(layout, &[&layer.query, &layer.key, &layer.value], heads),
            gather: pack(layout, &[&layer.gather], 1),
            gather_norm: layer.gather_norm.clone(),
            widen: pack(layout, &[&layer.widen], 1),
            narrow: pack_narrow(layout, &layer.narrow),
            narrow_norm: layer.narrow_norm.clone(),
        });
        Self {
            level,
            width: layers.first().map_or(0, |layer| layer.gather.outputs()),
            layers: packed.collect(),
            heads,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The level's name, for the encoder's identity.
    pub(super) fn kernel(&self) -> &'static str {
        self.level.name()
    }

    /// Runs all layers over sequences of these lengths, whose rows lie end to end in `hidden`.
    pub(super) fn forward(&self, hidden: &mut [f32], lengths: &[usize]) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = idle.pop();
        drop(idle);
        let mut buffers = buffers.unwrap_or_else(|| Buffers::of(self.level));
        for layer in &self.layers {
            self.gather(layer, hidden, lengths, &mut buffers);
            self.transform(layer, hidden, &mut buffers);
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(buffers);
    }

    /// As [`forward`](Self::forward), and gives what came into each layer's attention and into its
    /// transformation: the largest magnitude of each value.
    pub(super) fn largest_inputs(&self, hidden: &mut [f32], lengths: &[usize]) -> Vec<Largest> {
        let mut buffers = Buffers::of(self.level);
        let layers = self.layers.iter().map(|layer| {
            let attend = largest_of_columns(hidden, self.width);
            self.gather(layer, hidden, lengths, &mut buffers);
            let widen = largest_of_columns(hidden, self.width);
            self.transform(layer, hidden, &mut buffers);
            Largest { attend, widen }
        });
        layers.collect()
    }

    /// The first half of a layer: what each token takes from the others.
    fn gather(
        &self,
        layer: &PackedLayer,
        hidden: &mut [f32],
        lengths: &[usize],
        with: &mut Buffers,
    ) {
        let level = self.level;
        kernel::quantise(level, hidden, &layer.attend, &mut with.activations);
        with.context.resize(hidden.len(), 0.0);
        self.attend(&layer.attend, lengths, with);
        kernel::quantise(level, &with.context, &layer.gather, &mut with.activations);
        multiply(level, &with.activations, &layer.gather, Effect::Add, hidden);
        kernel::normalise(level, hidden, &layer.gather_norm);
    }

    /// The second half: what becomes of each token by itself.
    fn transform(&self, layer: &PackedLayer, hidden: &mut [f32], with: &mut Buffers) {
        let level = self.level;
        kernel::quantise(level, hidden, &layer.widen, &mut with.activations);
        for part in &layer.narrow {
            let widen = Part {
                linear: &layer.widen,
                panels: part.panels.clone(),
            };
            let inputs = part.linear.inputs();
            with.wide.resize(hidden.len() / self.width * inputs, 0.0);
            kernel::product(
                level,
                &with.activations,
                widen,
                Effect::Gelu,
                &mut with.wide,
            );
            kernel::quantise(level, &with.wide, &part.linear, &mut with.wide_activations);
            multiply(
                level,
                &with.wide_activations,
                &part.linear,
                Effect::Add,
                hidden,
            );
        }
        kernel::normalise(level, hidden, &layer.narrow_norm);
    }

    /// Attention of each sequence to itself, head by head, so that what belongs to one stays in the cache.
    fn attend(&self, linear: &PackedLinear, lengths: &[usize], with: &mut Buffers) {
        let length = self.width / self.heads;
        let tokens: usize = lengths.iter().sum();
        let panels = linear.panels().len() / self.heads;
        with.attended.resize(tokens * 3 * length, 0.0);
        for head in 0..self.heads {
            let part = Part {
                linear,
                panels: head * panels..(head + 1) * panels,
            };
            let attended = &mut with.attended;
            kernel::product(self.level, &with.activations, part, Effect::Store, attended);
            let mut first = 0;
            for sequence in lengths {
                let rows = first * 3 * length..(first + sequence) * 3 * length;
                let heads = Heads {
                    rows: &with.attended[rows],
                    length,
                    place: head * length,
                    width: self.width,
                };
                let context = &mut with.context[first * self.width..];
                kernel::attend(self.level, heads, &mut with.attention, context);
                first += sequence;
            }
        }
    }
}

fn multiply(
    level: Level,
    rows: &Activations,
    linear: &PackedLinear,
    effect: Effect,
    out: &mut [f32],
) {
    let panels = linear.panels();
    kernel::product(level, rows, Part { linear, panels }, effect, out);
}

/// Cuts the inputs in nearly equal parts, at the same places for every layout: each part has its own scale. The
/// first part adds the bias.
fn pack_narrow(layout: Layout, narrow: &Linear) -> Vec<NarrowPart> {
    let depth = narrow.inputs();
    let units = depth / PART_UNIT;
    let parts = depth.div_ceil(PART_INPUTS_MAX);
    let quantised = narrow.weights.quantised();
    let parts = (0..parts).map(|part| {
        let inputs = units * part / parts * PART_UNIT..units * (part + 1) / parts * PART_UNIT;
        let rows = quantised.integers.chunks_exact(depth);
        let integers: Vec<i8> = rows
            .flat_map(|row| row[inputs.clone()].iter().copied())
            .collect();
        let bias = if part == 0 {
            narrow.bias.clone()
        } else {
            vec![0.0; narrow.bias.len()]
        };
        let factors = quantised.input_factors.as_deref();
        let unpacked = Unpacked {
            integers: &integers,
            scales: &quantised.scales,
            bias: &bias,
            input_factors: factors.map(|it| &it[inputs.clone()]),
        };
        let columns = layout.columns();
        NarrowPart {
            panels: inputs.start / columns..inputs.end / columns,
            linear: PackedLinear::pack(layout, inputs.len(), &unpacked),
        }
    });
    parts.collect()
}

/// Cuts the outputs of several matrices of one shape and with the same input factors in so many parts and packs
/// the first part of each, then the second, and so on.
fn pack(layout: Layout, linears: &[&Linear], parts: usize) -> PackedLinear {
    let depth = linears.first().map_or(0, |linear| linear.inputs());
    let quantised: Vec<_> = linears.iter().map(|it| it.weights.quantised()).collect();
    let (mut integers, mut scales, mut bias) = (Vec::new(), Vec::new(), Vec::new());
    for part in 0..parts {
        for (linear, quantised) in linears.iter().zip(&quantised) {
            let length = linear.outputs() / parts;
            let outputs = part * length..(part + 1) * length;
            let weights = outputs.start * depth..outputs.end * depth;
            integers.extend_from_slice(&quantised.integers[weights]);
            scales.extend_from_slice(&quantised.scales[outputs.clone()]);
            bias.extend_from_slice(&linear.bias[outputs]);
        }
    }
    let first = quantised.first();
    let unpacked = Unpacked {
        integers: &integers,
        scales: &scales,
        bias: &bias,
        input_factors: first.and_then(|it| it.input_factors.as_deref()),
    };
    PackedLinear::pack(layout, depth, &unpacked)
}
