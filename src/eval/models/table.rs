//! The quality table: what the router looks up.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::hex;
use crate::domain::name::{IntentName, ModelName};
use crate::domain::quality::{QUALITY_VERSION, Quality, QualityTable};
use crate::eval::models::answers::Row;
use crate::eval::models::interval::{CONFIDENCE, quality};

/// What the table was made of.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Digest of the graded answers.
    pub data_digest: &'a str,
    /// Digest of the centroids that found the intents.
    pub centroid_digest: &'a str,
}

/// The table of rows and the intent of each. Rows without one, which are out of scope, count among
/// all rows only. Every graded answer counts, also those of rows where another model has no grade.
pub fn table(rows: &[Row], intents: &[Option<IntentName>], origin: Origin<'_>) -> QualityTable {
    let mut overall = Sums::default();
    let mut by_intent: BTreeMap<IntentName, Sums> = BTreeMap::new();
    for (row, intent) in rows.iter().zip(intents) {
        overall.add(row);
        if let Some(intent) = intent {
            by_intent.entry(intent.clone()).or_default().add(row);
        }
    }
    QualityTable {
        version: QUALITY_VERSION,
        data_digest: origin.data_digest.to_owned(),
        centroid_digest: origin.centroid_digest.to_owned(),
        confidence: CONFIDENCE,
        overall: overall.qualities(),
        intents: by_intent
            .into_iter()
            .map(|(intent, sums)| (intent, sums.qualities()))
            .collect(),
    }
}

/// The digest of files of graded answers, in the order in which they were read.
pub fn data_digest<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file);
    }
    hex(&hasher.finalize())
}

/// Scores in sum, and how many.
#[derive(Debug, Default)]
struct Sums<'a>(BTreeMap<&'a ModelName, (f64, u64)>);

impl<'a> Sums<'a> {
    fn add(&mut self, row: &'a Row) {
        for (model, grade) in &row.grades {
            let (sum, n) = self.0.entry(model).or_default();
            *sum += grade.score;
            *n += 1;
        }
    }

    fn qualities(self) -> BTreeMap<ModelName, Quality> {
        let found = self.0.into_iter();
        found
            .filter_map(|(model, (sum, n))| Some((model.clone(), quality(sum, n)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::models::answers::Answers;

    #[test]
    fn a_prompt_out_of_scope_counts_overall_only_and_an_ungraded_pair_is_unknown() {
        let mut answers = Answers::default();
        answers.read(
            "rows.jsonl",
            br#"{"prompt": "x", "models": {"a": {"score": 1}, "b": {"score": 0}}}
{"prompt": "y", "models": {"a": {"score": 1}}}
{"prompt": "z", "models": {"b": {"score": 1}}}"#,
            "task",
        );
        let code: IntentName = "code".parse().unwrap();
        let sql: IntentName = "sql".parse().unwrap();
        let intents = [Some(code.clone()), Some(sql.clone()), None];
        let origin = Origin {
            data_digest: "d",
            centroid_digest: "c",
        };
        let table = table(&answers.rows, &intents, origin);
        assert_eq!(table.version, QUALITY_VERSION);
        assert_eq!(table.of(None, "a").map(|it| it.n), Some(2));
        assert_eq!(table.of(None, "b").map(|it| it.mean), Some(0.5));
        assert_eq!(table.of(Some(&code), "b").map(|it| it.mean), Some(0.0));
        assert_eq!(table.of(Some(&sql), "b"), None);
        let text = serde_json::to_string(&table).unwrap();
        let again: QualityTable = serde_json::from_str(&text).unwrap();
        assert_eq!(again, table);
    }

    #[test]
    fn the_digest_follows_the_data() {
        let digest = |text: &'static [u8]| data_digest([text]);
        assert_ne!(digest(b"a"), digest(b"b"));
        assert_eq!(digest(b"a").len(), 64);
    }
}
