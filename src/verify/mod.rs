//! Checks that a draft goes through before a caller sees it. Pure: a check is given the draft and
//! returns a verdict. Each is one file.

mod json_schema;

pub use json_schema::{InvalidSchema, JsonSchema};
