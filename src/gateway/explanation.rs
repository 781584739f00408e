//! A decision, as its caller reads it. It is written from the record as it stands: a tree of values in between
//! would cost more than all the rest of an answer to a prompt that is known.

use serde::Serialize;

use crate::domain::complexity::Rating;
use crate::domain::decision::{Removed, Weighed};
use crate::domain::event::{ChosenReason, RoutedReason};
use crate::domain::name::{AssistantName, ModelName, RouteName};
use crate::domain::quantity::Ratio;
use crate::domain::record::{EncoderUsed, Intent, Record, TextUsed, Timings};

/// A decision, as its caller reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation<'r> {
    request_id: &'r str,
    assistant: Option<&'r AssistantName>,
    route: Option<&'r RouteName>,
    reason: Option<RoutedReason>,
    target: Option<&'r ModelName>,
    chosen: Option<ChosenReason>,
    propensity: Option<Ratio>,
    seed: Option<u64>,
    candidates: Option<&'r [Weighed]>,
    removed: Option<&'r [Removed]>,
    intent: Option<&'r Intent>,
    complexity: Option<Rating>,
    text: Option<TextUsed>,
    encoder: &'r EncoderUsed,
    centroid_digest: &'r str,
    config_digest: &'r str,
    timings: Timings,
}

impl<'r> Explanation<'r> {
    /// What the record says of it.
    pub(crate) fn of(record: &'r Record) -> Self {
        let decision = record.decision.as_deref();
        Self {
            request_id: &record.request_id,
            assistant: record.assistant.as_ref(),
            route: decision.map(|it| &it.route),
            reason: decision.map(|it| it.reason),
            target: decision.map(|it| &it.target),
            chosen: decision.map(|it| it.chosen),
            propensity: decision.map(|it| it.propensity),
            seed: decision.and_then(|it| it.seed),
            candidates: decision.map(|it| it.candidates.as_slice()),
            removed: decision.map(|it| it.removed.as_slice()),
            intent: record.intent.as_ref(),
            complexity: record.complexity,
            text: record.text,
            encoder: &record.encoder,
            centroid_digest: &record.centroid_digest,
            config_digest: &record.config_digest,
            timings: record.timings,
        }
    }
}
