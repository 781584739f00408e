//! The layers in candle: what GPUs run, and, on the CPU, the reference that the native layers are
//! compared with.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};

use super::kernel::Norm;
use super::parameters::{Layer, Linear};

/// The layers of a BERT as tensors on a device.
pub(super) struct CandleLayers {
    device: Device,
    layers: Vec<LayerTensors>,
    heads: usize,
    width: usize,
}

struct LayerTensors {
    attend: LinearTensors,
    gather: LinearTensors,
    gather_norm: NormTensors,
    widen: LinearTensors,
    narrow: LinearTensors,
    narrow_norm: NormTensors,
}

struct LinearTensors {
    /// Inputs by outputs.
    weights: Tensor,
    bias: Tensor,
}

struct NormTensors {
    scale: Tensor,
    shift: Tensor,
    epsilon: f32,
}

impl LinearTensors {
    /// Loads matrices of one depth, one below the other.
    fn load(linears: &[&Linear], device: &Device) -> Result<Self> {
        let inputs = linears.first().map_or(0, |linear| linear.inputs());
        let outputs: usize = linears.iter().map(|linear| linear.outputs()).sum();
        let weights = linears.iter().flat_map(|linear| linear.weights.to_floats());
        let weights: Vec<f32> = weights.collect();
        let weights = Tensor::from_vec(weights, (outputs, inputs), device)?;
        let bias = linears
            .iter()
            .flat_map(|linear| linear.bias.iter().copied());
        Ok(Self {
            weights: weights.t()?.contiguous()?,
            bias: Tensor::from_vec(bias.collect::<Vec<f32>>(), outputs, device)?,
        })
    }

    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        input.matmul(&self.weights)?.broadcast_add(&self.bias)
    }
}

impl NormTensors {
    fn load(norm: Norm, device: &Device) -> Result<Self> {
        let width = norm.scale.len();
        Ok(Self {
            scale: Tensor::from_vec(norm.scale, width, device)?,
            shift: Tensor::from_vec(norm.shift, width, device)?,
            epsilon: norm.epsilon,
        })
    }

    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        layer_norm(input, &self.scale, &self.shift, self.epsilon)
    }
}

impl LayerTensors {
    fn load(layer: Layer, device: &Device) -> Result<Self> {
        Ok(Self {
            attend: LinearTensors::load(&[&layer.query, &layer.key, &layer.value], device)?,
            gather: LinearTensors::load(&[&layer.gather], device)?,
            gather_norm: NormTensors::load(layer.gather_norm, device)?,
            widen: LinearTensors::load(&[&layer.widen], device)?,
            narrow: LinearTensors::load(&[&layer.narrow], device)?,
            narrow_norm: NormTensors::load(layer.narrow_norm, device)?,
        })
    }
}

impl CandleLayers {
    /// Brings the layers to the device.
    pub(super) fn load(layers: Vec<Layer>, heads: usize, device: Device) -> Result<Self> {
        let width = layers.first().map_or(0, |layer| layer.gather.outputs());
        let layers = layers
            .into_iter()
            .map(|layer| LayerTensors::load(layer, &device));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            device,
            heads,
            width,
        })
    }

    /// Runs all layers over sequences of these lengths, whose rows lie end to end in `hidden`.
    pub(super) fn forward(&self, hidden: &mut [f32], lengths: &[usize]) -> Result<()> {
        let rows: usize = lengths.iter().sum();
        let mut state = Tensor::from_slice(hidden, (rows, self.width), &self.device)?;
        for layer in &self.layers {
            let attended = layer.attend.apply(&state)?;
            let context = self.attend_all(&attended, lengths)?;
            let gathered = (layer.gather.apply(&context)? + &state)?;
            state = layer.gather_norm.apply(&gathered)?;
            let wide = layer.widen.apply(&state)?.gelu_erf()?;
            let narrowed = (layer.narrow.apply(&wide)? + &state)?;
            state = layer.narrow_norm.apply(&narrowed)?;
        }
        hidden.copy_from_slice(&state.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    /// Attention of each sequence to itself; neighbours of one length go through together.
    fn attend_all(&self, attended: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let mut contexts = Vec::new();
        let mut first = 0;
        for same in lengths.chunk_by(|left, right| left == right) {
            let (count, length) = (same.len(), same[0]);
            let rows = attended.narrow(0, first, count * length)?;
            contexts.push(self.attend(&rows, count, length)?);
            first += count * length;
        }
        Tensor::cat(&contexts, 0)
    }

    fn attend(&self, rows: &Tensor, count: usize, length: usize) -> Result<Tensor> {
        let head_length = self.width / self.heads;
        let part = |index: usize| {
            rows.narrow(D::Minus1, index * self.width, self.width)?
                .reshape((count, length, self.heads, head_length))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let shares = softmax_last_dim(&queries.matmul(&keys.t()?.contiguous()?)?)?;
        let taken = shares.matmul(&values)?.transpose(1, 2)?;
        taken.reshape((count * length, self.width))
    }
}
