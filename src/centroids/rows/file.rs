//! The bytes of embedded rows.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::centroids::labels::Place;
use crate::centroids::rows::{Embedding, Error, FileNames, Label, Part, Rows, Shard};
use crate::domain::name::IntentName;
use crate::vector::Vectors;

/// The version that is written and read.
const VERSION: u32 = 1;

/// The one key of the metadata; a second could come in any order, and equal rows must be equal bytes.
const HEADER: &str = "semroute";

/// What stands for an intent in a row without one.
const OUT_OF_SCOPE: u32 = u32::MAX;

/// The bytes of a prompt's digest.
const DIGEST_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    embedding: Embedding,
    shard: Shard,
    whole: String,
    n_whole: usize,
    intents: Vec<IntentName>,
    files: Vec<String>,
}

pub(super) fn write(part: &Part) -> Result<Vec<u8>, Error> {
    let labels = &part.rows.labels;
    let mut intents: Vec<IntentName> = labels.iter().filter_map(|it| it.intent.clone()).collect();
    intents.sort();
    intents.dedup();
    let mut files = FileNames::default();
    let (mut of_intent, mut of_file, mut of_line, mut prompts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for label in labels {
        let position = label
            .intent
            .as_ref()
            .and_then(|it| intents.binary_search(it).ok());
        let position = position.and_then(|it| u32::try_from(it).ok());
        of_intent.extend(position.unwrap_or(OUT_OF_SCOPE).to_le_bytes());
        of_file.extend(files.position(&label.place.file).to_le_bytes());
        let line = u32::try_from(label.place.line).unwrap_or(u32::MAX);
        of_line.extend(line.to_le_bytes());
        prompts.extend(label.prompt);
    }
    let vectors: Vec<u8> = part
        .rows
        .vectors
        .as_flat()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let header = Header {
        version: VERSION,
        embedding: part.rows.embedding.clone(),
        shard: part.shard,
        whole: part.whole.clone(),
        n_whole: part.n_whole,
        intents,
        files: files.names.iter().map(ToString::to_string).collect(),
    };
    let header = serde_json::to_string(&header).map_err(|error| unreadable(&error))?;
    let n = labels.len();
    let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes);
    let dimensions = part.rows.vectors.dimensions();
    let views = [
        (
            "vectors",
            view(Dtype::F32, vec![n, dimensions], vectors.as_slice()),
        ),
        ("intent", view(Dtype::U32, vec![n], &of_intent)),
        ("prompt", view(Dtype::U8, vec![n, DIGEST_BYTES], &prompts)),
        ("file", view(Dtype::U32, vec![n], &of_file)),
        ("line", view(Dtype::U32, vec![n], &of_line)),
    ];
    let mut tensors = Vec::with_capacity(views.len());
    for (name, view) in views {
        tensors.push((name, view.map_err(|error| unreadable(&error))?));
    }
    let metadata = HashMap::from([(HEADER.to_owned(), header)]);
    safetensors::serialize(tensors, Some(metadata)).map_err(|error| unreadable(&error))
}

pub(super) fn read(bytes: &[u8]) -> Result<Part, Error> {
    let header = read_header(bytes)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| unreadable(&error))?;
    let dimensions = header.embedding.encoder.dimensions;
    let data = |name: &str, dtype: Dtype, width: &[usize]| {
        let tensor = tensors.tensor(name).map_err(|error| unreadable(&error))?;
        let shape = tensor.shape().to_vec();
        let fits = tensor.dtype() == dtype && shape.get(1..) == Some(width);
        let fits = fits.then_some((tensor.data().to_vec(), shape.first().copied()));
        fits.ok_or_else(|| unreadable(&format!("{name} has another shape than rows have")))
    };
    let (vectors, n) = data("vectors", Dtype::F32, &[dimensions])?;
    let (intents, n_intents) = data("intent", Dtype::U32, &[])?;
    let (prompts, n_prompts) = data("prompt", Dtype::U8, &[DIGEST_BYTES])?;
    let (files, n_files) = data("file", Dtype::U32, &[])?;
    let (lines, n_lines) = data("line", Dtype::U32, &[])?;
    if [n_intents, n_prompts, n_files, n_lines] != [n; 4] {
        return Err(unreadable(&"its parts are of different lengths"));
    }
    let values = numbers(&vectors).map(f32::from_bits).collect();
    let vectors = Vectors::from_flat(dimensions, values)
        .ok_or_else(|| unreadable(&"the vectors have no dimensions"))?;
    let columns = Columns {
        intents,
        prompts,
        files,
        lines,
    };
    let labels = columns
        .labels(&header)
        .ok_or_else(|| unreadable(&"a label names what is not there"))?;
    Ok(Part {
        shard: header.shard,
        whole: header.whole,
        n_whole: header.n_whole,
        rows: Rows {
            embedding: header.embedding,
            vectors,
            labels,
        },
    })
}

fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| unreadable(&error))?;
    let header = metadata.metadata().as_ref().and_then(|it| it.get(HEADER));
    let header = header.ok_or_else(|| unreadable(&"it holds no rows of semroute"))?;
    let header: Header = serde_json::from_str(header).map_err(|error| unreadable(&error))?;
    if header.version == VERSION {
        Ok(header)
    } else {
        let found = header.version;
        Err(unreadable(&format!(
            "its version is {found}, not {VERSION}"
        )))
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}

/// The bytes of everything but the vectors, one value a row each.
struct Columns {
    intents: Vec<u8>,
    prompts: Vec<u8>,
    files: Vec<u8>,
    lines: Vec<u8>,
}

impl Columns {
    /// `None` if a row names an intent or a file that the header lacks.
    fn labels(&self, header: &Header) -> Option<Vec<Label>> {
        let files: Vec<Arc<str>> = header
            .files
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let places = numbers(&self.files).zip(numbers(&self.lines));
        let prompts = self.prompts.as_chunks::<DIGEST_BYTES>().0.iter();
        let rows = numbers(&self.intents).zip(prompts).zip(places);
        rows.map(|((intent, prompt), (file, line))| {
            let intent = match intent {
                OUT_OF_SCOPE => None,
                known => Some(header.intents.get(known as usize)?.clone()),
            };
            Some(Label {
                intent,
                prompt: *prompt,
                place: Place {
                    file: Arc::clone(files.get(file as usize)?),
                    line: line as usize,
                },
            })
        })
        .collect()
    }
}

/// Little-endian 32-bit words.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}
