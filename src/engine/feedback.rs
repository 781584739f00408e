//! Feedback on a request: checked, told from feedback on what this process never served, and written.

use std::sync::Arc;

use crate::domain::feedback::{FEEDBACK_VERSION, Feedback, Judgement};
use crate::domain::name::IntentName;
use crate::domain::record::WallTime;
use crate::engine::{Engine, Error};

/// The longest id of a request, as everywhere.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The longest comment: a few paragraphs.
const COMMENT_BYTES_MAX: usize = 4096;

/// What somebody says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The request.
    pub request_id: String,
    /// The intent that the prompt really had.
    pub intent: Option<IntentName>,
    /// Whether the intent that was found is right.
    pub outcome: Option<Judgement>,
    /// Anything else.
    pub comment: Option<String>,
}

impl Engine {
    /// Writes feedback to the log and says what is known of it.
    pub async fn note(&self, said: Said) -> Result<Arc<Feedback>, Error> {
        check(&said)?;
        if !self.log.keeps() {
            return Err(invalid(
                None,
                "feedback is not kept: set `log.to` to a folder or to stdout".to_owned(),
            ));
        }
        let plan = self.plan();
        let intent_known = said
            .intent
            .as_ref()
            .map(|intent| plan.centroids.intents().any(|known| known == intent));
        let feedback = Feedback {
            version: FEEDBACK_VERSION,
            time: WallTime(self.clock.wall()).to_string(),
            known: self.recent.knows(&said.request_id),
            request_id: said.request_id,
            intent: said.intent,
            intent_known,
            outcome: said.outcome,
            comment: said.comment,
        };
        let feedback = Arc::new(feedback);
        self.log.write_feedback(&feedback).await;
        self.metrics.observe_feedback(&feedback);
        Ok(feedback)
    }
}

fn check(said: &Said) -> Result<(), Error> {
    let id_length = said.request_id.chars().count();
    if !(1..=REQUEST_ID_CHARS_MAX).contains(&id_length) {
        let message = format!(
            "`request_id` has {id_length} characters; give the id of 1 to {REQUEST_ID_CHARS_MAX} \
             that the header x-request-id of the answer told"
        );
        return Err(invalid(Some("request_id"), message));
    }
    let comment = said.comment.as_ref();
    if comment.is_some_and(|comment| COMMENT_BYTES_MAX < comment.len()) {
        let message = format!("`comment` is longer than {COMMENT_BYTES_MAX} bytes; shorten it");
        return Err(invalid(Some("comment"), message));
    }
    if said.intent.is_none() && said.outcome.is_none() && comment.is_none() {
        let message = "the feedback says nothing: give `intent`, `outcome` or `comment`".to_owned();
        return Err(invalid(None, message));
    }
    Ok(())
}

fn invalid(param: Option<&str>, message: String) -> Error {
    Error::Invalid {
        param: param.map(ToOwned::to_owned),
        message,
    }
}
