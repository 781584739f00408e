//! The layers on the CPU, in one pass over buffers of our own.
//!
//! A general tensor library allocates for every operation, repacks both operands of every product
//! and divides each among all threads; for prompts of ten tokens that is most of the time. Here the
//! weights are packed once, the sequences of a batch lie end to end without padding, and a group of
//! them is one thread's work from the first layer to the last.

use super::kernel::{self, Level, Norm, PANEL, Panels, Rows};
use super::parameters::{Layer, Linear};

/// The layers of a BERT, ready for the CPU.
pub(super) struct NativeLayers {
    level: Level,
    layers: Vec<PackedLayer>,
    heads: usize,
    width: usize,
}

struct PackedLayer {
    attend: PackedLinear,
    gather: PackedLinear,
    gather_norm: Norm,
    widen: PackedLinear,
    narrow: PackedLinear,
    narrow_norm: Norm,
}

struct PackedLinear {
    panels: Panels,
    bias: Vec<f32>,
}

impl PackedLinear {
    fn pack(linear: &Linear) -> Self {
        let mut panels = Panels::default();
        panels.fill(linear.inputs, linear.outputs(), |input, output| {
            linear.weights[output * linear.inputs + input]
        });
        Self {
            panels,
            bias: linear.bias.clone(),
        }
    }
}

impl PackedLayer {
    fn pack(layer: Layer) -> Self {
        Self {
            attend: PackedLinear::pack(&layer.attend),
            gather: PackedLinear::pack(&layer.gather),
            gather_norm: layer.gather_norm,
            widen: PackedLinear::pack(&layer.widen),
            narrow: PackedLinear::pack(&layer.narrow),
            narrow_norm: layer.narrow_norm,
        }
    }
}

/// What a thread computes in; it grows to the largest group and is used again by every layer.
#[derive(Default)]
struct Buffers {
    attended: Vec<f32>,
    context: Vec<f32>,
    changed: Vec<f32>,
    wide: Vec<f32>,
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
    head: Vec<f32>,
}

impl NativeLayers {
    /// Whether every width fills whole panels. That of nearly every published BERT does; the others are candle's.
    pub(super) fn suit(layers: &[Layer]) -> bool {
        layers.iter().all(|layer| {
            [&layer.attend, &layer.gather, &layer.widen, &layer.narrow]
                .into_iter()
                .all(|linear| linear.outputs().is_multiple_of(PANEL))
        })
    }

    /// Packs layers that [`suit`](Self::suit).
    pub(super) fn pack(level: Level, layers: Vec<Layer>, heads: usize) -> Self {
        Self {
            level,
            width: layers.first().map_or(0, |layer| layer.gather.outputs()),
            layers: layers.into_iter().map(PackedLayer::pack).collect(),
            heads,
        }
    }

    /// The level's name, for the encoder's identity.
    pub(super) fn kernel(&self) -> &'static str {
        self.level.name()
    }

    /// Runs all layers over sequences of these lengths, whose rows lie end to end in `hidden`.
    pub(super) fn forward(&self, hidden: &mut [f32], lengths: &[usize]) {
        let mut buffers = Buffers::default();
        for layer in &self.layers {
            self.linear(&layer.attend, hidden, &mut buffers.attended);
            buffers.context.resize(hidden.len(), 0.0);
            self.attend_all(&mut buffers, lengths);
            self.linear(&layer.gather, &buffers.context, &mut buffers.changed);
            kernel::add_and_normalise(self.level, hidden, &buffers.changed, &layer.gather_norm);
            self.linear(&layer.widen, hidden, &mut buffers.wide);
            kernel::gelu(self.level, &mut buffers.wide);
            self.linear(&layer.narrow, &buffers.wide, &mut buffers.changed);
            kernel::add_and_normalise(self.level, hidden, &buffers.changed, &layer.narrow_norm);
        }
    }

    fn linear(&self, linear: &PackedLinear, input: &[f32], out: &mut Vec<f32>) {
        let rows = Rows {
            values: input,
            stride: linear.panels.depth,
            count: input.len() / linear.panels.depth,
        };
        out.resize(rows.count * linear.panels.width(), 0.0);
        kernel::multiply(self.level, rows, &linear.panels, &linear.bias, out);
    }

    fn attend_all(&self, buffers: &mut Buffers, lengths: &[usize]) {
        let mut first = 0;
        for length in lengths {
            for head in 0..self.heads {
                self.attend(
                    buffers,
                    Span {
                        first,
                        length: *length,
                    },
                    head,
                );
            }
            first += length;
        }
    }

    /// One head of one sequence: how much each token heeds each other, and what it takes from them.
    fn attend(&self, buffers: &mut Buffers, span: Span, head: usize) {
        let head_length = self.width / self.heads;
        let stride = 3 * self.width;
        let start = span.first * stride + head * head_length;
        let attended = &buffers.attended[start..];
        let (keys, values) = (&attended[self.width..], &attended[2 * self.width..]);

        buffers.keys.fill(head_length, span.length, |at, token| {
            keys[token * stride + at]
        });
        let width = buffers.keys.width();
        buffers.scores.resize(span.length * width, 0.0);
        let queries = Rows {
            values: attended,
            stride,
            count: span.length,
        };
        kernel::multiply(self.level, queries, &buffers.keys, &[], &mut buffers.scores);
        kernel::softmax(self.level, &mut buffers.scores, width, span.length);

        buffers.values.fill(span.length, head_length, |token, at| {
            values[token * stride + at]
        });
        let head_width = buffers.values.width();
        buffers.head.resize(span.length * head_width, 0.0);
        let shares = Rows {
            values: &buffers.scores,
            stride: width,
            count: span.length,
        };
        kernel::multiply(self.level, shares, &buffers.values, &[], &mut buffers.head);

        let context = buffers.context[span.first * self.width..].chunks_exact_mut(self.width);
        for (row, taken) in context.zip(buffers.head.chunks_exact(head_width)) {
            let place = &mut row[head * head_length..(head + 1) * head_length];
            place.copy_from_slice(&taken[..head_length]);
        }
    }
}

/// The rows of one sequence.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    length: usize,
}
