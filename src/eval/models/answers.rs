//! Graded answers, one JSON object a line: a prompt, and what each model's answer to it was worth.
//!
//! A row that cannot be used is set aside with its line, the field, its value and a remedy, and the
//! rest is read on. A model without a score on a row is ungraded there, which is no error: benches
//! lose answers. A missing cost is unknown; it is never taken for 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::name::{IntentName, ModelName};

/// Bytes of a bad value that are shown.
const SHOWN_MAX: usize = 60;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// The rows that can be used, in order.
    pub rows: Vec<Row>,
    /// The rows that cannot: place, field, value and remedy.
    pub rejected: Vec<String>,
}

/// A prompt and what its answers were worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The file, as the reader was told.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// What names the row; no two have the same.
    pub id: Option<String>,
    /// What is embedded: the question where there is one, otherwise the prompt.
    pub text: String,
    /// The task that the row was taken from.
    pub task: Option<IntentName>,
    /// A label that takes the place of what a classifier would find.
    pub intent: Option<IntentName>,
    /// What each model's answer was worth. A model that is missing was not graded.
    pub grades: BTreeMap<ModelName, Grade>,
}

/// What an answer was worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grade {
    /// From 0, useless, to 1.
    pub score: f64,
    /// What it cost, if that is known.
    pub cost_usd: Option<f64>,
}

impl Answers {
    /// Reads a file and appends it. `name` is what places are called by, `task_key` the key of the
    /// task's name.
    pub fn read(&mut self, name: &str, text: &[u8], task_key: &str) {
        let file: Arc<str> = name.into();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut places: BTreeMap<String, String> = self.places();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let place = format!("{file}:{}", index + 1);
            let row = row_of(line, task_key).map(|row| Row {
                file: Arc::clone(&file),
                line: index + 1,
                ..row
            });
            match row.and_then(|row| unrepeated(row, &places)) {
                Ok(row) => {
                    if let Some(id) = &row.id {
                        places.insert(id.clone(), place);
                    }
                    self.rows.push(row);
                }
                Err(problem) => self.rejected.push(format!("{place}: {problem}")),
            }
        }
    }

    /// Every model that was graded anywhere.
    pub fn models(&self) -> BTreeSet<&ModelName> {
        let names = self.rows.iter().flat_map(|row| row.grades.keys());
        names.collect()
    }

    fn places(&self) -> BTreeMap<String, String> {
        let named = self.rows.iter().filter_map(|row| {
            let id = row.id.clone()?;
            Some((id, format!("{}:{}", row.file, row.line)))
        });
        named.collect()
    }
}

/// The row, unless its name stands elsewhere already: the same answers would count twice.
fn unrepeated(row: Row, places: &BTreeMap<String, String>) -> Result<Row, String> {
    let first = row.id.as_ref().and_then(|id| places.get(id));
    match (&row.id, first) {
        (Some(id), Some(first)) => Err(format!(
            "`id` is {id:?}, which stands at {first} already; give each row a name of its own"
        )),
        _ => Ok(row),
    }
}

fn row_of(line: &[u8], task_key: &str) -> Result<Row, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        format!("the line is no JSON object ({error}); write one object a line")
    })?;
    let Value::Object(row) = value else {
        return Err(format!(
            "the line is {}, not a JSON object; write {{\"prompt\": …, \"models\": {{…}}}}",
            shown(&value)
        ));
    };
    let prompt = text_of(&row, "prompt")?;
    let question = text_of(&row, "question")?;
    let text = question
        .or(prompt)
        .ok_or("`prompt` is missing; give the text that the models were asked")?;
    Ok(Row {
        file: "".into(),
        line: 0,
        id: id_of(&row)?,
        text,
        task: label_of(&row, task_key)?,
        intent: label_of(&row, "intent")?,
        grades: grades_of(&row)?,
    })
}

/// A text that is not empty. `None` if the key is missing or null.
fn text_of(row: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match row.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(other) => Err(format!(
            "`{key}` is {}; give a text with a word in it",
            shown(other)
        )),
    }
}

fn id_of(row: &Map<String, Value>) -> Result<Option<String>, String> {
    match row.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(Value::Number(id)) => Ok(Some(id.to_string())),
        Some(other) => Err(format!(
            "`id` is {}; give a text, a number or no id",
            shown(other)
        )),
    }
}

fn label_of(row: &Map<String, Value>, key: &str) -> Result<Option<IntentName>, String> {
    let Some(text) = text_of(row, key)? else {
        return Ok(None);
    };
    let name = text.parse().map_err(|problem| {
        format!("`{key}` is {text:?}: {problem}; give a name that an intent may have")
    })?;
    Ok(Some(name))
}

fn grades_of(row: &Map<String, Value>) -> Result<BTreeMap<ModelName, Grade>, String> {
    let models = match row.get("models") {
        Some(Value::Object(models)) => models,
        None => {
            return Err(
                "`models` is missing; give {\"NAME\": {\"score\": 0 to 1, \"cost_usd\": …}}"
                    .to_owned(),
            );
        }
        Some(other) => {
            return Err(format!(
                "`models` is {}; give an object from names to grades",
                shown(other)
            ));
        }
    };
    let mut grades = BTreeMap::new();
    for (name, grade) in models {
        let model: ModelName = name.parse().map_err(|problem| {
            format!("`models` has the name {name:?}: {problem}; call the model otherwise")
        })?;
        if let Some(grade) = grade_of(name, grade)? {
            grades.insert(model, grade);
        }
    }
    if grades.is_empty() {
        return Err(
            "`models` holds no score at all; give at least one model a `score` from 0 to 1"
                .to_owned(),
        );
    }
    Ok(grades)
}

/// A model's grade. `None` if it has none.
fn grade_of(name: &str, grade: &Value) -> Result<Option<Grade>, String> {
    let Value::Object(grade) = grade else {
        return Err(format!(
            "`models.{name}` is {}; give {{\"score\": 0 to 1, \"cost_usd\": …}}",
            shown(grade)
        ));
    };
    let number = |key: &str, what: &str, max: f64| match grade.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if (0.0..=max).contains(&number) => Ok(Some(number)),
            _ => Err(format!("`models.{name}.{key}` is {}; {what}", shown(value))),
        },
    };
    let score = number(
        "score",
        "give a number from 0 to 1, or null if it was not graded",
        1.0,
    )?;
    let cost_usd = number(
        "cost_usd",
        "give USD from 0 up, or null if they are not known",
        f64::MAX,
    )?;
    Ok(score.map(|score| Grade { score, cost_usd }))
}

/// A value as it is shown in an error.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Answers {
        let mut answers = Answers::default();
        answers.read("rows.jsonl", text.as_bytes(), "task");
        answers
    }

    #[track_caller]
    fn problem(text: &str) -> String {
        let mut answers = read(text);
        assert!(answers.rows.is_empty(), "{answers:?}");
        answers.rejected.remove(0)
    }

    #[test]
    fn the_question_is_embedded_where_there_is_one() {
        let answers = read(
            r#"{"id": "a", "prompt": "five shots, then: 2+2?", "question": "2+2?", "task": "sums", "models": {"small": {"score": 1, "cost_usd": 0.5}}}"#,
        );
        assert_eq!(answers.rows[0].text, "2+2?");
        assert_eq!(answers.rows[0].task, Some("sums".parse().unwrap()));
        assert_eq!(
            answers.rows[0].grades["small"],
            Grade {
                score: 1.0,
                cost_usd: Some(0.5)
            }
        );
    }

    #[test]
    fn a_missing_cost_is_unknown_and_a_missing_score_is_no_grade() {
        let answers = read(
            r#"{"prompt": "x", "models": {"a": {"score": 0.5, "cost_usd": null}, "b": {"cost_usd": 1}, "c": {"score": null}}}"#,
        );
        let grades = &answers.rows[0].grades;
        assert_eq!(grades["a"].cost_usd, None);
        assert_eq!(grades.len(), 1);
        assert!(answers.rejected.is_empty());
    }

    #[test]
    fn a_bad_row_is_told_by_line_field_value_and_remedy_and_the_rest_is_read() {
        let answers = read(concat!(
            r#"{"prompt": "x", "models": {"a": {"score": 1.5}}}"#,
            "\n\n",
            r#"{"prompt": "y", "models": {"a": {"score": 1}}}"#,
        ));
        assert_eq!(answers.rows.len(), 1);
        assert_eq!(answers.rows[0].line, 3);
        assert_eq!(
            answers.rejected,
            [
                "rows.jsonl:1: `models.a.score` is 1.5; give a number from 0 to 1, or null if it was not graded"
            ]
        );
    }

    #[test]
    fn every_kind_of_bad_row_has_a_remedy() {
        for (row, told) in [
            ("not json", "no JSON object"),
            ("[1]", "is [1], not a JSON object"),
            (r#"{"models": {"a": {"score": 1}}}"#, "`prompt` is missing"),
            (r#"{"prompt": " ", "models": {}}"#, "`prompt` is \" \""),
            (r#"{"prompt": "x"}"#, "`models` is missing"),
            (r#"{"prompt": "x", "models": []}"#, "`models` is []"),
            (r#"{"prompt": "x", "models": {}}"#, "no score at all"),
            (r#"{"prompt": "x", "models": {"a": 1}}"#, "`models.a` is 1"),
            (
                r#"{"prompt": "x", "models": {"a": {"score": 1, "cost_usd": -2}}}"#,
                "`models.a.cost_usd` is -2",
            ),
            (
                r#"{"prompt": "x", "models": {"a\nb": {"score": 1}}}"#,
                "call the model otherwise",
            ),
            (
                r#"{"prompt": "x", "intent": 3, "models": {"a": {"score": 1}}}"#,
                "`intent` is 3",
            ),
        ] {
            let problem = problem(row);
            assert!(problem.contains(told), "{row}: {problem}");
            assert!(problem.contains(';'), "no remedy: {problem}");
        }
    }

    #[test]
    fn a_row_that_is_given_twice_counts_once() {
        let row = r#"{"id": 7, "prompt": "x", "models": {"a": {"score": 1}}}"#;
        let mut answers = read(row);
        answers.read("again.jsonl", row.as_bytes(), "task");
        assert_eq!(answers.rows.len(), 1);
        assert!(answers.rejected[0].contains("rows.jsonl:1 already"));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let problem = problem(&format!("\"{}\"", "ü".repeat(200)));
        assert!(problem.len() < 300 && problem.contains('…'));
    }
}
