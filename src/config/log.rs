//! The log of records.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// The log of records, one JSON object a request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Where records go: `stdout`, and `jsonl:FOLDER` for a file `records.jsonl` there. None, if
    /// the list is empty.
    pub to: Vec<To>,
    /// What of a prompt a record keeps: `none`, `hashed` (equal prompts can be told, not read) or
    /// `full`. Retraining from the log needs `full`.
    pub prompts: Prompts,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum To {
    /// Standard output.
    Stdout,
    /// A folder, relative to where the process runs.
    Folder(PathBuf),
}

/// What of a prompt a record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompts {
    /// Nothing.
    None,
    /// A SHA-256 digest of what was embedded.
    Hashed,
    /// What was embedded.
    Full,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            to: vec![To::Stdout],
            prompts: Prompts::None,
        }
    }
}

impl TryFrom<String> for To {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "stdout" => Ok(Self::Stdout),
            Some(("jsonl", folder)) if !folder.is_empty() => {
                Ok(Self::Folder(PathBuf::from(folder)))
            }
            _ => Err(format!(
                "{text:?} is no place for a log: write stdout or jsonl:FOLDER"
            )),
        }
    }
}

impl JsonSchema for To {
    fn schema_name() -> Cow<'static, str> {
        "To".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(stdout|jsonl:.+)$" })
    }
}
