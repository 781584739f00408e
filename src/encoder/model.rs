//! A BERT-shaped sentence encoder: tokens to rows, rows through the layers, rows to one unit vector
//! a window.
//!
//! Windows are sorted by length and dealt to groups of nearly equal work. On the CPU each group is one
//! thread's, from the first layer to the last, so that threads meet once a batch and not once an
//! operation; a GPU takes a group at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Device;

use super::candle::CandleLayers;
use super::kernel::{Kernel, Level};
use super::manifest::Pooling;
use super::native::NativeLayers;
use super::open::Files;
use super::parameters::{Embedding, Parameters};
use super::tokeniser::Tokeniser;
use super::weights::Weights;
use super::{Encoder, Error, FRAME_TOKENS, Identity, Window};
use crate::vector::{self, Vectors};

/// The fewest tokens that are worth a thread of their own: below, reading the weights takes longer than
/// the arithmetic, and a second thread would only read them again.
const GROUP_TOKENS_MIN: usize = 32;

/// The most tokens of a group on the CPU (or one window): its buffers then stay in the second-level cache.
const GROUP_TOKENS_MAX: usize = 192;

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
    threads: usize,
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
        let parameters = Parameters::read(&weights, &files.config)?;
        let heads = files.config.num_attention_heads;
        let level = match kernel {
            None | Some(Kernel::Candle) => Level::best(),
            Some(kernel) => Level::forced(kernel)?,
        };
        let device_name = name_of(&device);
        let is_native =
            kernel != Some(Kernel::Candle) && device.is_cpu() && NativeLayers::suit(&files.config);
        let layers = if is_native {
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
            tokeniser: Tokeniser::parse(&files.tokeniser_path, files.tokeniser)?,
            embedding: parameters.embedding,
            level,
            layers,
            pooling: files.pooling,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
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

    fn groups(&self, windows: &[Window]) -> Vec<Vec<usize>> {
        let lengths = windows
            .iter()
            .map(|window| window.tokens.len() + FRAME_TOKENS);
        let lengths: Vec<usize> = lengths.collect();
        let tokens: usize = lengths.iter().sum();
        let groups = match &self.layers {
            Layers::Candle(_) => tokens.div_ceil(DEVICE_GROUP_TOKENS_MAX),
            Layers::Native(_) => {
                let worth = tokens / GROUP_TOKENS_MIN;
                let rounds = tokens.div_ceil(GROUP_TOKENS_MAX * self.threads);
                worth.min(rounds * self.threads)
            }
        };
        deal(&lengths, groups)
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

    /// Encodes all groups, by as many threads as there are, and puts every vector in its window's place.
    fn encode_groups(&self, groups: &[Vec<usize>], windows: &[Window]) -> Result<Vec<f32>, Error> {
        let width = self.identity.dimensions;
        let vectors = Mutex::new(Ok(vec![0.0; windows.len() * width]));
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let encoded = self.encode_group(group, windows);
                let Ok(mut vectors) = vectors.lock() else {
                    return;
                };
                match (vectors.as_mut(), encoded) {
                    (Ok(vectors), Ok(encoded)) => place(vectors, group, &encoded, width),
                    (Ok(_), Err(problem)) => *vectors = Err(problem),
                    (Err(_), _) => return,
                }
            }
        };
        let helpers = match &self.layers {
            Layers::Native(_) => self.threads.min(groups.len()).saturating_sub(1),
            Layers::Candle(_) => 0,
        };
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(work);
            }
            work();
        });
        vectors
            .into_inner()
            .map_err(|_| Error::Compute("one of its threads panicked".to_owned()))?
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
        let vectors = self.encode_groups(&self.groups(windows), windows)?;
        Vectors::from_flat(width, vectors)
            .ok_or_else(|| Error::Compute("a vector is not whole".to_owned()))
    }
}

/// Deals windows to so many groups (at least one), the longest first, each to the group that has least.
fn deal(lengths: &[usize], groups: usize) -> Vec<Vec<usize>> {
    let groups = groups.clamp(1, lengths.len().max(1));
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut dealt = vec![Vec::new(); groups];
    let mut loads: Vec<usize> = vec![0; groups];
    for index in order {
        let lightest = loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let group = lightest.map_or(0, |(group, _)| group);
        dealt[group].push(index);
        loads[group] += lengths[index];
    }
    dealt
}

fn place(vectors: &mut [f32], group: &[usize], encoded: &[f32], width: usize) {
    for (index, vector) in group.iter().zip(encoded.chunks_exact(width)) {
        vectors[index * width..(index + 1) * width].copy_from_slice(vector);
    }
}

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
