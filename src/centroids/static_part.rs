//! The optional half of a set: where the same intents lie for the static encoder, which speaks while
//! the main one has too much to do.
//!
//! It is a set of its own, with its own prototypes, calibration and figures, since vectors of two
//! encoders are never compared. It lies in two files beside the main half's. It may be older than that:
//! training on top of an older set knows the older rows by their vectors only, and without their words no
//! static vector can be made.

use crate::centroids::classify::CentroidSet;
use crate::centroids::format::Error;

/// The file name of the static part's manifest.
pub const STATIC_MANIFEST_FILE: &str = "static.manifest.json";

/// The file name of its vectors.
pub const STATIC_VECTORS_FILE: &str = "static.vectors.safetensors";

impl CentroidSet {
    /// The same set with a part for the static encoder, which must know the same intents: a route that
    /// names one would never be taken otherwise.
    pub fn with_static_part(mut self, part: Self) -> Result<Self, Error> {
        if !self.has_intents_of(&part) {
            return Err(Error::OtherIntents {
                name: self.manifest.name,
            });
        }
        self.static_part = Some(Box::new(part));
        Ok(self)
    }

    /// The part for the static encoder, if there is one.
    pub fn static_part(&self) -> Option<&Self> {
        self.static_part.as_deref()
    }

    /// Whether another set has the same intents.
    pub fn has_intents_of(&self, other: &Self) -> bool {
        self.intents().eq(other.intents())
    }
}

#[cfg(test)]
mod tests {
    use crate::centroids::{CentroidSet, EncoderIdentity, Examples, Provenance, Training, train};
    use crate::vector::Vectors;

    fn set(intents: [&str; 4]) -> CentroidSet {
        let flat = vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -0.6, 0.8];
        let rows = Vectors::from_flat(2, flat).unwrap();
        let intents = intents.map(|name| name.parse().unwrap());
        let examples = Examples {
            rows: &rows,
            intents: &intents,
            out_of_scope: None,
        };
        let training = Training {
            folds: 2,
            ..Training::default()
        };
        let provenance = Provenance {
            name: "test".to_owned(),
            encoder: EncoderIdentity {
                name: "test".to_owned(),
                digest: "d".to_owned(),
                dimensions: 2,
            },
            data_digest: String::new(),
        };
        train(examples, training, provenance, &mut |_| {})
            .unwrap()
            .set
    }

    #[test]
    fn a_part_is_kept_beside_the_set_and_changes_neither_its_name_nor_its_files() {
        let alone = set(["a", "a", "b", "b"]);
        let both = alone.clone().with_static_part(alone.clone()).unwrap();
        assert_eq!(both.static_part(), Some(&alone));
        assert_eq!(both.digest().unwrap(), alone.digest().unwrap());
        assert_eq!(both.to_files().unwrap(), alone.to_files().unwrap());
    }

    #[test]
    fn a_part_of_other_intents_is_refused() {
        let other = set(["a", "a", "c", "c"]);
        let refused = set(["a", "a", "b", "b"]).with_static_part(other);
        let problem = refused.unwrap_err().to_string();
        assert!(problem.contains("other intents"), "{problem}");
    }
}
