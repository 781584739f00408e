//! Objects of a body with fields set or taken out. Fields that nobody names keep their text and their
//! order; only the spaces between fields are lost.

use crate::wire::json::{Fields, string};

/// What becomes of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It has this JSON text for its value, whether it was there or not.
    Set(String),
    /// It is not there.
    Removed,
}

impl Change {
    /// A field has this value, or none.
    pub(super) fn to(value: Option<&serde_json::Value>) -> Self {
        value.map_or(Self::Removed, |value| Self::Set(value.to_string()))
    }
}

/// Fields by their names, and what becomes of each.
pub(super) type Changes = Vec<(String, Change)>;

/// The text of an object after these changes. New fields stand at its end. One that stood there twice
/// stands there once.
pub(super) fn rewritten(object: Fields<'_>, changes: &[(String, Change)]) -> String {
    let mut is_set = vec![false; changes.len()];
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for (name, value) in object.pairs() {
        let said = string(name);
        let at = changes
            .iter()
            .position(|(changed, _)| Some(changed.as_str()) == said.as_deref());
        match at.map(|at| (at, &changes[at].1)) {
            None => fields.push((name.get(), value.get())),
            Some((at, Change::Set(new))) if !is_set[at] => {
                is_set[at] = true;
                fields.push((name.get(), new));
            }
            Some((_, Change::Set(_) | Change::Removed)) => {}
        }
    }
    let mut written = String::from("{");
    for (name, value) in fields {
        push(&mut written, name, value);
    }
    for ((name, change), is_set) in changes.iter().zip(is_set) {
        if let (Change::Set(new), false) = (change, is_set) {
            push(&mut written, &quoted(name), new);
        }
    }
    written.push('}');
    written
}

fn push(written: &mut String, name: &str, value: &str) {
    if 1 < written.len() {
        written.push(',');
    }
    written.push_str(name);
    written.push(':');
    written.push_str(value);
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn changed(text: &str, changes: &[(&str, Option<&str>)]) -> String {
        let changes: Changes = changes
            .iter()
            .map(|(name, value)| {
                let change = value.map_or(Change::Removed, |it| Change::Set(it.to_owned()));
                ((*name).to_owned(), change)
            })
            .collect();
        let document = Document::read(text, "the body").unwrap();
        rewritten(document.fields(), &changes)
    }

    #[test]
    fn fields_are_set_where_they_stand_added_at_the_end_and_taken_out() {
        let text = r#"{ "a" : 1.50, "b":{"x":[ 1 ]}, "c\u0031":2, "d":null }"#;
        assert_eq!(
            changed(text, &[("a", Some("7")), ("c1", None), ("e", Some("8"))]),
            r#"{"a":7,"b":{"x":[ 1 ]},"d":null,"e":8}"#
        );
        assert_eq!(changed("{}", &[("a", Some("1"))]), r#"{"a":1}"#);
        assert_eq!(changed("{}", &[("a", None)]), "{}");
        assert_eq!(changed(r#"{"a":1}"#, &[("a", None)]), "{}");
    }

    #[test]
    fn a_field_that_stood_there_twice_is_set_once() {
        assert_eq!(
            changed(r#"{"a":1,"b":2,"a":3}"#, &[("a", Some("7"))]),
            r#"{"a":7,"b":2}"#
        );
    }
}
