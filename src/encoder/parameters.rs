//! What a BERT learnt, by the names that its weights file uses: read once, before a backend brings it
//! into the form that it computes with.

use super::Error;
use super::kernel::{Level, Norm, normalise};
use super::published::Config;
use super::weights::{Matrix, Weights};

/// All that a BERT learnt.
pub(super) struct Parameters {
    pub(super) embedding: Embedding,
    pub(super) layers: Vec<Layer>,
}

/// What one layer learnt.
pub(super) struct Layer {
    /// Divided by the square root of the length of a head, so that no product of it needs to be.
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) gather: Linear,
    pub(super) gather_norm: Norm,
    pub(super) widen: Linear,
    pub(super) narrow: Linear,
    pub(super) narrow_norm: Norm,
}

/// `y = W x + b`; the weights of an output lie together.
pub(super) struct Linear {
    pub(super) weights: Matrix,
    pub(super) bias: Vec<f32>,
}

impl Linear {
    fn read(
        weights: &Weights<'_>,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            weights: weights.matrix(&format!("{name}.weight"), [outputs, inputs])?,
            bias: weights.vector(&format!("{name}.bias"), outputs)?,
        })
    }

    fn scale(&mut self, factor: f32) {
        self.weights.scale(factor);
        for value in &mut self.bias {
            *value *= factor;
        }
    }

    /// How many values it takes.
    pub(super) fn inputs(&self) -> usize {
        self.weights.columns
    }

    /// How many values it gives.
    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }
}

impl Parameters {
    pub(super) fn read(weights: &Weights<'_>, config: &Config) -> Result<Self, Error> {
        let layers = (0..config.num_hidden_layers).map(|index| Layer::read(weights, config, index));
        Ok(Self {
            embedding: Embedding::read(weights, config)?,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }
}

impl Layer {
    fn read(weights: &Weights<'_>, config: &Config, index: usize) -> Result<Self, Error> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let square = |part: &str| Linear::read(weights, &name(part), hidden, hidden);
        let head_length = hidden / config.num_attention_heads;
        let mut query = square("attention.self.query")?;
        query.scale(as_float(head_length).sqrt().recip());
        let (key, value) = (
            square("attention.self.key")?,
            square("attention.self.value")?,
        );
        for linear in [&key, &value] {
            if linear.weights.input_factors() != query.weights.input_factors() {
                return Err(weights.unlike_factors(&name("attention.self")));
            }
        }
        Ok(Self {
            query,
            key,
            value,
            gather: square("attention.output.dense")?,
            gather_norm: read_norm(weights, config, &name("attention.output.LayerNorm"))?,
            widen: Linear::read(weights, &name("intermediate.dense"), wide, hidden)?,
            narrow: Linear::read(weights, &name("output.dense"), hidden, wide)?,
            narrow_norm: read_norm(weights, config, &name("output.LayerNorm"))?,
        })
    }
}

fn read_norm(weights: &Weights<'_>, config: &Config, name: &str) -> Result<Norm, Error> {
    Ok(Norm {
        scale: weights.vector(&format!("{name}.weight"), config.hidden_size)?,
        shift: weights.vector(&format!("{name}.bias"), config.hidden_size)?,
        epsilon: config.layer_norm_eps,
    })
}

/// The first step, from token ids to vectors. Its tables stay in the form they are stored in: a window
/// reads a few rows of them, and as floats they would take more memory than all the layers.
pub(super) struct Embedding {
    words: Matrix,
    positions: Matrix,
    /// The segment's row; there is one segment.
    segment: Vec<f32>,
    norm: Norm,
}

impl Embedding {
    fn read(weights: &Weights<'_>, config: &Config) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        let table = |name: &str, rows: usize| {
            weights.matrix(
                &format!("embeddings.{name}_embeddings.weight"),
                [rows, hidden],
            )
        };
        let mut segment = vec![0.0; hidden];
        // The shape was checked, and a table of segments has at least one row.
        let segments = table("token_type", config.type_vocab_size)?;
        segments.add_row(0, &mut segment).unwrap_or_default();
        Ok(Self {
            words: table("word", config.vocab_size)?,
            positions: table("position", config.max_position_embeddings)?,
            segment,
            norm: read_norm(weights, config, "embeddings.LayerNorm")?,
        })
    }

    /// Appends one row a token to `hidden`.
    pub(super) fn embed(
        &self,
        level: Level,
        tokens: impl Iterator<Item = u32>,
        hidden: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let first = hidden.len();
        for (position, token) in tokens.enumerate() {
            let start = hidden.len();
            hidden.extend_from_slice(&self.segment);
            let row = &mut hidden[start..];
            let word = usize::try_from(token).ok();
            word.and_then(|word| self.words.add_row(word, row))
                .ok_or(Error::UnknownToken {
                    token,
                    vocabulary: self.words.rows,
                })?;
            self.positions
                .add_row(position, row)
                .ok_or(Error::WindowTooLong {
                    found: position + 1,
                    most: self.positions.rows,
                })?;
        }
        normalise(level, &mut hidden[first..], &self.norm);
        Ok(())
    }
}

/// The length of a head as a float; it is far below 65,536.
fn as_float(length: usize) -> f32 {
    u16::try_from(length).map_or(f32::from(u16::MAX), f32::from)
}
