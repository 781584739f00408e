//! Checks that a draft is JSON and satisfies the request's own schema.
//!
//! The schema is the caller's, so it is compiled once a request, before any model is asked: one that
//! is wrong is the caller's error and costs nothing. References to other documents are refused,
//! since following them would let a caller make this server fetch addresses of the caller's choice.

use serde_json::Value;

use crate::domain::event::{Check, Fault, Verdict};

/// Schemas past this size are refused: compiling one takes time in proportion, on the caller's word.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Faults quote the draft; a long quotation would fill the log.
const MESSAGE_CHARS_MAX: usize = 200;

/// A compiled schema.
#[derive(Debug)]
pub struct JsonSchema {
    validator: jsonschema::Validator,
}

/// The caller's schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

impl JsonSchema {
    /// Compiles a schema from its JSON text.
    pub fn compile(text: &str) -> Result<Self, InvalidSchema> {
        if SCHEMA_BYTES_MAX < text.len() {
            return Err(InvalidSchema(format!(
                "the schema has {} bytes; at most {SCHEMA_BYTES_MAX} are allowed",
                text.len()
            )));
        }
        let schema: Value = serde_json::from_str(text)
            .map_err(|error| InvalidSchema(format!("the schema is not JSON: {error}")))?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            let place = error.instance_path().to_string();
            let reason = shortened(&error.to_string());
            InvalidSchema(match place.as_str() {
                "" => format!("the schema is not valid: {reason}"),
                place => format!("the schema is not valid at {place}: {reason}"),
            })
        })?;
        Ok(Self { validator })
    }

    /// Looks at a draft.
    pub fn verify(&self, draft: &str) -> Verdict {
        let fault = match serde_json::from_str::<Value>(draft.trim()) {
            Ok(value) => self.first_fault(&value),
            Err(error) => Some(Fault {
                path: String::new(),
                keyword: "parse".to_owned(),
                message: shortened(&format!("the draft is not JSON: {error}")),
            }),
        };
        Verdict {
            check: Check::JsonSchema,
            fault,
        }
    }

    fn first_fault(&self, value: &Value) -> Option<Fault> {
        let error = self.validator.iter_errors(value).next()?;
        let schema_path = error.schema_path().to_string();
        let keyword = schema_path.rsplit('/').next().unwrap_or_default();
        Some(Fault {
            path: error.instance_path().to_string(),
            keyword: keyword.to_owned(),
            message: shortened(&error.to_string()),
        })
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVOICE: &str = r#"{"type":"object","required":["total"],
        "properties":{"total":{"type":"number"},"items":{"type":"array","items":{"type":"string"}}}}"#;

    fn fault(draft: &str) -> Option<(String, String)> {
        let schema = JsonSchema::compile(INVOICE).unwrap();
        let verdict = schema.verify(draft);
        verdict.fault.map(|fault| (fault.path, fault.keyword))
    }

    fn at(path: &str, keyword: &str) -> (String, String) {
        (path.to_owned(), keyword.to_owned())
    }

    #[test]
    fn a_draft_that_fits_passes() {
        assert_eq!(fault(r#" {"total": 12.5, "items": ["tea"]} "#), None);
    }

    #[test]
    fn a_fault_says_the_place_and_the_keyword() {
        assert_eq!(fault(r#"{"total":"12"}"#), Some(at("/total", "type")));
        assert_eq!(fault("{}"), Some(at("", "required")));
        assert_eq!(
            fault(r#"{"total":1,"items":["tea",2]}"#),
            Some(at("/items/1", "type"))
        );
    }

    #[test]
    fn prose_around_the_json_is_no_json() {
        assert_eq!(fault("Here you are: {\"total\": 1}"), Some(at("", "parse")));
        assert_eq!(fault(""), Some(at("", "parse")));
    }

    #[test]
    fn a_wrong_schema_is_told_before_any_model_is_asked() {
        let problem = JsonSchema::compile(r#"{"type":"objekt"}"#).unwrap_err();
        assert!(problem.to_string().contains("/type"), "{problem}");
        assert!(JsonSchema::compile("{").is_err());
    }

    #[test]
    fn a_reference_to_another_document_is_refused_and_not_fetched() {
        let schema = r#"{"$ref":"http://127.0.0.1:1/secret.json"}"#;
        assert!(JsonSchema::compile(schema).is_err());
        let schema = r#"{"$ref":"file:///etc/hostname"}"#;
        assert!(JsonSchema::compile(schema).is_err());
    }

    #[test]
    fn the_largest_schema_is_accepted_and_one_more_byte_is_not() {
        let padded = format!("{{}}{}", " ".repeat(SCHEMA_BYTES_MAX - 2));
        assert!(JsonSchema::compile(&padded).is_ok());
        assert!(JsonSchema::compile(&format!("{padded} ")).is_err());
    }

    #[test]
    fn a_long_draft_is_not_quoted_whole() {
        let draft = format!("{{\"total\":\"{}\"}}", "9".repeat(10_000));
        let schema = JsonSchema::compile(INVOICE).unwrap();
        let fault = schema.verify(&draft).fault.unwrap();
        assert!(fault.message.chars().count() <= MESSAGE_CHARS_MAX + 1);
    }
}
