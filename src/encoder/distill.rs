//! Makes a static encoder of a model: one vector a token, so that a text's vector is a sum.
//!
//! Every token of the vocabulary is encoded by the model alone. The principal components of those
//! vectors are kept, the strongest damped, since a few directions that all tokens share would drown
//! the others. Then each token is weighted by how rare it is (Arora et al. 2017, "a simple but tough
//! to beat baseline"): vocabularies of this kind list their words by frequency, so that Zipf's law
//! gives it from the token's number. This is what the authors of model2vec do, but for the damping.
//!
//! Fitting the vectors to the model's own sentences was tried too, and lost on data of other kinds than
//! those sentences; so were weights by counted words. The model runs by the reference and not by the
//! kernel that is fastest here, so that it gives the same bytes on all processors of a kind.

mod principal;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

use self::principal::{Principal, as_f64};
use super::fixed::{StaticManifest, TABLE};
use super::manifest::{
    FORMAT, MANIFEST_FILE, Manifest, Origin, Quantisation, WEIGHTS_FILE, sha256,
};
use super::open::{embedded_manifest, files_of, load};
use super::published::read;
use super::quantise::{QuantisedRows, quantise_rows, unwritable, write, write_manifest};
use super::weights::SCALE_SUFFIX;
use super::{Encoder, Error, Kernel, ModelSource, Settings, Window};

/// The dimensions that are kept, unless told otherwise: of all-MiniLM-L6-v2's 384, the last third adds
/// nothing that was measured.
pub const DIMENSIONS: usize = 256;

/// What a static encoder's name and folder add to its model's.
pub const SUFFIX: &str = "-static";

/// The share of all words below which a word counts nearly in full. Chosen among 1e-4, 5e-5 and 3e-5 on
/// halves of the training rows of three data sets.
const RARE: f64 = 5e-5;

/// Each direction is divided by its standard deviation to this power, 0 leaving all as it is and 1 making
/// all alike. Chosen among quarters on the same halves.
const DAMPING: f64 = 0.5;

/// The tokens that are encoded at once.
const CHUNK: u32 = 1024;

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The folder that was written.
    pub folder: PathBuf,
    /// How many tokens have a vector.
    pub tokens: usize,
    /// The length of a vector.
    pub dimensions: usize,
    /// The share of the tokens' spread that the dimensions keep.
    pub variance_kept: f64,
    /// The size of the table.
    pub bytes: usize,
    /// The SHA-256 of the table: the identity that vectors are compared under.
    pub digest: String,
    /// The largest relative change of a row by the rounding to 8 bits.
    pub row_change_max: f32,
}

/// Writes `out_dir` from a model that has a manifest. `on_progress` is told how many of how many tokens are
/// encoded.
pub fn distill(
    settings: &Settings,
    out_dir: &Path,
    dimensions: usize,
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, Error> {
    let described = describe(&settings.model)?;
    let files = files_of(settings.model.clone())?;
    let (tokens, tokeniser) = (files.config.vocab_size, sha256(&files.tokeniser));
    let most = files.config.hidden_size;
    if !(1..=most).contains(&dimensions) {
        let wanted = dimensions;
        return Err(Error::Dimensions { wanted, most });
    }
    let model = load(files, settings.device, Some(Kernel::Candle))?;
    let source = model.identity().clone();
    let alone = encode_alone(&model, tokens, on_progress)?;
    let reduced = reduce(&alone, source.dimensions, dimensions);
    let quantised = quantise_rows(&reduced.rows, dimensions);
    let bytes = to_bytes(&quantised, tokens, dimensions)?;
    let digest = sha256(&bytes);
    let manifest = StaticManifest {
        format: FORMAT,
        name: format!("{}{SUFFIX}", source.name),
        source: Origin {
            url: described.source.url,
            weights_sha256: source.digest,
        },
        licence: described.licence,
        tokens,
        dimensions,
        window_tokens: source.window_tokens,
        quantisation: Quantisation::Int8PerRow,
        tokeniser_sha256: tokeniser,
        files: BTreeMap::from([(WEIGHTS_FILE.to_owned(), digest.clone())]),
    };
    fs::create_dir_all(out_dir).map_err(|problem| unwritable(out_dir, problem))?;
    write(&out_dir.join(WEIGHTS_FILE), &bytes)?;
    write_manifest(&out_dir.join(MANIFEST_FILE), &manifest)?;
    Ok(Report {
        folder: out_dir.to_owned(),
        tokens,
        dimensions,
        variance_kept: reduced.variance_kept,
        bytes: bytes.len(),
        digest,
        row_change_max: quantised.row_change_max,
    })
}

/// What a model says of its origin and licence. One that says nothing is not distilled: nobody could tell
/// later on which terms.
fn describe(model: &ModelSource) -> Result<Manifest, Error> {
    match model {
        ModelSource::Embedded => embedded_manifest(),
        ModelSource::Path(folder) => {
            let path = folder.join(MANIFEST_FILE);
            Manifest::parse(&path, &read(&path)?)
        }
        ModelSource::Hub(hub) => Err(Error::Unsupported {
            path: PathBuf::from(&hub.repository),
            detail: "it has no manifest; run `semroute models quantize` on its files first"
                .to_owned(),
        }),
    }
}

/// The vector of every token between the special ones, end to end.
fn encode_alone(
    model: &dyn Encoder,
    tokens: usize,
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<f32>, Error> {
    let mut vectors = Vec::with_capacity(tokens * model.identity().dimensions);
    let end = u32::try_from(tokens).unwrap_or(u32::MAX);
    let mut done = 0;
    while done < end {
        let next = end.min(done.saturating_add(CHUNK));
        let windows: Vec<Window> = (done..next)
            .map(|token| Window {
                tokens: vec![token],
            })
            .collect();
        vectors.extend_from_slice(model.encode(&windows)?.as_flat());
        done = next;
        on_progress(usize::try_from(done).unwrap_or(tokens), tokens);
    }
    Ok(vectors)
}

/// Rows of fewer dimensions, weighted.
struct Reduced {
    rows: Vec<f32>,
    variance_kept: f64,
}

fn reduce(rows: &[f32], width: usize, dimensions: usize) -> Reduced {
    let principal = Principal::of(rows, width, dimensions);
    let damped = |variance: f64| {
        if 0.0 < variance {
            variance.powf(-DAMPING / 2.0)
        } else {
            0.0
        }
    };
    let damping: Vec<f64> = principal.variances.iter().map(|it| damped(*it)).collect();
    let n = rows.len() / width;
    let total: f64 = (1..=n).map(|rank| 1.0 / as_f64(rank)).sum();
    let mut reduced = Vec::with_capacity(n * dimensions);
    for (row, rank) in rows.chunks_exact(width).zip(1..) {
        let frequency = 1.0 / (as_f64(rank) * total);
        let weight = RARE / (RARE + frequency);
        let along = principal.project(row);
        let values = along.iter().zip(&damping);
        reduced.extend(values.map(|(value, damping)| as_f32(value * damping * weight)));
    }
    let spread = spread(rows, &principal.mean);
    let kept: f64 = principal.variances.iter().sum();
    Reduced {
        rows: reduced,
        variance_kept: if 0.0 < spread { kept / spread } else { 1.0 },
    }
}

/// The variance of all dimensions together.
fn spread(rows: &[f32], mean: &[f64]) -> f64 {
    let sum: f64 = rows
        .chunks_exact(mean.len())
        .flat_map(|row| row.iter().zip(mean))
        .map(|(value, mean)| (f64::from(*value) - mean).powi(2))
        .sum();
    sum / as_f64(rows.len() / mean.len())
}

fn to_bytes(rows: &QuantisedRows, tokens: usize, dimensions: usize) -> Result<Vec<u8>, Error> {
    let failed = |problem: safetensors::SafeTensorError| Error::Compute(problem.to_string());
    let scale_name = format!("{TABLE}{SCALE_SUFFIX}");
    let integers: Vec<u8> = rows.integers.iter().map(|it| it.cast_unsigned()).collect();
    let scales: Vec<u8> = rows.scales.iter().flat_map(|it| it.to_le_bytes()).collect();
    let integers = TensorView::new(Dtype::I8, vec![tokens, dimensions], &integers);
    let scales = TensorView::new(Dtype::F32, vec![tokens], &scales);
    let views = [
        (TABLE, integers.map_err(failed)?),
        (scale_name.as_str(), scales.map_err(failed)?),
    ];
    safetensors::serialize(views, None).map_err(failed)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is rounded to 8 bits next"
)]
const fn as_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four tokens that differ along two of three dimensions.
    const ROWS: [f32; 12] = [1.0, 0.0, 0.5, -1.0, 0.1, 0.5, 0.0, 0.4, 0.5, 0.0, -0.5, 0.5];

    fn length(row: &[f32]) -> f32 {
        crate::vector::norm(row)
    }

    #[test]
    fn a_dimension_along_which_nothing_differs_is_not_missed() {
        let reduced = reduce(&ROWS, 3, 2);
        assert!((reduced.variance_kept - 1.0).abs() < 1e-9);
        assert_eq!(reduced.rows.len(), 8);
    }

    #[test]
    fn a_common_token_counts_less_than_a_rare_one() {
        let alike = [[1.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]].concat();
        let rows = reduce(&alike, 2, 2).rows;
        assert!(length(&rows[..2]) < length(&rows[4..6]));
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let once = reduce(&ROWS, 3, 3).rows;
        let again = reduce(&ROWS, 3, 3).rows;
        let bytes = |rows: &[f32]| to_bytes(&quantise_rows(rows, 3), 4, 3).unwrap();
        assert_eq!(bytes(&once), bytes(&again));
    }
}
