//! Chooses who answers: brings together what the pure decision in [`crate::routing`] asks for, and notes
//! what it decided.
//!
//! The prompt is embedded only if a rule, or the route's strategy, comes to look at what it means; a
//! rule on a header that holds before costs no more than reading the header.

use std::time::Duration;

use crate::domain::caller::Tenant;
use crate::domain::chat::Request;
use crate::domain::decision::{Decided, Out, Undecided, Weighed};
use crate::domain::model::{Model, ModelId};
use crate::domain::quantity::Moment;
use crate::domain::record::TextUsed;
use crate::domain::standing::{self, Room, Standing};
use crate::encoder::{Class, Embedding, Refusal};
use crate::engine::error::KeyProblem;
use crate::engine::ledger::Ledger;
use crate::engine::passages;
use crate::engine::plan::{Assistant, Plan, PromptPolicy, Route};
use crate::engine::{Engine, Error};
use crate::health::outputs::Place;
use crate::routing::strategy::Luck;
use crate::routing::{
    Asked, Decision, Facts, IntentSignal, Knowledge, Ladder, Matched, NoCandidate, Subject,
    Understanding, choose, first_match,
};

/// Whether a prompt is embedded where nothing looks at what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embed {
    /// It is not: nobody would read the result.
    IfLookedAt,
    /// It is: somebody wants to know how the prompt is understood.
    Always,
}

/// A route, and who answers on it.
pub(super) struct Chosen<'p> {
    pub(super) route: &'p Route,
    pub(super) decision: Decision,
}

/// A request on its way to a route.
pub(super) struct Choosing<'a> {
    pub(super) engine: &'a Engine,
    pub(super) plan: &'a Plan,
    pub(super) request: &'a Request,
    pub(super) class: Class,
    pub(super) embed: Embed,
}

impl Choosing<'_> {
    /// Chooses the route, and who answers on it.
    pub(super) async fn choose<'p>(
        &self,
        assistant: &'p Assistant,
        ledger: &mut Ledger,
    ) -> Result<Chosen<'p>, Error> {
        // One for all that is asked of the request: what its words are is found out once.
        let words = || self.words();
        let asked = Asked::new(Subject::Chat(self.request), &words);
        let unread = Understanding::NONE;
        let known = match self.embed {
            Embed::Always => None,
            Embed::IfLookedAt => self.matched(assistant, (&asked, &unread), ledger)?,
        };
        let looks_at_intent = |route: &Route| route.way.looks_at_intent();
        let (understanding, matched) = match known {
            Some(known) if !looks_at_intent(known.route) => {
                self.keep_prompt(ledger);
                (unread, known)
            }
            _ => {
                // Beside the encoder's work, a box is nothing; without it, every request would carry the room.
                let understanding = Box::pin(self.understand(ledger)).await;
                let known = self.matched(assistant, (&asked, &understanding), ledger)?;
                (understanding, known.ok_or_else(no_route)?)
            }
        };
        self.decide(&matched, (&asked, &understanding), ledger)
    }

    /// The first route whose rule holds; nothing, if that depends on what the prompt means.
    fn matched<'p>(
        &self,
        assistant: &'p Assistant,
        (asked, understanding): (&Asked<'_>, &Understanding),
        ledger: &mut Ledger,
    ) -> Result<Option<OnRoute<'p>>, Error> {
        let began = self.engine.clock().now();
        let facts = facts(self.plan, asked, ledger)?;
        let matched = first_match(assistant.rules(), &facts, understanding);
        ledger.record.timings.decide += self.engine.clock().now().since(began);
        match matched.ok_or_else(no_route)? {
            Matched::PromptWanted => Ok(None),
            Matched::Rule { idx, reason } => {
                let route = assistant.routes.get(idx).ok_or_else(no_route)?;
                Ok(Some(OnRoute { route, reason }))
            }
        }
    }

    /// Chooses who answers on a route, and notes it.
    fn decide<'p>(
        &self,
        matched: &OnRoute<'p>,
        (asked, understanding): (&Asked<'_>, &Understanding),
        ledger: &mut Ledger,
    ) -> Result<Chosen<'p>, Error> {
        let began = self.engine.clock().now();
        let OnRoute { route, reason } = *matched;
        let incumbents = &self.engine.incumbents;
        let facts = facts(self.plan, asked, ledger)?;
        let ladder = Ladder {
            way: &route.way,
            salt: &route.label,
            policy: &self.plan.policy,
            quality: self.plan.quality.as_deref(),
            intent: understanding.intent.name(),
            incumbent: route
                .way
                .has_incumbent()
                .then(|| incumbents.of(&route.label, self.plan))
                .flatten(),
        };
        let known = Known {
            plan: self.plan,
            place: ledger.place_on(&route.name),
            now: began,
        };
        let decision = choose(&ladder, &facts, &known);
        ledger.record.timings.decide += self.engine.clock().now().since(began);
        let mut decision = decision.map_err(|nobody| {
            ledger.record.undecided = Some(Box::new(Undecided {
                route: route.name.clone(),
                reason,
                candidates: nobody.out.iter().map(|(it, _)| it.clone()).collect(),
                removed: nobody.removed.clone(),
            }));
            known.error(nobody, ledger)
        })?;
        ledger.record.refusals.append(&mut decision.refused);
        let target = self.plan.target(decision.first).ok_or_else(no_route)?;
        // Who only wants to know changes nothing for the others.
        let is_asked = self.embed == Embed::IfLookedAt;
        if is_asked && route.way.has_incumbent() && decision.takes_over() {
            incumbents.note(&route.label, &target.model.name);
        }
        ledger.record.decision = Some(Box::new(Decided {
            route: route.name.clone(),
            reason,
            target: target.model.name.clone(),
            chosen: decision.chosen,
            propensity: decision.propensity,
            seed: (decision.luck == Luck::Asked).then_some(ledger.seed()),
            candidates: std::mem::take(&mut decision.candidates),
            removed: std::mem::take(&mut decision.removed),
        }));
        Ok(Chosen { route, decision })
    }

    /// What the person says now, as rules read it.
    fn words(&self) -> String {
        said(&passages::select(
            &self.request.messages,
            self.plan.selection,
        ))
    }

    /// Finds out what the prompt means.
    async fn understand(&self, ledger: &mut Ledger) -> Understanding {
        let plan = self.plan;
        let passages = passages::select(&self.request.messages, plan.selection);
        ledger.record.prompt = kept_prompt(|| said(&passages), plan.prompts);
        if passages.is_empty() {
            return Understanding::without(IntentSignal::NoText);
        }
        let engine = self.engine;
        let asked = engine.clock().now();
        match engine.encoder.embed(&passages, self.class).await {
            Ok(embedding) => self.classify(&embedding, ledger),
            Err(Refusal::Saturated) => {
                let queued = engine.clock().now().since(asked);
                let intent = engine.classify_saturated(plan, &passages, queued, ledger);
                Understanding::without(intent)
            }
            Err(refusal) => Understanding::without(refused(&refusal, ledger)),
        }
    }

    /// Finds the nearest intent.
    fn classify(&self, embedding: &Embedding, ledger: &mut Ledger) -> Understanding {
        let clock = self.engine.clock();
        let began = clock.now();
        let plan = self.plan;
        let intent = plan.centroids.classify(&embedding.vector, plan.threshold);
        let levels = plan.complexity.as_ref();
        let complexity = levels.and_then(|it| it.rate(&embedding.vector));
        let timings = &mut ledger.record.timings;
        timings.classify = clock.now().since(began);
        timings.queue = embedding.queued;
        timings.encode = embedding.encoded;
        ledger.record.text = Some(TextUsed {
            tokens: embedding.tokens,
            windows: embedding.windows,
            truncated: embedding.truncated,
            batch_size: embedding.batch_size,
        });
        let signal = IntentSignal::from(&intent);
        ledger.record.intent = Some(intent);
        ledger.record.complexity = complexity;
        Understanding {
            intent: signal,
            complexity: complexity.map(|rating| rating.level),
        }
    }

    /// Keeps the prompt of a request whose route does not depend on it, if the log wants it.
    fn keep_prompt(&self, ledger: &mut Ledger) {
        // Only now, since nobody reads the messages of a request before somebody looks at them.
        ledger.record.prompt = kept_prompt(|| self.words(), self.plan.prompts);
    }
}

/// The route that a rule named, and why.
struct OnRoute<'p> {
    route: &'p Route,
    reason: crate::domain::event::RoutedReason,
}

/// What decisions on a route look up.
struct Known<'a> {
    plan: &'a Plan,
    place: Option<Place>,
    now: Moment,
}

impl Knowledge for Known<'_> {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.plan.target(id).map(|target| &target.model)
    }

    fn standing(&self, id: ModelId) -> Standing {
        match (self.plan.target(id), &self.place) {
            (Some(target), Some(place)) => target.state.standing(place, self.now),
            _ => Standing::default(),
        }
    }

    fn room(&self, id: ModelId) -> Room {
        let target = self.plan.target(id);
        target.map_or_else(Room::default, |target| target.state.room(self.now))
    }
}

impl Known<'_> {
    /// Why nobody can be asked. Load passes, so it comes before what removes models for good.
    fn error(&self, nobody: NoCandidate, ledger: &mut Ledger) -> Error {
        let is_full = |(_, out): &(Weighed, Out)| matches!(out, Out::Full(_));
        if !nobody.out.iter().any(is_full) {
            return Error::NoCandidate(nobody);
        }
        let mut waits = Vec::new();
        for (weighed, out) in nobody.out {
            let Out::Full(reason) = out else {
                continue;
            };
            let state = self.plan.state_of(&weighed.model);
            waits.extend(state.and_then(|state| state.full(self.now)?.free_in));
            ledger.record.refusals.push(standing::Refusal {
                target: weighed.model,
                reason,
            });
        }
        Error::TargetsFull {
            retry_after: waits.into_iter().min(),
        }
    }
}

/// What is known of a request without understanding it.
pub(super) fn facts<'a>(
    plan: &'a Plan,
    asked: &'a Asked<'a>,
    ledger: &'a Ledger,
) -> Result<Facts<'a>, Error> {
    let record = &ledger.record;
    let tenant: &Tenant = record
        .tenant
        .as_ref()
        .ok_or(Error::Unauthenticated(KeyProblem::Missing))?;
    Ok(Facts {
        asked,
        tenant,
        key: ledger.key(),
        metadata: &record.metadata,
        conversation: record.conversation.as_ref(),
        path: record.endpoint,
        envelope: ledger.envelope(),
        region: plan.region.as_ref(),
        wall: record.time.0,
        seed: ledger.seed(),
    })
}

fn no_route() -> Error {
    Error::Internal {
        detail: "no route of the assistant matches everything".to_owned(),
    }
}

/// Why the encoder did not embed the prompt, as routing sees it.
fn refused(refusal: &Refusal, ledger: &Ledger) -> IntentSignal {
    match refusal {
        Refusal::Empty => IntentSignal::NoText,
        Refusal::Saturated => IntentSignal::EncoderSaturated,
        Refusal::Failed(_) | Refusal::Closed => {
            tracing::error!(request_id = %ledger.record.request_id, %refusal, "no embedding");
            IntentSignal::EncoderFailed
        }
    }
}

/// All that is said, passage by passage.
fn said(passages: &[crate::encoder::Passage]) -> String {
    let texts: Vec<&str> = passages.iter().map(|it| it.text.as_str()).collect();
    texts.join("\n")
}

/// What the record keeps of a prompt.
fn kept_prompt(text: impl FnOnce() -> String, policy: PromptPolicy) -> Option<String> {
    use sha2::{Digest, Sha256};
    match policy {
        PromptPolicy::None => None,
        PromptPolicy::Hashed => Some(crate::domain::hex(&Sha256::digest(text()))),
        PromptPolicy::Full => Some(text()),
    }
}

/// The longest that a route may take.
pub(super) fn limit(plan: &Plan, route: &Route) -> Duration {
    let own = route.time_max.map(|it| it.min(plan.request_timeout));
    own.unwrap_or(plan.request_timeout)
}
