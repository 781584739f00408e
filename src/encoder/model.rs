//! A BERT-shaped sentence encoder: tokens to rows, rows through the layers, rows to one unit vector
//! a window.
//!
//! A call goes through its windows in groups that fill the cache and no more. On a CPU it stays on its
//! caller's thread from the first layer to the last: threads that meet after every operation wait for
//! the slowest, which on a shared machine is often late.

use candle_core::Device;

use super::candle::CandleLayers;
use super::kernel::{Kernel, Level};
use super::manifest::Pooling;
use super::native::NativeLayers;
use super::open::Files;
use super::parameters::{Embedding, Parameters};
use super::smoothing::{input_factors, smooth};
use super::tokeniser::Tokeniser;
use super::weights::Weights;
use super::{Batching, Encoder, Error, FRAME_TOKENS, Identity, Window};
use crate::vector::{self, Vectors};

/// The most tokens of a group on the CPU (or one window): its buffers then stay in the second-level cache.
const GROUP_TOKENS_MAX: usize = 192;

/// The tokens that prompts of different callers are put together up to. From about this many on, more make a
/// token cheaper by a twentieth, and keep whoever is in the group waiting for all of it.
const SHARED_TOKENS_MAX: usize = 32;

/// The most tokens of a group on a GPU: enough to fill it, and a bound on its memory.
const DEVICE_GROUP_TOKENS_MAX: usize = 16_384;

/// A loaded model.
pub(super) struct Bert {
    identity: Identity,
    tokeniser: Tokeniser,
    embedding: Embedding,
    level: Level,
    layers: Layers,
    pooling: Pooling,
}

enum Layers {
    Native(NativeLayers),
    Candle(CandleLayers),
}

impl Bert {
    /// Loads a model onto a device.
    pub(super) fn load(
        files: Files,
        device: Device,
        kernel: Option<Kernel>,
    ) -> Result<Self, Error> {
        let weights = Weights::parse(&files.weights_path, &files.weights)?;
        let mut parameters = Parameters::read(&weights, &files.config)?;
        let tokeniser = Tokeniser::parse(&files.tokeniser_path, files.tokeniser)?;
        let heads = files.config.num_attention_heads;
        let level = match kernel {
            None | Some(Kernel::Candle) => Level::best(),
            Some(kernel) => Level::forced(kernel)?,
        };
        let device_name = name_of(&device);
        let is_native =
            kernel != Some(Kernel::Candle) && device.is_cpu() && NativeLayers::suit(&files.config);
        let layers = if is_native {
            let factors = input_factors(&parameters, &files.config, tokeniser.frame(), level)?;
            smooth(&mut parameters.layers, &factors);
            Layers::Native(NativeLayers::pack(level, &parameters.layers, heads))
        } else {
            let loaded = CandleLayers::load(parameters.layers, heads, device);
            Layers::Candle(loaded.map_err(failed)?)
        };
        let kernel = match &layers {
            Layers::Native(layers) => layers.kernel(),
            Layers::Candle(_) => "candle-f32",
        };
        Ok(Self {
            identity: Identity {
                name: files.name,
                digest: files.digest,
                kernel: kernel.to_owned(),
                dimensions: files.config.hidden_size,
                window_tokens: files.window_tokens,
                device: device_name,
            },
            tokeniser,
            embedding: parameters.embedding,
            level,
            layers,
            pooling: files.pooling,
        })
    }

    fn check(&self, windows: &[Window]) -> Result<(), Error> {
        let most = self.identity.content_tokens();
        let lengths = windows.iter().map(|window| window.tokens.len());
        match lengths.max().filter(|longest| most < *longest) {
            Some(found) => Err(Error::WindowTooLong { found, most }),
            None => Ok(()),
        }
    }

    fn group_tokens_max(&self) -> usize {
        match &self.layers {
            Layers::Native(_) => GROUP_TOKENS_MAX,
            Layers::Candle(_) => DEVICE_GROUP_TOKENS_MAX,
        }
    }

    /// The vectors of a group's windows, end to end.
    fn encode_group(&self, group: &[usize], windows: &[Window]) -> Result<Vec<f32>, Error> {
        let width = self.identity.dimensions;
        let [before, after] = self.tokeniser.frame();
        let mut hidden = Vec::new();
        let mut lengths = Vec::with_capacity(group.len());
        for index in group {
            let content = &windows[*index].tokens;
            let tokens = std::iter::once(before)
                .chain(content.iter().copied())
                .chain(std::iter::once(after));
            self.embedding.embed(self.level, tokens, &mut hidden)?;
            lengths.push(content.len() + FRAME_TOKENS);
        }
        match &self.layers {
            Layers::Native(layers) => layers.forward(&mut hidden, &lengths),
            Layers::Candle(layers) => layers.forward(&mut hidden, &lengths).map_err(failed)?,
        }
        let mut vectors = Vec::with_capacity(group.len() * width);
        let mut rest = hidden.as_slice();
        for length in lengths {
            let (rows, others) = rest.split_at(length * width);
            rest = others;
            let start = vectors.len();
            vectors.resize(start + width, 0.0);
            pool(self.pooling, rows, &mut vectors[start..]);
        }
        Ok(vectors)
    }
}

impl Encoder for Bert {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokeniser.tokenise(text)
    }

    fn encode(&self, windows: &[Window]) -> Result<Vectors, Error> {
        self.check(windows)?;
        let width = self.identity.dimensions;
        if windows.is_empty() {
            return Ok(Vectors::new(width));
        }
        let mut vectors = vec![0.0; windows.len() * width];
        for group in groups(windows, self.group_tokens_max()) {
            let encoded = self.encode_group(&group, windows)?;
            for (index, vector) in group.iter().zip(encoded.chunks_exact(width)) {
                vectors[index * width..(index + 1) * width].copy_from_slice(vector);
            }
        }
        Vectors::from_flat(width, vectors)
            .ok_or_else(|| Error::Compute("a vector is not whole".to_owned()))
    }

    fn batching(&self) -> Batching {
        match &self.layers {
            Layers::Native(_) => Batching {
                threads_max: std::thread::available_parallelism().map_or(1, usize::from),
                group_tokens: SHARED_TOKENS_MAX,
            },
            Layers::Candle(_) => Batching {
                threads_max: 1,
                group_tokens: DEVICE_GROUP_TOKENS_MAX,
            },
        }
    }
}

/// Puts windows in groups of so many tokens at most, or one longer window: the longest first, each in the
/// first group that has room.
fn groups(windows: &[Window], tokens_max: usize) -> Vec<Vec<usize>> {
    let tokens = |index: &usize| windows[*index].tokens.len() + FRAME_TOKENS;
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(tokens(index)));
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for index in order {
        let needed = tokens(&index);
        let open = groups.len().saturating_sub(OPEN_GROUPS);
        let mut roomy = groups[open..].iter_mut();
        match roomy.find(|(used, _)| *used + needed <= tokens_max) {
            Some((used, group)) => {
                *used += needed;
                group.push(index);
            }
            None => groups.push((needed, vec![index])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// How many groups are looked through for room: a bound on the time that many windows take.
const OPEN_GROUPS: usize = 16;

/// One unit vector from the rows of a window.
fn pool(pooling: Pooling, rows: &[f32], vector: &mut [f32]) {
    let counted = match pooling {
        // The sum points where the mean does.
        Pooling::Mean => rows,
        Pooling::First => &rows[..vector.len()],
    };
    for row in counted.chunks_exact(vector.len()) {
        for (total, value) in vector.iter_mut().zip(row) {
            *total += value;
        }
    }
    vector::normalise(vector);
}

fn name_of(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(problem: candle_core::Error) -> Error {
    Error::Compute(problem.to_string())
}

#[cfg(test)]
mod tests;
