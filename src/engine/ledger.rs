//! Keeps a request's record while it is being written, and hands it over when the request is over,
//! however it ends.
//!
//! A request that comes to its end closes its ledger and waits until the log has the record. One that
//! does not, because its caller hung up, say, drops it, which writes the record too: nothing on the
//! way can forget it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::domain::caller::{ConversationId, Envelope, KeyLabel, Metadata, Tenant};
use crate::domain::chat::{Answer, Chunk, OriginalRequest, Usage};
use crate::domain::event::{FailoverReason, Failure, FailureKind, Purpose};
use crate::domain::name::{AssistantName, RouteName};
use crate::domain::quantity::{Moment, PicoUsd};
use crate::domain::record::{
    Attempt, AttemptResult, Cost, Outcome, RECORD_VERSION, Record, WallTime, as_millis,
};
use crate::domain::standing::Refusal;
use crate::engine::counting::count_owed;
use crate::engine::ended_call::{EndedCall, OwnTime};
use crate::engine::open_call::OpenCall;
use crate::engine::plan::Target;
use crate::engine::spent::{Uncounted, Use};
use crate::engine::standing::Permit;
use crate::engine::{Engine, Error, Plan};
use crate::health::load::Full;
use crate::health::outputs::Place;

/// The open record of one request, and the plan that it runs on.
pub struct Ledger {
    /// What is known so far.
    // In a box: the ledger is moved along the request's whole path.
    pub record: Box<Record>,
    engine: Arc<Engine>,
    plan: Arc<Plan>,
    began: Moment,
    deadline: Moment,
    seed: u64,
    key: Option<KeyLabel>,
    envelope: Envelope,
    /// In a box, since the ledger is moved along with every stream.
    call: Option<Box<OpenCall>>,
    /// Calls that have ended, whose tokens must still be counted. Shared, so that a count that nobody waits
    /// for any more can be made again.
    uncounted: Vec<(EndedCall, Arc<Uncounted>)>,
    is_closed: bool,
}

impl Ledger {
    /// Opens the record of a request that has just come.
    pub fn open(engine: &Arc<Engine>, endpoint: &'static str, request_id: String) -> Self {
        let plan = engine.plan();
        let record = Box::new(Record {
            version: RECORD_VERSION,
            request_id,
            time: WallTime(engine.clock().wall()),
            endpoint,
            tenant: plan.access.tenant_without_key(),
            config_digest: Arc::clone(&plan.digest),
            centroid_digest: Arc::clone(&plan.centroid_digest),
            encoder: Arc::clone(&engine.encoder_used),
            ..Record::default()
        });
        let began = engine.clock().now();
        engine.n_open.fetch_add(1, Ordering::Relaxed);
        Self {
            record,
            began,
            deadline: began + plan.request_timeout,
            seed: engine.seed(),
            key: None,
            envelope: Envelope::default(),
            engine: Arc::clone(engine),
            plan,
            call: None,
            uncounted: Vec::new(),
            is_closed: false,
        }
    }

    /// The plan in force when the request came.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    /// Sets how long the request may take, from when it came.
    pub fn limit(&mut self, limit: Duration) {
        self.deadline = self.began + limit;
    }

    /// When the request must be over.
    pub const fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How much of its time is left.
    pub fn time_left(&self) -> Duration {
        self.deadline.since(self.engine.clock().now())
    }

    /// Notes on whose behalf the request came. Where keys are asked for, nothing can be asked before.
    pub fn came_from(&mut self, tenant: Tenant) {
        self.record.tenant = Some(tenant);
    }

    /// Notes the key that came with the request, and what was written on it outside its body.
    pub fn came_with(&mut self, key: Option<KeyLabel>, envelope: Envelope) {
        self.key = key;
        self.envelope = envelope;
    }

    /// The key that came with the request, where keys are asked for.
    pub const fn key(&self) -> Option<&KeyLabel> {
        self.key.as_ref()
    }

    /// What was written on the request, as far as a rule looks at it.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What chance says in this request's decision.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Has chance say this and nothing else, so that a decision can be made again.
    pub fn seeded(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Notes what the caller says of the request.
    pub fn said(&mut self, metadata: Metadata, conversation: Option<ConversationId>) {
        self.record.metadata = metadata;
        self.record.conversation = conversation;
    }

    /// Notes which assistant was asked.
    pub fn asked(&mut self, assistant: &AssistantName) {
        self.record.assistant = Some(assistant.clone());
    }

    /// The route that the request is on, once it has one.
    pub fn place(&self) -> Option<Place> {
        self.place_on(&self.record.decision.as_ref()?.route)
    }

    /// The same for a route that it may come to be on.
    pub(super) fn place_on(&self, route: &RouteName) -> Option<Place> {
        Some(Place {
            route: route.clone(),
            assistant: self.record.assistant.clone()?,
        })
    }

    /// Takes a place for a call to a target that is expected to use so many tokens. Notes if it has none.
    pub fn admit(&mut self, target: &Target, tokens: u64) -> Result<Permit, Full> {
        let permit = target.state.permit(self.engine.clock().now(), tokens);
        if let Err(full) = &permit {
            self.record.refusals.push(Refusal {
                target: target.model.name.clone(),
                reason: full.room,
            });
        }
        permit
    }

    /// Notes that a model is being asked. Until it is told otherwise, the call counts as abandoned.
    pub fn call_began(
        &mut self,
        target: &Target,
        purpose: Purpose,
        asked: &OriginalRequest,
        permit: Permit,
    ) {
        let overrides = target.overrides.as_ref();
        let now = self.engine.clock().now();
        self.call = Some(Box::new(OpenCall::to(target, asked, permit, now)));
        self.record.attempts.push(Attempt {
            overridden: overrides.map_or_else(Vec::new, |it| it.names().to_vec()),
            ..Attempt::begun(target.model.name.clone(), purpose)
        });
    }

    /// Notes which fields of the request the model's provider was not told.
    pub fn dropped(&mut self, fields: Vec<String>) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.dropped = fields;
        }
    }

    /// Notes that the first token came.
    pub fn first_token_came(&mut self) {
        if let Some(call) = &mut self.call {
            call.token_came(self.engine.clock.now());
        }
    }

    /// Notes that a piece of the answer came.
    pub fn piece_came(&mut self, chunk: &Chunk) {
        if let Some(call) = &mut self.call {
            call.piece_came(chunk, self.engine.clock.now());
        }
    }

    /// Notes a whole answer, whose text is wanted if its tokens were not counted.
    pub fn answer_came(&mut self, answer: &Answer) {
        if let (Some(call), None) = (&mut self.call, answer.usage) {
            call.spent.add_answer(answer);
        }
        self.call_answered(answer.usage);
    }

    /// What the call waits for, and did in vain if the request's own time is over.
    pub(super) fn awaited(&self) -> FailoverReason {
        let call = self.call.as_ref();
        call.map_or(FailoverReason::TimeoutFirstToken, |call| call.awaited())
    }

    /// Notes that the model answered.
    pub fn call_answered(&mut self, usage: Option<Usage>) {
        self.end_call(AttemptResult::Answered, usage, None);
    }

    /// Notes that the model did not answer.
    pub fn call_failed(&mut self, failure: &Failure) {
        let result = match failure.kind {
            FailureKind::Unavailable(reason) => AttemptResult::Failed(reason),
            FailureKind::Rejected => AttemptResult::Rejected,
            FailureKind::Unsayable => AttemptResult::Unsayable,
        };
        tracing::warn!(request_id = %self.record.request_id, detail = %failure.message, "a call failed");
        let status = failure.upstream.as_ref().map(|upstream| upstream.status);
        self.end_call(result, None, status);
    }

    /// Notes that the caller got an error.
    pub fn failed(&mut self, error: &Error) {
        let error_type = error.error_type();
        if error_type != crate::domain::event::ErrorType::Caller {
            tracing::warn!(
                request_id = %self.record.request_id,
                code = error.code(),
                detail = %error.detail(),
                "a request failed"
            );
        }
        self.record.outcome = Outcome::Failed {
            status: error.status(),
            error_type,
            code: error.code(),
        };
    }

    /// The record as it stands, with the time up to now: what the headers say of an answer that has only
    /// begun.
    pub fn snapshot(&mut self) -> Record {
        let now = self.engine.clock().now();
        self.sum_up(now);
        let mut record = Record::clone(&self.record);
        if let Some(call) = &self.call {
            record.timings.upstream += now.since(call.began);
        }
        record
    }

    fn sum_up(&mut self, now: Moment) {
        self.record.timings.total = now.since(self.began);
        self.record.cost_usd = self
            .record
            .attempts
            .iter()
            .fold(Cost::Known(PicoUsd::ZERO), |sum, attempt| {
                sum.plus(attempt.cost_usd)
            });
    }

    /// Counts the tokens of calls whose providers did not, on another thread. Whoever stops waiting loses
    /// nothing: they are counted later.
    pub async fn settle(&mut self) {
        if self.uncounted.is_empty() {
            return;
        }
        let texts = self.uncounted.iter().map(|(_, it)| Arc::clone(it));
        let counts = count_owed(texts.collect()).await;
        for ((call, _), usage) in self.uncounted.drain(..).zip(counts) {
            call.used(&mut self.record.attempts, usage);
        }
    }

    /// Ends the record and waits until the log has it. A caller that gets the last byte of its answer
    /// after this loses no record, whatever becomes of the process.
    pub async fn close(mut self) -> Arc<Record> {
        self.abandon_call();
        self.settle().await;
        let record = self.end(self.engine.clock().now());
        let engine = Arc::clone(&self.engine);
        drop(self);
        engine.log.write(&record, engine.company()).await;
        record
    }

    /// A call that has not ended was left.
    fn abandon_call(&mut self) {
        if self.call.is_some() {
            self.end_call(AttemptResult::Abandoned, None, None);
        }
    }

    /// Ends the record, which is shared from here on and does not change.
    fn end(&mut self, now: Moment) -> Arc<Record> {
        self.is_closed = true;
        if self.record.outcome == Outcome::Pending {
            self.record.outcome = Outcome::Abandoned;
        }
        self.sum_up(now);
        self.engine.n_open.fetch_sub(1, Ordering::Relaxed);
        let record = Arc::from(std::mem::take(&mut self.record));
        tell(&record);
        self.engine.metrics.hand_over(Arc::clone(&record), now);
        self.engine.recent.remember(&record.request_id);
        record
    }

    fn end_call(&mut self, result: AttemptResult, usage: Option<Usage>, status: Option<u16>) {
        let Some(call) = self.call.take() else {
            return;
        };
        let place = self.place();
        let attempts = &mut self.record.attempts;
        let now = self.engine.clock().now();
        let total = now.since(call.began);
        self.record.timings.upstream += total;
        if let Some(attempt) = attempts.last_mut() {
            attempt.result = result;
            attempt.status = status;
            attempt.total_ms = as_millis(total);
            attempt.ttft_ms = call.first_token.map(as_millis);
        }
        let ended = EndedCall {
            attempt_idx: attempts.len().saturating_sub(1),
            first_token: call.first_token,
            total,
            at: now,
            time: OwnTime::of(
                total,
                self.deadline.since(now),
                self.deadline.since(self.began),
            ),
            price: call.price,
            place,
            unsettled: call.permit.ended(),
        };
        match call.spent.usage(result, usage) {
            Use::Known(usage) => ended.used(attempts, usage),
            Use::Uncounted(texts) => self.uncounted.push((ended, Arc::new(texts))),
        }
    }
}

impl Drop for Ledger {
    /// A caller that left, an early return or a panic: nobody waits, and the record is written all the
    /// same.
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        self.abandon_call();
        let now = self.engine.clock().now();
        if self.uncounted.is_empty() {
            let record = self.end(now);
            self.engine.log.hand_over(&record);
            return;
        }
        self.is_closed = true;
        let left = Left {
            ledger: Self {
                record: std::mem::take(&mut self.record),
                engine: Arc::clone(&self.engine),
                plan: Arc::clone(&self.plan),
                call: None,
                uncounted: std::mem::take(&mut self.uncounted),
                is_closed: false,
                key: None,
                envelope: Envelope::default(),
                ..*self
            },
            at: now,
        };
        // Where no runtime is left to do it aside, it is done here.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(left));
        }
    }
}

/// A ledger that nobody waits for, and whose tokens must be counted.
struct Left {
    ledger: Ledger,
    at: Moment,
}

impl Drop for Left {
    /// Counts and writes, wherever it is dropped: a runtime that ends drops work that it has not begun, and
    /// the record must be written all the same.
    fn drop(&mut self) {
        let ledger = &mut self.ledger;
        // Taken first: if one cannot be counted, the record is written without it.
        for (call, texts) in std::mem::take(&mut ledger.uncounted) {
            call.used(&mut ledger.record.attempts, texts.count());
        }
        let record = ledger.end(self.at);
        ledger.engine.log.hand_over(&record);
    }
}

/// One line for people who watch; the record says it all, so that nobody else pays for it.
fn tell(record: &Record) {
    let intent = record.intent.as_ref().map(|intent| intent.name.as_str());
    let decision = record.decision.as_ref();
    let served_by = record.served_by();
    tracing::debug!(
        request_id = %record.request_id,
        endpoint = record.endpoint,
        tenant = record.tenant.as_ref().map_or("none", Tenant::as_str),
        intent = intent.unwrap_or("none"),
        route = decision.map_or("none", |decision| decision.route.as_str()),
        reason = decision.map_or("none", |decision| decision.reason.as_str()),
        target = served_by.map_or("none", |attempt| attempt.target.as_str()),
        escalations = record.escalations.len(),
        failovers = record.failovers.len(),
        total_ms = as_millis(record.timings.total),
        simulated = record.simulated,
        "{}",
        record.outcome.as_str()
    );
}
