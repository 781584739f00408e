//! The layers on the CPU, in one pass over buffers of our own, with weights and activations of 8 bits.
//!
//! A general tensor library allocates for every operation, repacks both operands of every product
//! and divides each among all threads; for prompts of ten tokens that is most of the time. Here the
//! weights are packed once, the sequences of a group lie end to end without padding, and a group is
//! one thread's work from the first layer to the last.

use std::sync::{Mutex, PoisonError};

use super::kernel::{
    self, Activations, Attention, Effect, Heads, Layout, Level, Norm, PackedLinear, Part, Unpacked,
};
use super::parameters::{Layer, Linear};
use super::published::Config;

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
    narrow: PackedLinear,
    narrow_norm: Norm,
}

/// What a group is computed in; it grows to the largest one.
struct Buffers {
    activations: Activations,
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
            attended: Vec::new(),
            attention: Attention::default(),
            context: Vec::new(),
            wide: Vec::new(),
        }
    }
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
            narrow: pack(layout, &[&layer.narrow], 1),
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
            self.run(layer, hidden, lengths, &mut buffers);
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(buffers);
    }

    fn run(&self, layer: &PackedLayer, hidden: &mut [f32], lengths: &[usize], with: &mut Buffers) {
        let level = self.level;
        kernel::quantise(level, hidden, self.width, &mut with.activations);
        with.context.resize(hidden.len(), 0.0);
        self.attend(&layer.attend, lengths, with);
        kernel::quantise(level, &with.context, self.width, &mut with.activations);
        multiply(level, &with.activations, &layer.gather, Effect::Add, hidden);
        kernel::normalise(level, hidden, &layer.gather_norm);
        kernel::quantise(level, hidden, self.width, &mut with.activations);
        let wide = layer.widen.outputs();
        with.wide.resize(hidden.len() / self.width * wide, 0.0);
        multiply(
            level,
            &with.activations,
            &layer.widen,
            Effect::Gelu,
            &mut with.wide,
        );
        kernel::quantise(level, &with.wide, wide, &mut with.activations);
        multiply(level, &with.activations, &layer.narrow, Effect::Add, hidden);
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

/// Cuts the outputs of several matrices of one shape in so many parts and packs the first part of
/// each, then the second, and so on.
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
    let unpacked = Unpacked {
        integers: &integers,
        scales: &scales,
        bias: &bias,
    };
    PackedLinear::pack(layout, depth, &unpacked)
}
