//! Makes the folder that ships from a model as its authors published it: matrices become 8-bit
//! integers with one scale a row, which is a quarter of the size at a cosine above 0.999 to the
//! original, and everything else stays as it was.
//!
//! The same source gives the same bytes, so that anyone can make the shipped file again and compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;

use super::Error;
use super::manifest::{
    CONFIG_FILE, FORMAT, MANIFEST_FILE, Manifest, Origin, Quantisation, TOKENISER_FILE,
    WEIGHTS_FILE, sha256,
};
use super::published::{Published, read};
use super::weights::{SCALE_SUFFIX, floats};

/// The largest integer: symmetric, so that a weight and its negative are equally exact.
const INTEGER_MAX: f32 = 127.0;

/// What the forward pass never reads: a head that was trained for another task, and the numbers 0, 1, 2 ….
const LEFT_OUT: [&str; 2] = ["pooler.", "position_ids"];

/// Who made a model and on which terms, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The model's name.
    pub name: String,
    /// The address of its page.
    pub url: String,
    /// Its licence, as SPDX names it.
    pub licence: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The folder that was written.
    pub folder: PathBuf,
    /// How many matrices became integers.
    pub matrices: usize,
    /// The size of the weights before.
    pub source_bytes: usize,
    /// The size of the weights now.
    pub bytes: usize,
    /// The SHA-256 of the weights: the identity that vectors are compared under.
    pub digest: String,
    /// The largest relative change of a row (the length of the difference by that of the row).
    pub row_change_max: f32,
}

/// Writes `out_dir` from the `config.json`, `tokenizer.json` and `model.safetensors` of
/// `source_dir`.
#[expect(
    clippy::module_name_repetitions,
    reason = "callers name it without its module"
)]
pub fn quantise_model(source_dir: &Path, out_dir: &Path, source: Source) -> Result<Report, Error> {
    let published = Published::read(source_dir)?;
    let weights_path = source_dir.join(WEIGHTS_FILE);
    let original = read(&weights_path)?;
    let quantised = quantise_weights(&weights_path, &original)?;

    let files = [
        (WEIGHTS_FILE, quantised.bytes.as_slice()),
        (TOKENISER_FILE, &read(&source_dir.join(TOKENISER_FILE))?),
        (CONFIG_FILE, &read(&source_dir.join(CONFIG_FILE))?),
    ];
    fs::create_dir_all(out_dir).map_err(|problem| unwritable(out_dir, problem))?;
    let mut digests = BTreeMap::new();
    for (name, bytes) in files {
        write(&out_dir.join(name), bytes)?;
        digests.insert(name.to_owned(), sha256(bytes));
    }
    let manifest = Manifest {
        format: FORMAT,
        name: source.name,
        source: Origin {
            url: source.url,
            weights_sha256: sha256(&original),
        },
        licence: source.licence,
        dimensions: published.config.hidden_size,
        pooling: published.pooling,
        window_tokens: published.window_tokens,
        quantisation: Quantisation::Int8PerRow,
        files: digests,
    };
    write_manifest(&out_dir.join(MANIFEST_FILE), &manifest)?;
    Ok(Report {
        folder: out_dir.to_owned(),
        matrices: quantised.matrices,
        source_bytes: original.len(),
        bytes: quantised.bytes.len(),
        digest: sha256(&quantised.bytes),
        row_change_max: quantised.row_change_max,
    })
}

struct QuantisedWeights {
    bytes: Vec<u8>,
    matrices: usize,
    row_change_max: f32,
}

fn quantise_weights(path: &Path, original: &[u8]) -> Result<QuantisedWeights, Error> {
    let damaged = |problem: safetensors::SafeTensorError| Error::Damaged {
        path: path.to_owned(),
        detail: problem.to_string(),
    };
    let tensors = SafeTensors::deserialize(original).map_err(damaged)?;
    let mut written: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut matrices = 0;
    let mut row_change_max = 0.0_f32;
    for (name, tensor) in tensors.iter() {
        if LEFT_OUT.iter().any(|part| name.contains(part)) {
            continue;
        }
        if tensor.dtype() != Dtype::F32 {
            return Err(Error::Unsupported {
                path: path.to_owned(),
                detail: format!(
                    "the tensor \"{name}\" is {:?}, expected F32",
                    tensor.dtype()
                ),
            });
        }
        let shape = tensor.shape().to_vec();
        let [_, columns] = shape[..] else {
            written.push((name.to_owned(), Dtype::F32, shape, tensor.data().to_vec()));
            continue;
        };
        let quantised = quantise_rows(&floats(tensor.data()), columns);
        matrices += 1;
        row_change_max = row_change_max.max(quantised.row_change_max);
        let scale_name = format!("{name}{SCALE_SUFFIX}");
        let scales = quantised
            .scales
            .iter()
            .flat_map(|scale| scale.to_le_bytes());
        let integers = quantised
            .integers
            .iter()
            .map(|integer| integer.cast_unsigned());
        written.push((scale_name, Dtype::F32, vec![shape[0]], scales.collect()));
        written.push((name.to_owned(), Dtype::I8, shape, integers.collect()));
    }
    let views = written.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(damaged)?;
    let bytes = safetensors::serialize(views, None).map_err(damaged)?;
    Ok(QuantisedWeights {
        bytes,
        matrices,
        row_change_max,
    })
}

/// A matrix as integers with one scale a row.
pub(super) struct QuantisedRows {
    pub(super) integers: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) row_change_max: f32,
}

/// The nearest integers, row by row.
pub(super) fn quantise_rows(values: &[f32], columns: usize) -> QuantisedRows {
    let mut quantised = QuantisedRows {
        integers: Vec::with_capacity(values.len()),
        scales: Vec::new(),
        row_change_max: 0.0,
    };
    for row in values.chunks_exact(columns.max(1)) {
        let largest = row
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = largest / INTEGER_MAX;
        quantised.scales.push(scale);
        let (mut changed, mut length) = (0.0_f32, 0.0_f32);
        for value in row {
            let integer = nearest_integer(*value, scale);
            quantised.integers.push(integer);
            changed += (value - f32::from(integer) * scale).powi(2);
            length += value.powi(2);
        }
        if 0.0 < length {
            let change = (changed / length).sqrt();
            quantised.row_change_max = quantised.row_change_max.max(change);
        }
    }
    quantised
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is rounded and clamped to the integers of 8 bits just before"
)]
fn nearest_integer(value: f32, scale: f32) -> i8 {
    if scale <= 0.0 {
        return 0;
    }
    (value / scale)
        .round_ties_even()
        .clamp(-INTEGER_MAX, INTEGER_MAX) as i8
}

pub(super) fn write_manifest<M: Serialize>(path: &Path, manifest: &M) -> Result<(), Error> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|problem| unwritable(path, std::io::Error::other(problem)))?;
    json.push(b'\n');
    write(path, &json)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|problem| unwritable(path, problem))
}

pub(super) fn unwritable(path: &Path, source: std::io::Error) -> Error {
    Error::Unwritable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_weight_of_a_row_is_kept_exactly_and_the_others_to_half_a_step() {
        let row = [0.5, -1.27, 0.004, 0.0];
        let quantised = quantise_rows(&row, 4);
        assert_eq!(quantised.integers, [50, -127, 0, 0]);
        let scale = quantised.scales[0];
        assert!((scale - 0.01).abs() < 1e-7 && quantised.row_change_max < 0.005);
    }

    #[test]
    fn every_row_has_its_own_scale_and_a_row_of_zeros_stays_zero() {
        let quantised = quantise_rows(&[0.0, 0.0, 254.0, 2.0], 2);
        assert_eq!(quantised.scales, [0.0, 2.0]);
        assert_eq!(quantised.integers, [0, 0, 127, 1]);
    }
}
