//! A record as it is read back from a log: what later commands need of it, and nothing that a log of
//! another version might lack makes a line unreadable.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::name::IntentName;
use crate::domain::record::IntentEncoder;

/// A record from a log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// The request's id.
    pub request_id: String,
    /// When it came, RFC 3339, UTC.
    #[serde(default)]
    pub time: String,
    /// The path asked.
    #[serde(default)]
    pub endpoint: String,
    /// On whose behalf.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What the caller said of it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The conversation that it belonged to.
    #[serde(default)]
    pub conversation: Option<String>,
    /// The assistant asked for.
    #[serde(default)]
    pub assistant: Option<String>,
    /// Digest of the centroids that were in force.
    #[serde(default)]
    pub centroid_digest: String,
    /// The prompt, if the log kept it.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The nearest intent.
    #[serde(default)]
    pub intent: Option<Intent>,
    /// The route.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// Every call to a model.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// How many drafts failed a check.
    #[serde(default)]
    pub escalations: Vec<serde::de::IgnoredAny>,
}

impl Record {
    /// The prompt, if the log kept its words and not only a digest of them, and there are any.
    pub fn prompt_text(&self) -> Option<&str> {
        /// How a digest is written.
        const DIGEST_CHARS: usize = 64;
        let prompt = self.prompt.as_deref()?;
        let is_digest =
            prompt.len() == DIGEST_CHARS && prompt.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(prompt).filter(|prompt| !is_digest && !prompt.trim().is_empty())
    }
}

/// Where a prompt lay among the intents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Intent {
    /// The nearest intent.
    pub name: IntentName,
    /// Its probability.
    #[serde(default)]
    pub score: f32,
    /// How far the second was behind.
    #[serde(default)]
    pub margin: f32,
    /// The cosine with its mean.
    #[serde(default)]
    pub similarity: f32,
    /// Whether the prompt was out of scope.
    #[serde(default)]
    pub out_of_scope: bool,
    /// Which encoder it rested on.
    #[serde(default)]
    pub encoder: IntentEncoder,
}

/// A route that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decision {
    /// Its name.
    pub route: String,
    /// Why it was taken.
    #[serde(default)]
    pub reason: String,
    /// Who was asked first.
    #[serde(default)]
    pub target: String,
    /// What chance said, where it had a say.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// A call to a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// Who was asked.
    pub target: String,
    /// Tokens, if the provider counted them.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// Tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Of the request.
    #[serde(default)]
    pub input_tokens: u64,
    /// Of the answer.
    #[serde(default)]
    pub output_tokens: u64,
}
