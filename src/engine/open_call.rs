//! A call that has not ended: when it began, what has come of it, and the place that it holds.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::chat::{Chunk, OriginalRequest};
use crate::domain::event::FailoverReason;
use crate::domain::model::Price;
use crate::domain::quantity::Moment;
use crate::engine::plan::Target;
use crate::engine::spent::Spent;
use crate::engine::standing::Permit;

/// A call that has not ended.
pub(super) struct OpenCall {
    pub(super) began: Moment,
    /// When its first token came, from its beginning.
    pub(super) first_token: Option<Duration>,
    /// List price of who is asked, where it is known.
    pub(super) price: Option<Price>,
    pub(super) spent: Spent,
    /// Held until the call has ended, whatever ends it.
    pub(super) permit: Permit,
}

impl OpenCall {
    /// One that begins now.
    pub(super) fn to(
        target: &Target,
        asked: &OriginalRequest,
        permit: Permit,
        now: Moment,
    ) -> Self {
        Self {
            began: now,
            first_token: None,
            price: target.model.price,
            spent: Spent::on(asked.clone(), target.overrides.as_ref().map(Arc::clone)),
            permit,
        }
    }

    /// Notes when the first token came.
    pub(super) fn token_came(&mut self, now: Moment) {
        self.first_token
            .get_or_insert_with(|| now.since(self.began));
    }

    /// Notes that a piece of the answer came.
    pub(super) fn piece_came(&mut self, chunk: &Chunk, now: Moment) {
        if !chunk.text.is_empty() {
            self.token_came(now);
        }
        self.spent.add(chunk);
    }

    /// What was waited for in vain, if it ends for want of time.
    pub(super) const fn awaited(&self) -> FailoverReason {
        match self.first_token {
            None => FailoverReason::TimeoutFirstToken,
            Some(_) => FailoverReason::TimeoutBetweenTokens,
        }
    }
}
