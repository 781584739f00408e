//! The log of records.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::config::value::ByteSize;

/// The log of records, one JSON object a request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Where records and feedback go: `stdout`, and `jsonl:FOLDER` for the files `records.jsonl` and
    /// `feedback.jsonl` there. Nowhere, if the list is empty.
    pub to: Vec<To>,
    /// What of a prompt a record keeps: `none`, `hashed` (equal prompts can be told, not read) or
    /// `full`. Retraining from the log needs `full`.
    pub prompts: Prompts,
    /// How long a file in a log folder may grow before it is closed, renamed by its time, and a new
    /// one begun, such as `256MiB`.
    pub rotate: ByteSize,
    /// How many closed files of each kind stay in a log folder; the oldest are deleted. All of them,
    /// if it is left out.
    pub keep: Option<usize>,
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
            rotate: ByteSize::mebibytes(256),
            keep: None,
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
