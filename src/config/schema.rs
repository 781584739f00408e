//! The JSON Schema of the configuration, generated from its types, so that editors complete it.

use serde_json::Value;

use crate::config::Config;

/// The schema.
pub fn schema() -> Value {
    schemars::schema_for!(Config).to_value()
}

/// The schema as it is committed in `docs/`.
pub fn committed_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}
