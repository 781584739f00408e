//! Passes the pieces of a streamed answer on, and keeps its ledger until they end.
//!
//! A piece costs little, since there are many: what lasts as long as the stream stays where it is, and the
//! timer of the request is set once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::Stream;

use crate::domain::chat::{Chunk, Usage};
use crate::domain::event::{FailoverReason, Failure};
use crate::domain::record::Outcome;
use crate::engine::Error;
use crate::engine::ledger::Ledger;
use crate::engine::serve::Piece;
use crate::provider::ChunkStream;
use crate::provider::alarm::Alarm;

/// A stream being passed on.
pub(super) enum Passing {
    /// More pieces may come.
    Open(Box<Open>),
    /// They have ended, and the log is to have the record before the caller has the last one.
    Closing(BoxFuture<'static, Piece>),
    /// The caller has them all.
    Over,
}

/// A stream that has not ended.
pub(super) struct Open {
    first: Option<Chunk>,
    rest: ChunkStream,
    usage: Option<Usage>,
    /// The outcome, if the caller stays to the end.
    answered: Outcome,
    ledger: Ledger,
    /// Rings when the request's own time is over; set when the first piece is waited for.
    deadline: Option<Alarm>,
}

/// How the pieces ended.
enum Ending {
    Whole,
    Broken(Failure),
}

impl Passing {
    /// Begins to pass on these pieces. Until they end the outcome is open: a caller that leaves in the
    /// middle got no answer.
    pub(super) fn of(first: Option<Chunk>, rest: ChunkStream, mut ledger: Ledger) -> Self {
        let answered = std::mem::replace(&mut ledger.record.outcome, Outcome::Pending);
        Self::Open(Box::new(Open {
            first,
            rest,
            usage: None,
            answered,
            ledger,
            deadline: None,
        }))
    }

    /// Goes on to close the ledger.
    fn end(&mut self, ending: Ending) {
        if let Self::Open(open) = std::mem::replace(self, Self::Over) {
            *self = Self::Closing(open.close(ending).boxed());
        }
    }
}

impl Stream for Passing {
    type Item = Piece;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        let passing = self.get_mut();
        loop {
            match passing {
                Self::Open(open) => match ready!(open.poll_chunk(context)) {
                    Some(Ok(chunk)) => return Poll::Ready(Some(Piece::Chunk(chunk))),
                    Some(Err(failure)) => passing.end(Ending::Broken(failure)),
                    None => passing.end(Ending::Whole),
                },
                Self::Closing(closing) => {
                    let last = ready!(closing.as_mut().poll(context));
                    *passing = Self::Over;
                    return Poll::Ready(Some(last));
                }
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}

impl Open {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        // It was noted when it came.
        if let Some(first) = self.first.take() {
            self.usage = first.usage;
            return Poll::Ready(Some(Ok(first)));
        }
        let next = ready!(self.poll_in_time(context));
        if let Some(Ok(chunk)) = &next {
            self.ledger.piece_came(chunk);
            self.usage = chunk.usage.or(self.usage);
        }
        Poll::Ready(next)
    }

    /// The next piece, or why there will be none in the request's own time.
    fn poll_in_time(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        if let Poll::Ready(next) = self.rest.as_mut().poll_next(context) {
            return Poll::Ready(next);
        }
        let ledger = &self.ledger;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Alarm::after(ledger.time_left()));
        ready!(deadline.poll(context));
        Poll::Ready(Some(Err(out_of_time())))
    }

    /// Closes the ledger, and tells the last piece.
    async fn close(self: Box<Self>, ending: Ending) -> Piece {
        let Self {
            rest,
            usage,
            answered,
            mut ledger,
            ..
        } = *self;
        // The provider must not go on while the record is counted and written.
        drop(rest);
        match ending {
            Ending::Whole => {
                ledger.call_answered(usage);
                ledger.record.outcome = answered;
                Piece::End(ledger.close().await)
            }
            Ending::Broken(failure) => {
                ledger.call_failed(&failure);
                let error = Error::Upstream(failure);
                ledger.failed(&error);
                ledger.close().await;
                Piece::Failed(error)
            }
        }
    }
}

/// The request's own time was over before the stream was.
fn out_of_time() -> Failure {
    let message = "the request's own time was over before the answer was whole";
    Failure::unavailable(FailoverReason::TimeoutBetweenTokens, message)
}
