//! The weights file: safetensors with matrices either as 32-bit floats, as the Hub keeps them, or
//! as 8-bit integers with one scale a row, as `quantise` writes them.
//!
//! A matrix stays in the form that it was stored in: whoever needs floats asks for them, and a kernel
//! that computes with integers finds them here.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Error;
use super::quantise::quantise_rows;

/// What the name of a matrix's scales adds to its own.
pub(super) const SCALE_SUFFIX: &str = ".scale";

/// A matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Float(Vec<f32>),
    /// A value is its integer times the scale of its row.
    Int8 {
        integers: Vec<i8>,
        scales: Vec<f32>,
    },
}

/// A matrix as integers.
pub(super) struct Quantised<'matrix> {
    /// Row after row.
    pub(super) integers: Cow<'matrix, [i8]>,
    /// One a row.
    pub(super) scales: Cow<'matrix, [f32]>,
}

impl Matrix {
    /// Adds a row, as floats, to `sum`. `None` if there is no such row.
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) -> Option<()> {
        let span = row.checked_mul(self.columns)?..(row + 1).checked_mul(self.columns)?;
        match &self.values {
            Values::Float(values) => {
                for (total, value) in sum.iter_mut().zip(values.get(span)?) {
                    *total += value;
                }
            }
            Values::Int8 { integers, scales } => {
                let scale = *scales.get(row)?;
                for (total, integer) in sum.iter_mut().zip(integers.get(span)?) {
                    *total += f32::from(*integer) * scale;
                }
            }
        }
        Some(())
    }

    /// Multiplies every value.
    pub(super) fn scale(&mut self, factor: f32) {
        let scaled = match &mut self.values {
            Values::Float(values) => values,
            Values::Int8 { scales, .. } => scales,
        };
        for value in scaled {
            *value *= factor;
        }
    }

    /// All values as integers with one scale a row: those that are stored, or the nearest.
    pub(super) fn quantised(&self) -> Quantised<'_> {
        match &self.values {
            Values::Float(values) => {
                let rows = quantise_rows(values, self.columns);
                Quantised {
                    integers: Cow::Owned(rows.integers),
                    scales: Cow::Owned(rows.scales),
                }
            }
            Values::Int8 { integers, scales } => Quantised {
                integers: Cow::Borrowed(integers),
                scales: Cow::Borrowed(scales),
            },
        }
    }

    /// All values as floats, row after row.
    pub(super) fn to_floats(&self) -> Vec<f32> {
        match &self.values {
            Values::Float(values) => values.clone(),
            Values::Int8 { integers, scales } => {
                let rows = integers.chunks_exact(self.columns).zip(scales);
                rows.flat_map(|(row, scale)| row.iter().map(move |value| f32::from(*value) * scale))
                    .collect()
            }
        }
    }
}

/// An open weights file.
pub(super) struct Weights<'bytes> {
    path: PathBuf,
    tensors: SafeTensors<'bytes>,
    /// What stands before every name: some exports say `bert.`.
    prefix: &'static str,
}

impl<'bytes> Weights<'bytes> {
    /// Reads the header; `path` is what errors call the file.
    pub(super) fn parse(path: &Path, bytes: &'bytes [u8]) -> Result<Self, Error> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|problem| Error::Damaged {
            path: path.to_owned(),
            detail: problem.to_string(),
        })?;
        let is_prefixed = tensors.names().iter().any(|name| name.starts_with("bert."));
        Ok(Self {
            path: path.to_owned(),
            tensors,
            prefix: if is_prefixed { "bert." } else { "" },
        })
    }

    /// The matrix of this name and shape.
    pub(super) fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Matrix, Error> {
        let tensor = self.tensor(name, &shape)?;
        let values = match tensor.dtype() {
            Dtype::F32 => Values::Float(floats(tensor.data())),
            Dtype::I8 => Values::Int8 {
                integers: tensor
                    .data()
                    .iter()
                    .map(|byte| byte.cast_signed())
                    .collect(),
                scales: self.vector(&format!("{name}{SCALE_SUFFIX}"), shape[0])?,
            },
            other => return Err(self.stored_as(name, other)),
        };
        let [rows, columns] = shape;
        Ok(Matrix {
            rows,
            columns,
            values,
        })
    }

    /// The vector of this name and length.
    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, Error> {
        let tensor = self.tensor(name, &[length])?;
        match tensor.dtype() {
            Dtype::F32 => Ok(floats(tensor.data())),
            other => Err(self.stored_as(name, other)),
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<TensorView<'bytes>, Error> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.tensors.tensor(&name).map_err(|_| Error::Damaged {
            path: self.path.clone(),
            detail: format!("it has no tensor \"{name}\""),
        })?;
        if tensor.shape() == shape {
            return Ok(tensor);
        }
        Err(Error::Shape {
            path: self.path.clone(),
            tensor: name,
            expected: shape.to_vec(),
            found: tensor.shape().to_vec(),
        })
    }

    fn stored_as(&self, name: &str, dtype: Dtype) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            detail: format!("the tensor \"{name}\" is stored as {dtype:?}, expected F32 or I8"),
        }
    }
}

/// Little-endian bytes as floats.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<4>();
    whole
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}
