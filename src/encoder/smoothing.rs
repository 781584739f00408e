//! Factors that make the inputs of a product alike before they become integers.
//!
//! A row of activations has one scale, and in a BERT a few of its values are ten times larger than the
//! others, always the same ones: what is left for the others is a fraction of the integers. So each input
//! is multiplied by a factor of its own and its weights are divided by it, which changes no product and
//! moves some of the difficulty to the weights, where every value is known (`SmoothQuant`, Xiao et al. 2023).
//!
//! Which inputs are large is a property of the model and not of what it reads: tokens from all over its own
//! vocabulary, in no order, show it as well as texts do, so that a model needs no texts to be made ready.

use super::kernel::Level;
use super::native::{Largest, NativeLayers};
use super::parameters::{Layer, Parameters};
use super::published::Config;
use super::{Error, FRAME_TOKENS};

/// How much of the difference between inputs the factors take away; the weights get the rest.
const SHARE: f32 = 0.6;

/// How many tokens each sequence has between its first and its last: two of each length.
const LENGTHS: [usize; 4] = [6, 14, 30, 62];

/// A step through the vocabulary that meets every token before one again, unless it divides their number.
const STRIDE: usize = 7919;

/// The factors of one layer.
pub(super) struct LayerFactors {
    /// For queries, keys and values.
    pub(super) attend: Vec<f32>,
    /// For what a token is widened to.
    pub(super) widen: Vec<f32>,
}

/// The factors of a model whose weights are floats; none for one whose weights are integers already, or whose
/// layers are not ours. Levels that fuse find the same.
pub(super) fn input_factors(
    parameters: &Parameters,
    config: &Config,
    frame: [u32; FRAME_TOKENS],
    level: Level,
) -> Result<Vec<LayerFactors>, Error> {
    let weights: Option<Vec<_>> = parameters.layers.iter().map(largest_weights).collect();
    let Some(weights) = weights.filter(|_| NativeLayers::suit(config)) else {
        return Ok(Vec::new());
    };
    let (mut hidden, mut lengths) = (Vec::new(), Vec::new());
    for sequence in sequences(config, frame) {
        lengths.push(sequence.len());
        let tokens = sequence.into_iter();
        parameters.embedding.embed(level, tokens, &mut hidden)?;
    }
    let layers = NativeLayers::pack(level, &parameters.layers, config.num_attention_heads);
    let inputs = layers.largest_inputs(&mut hidden, &lengths);
    let factors = inputs
        .iter()
        .zip(&weights)
        .map(|(inputs, weights)| LayerFactors {
            attend: factors(&inputs.attend, &weights.attend),
            widen: factors(&inputs.widen, &weights.widen),
        });
    Ok(factors.collect())
}

/// The largest magnitude among the weights of each input; `None` if they are integers.
fn largest_weights(layer: &Layer) -> Option<Largest> {
    let mut attend = layer.query.weights.largest_of_columns()?;
    for linear in [&layer.key, &layer.value] {
        let others = linear.weights.largest_of_columns()?;
        for (largest, other) in attend.iter_mut().zip(others) {
            *largest = largest.max(other);
        }
    }
    Some(Largest {
        attend,
        widen: layer.widen.weights.largest_of_columns()?,
    })
}

/// Makes the weights integers that have factors.
pub(super) fn smooth(layers: &mut [Layer], factors: &[LayerFactors]) {
    for (layer, factors) in layers.iter_mut().zip(factors) {
        for linear in [&mut layer.query, &mut layer.key, &mut layer.value] {
            linear.weights.quantise(&factors.attend);
        }
        layer.widen.weights.quantise(&factors.widen);
    }
}

/// Tokens from all over the vocabulary, as many as the positions reach.
fn sequences(config: &Config, frame: [u32; FRAME_TOKENS]) -> Vec<Vec<u32>> {
    let [before, after] = frame;
    let vocabulary = config.vocab_size.max(1);
    let mut next = 0;
    let sequences = LENGTHS.into_iter().chain(LENGTHS).map(|length| {
        let room = config.max_position_embeddings.saturating_sub(FRAME_TOKENS);
        let content = (0..length.min(room)).map(|_| {
            next = (next + STRIDE) % vocabulary;
            u32::try_from(next).unwrap_or(before)
        });
        let content: Vec<u32> = content.collect();
        [&[before], content.as_slice(), &[after]].concat()
    });
    sequences.collect()
}

/// Powers of two, by which nothing is rounded, and whose middle is one.
fn factors(inputs: &[f32], weights: &[f32]) -> Vec<f32> {
    let exponents = inputs.iter().zip(weights).map(|(input, weight)| {
        let exponent = (1.0 - SHARE) * weight.log2() - SHARE * input.log2();
        // An input or a weight that is always zero needs no factor.
        exponent.is_finite().then_some(exponent)
    });
    let exponents: Vec<Option<f32>> = exponents.collect();
    let known: Vec<f32> = exponents.iter().flatten().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "a count to divide by")]
    let middle = known.iter().sum::<f32>() / known.len().max(1) as f32;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a rounded difference of logarithms of floats is below 300"
    )]
    let power =
        |exponent: Option<f32>| exponent.map_or(1.0, |it| 2_f32.powi((it - middle).round() as i32));
    exponents.into_iter().map(power).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_inputs_get_small_factors_and_the_middle_is_one() {
        assert_eq!(factors(&[1.0, 32.0, 1.0], &[1.0; 3]), [2.0, 0.25, 2.0]);
        assert_eq!(factors(&[1.0; 2], &[1.0, 32.0]), [0.5, 2.0]);
    }

    #[test]
    fn what_is_always_zero_keeps_the_factor_one() {
        assert_eq!(factors(&[0.0, 1.0, 1.0], &[1.0, 0.0, 1.0]), [1.0; 3]);
    }
}
