//! Embeds many texts at once, for whoever trains, evaluates or measures: without the queue, since nobody
//! waits for a single one.

use super::windowing::{self, Passage, Window};
use super::{Encoder, Error};
use crate::vector::{self, Vectors};

/// The texts that are encoded between two reports of progress: enough to fill every thread, and a
/// second's work at most.
const CHUNK: usize = 256;

/// The unit vectors of a few texts, by so many threads at most.
pub fn embed_by(
    encoder: &dyn Encoder,
    texts: &[Vec<Passage>],
    windows_max: usize,
    threads: usize,
) -> Result<Vectors, Error> {
    let mut vectors = Vectors::new(encoder.identity().dimensions);
    embed_chunk(encoder, texts, (windows_max, threads), &mut vectors)?;
    Ok(vectors)
}

/// The unit vectors of texts, in their order. `on_progress` is told how many are done, again and again.
pub fn embed_all(
    encoder: &dyn Encoder,
    texts: &[Vec<Passage>],
    windows_max: usize,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Vectors, Error> {
    let mut vectors = Vectors::new(encoder.identity().dimensions);
    let threads = encoder.batching().threads_max;
    for texts in texts.chunks(CHUNK) {
        embed_chunk(encoder, texts, (windows_max, threads), &mut vectors)?;
        on_progress(vectors.len());
    }
    Ok(vectors)
}

/// Appends the vectors of some texts.
fn embed_chunk(
    encoder: &dyn Encoder,
    texts: &[Vec<Passage>],
    (windows_max, threads): (usize, usize),
    vectors: &mut Vectors,
) -> Result<(), Error> {
    let mut windows = Vec::new();
    let mut shares = Vec::with_capacity(texts.len());
    for (offset, passages) in texts.iter().enumerate() {
        let windowed = windowing::prepare(encoder, passages, windows_max)?;
        if windowed.windows.is_empty() {
            let index = vectors.len() + offset;
            return Err(Error::NoTokens { index });
        }
        windows.extend(windowed.windows);
        shares.push(windowed.weights);
    }
    let rows = encode_by(encoder, &windows, threads)?;
    let mut rows = rows.rows();
    for weights in shares {
        let weighted = rows.by_ref().zip(weights.iter().copied());
        let whole = vector::weighted_direction(weighted.take(weights.len()))
            .is_some_and(|vector| vectors.push(&vector));
        if !whole {
            return Err(Error::Compute("a vector is missing".to_owned()));
        }
    }
    Ok(())
}

/// Encodes windows by some threads. Each takes its share in one call, a window here and one there, so
/// that long and short ones fall to all alike.
fn encode_by(encoder: &dyn Encoder, windows: &[Window], threads: usize) -> Result<Vectors, Error> {
    let threads = threads.min(windows.len()).max(1);
    if threads == 1 {
        return encoder.encode(windows);
    }
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
    let outcomes: Vec<Result<Vectors, Error>> = std::thread::scope(|scope| {
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
    let parts: Vec<Vectors> = outcomes.into_iter().collect::<Result<_, _>>()?;
    let mut rows = Vectors::new(encoder.identity().dimensions);
    for index in 0..windows.len() {
        let row = parts[index % threads].row(index / threads);
        if !row.is_some_and(|row| rows.push(row)) {
            return Err(Error::Compute("a vector is missing".to_owned()));
        }
    }
    Ok(rows)
}
