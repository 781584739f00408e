//! Who serves models.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::SecretRef;

/// Who serves models.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Provider {
    /// OpenAI, or any server that speaks its chat completions.
    Openai {
        /// The API's address, up to and without `/chat/completions`.
        #[serde(default = "openai_base_url")]
        base_url: String,
        /// The key that is sent as a bearer token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_key: Option<SecretRef>,
        /// Headers that every call carries; their values are secrets.
        #[serde(default)]
        headers: BTreeMap<String, SecretRef>,
    },
    /// Models that follow a script, so that routing can be seen without a key. Every answer and
    /// every record says that it is simulated.
    Simulated {
        /// What chance decides, such as which requests fail, follows from it.
        #[serde(default)]
        seed: u64,
    },
}

fn openai_base_url() -> String {
    "https://api.openai.com/v1".to_owned()
}
