//! Makes the folder that ships from a model as its authors published it: matrices become 8-bit
//! integers with one scale a row, and those that read a layer's normalised rows a factor for each input as well
//! (`encoder/smoothing.rs`). That is a quarter of the size; everything else stays as it was.
//!
//! The same source gives the same bytes on processors that fuse multiplication and addition (x86-64 with AVX2,
//! 64-bit Arm), so that anyone can make the shipped file again and compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;

use super::Error;
use super::kernel::{Level, TWO_STEPS_MAX, two_steps_sum};
use super::manifest::{
    CONFIG_FILE, FORMAT, MANIFEST_FILE, Manifest, Origin, Quantisation, TOKENISER_FILE,
    WEIGHTS_FILE, sha256,
};
use super::parameters::Parameters;
use super::published::{Published, read};
use super::smoothing::{LayerFactors, input_factors};
use super::tokeniser::Tokeniser;
use super::weights::{INPUT_FACTOR_SUFFIX, SCALE_SUFFIX, Weights, floats};

/// The largest integer: symmetric, so that a weight and its negative are equally exact.
const INTEGER_MAX: f32 = 127.0;

/// What the forward pass never reads: a head that was trained for another task, and the numbers 0, 1, 2 ….
const LEFT_OUT: [&str; 2] = ["pooler.", "position_ids"];

/// What the names of the layers' tensors have in common, before the layer's number.
const LAYERS: &str = "encoder.layer.";

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
    /// The largest relative change of a row (the length of the difference by that of the row), without the factors of
    /// its inputs.
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
    let tokeniser_path = source_dir.join(TOKENISER_FILE);
    let tokeniser = read(&tokeniser_path)?;
    let frame = Tokeniser::parse(&tokeniser_path, tokeniser.clone().into())?.frame();
    let weights = Weights::parse(&weights_path, &original)?;
    let parameters = Parameters::read(&weights, &published.config)?;
    let factors = input_factors(&parameters, &published.config, frame, Level::best())?;
    let quantised = quantise_weights(&weights_path, &original, &factors)?;

    let files = [
        (WEIGHTS_FILE, quantised.bytes.as_slice()),
        (TOKENISER_FILE, &tokeniser),
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
        quantisation: if factors.is_empty() {
            Quantisation::Int8PerRow
        } else {
            Quantisation::Int8PerRowAndInput
        },
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

fn quantise_weights(
    path: &Path,
    original: &[u8],
    factors: &[LayerFactors],
) -> Result<QuantisedWeights, Error> {
    let damaged = |problem: safetensors::SafeTensorError| Error::Damaged {
        path: path.to_owned(),
        detail: problem.to_string(),
    };
    let tensors = SafeTensors::deserialize(original).map_err(damaged)?;
    let mut written = Written::default();
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
            written.push(name.to_owned(), Dtype::F32, shape, tensor.data().to_vec());
            continue;
        };
        let values = floats(tensor.data());
        let factors = factors_of(name, factors);
        let quantised = if name.contains(LAYERS) {
            quantise_linear(&values, columns, factors)
        } else {
            quantise_rows(&values, columns)
        };
        written.matrix(name, columns, &quantised, factors);
    }
    let views = written.tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(damaged)?;
    let bytes = safetensors::serialize(views, None).map_err(damaged)?;
    Ok(QuantisedWeights {
        bytes,
        matrices: written.matrices,
        row_change_max: written.row_change_max,
    })
}

/// The factors of the inputs of the matrix of this name, if it has any.
fn factors_of<'factors>(name: &str, factors: &'factors [LayerFactors]) -> Option<&'factors [f32]> {
    let (_, rest) = name.split_once(LAYERS)?;
    let (layer, part) = rest.split_once('.')?;
    let layer = factors.get(layer.parse::<usize>().ok()?)?;
    match part {
        "attention.self.query.weight"
        | "attention.self.key.weight"
        | "attention.self.value.weight" => Some(&layer.attend),
        "intermediate.dense.weight" => Some(&layer.widen),
        _ => None,
    }
}

/// What a weights file will hold.
#[derive(Default)]
struct Written {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    matrices: usize,
    row_change_max: f32,
}

impl Written {
    fn push(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        self.tensors.push((name, dtype, shape, bytes));
    }

    fn floats(&mut self, name: String, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.push(name, Dtype::F32, vec![values.len()], bytes.collect());
    }

    fn matrix(
        &mut self,
        name: &str,
        columns: usize,
        quantised: &QuantisedRows,
        factors: Option<&[f32]>,
    ) {
        self.matrices += 1;
        self.row_change_max = self.row_change_max.max(quantised.row_change_max);
        self.floats(format!("{name}{SCALE_SUFFIX}"), &quantised.scales);
        if let Some(factors) = factors {
            self.floats(format!("{name}{INPUT_FACTOR_SUFFIX}"), factors);
        }
        let integers = quantised.integers.iter();
        let bytes = integers.map(|integer| integer.cast_unsigned()).collect();
        let shape = vec![quantised.scales.len(), columns];
        self.push(name.to_owned(), Dtype::I8, shape, bytes);
    }
}

/// A matrix as integers with one scale a row.
pub(super) struct QuantisedRows {
    pub(super) integers: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) row_change_max: f32,
}

/// The nearest integers, row by row.
pub(super) fn quantise_rows(values: &[f32], columns: usize) -> QuantisedRows {
    let rows = values.chunks_exact(columns.max(1));
    collect(rows.map(|row| QuantisedRow::of(row, scale_of(row))))
}

/// The weights of a product: their columns are divided by the factors, and where the largest integers of a row
/// would leave no room to add up two steps of the product in 16 bits, the row's integers are all
/// smaller.
pub(super) fn quantise_linear(
    values: &[f32],
    columns: usize,
    input_factors: Option<&[f32]>,
) -> QuantisedRows {
    let rows = values.chunks_exact(columns.max(1)).map(|row| {
        let mut row = row.to_vec();
        for (value, factor) in row.iter_mut().zip(input_factors.unwrap_or_default()) {
            *value /= factor;
        }
        let mut scale = scale_of(&row);
        loop {
            let quantised = QuantisedRow::of(&row, scale);
            let sum = two_steps_sum(&quantised.integers);
            if sum <= TWO_STEPS_MAX {
                return quantised;
            }
            let wider = scale * (as_float(sum) / as_float(TWO_STEPS_MAX));
            // Among the smallest floats a factor may round to nothing.
            scale = wider.max(scale.next_up());
        }
    });
    collect(rows)
}

struct QuantisedRow {
    integers: Vec<i8>,
    scale: f32,
    /// The length of the difference by that of the row.
    change: f32,
}

impl QuantisedRow {
    fn of(row: &[f32], scale: f32) -> Self {
        let integers = row.iter().map(|value| nearest_integer(*value, scale));
        let integers: Vec<i8> = integers.collect();
        let (mut changed, mut length) = (0.0_f32, 0.0_f32);
        for (value, integer) in row.iter().zip(&integers) {
            changed += (value - f32::from(*integer) * scale).powi(2);
            length += value.powi(2);
        }
        Self {
            integers,
            scale,
            change: if 0.0 < length {
                (changed / length).sqrt()
            } else {
                0.0
            },
        }
    }
}

fn collect(rows: impl Iterator<Item = QuantisedRow>) -> QuantisedRows {
    let mut quantised = QuantisedRows {
        integers: Vec::new(),
        scales: Vec::new(),
        row_change_max: 0.0,
    };
    for row in rows {
        quantised.integers.extend_from_slice(&row.integers);
        quantised.scales.push(row.scale);
        quantised.row_change_max = quantised.row_change_max.max(row.change);
    }
    quantised
}

/// The step with which the largest value is the largest integer.
fn scale_of(row: &[f32]) -> f32 {
    let largest = row
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    largest / INTEGER_MAX
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

/// A sum of a few 8-bit integers as a float.
fn as_float(sum: i32) -> f32 {
    i16::try_from(sum).map_or(f32::from(i16::MAX), f32::from)
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

    #[test]
    fn weights_are_divided_by_the_factors_of_their_inputs() {
        let quantised = quantise_linear(&[1.27, 0.02, 0.0, 0.0], 4, Some(&[1.0, 0.5, 1.0, 1.0]));
        assert_eq!(quantised.integers, [127, 4, 0, 0]);
    }

    #[test]
    fn a_row_of_large_weights_leaves_room_for_two_steps_and_stays_what_it_was() {
        let row = [1.0, 0.9, 0.1, -0.1, 0.8, 1.0, 0.0, 0.3];
        let quantised = quantise_linear(&row, 8, None);
        assert!(two_steps_sum(&quantised.integers) <= TWO_STEPS_MAX);
        assert!(two_steps_sum(&quantise_rows(&row, 8).integers) > TWO_STEPS_MAX);
        for (value, integer) in row.iter().zip(&quantised.integers) {
            assert!((value - f32::from(*integer) * quantised.scales[0]).abs() < 0.01);
        }
    }

    #[test]
    fn a_row_of_the_smallest_floats_is_quantised_too() {
        let row = [f32::from_bits(75); 8];
        let quantised = quantise_linear(&row, 8, None);
        assert!(two_steps_sum(&quantised.integers) <= TWO_STEPS_MAX);
    }

    #[test]
    fn only_what_reads_normalised_rows_has_factors() {
        let factors = [LayerFactors {
            attend: vec![2.0],
            widen: vec![4.0],
        }];
        let of = |name| factors_of(name, &factors);
        assert_eq!(
            of("bert.encoder.layer.0.attention.self.key.weight"),
            Some(&[2.0][..])
        );
        assert_eq!(
            of("encoder.layer.0.intermediate.dense.weight"),
            Some(&[4.0][..])
        );
        assert_eq!(of("encoder.layer.0.output.dense.weight"), None);
        assert_eq!(of("encoder.layer.1.intermediate.dense.weight"), None);
        assert_eq!(of("embeddings.word_embeddings.weight"), None);
    }
}
