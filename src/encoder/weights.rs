//! The weights file: safetensors with matrices either as 32-bit floats, as the Hub keeps them, or
//! as 8-bit integers with one scale a row and for some a factor an input, as `quantise` writes them.
//!
//! A matrix stays in the form that it was stored in: whoever needs floats asks for them, and a kernel
//! that computes with integers finds them here.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Error;
use super::quantise::quantise_linear;

/// What the name of a matrix's scales adds to its own.
pub(super) const SCALE_SUFFIX: &str = ".scale";

/// What the name of a matrix's input factors adds to its own.
pub(super) const INPUT_FACTOR_SUFFIX: &str = ".input_factor";

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
    /// A value is its integer times the scale of its row, times the factor of its column if there are any.
    Int8 {
        integers: Vec<i8>,
        scales: Vec<f32>,
        input_factors: Option<Vec<f32>>,
    },
}

/// A matrix as integers.
pub(super) struct Quantised<'matrix> {
    /// Row after row.
    pub(super) integers: Cow<'matrix, [i8]>,
    /// One a row.
    pub(super) scales: Cow<'matrix, [f32]>,
    /// One a column.
    pub(super) input_factors: Option<Cow<'matrix, [f32]>>,
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
            Values::Int8 {
                integers,
                scales,
                input_factors,
            } => {
                let scale = *scales.get(row)?;
                let integers = integers.get(span)?;
                match input_factors {
                    None => {
                        for (total, integer) in sum.iter_mut().zip(integers) {
                            *total += f32::from(*integer) * scale;
                        }
                    }
                    Some(factors) => {
                        for ((total, integer), factor) in sum.iter_mut().zip(integers).zip(factors)
                        {
                            *total += f32::from(*integer) * scale * factor;
                        }
                    }
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

    /// The factor of each column, if there are any.
    pub(super) fn input_factors(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Float(_) => None,
            Values::Int8 { input_factors, .. } => input_factors.as_deref(),
        }
    }

    /// The largest magnitude of each column, if the values are floats.
    pub(super) fn largest_of_columns(&self) -> Option<Vec<f32>> {
        match &self.values {
            Values::Float(values) => Some(largest_of_columns(values, self.columns)),
            Values::Int8 { .. } => None,
        }
    }

    /// Makes floats integers, the columns divided by these factors.
    pub(super) fn quantise(&mut self, input_factors: &[f32]) {
        if let Values::Float(values) = &self.values {
            let rows = quantise_linear(values, self.columns, Some(input_factors));
            self.values = Values::Int8 {
                integers: rows.integers,
                scales: rows.scales,
                input_factors: Some(input_factors.to_vec()),
            };
        }
    }

    /// All values as integers with one scale a row: those that are stored, or the nearest.
    pub(super) fn quantised(&self) -> Quantised<'_> {
        match &self.values {
            Values::Float(values) => {
                let rows = quantise_linear(values, self.columns, None);
                Quantised {
                    integers: Cow::Owned(rows.integers),
                    scales: Cow::Owned(rows.scales),
                    input_factors: None,
                }
            }
            Values::Int8 {
                integers,
                scales,
                input_factors,
            } => Quantised {
                integers: Cow::Borrowed(integers),
                scales: Cow::Borrowed(scales),
                input_factors: input_factors.as_deref().map(Cow::Borrowed),
            },
        }
    }

    /// All values as floats, row after row.
    pub(super) fn to_floats(&self) -> Vec<f32> {
        if let Values::Float(values) = &self.values {
            return values.clone();
        }
        let mut floats = vec![0.0; self.rows * self.columns];
        for (row, sum) in floats.chunks_exact_mut(self.columns.max(1)).enumerate() {
            // There are as many rows of integers and scales as the matrix has.
            self.add_row(row, sum).unwrap_or_default();
        }
        floats
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
                input_factors: self.input_factors(name, shape[1])?,
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

    fn input_factors(&self, matrix: &str, columns: usize) -> Result<Option<Vec<f32>>, Error> {
        let name = format!("{matrix}{INPUT_FACTOR_SUFFIX}");
        let full = format!("{}{name}", self.prefix);
        if !self.tensors.names().into_iter().any(|known| known == full) {
            return Ok(None);
        }
        let factors = self.vector(&name, columns)?;
        match factors.iter().find(|it| !(it.is_normal() && 0.0 < **it)) {
            None => Ok(Some(factors)),
            Some(factor) => Err(Error::Damaged {
                path: self.path.clone(),
                detail: format!(
                    "the tensor \"{name}\" has the factor {factor}, expected a normal number above 0"
                ),
            }),
        }
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

    /// Matrices that read the same rows must agree on what the rows are multiplied by.
    pub(super) fn unlike_factors(&self, part: &str) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            detail: format!(
                "the query, key and value of \"{part}\" have different input factors; make the file again \
                 with `semroute models quantize`"
            ),
        }
    }

    fn stored_as(&self, name: &str, dtype: Dtype) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            detail: format!("the tensor \"{name}\" is stored as {dtype:?}, expected F32 or I8"),
        }
    }
}

/// The largest magnitude of each column of rows that lie one after the other.
pub(super) fn largest_of_columns(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut largest = vec![0.0_f32; columns];
    for row in rows.chunks_exact(columns.max(1)) {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    largest
}

/// Little-endian bytes as floats.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<4>();
    whole
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}
