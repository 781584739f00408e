//! What people say of a request afterwards: which intent it really had, and whether the one found was
//! right.

use serde::{Deserialize, Serialize};

use crate::domain::name::IntentName;

/// The version of the schema of a line of feedback.
pub const FEEDBACK_VERSION: u32 = 1;

/// A line of feedback, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The version of this schema.
    #[serde(default)]
    pub version: u32,
    /// When it came, RFC 3339, UTC.
    #[serde(default)]
    pub time: String,
    /// The request that it is about.
    pub request_id: String,
    /// Whether this process served that request; another replica may have.
    #[serde(default)]
    pub known: bool,
    /// The intent that the prompt really had.
    #[serde(default)]
    pub intent: Option<IntentName>,
    /// Whether the centroids in force have that intent.
    #[serde(default)]
    pub intent_known: Option<bool>,
    /// Whether the intent that was found is right.
    #[serde(default)]
    pub outcome: Option<Judgement>,
    /// Anything else.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Whether the intent that was found is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It is.
    Right,
    /// It is not.
    Wrong,
}

impl Feedback {
    /// Feedback that says nothing yet.
    pub fn about(request_id: &str) -> Self {
        Self {
            version: FEEDBACK_VERSION,
            time: String::new(),
            request_id: request_id.to_owned(),
            known: false,
            intent: None,
            intent_known: None,
            outcome: None,
            comment: None,
        }
    }
}
