//! The nearest of very many prototypes without looking at all of them: a graph whose edges lead towards
//! what is near (HNSW, Malkov and Yashunin 2018). A look at every sketch (`shortlist`) grows with the
//! data; this grows with its logarithm, but takes more than half a millisecond a row to make, and an intent
//! without a row among the nearest has no score of its own.

use std::fmt;
use std::sync::Arc;

use distance::Cosine;
use hnsw_rs::hnsw::Hnsw;

use crate::vector::Vectors;

/// Rows from which a graph is made: a look at as many sketches takes a quarter of a millisecond. At 10,000 rows
/// the graph takes three times as long as the look, and seconds of the start.
const ROWS_MIN: usize = 131_072;

/// Edges of a row. More find better and take more memory; 24 is what the paper has for such lengths.
const EDGES: usize = 24;

/// Rows that are kept in sight while the graph is built.
const BUILD_SIGHT: usize = 200;

/// Rows that are kept in sight while it is searched, as many as are told. Of 10,000 rows of CLINC150 it
/// found the nearest 998 times of 1,000; with 24 it were 997, with 192, at three times the time, all.
const SEARCH_SIGHT: usize = TOLD;

/// Neighbours that are told: enough for several intents to be among them.
const TOLD: usize = 64;

/// Layers that the graph may have, which is what the crate allows.
const LAYERS: usize = 16;

/// A graph over rows.
#[derive(Clone)]
pub(super) struct Index(Arc<Hnsw<'static, f32, Cosine>>);

/// A row and its cosine with what was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    pub(super) row: usize,
    pub(super) cosine: f32,
}

impl Index {
    /// A graph over unit vectors; `None` where a scan is as good. The rows go in one after the other, so
    /// that the same rows give the same graph.
    pub(super) fn over(vectors: &Vectors) -> Option<Self> {
        (ROWS_MIN <= vectors.len()).then(|| Self::build(vectors))
    }

    fn build(vectors: &Vectors) -> Self {
        let graph = Hnsw::new(EDGES, vectors.len(), LAYERS, BUILD_SIGHT, Cosine);
        for (row, values) in vectors.rows().enumerate() {
            graph.insert_slice((values, row));
        }
        Self(Arc::new(graph))
    }

    /// The nearest rows, the nearest first.
    pub(super) fn nearest(&self, vector: &[f32]) -> Vec<Neighbour> {
        let found = self.0.search(vector, TOLD, SEARCH_SIGHT);
        found
            .into_iter()
            .map(|it| Neighbour {
                row: it.d_id,
                cosine: 1.0 - it.distance,
            })
            .collect()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} rows)", self.0.get_nb_point())
    }
}

impl PartialEq for Index {
    /// A graph follows from its rows, and whoever holds it compares those.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The distance of the graph.
mod distance {
    use hnsw_rs::anndists::dist::distances::Distance;

    use crate::vector::dot;

    /// One less the cosine of unit vectors.
    #[derive(Debug, Clone, Copy, Default)]
    pub(super) struct Cosine;

    impl Distance<f32> for Cosine {
        fn eval(&self, left: &[f32], right: &[f32]) -> f32 {
            // Rounding can take a cosine past 1, and the crate takes no negative distance.
            (1.0 - dot(left, right)).max(0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::vector::{dot, normalise};

    fn random(n: usize, seed: u64) -> Vectors {
        const DIMENSIONS: usize = 24;
        let mut chance = StdRng::seed_from_u64(seed);
        let mut rows = Vectors::new(DIMENSIONS);
        for _ in 0..n {
            let mut row: Vec<f32> = (0..DIMENSIONS)
                .map(|_| chance.random_range(-1.0..1.0))
                .collect();
            normalise(&mut row);
            assert!(rows.push(&row));
        }
        rows
    }

    #[test]
    fn a_graph_finds_what_a_scan_finds_nearly_always() {
        let rows = random(8_192, 1);
        let index = Index::build(&rows);
        let asked = random(200, 2);
        let right = asked.rows().filter(|vector| {
            let cosine = |row: &&[f32]| dot(row, vector);
            let best = rows.rows().map(|row| cosine(&row)).fold(-1.0, f32::max);
            let found = index.nearest(vector)[0];
            (found.cosine - best).abs() < 1e-6 && rows.row(found.row).is_some()
        });
        let right = right.count();
        assert!(196 <= right, "{right} of 200");
    }

    #[test]
    fn a_few_rows_are_scanned() {
        assert!(Index::over(&random(100, 3)).is_none());
    }
}
