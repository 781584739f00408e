//! Performs the steps of a cascade: the only place where a decision meets the world.
//!
//! Which target is asked, whether a draft is good enough and when to give up is decided by the
//! state machine in [`crate::cascade`]. Here a step is performed and what came of it is reported
//! back. A draft that a check will look at is held until the check passed, so that no caller ever
//! sees a piece of a rejected one; one that nothing checks is handed over as it comes.

use std::time::Duration;

use futures_util::StreamExt;

use crate::cascade::{Acceptance, Cascade, Change, Checking, Event, Limits, Step};
use crate::domain::chat::{Answer, Body, Chunk, Delivery, Request, Usage};
use crate::domain::event::{Escalation, Failover, FailoverReason, Failure, Purpose};
use crate::domain::model::{ModelId, Tier};
use crate::domain::record::Outcome;
use crate::engine::ledger::Ledger;
use crate::engine::plan::{Plan, Route, Target};
use crate::engine::standing::Permit;
use crate::engine::{Engine, Error};
use crate::health::load::Full;
use crate::provider::{Brought, Call, ChunkStream};
use crate::verify::JsonSchema;

/// The longest draft that is held for a check. The largest context windows produce less than this, and a provider
/// that never stops must not fill the memory.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One request on its route.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) plan: &'a Plan,
    pub(super) route: &'a Route,
    /// Who is asked, in order.
    pub(super) tiers: &'a [Tier],
    pub(super) request: &'a Request,
    /// What drafts must satisfy, if there is anything.
    pub(super) schema: Option<JsonSchema>,
    /// How long the request may take, from its beginning.
    pub(super) limit: Duration,
}

/// What a call brought.
pub(super) enum Draft {
    /// An answer in one piece.
    Whole(Answer),
    /// All pieces of a streamed answer.
    Pieces(Vec<Chunk>),
    /// A stream that has begun.
    Live(Live),
}

/// A stream that has begun: the first piece, and those to come.
pub(super) struct Live {
    pub(super) first: Chunk,
    pub(super) rest: ChunkStream,
}

impl Run<'_> {
    /// Goes through the route's tiers until there is an answer or none to be had.
    pub(super) async fn execute(&self, ledger: &mut Ledger) -> Result<Draft, Error> {
        let deadline = ledger.deadline();
        let mut cascade = Cascade::new(
            self.tiers,
            self.checking(),
            Limits {
                deadline,
                on_limit: self.route.on_limit,
            },
        );
        let mut draft = None;
        let mut event = Event::Begun;
        let mut free_in = None;
        loop {
            let transition = cascade.next(event, self.engine.clock.now());
            if let Some(change) = transition.change {
                self.note(change, ledger);
            }
            event = match transition.step {
                Step::Call { target, purpose } => {
                    match self.call(target, purpose, ledger, &mut free_in).await {
                        Ok(brought) => {
                            draft = Some(brought);
                            Event::Drafted
                        }
                        Err(failure) => Event::Failed(failure),
                    }
                }
                Step::Verify => self.verify(draft.as_ref(), ledger),
                Step::Answer(acceptance) => {
                    ledger.record.outcome = match acceptance {
                        Acceptance::Unchecked | Acceptance::Passed => Outcome::Answered,
                        Acceptance::Rejected => Outcome::AnsweredRejected,
                    };
                    return draft.ok_or_else(|| Error::Internal {
                        detail: "the cascade answered without a draft".to_owned(),
                    });
                }
                Step::GiveUp(defeat) => return Err(Error::of_defeat(defeat, self.limit, free_in)),
            };
        }
    }

    fn checking(&self) -> Checking {
        match self.schema {
            Some(_) => Checking::Drafts,
            None => Checking::Nothing,
        }
    }

    /// Asks one target and waits until its answer is whole or, if nothing checks it, has begun.
    async fn call(
        &self,
        id: ModelId,
        purpose: Purpose,
        ledger: &mut Ledger,
        free_in: &mut Option<Duration>,
    ) -> Result<Draft, Failure> {
        let Some(target) = self.plan.target(id) else {
            return Err(Failure::unavailable(
                FailoverReason::Connect,
                format!("the plan has no model at position {}", id.0),
            ));
        };
        let permit = self.permit(target, ledger).map_err(|full| {
            *free_in = full.free_in.into_iter().chain(*free_in).min();
            let message = format!("{} has no room: {}", target.model.name, full.room);
            Failure::unavailable(FailoverReason::TargetFull, message)
        })?;
        ledger.record.simulated |= target.provider.is_simulated();
        ledger.call_began(target, purpose, &self.request.original, permit);
        let left = ledger.time_left();
        let brought = match tokio::time::timeout(left, self.ask(target, ledger)).await {
            Ok(brought) => brought,
            // A stream that is held for a check may be in the middle of its answer.
            Err(_) => Err(Failure::unavailable(
                ledger.awaited(),
                "the request's own time was over",
            )),
        };
        match &brought {
            Ok(Draft::Whole(answer)) => ledger.answer_came(answer),
            Ok(Draft::Pieces(pieces)) => ledger.call_answered(usage_of(pieces)),
            Ok(Draft::Live(_)) => {}
            Err(failure) => ledger.call_failed(failure),
        }
        brought
    }

    /// A place at the target. How much it will have to do is only estimated where that matters, since it
    /// means reading the conversation.
    fn permit(&self, target: &Target, ledger: &mut Ledger) -> Result<Permit, Full> {
        if target.load_limits.tokens_per_minute.is_none() {
            return ledger.admit(target, 0);
        }
        let prompt = target.model.terms.tokens(self.request.tokens_estimate());
        let place = ledger.place();
        let answer = place.and_then(|place| target.state.output_tokens(&place));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of counts is none of these, and the cast would stop at the ends"
        )]
        let answer = answer.map_or(0, |mean| mean as u64);
        ledger.admit(target, prompt.saturating_add(answer))
    }

    async fn ask(&self, target: &Target, ledger: &mut Ledger) -> Result<Draft, Failure> {
        let call = Call {
            request: self.request,
            model: &target.model.upstream_name,
            timeouts: target.timeouts,
            overrides: target.overrides.as_deref(),
        };
        match (self.request.delivery, self.checking()) {
            (Delivery::Whole, _) => {
                let Brought { reply, dropped } = target.provider.call(call).await?;
                ledger.dropped(dropped);
                Ok(Draft::Whole(reply))
            }
            (Delivery::Streamed, checking) => {
                let Brought { reply, dropped } = target.provider.stream(call).await?;
                ledger.dropped(dropped);
                let live = begin(reply, ledger).await?;
                match checking {
                    Checking::Nothing => Ok(Draft::Live(live)),
                    Checking::Drafts => collect(live, ledger).await.map(Draft::Pieces),
                }
            }
        }
    }

    fn verify(&self, draft: Option<&Draft>, ledger: &mut Ledger) -> Event {
        let (Some(schema), Some(draft)) = (&self.schema, draft) else {
            return Event::Drafted;
        };
        let began = self.engine.clock.now();
        let verdict = match draft {
            Draft::Whole(answer) => schema.verify(&answer.text),
            Draft::Pieces(pieces) => schema.verify(&text_of(pieces)),
            // A live stream cannot be taken back; the machine never asks for its check.
            Draft::Live(_) => return Event::Drafted,
        };
        ledger.record.timings.verify += self.engine.clock.now().since(began);
        ledger.record.verdicts.push(verdict.clone());
        Event::Verified(verdict)
    }

    fn note(&self, change: Change, ledger: &mut Ledger) {
        let name = |id: ModelId| self.plan.target(id).map(|target| target.model.name.clone());
        match change {
            Change::Escalated { from, to, verdict } => {
                if let (Some(from), Some(to), Some(fault)) = (name(from), name(to), verdict.fault) {
                    ledger.record.escalations.push(Escalation {
                        from,
                        to,
                        reason: verdict.check,
                        fault,
                    });
                }
            }
            Change::FailedOver { from, to, reason } => {
                if let (Some(from), Some(to)) = (name(from), name(to)) {
                    ledger.record.failovers.push(Failover { from, to, reason });
                }
            }
        }
    }
}

/// Waits for the first piece of which the caller gets anything, so that a stream that fails before it begins
/// can still be failed over.
async fn begin(mut stream: ChunkStream, ledger: &mut Ledger) -> Result<Live, Failure> {
    let mut usage = None;
    loop {
        let mut first = stream.next().await.unwrap_or_else(|| {
            let message = "the stream ended before its first piece";
            Err(Failure::unavailable(FailoverReason::StreamCut, message))
        })?;
        ledger.piece_came(&first);
        usage = first.usage.or(usage);
        let is_nothing = matches!(&first.body, Body::Read(deltas) if deltas.is_empty());
        if !is_nothing || first.finish.is_some() {
            first.usage = usage;
            let rest = stream;
            return Ok(Live { first, rest });
        }
    }
}

/// Holds a stream until it is whole.
async fn collect(mut live: Live, ledger: &mut Ledger) -> Result<Vec<Chunk>, Failure> {
    let mut n_bytes = live.first.text.len();
    let mut pieces = vec![live.first];
    while let Some(piece) = live.rest.next().await {
        let piece = piece?;
        ledger.piece_came(&piece);
        n_bytes += piece.text.len();
        if HELD_BYTES_MAX < n_bytes {
            return Err(Failure::unavailable(
                FailoverReason::Malformed,
                format!("the answer is longer than {HELD_BYTES_MAX} bytes"),
            ));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

fn text_of(pieces: &[Chunk]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// The last count counts: providers repeat a running total.
fn usage_of(pieces: &[Chunk]) -> Option<Usage> {
    pieces.iter().rev().find_map(|piece| piece.usage)
}
