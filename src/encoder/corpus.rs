//! Embeds many texts at once, for whoever trains, evaluates or measures: without the queue, since nobody
//! waits for a single one.

use super::windowing::{self, Passage, Window};
use super::{Encoder, Error};
use crate::vector::{self, Vectors};

/// The texts that are encoded between two reports of progress: enough to fill every thread, and a
/// second's work at most.
const CHUNK: usize = 256;

/// The unit vectors of texts, in their order. `on_progress` is told how many are done, again and again.
pub fn embed_all(
    encoder: &dyn Encoder,
    texts: &[Vec<Passage>],
    windows_max: usize,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Vectors, Error> {
    let mut vectors = Vectors::new(encoder.identity().dimensions);
    for (chunk, texts) in texts.chunks(CHUNK).enumerate() {
        let mut windows = Vec::new();
        let mut shares = Vec::with_capacity(texts.len());
        for (offset, passages) in texts.iter().enumerate() {
            let windowed = windowing::prepare(encoder, passages, windows_max)?;
            if windowed.windows.is_empty() {
                let index = chunk * CHUNK + offset;
                return Err(Error::NoTokens { index });
            }
            windows.extend(windowed.windows);
            shares.push(windowed.weights);
        }
        let rows = encode_by_all(encoder, &windows)?;
        let mut rows = rows.rows();
        for weights in shares {
            let weighted = rows.by_ref().zip(weights.iter().copied());
            let whole = vector::weighted_direction(weighted.take(weights.len()))
                .is_some_and(|vector| vectors.push(&vector));
            if !whole {
                return Err(Error::Compute("a vector is missing".to_owned()));
            }
        }
        on_progress(vectors.len());
    }
    Ok(vectors)
}

/// Encodes windows by all threads that there are. Each takes its share in one call, a window here and one
/// there, so that long and short ones fall to all alike.
fn encode_by_all(encoder: &dyn Encoder, windows: &[Window]) -> Result<Vectors, Error> {
    let threads = encoder.batching().threads_max.min(windows.len()).max(1);
    let shares: Vec<Vec<Window>> = (0..threads)
        .map(|thread| {
            windows
                .iter()
                .skip(thread)
                .step_by(threads)
                .cloned()
                .collect()
        })
        .collect();
    let encoded: Vec<Result<Vectors, Error>> = std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .iter()
            .map(|share| scope.spawn(move || encoder.encode(share)))
            .collect();
        let joined = running.into_iter().map(|thread| {
            let panicked = || Error::Compute("one of its threads panicked".to_owned());
            thread.join().unwrap_or_else(|_| Err(panicked()))
        });
        joined.collect()
    });
    let encoded: Vec<Vectors> = encoded.into_iter().collect::<Result<_, _>>()?;
    let mut rows = Vectors::new(encoder.identity().dimensions);
    for index in 0..windows.len() {
        let row = encoded[index % threads].row(index / threads);
        if !row.is_some_and(|row| rows.push(row)) {
            return Err(Error::Compute("a vector is missing".to_owned()));
        }
    }
    Ok(rows)
}
