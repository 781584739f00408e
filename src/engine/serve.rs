//! A prompt's path through the product, top to bottom.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use sha2::{Digest, Sha256};

use crate::domain::chat::{Answer, Chunk, Message, Request};
use crate::domain::record::{Decided as DecidedRoute, Outcome, Record, TextUsed};
use crate::encoder::{Class, Embedding, Refusal};
use crate::engine::error::KeyProblem;
use crate::engine::execute::{Draft, Run};
use crate::engine::ledger::Ledger;
use crate::engine::passages;
use crate::engine::passing::Passing;
use crate::engine::plan::{Assistant, Plan, PromptPolicy, Route, Verify};
use crate::engine::{Engine, Error};
use crate::routing::{self, IntentSignal, Signals};
use crate::verify::JsonSchema;

/// What a request came to, and the record as it stood when its answer began.
pub struct Served {
    /// For the headers.
    pub record: Arc<Record>,
    /// The answer, or why there is none.
    pub reply: Result<Reply, Error>,
}

/// An answer on its way to the caller.
pub enum Reply {
    /// In one piece.
    Whole(Answer),
    /// Piece by piece.
    Streamed(BoxStream<'static, Piece>),
}

/// What a streamed answer consists of.
#[derive(Debug)]
pub enum Piece {
    /// The next piece of the answer.
    Chunk(Chunk),
    /// The answer broke off; nothing follows.
    Failed(Error),
    /// The answer is whole; this is what is known now.
    End(Arc<Record>),
}

/// The decision on a prompt that nobody was asked to answer.
pub struct Decided {
    /// What was decided and why.
    pub record: Arc<Record>,
    /// Whether there is a decision.
    pub outcome: Result<(), Error>,
}

impl Engine {
    /// Answers a request. The record is written when the answer has been handed over or dropped.
    pub async fn answer(self: &Arc<Self>, request: &Request, mut ledger: Ledger) -> Served {
        let plan = ledger.plan();
        match self.run(&plan, request, &mut ledger).await {
            Ok(draft) => hand_over(draft, ledger).await,
            Err(error) => Served::failed(error, ledger).await,
        }
    }

    /// Decides where a prompt would go, and asks nobody.
    pub async fn decide(
        self: &Arc<Self>,
        asked: &str,
        messages: &[Message],
        class: Class,
        mut ledger: Ledger,
    ) -> Decided {
        let plan = ledger.plan();
        let decided = async {
            let assistant = find(&plan, asked, &mut ledger)?;
            let signals = self.signals(&plan, (messages, class), &mut ledger).await;
            self.route(&plan, assistant, &signals, &mut ledger)?;
            Ok(())
        };
        let outcome = decided.await;
        match &outcome {
            Ok(()) => ledger.record.outcome = Outcome::Decided,
            Err(error) => ledger.failed(error),
        }
        Decided {
            record: ledger.close().await,
            outcome,
        }
    }

    async fn run(
        &self,
        plan: &Plan,
        request: &Request,
        ledger: &mut Ledger,
    ) -> Result<Draft, Error> {
        let assistant = find(plan, &request.model, ledger)?;
        let signals = if routing::depends_on_intent(assistant.rules()) {
            let asked = (&*request.messages, Class::Interactive);
            self.signals(plan, asked, ledger).await
        } else {
            keep_prompt(plan, request, ledger);
            Signals {
                intent: IntentSignal::NotAsked,
            }
        };
        let route = self.route(plan, assistant, &signals, ledger)?;
        let limit = route
            .time_max
            .map_or(plan.request_timeout, |it| it.min(plan.request_timeout));
        ledger.limit(limit);
        let run = Run {
            engine: self,
            plan,
            route,
            request,
            schema: schema_to_check(route, request)?,
            limit,
        };
        run.execute(ledger).await
    }

    /// Finds out what the prompt is about.
    async fn signals(
        &self,
        plan: &Plan,
        (messages, class): (&[Message], Class),
        ledger: &mut Ledger,
    ) -> Signals {
        let passages = passages::select(messages, plan.selection);
        ledger.record.prompt = kept_prompt(&passages, plan.prompts);
        let intent = if passages.is_empty() {
            IntentSignal::NoText
        } else {
            let asked = self.clock.now();
            match self.encoder.embed(&passages, class).await {
                Ok(embedding) => self.classify(plan, &embedding, ledger),
                Err(Refusal::Saturated) => {
                    let queued = self.clock.now().since(asked);
                    self.classify_saturated(plan, &passages, queued, ledger)
                }
                Err(refusal) => refused(&refusal, ledger),
            }
        };
        Signals { intent }
    }

    /// Finds the nearest intent.
    fn classify(&self, plan: &Plan, embedding: &Embedding, ledger: &mut Ledger) -> IntentSignal {
        let began = self.clock.now();
        let intent = plan.centroids.classify(&embedding.vector, plan.threshold);
        let timings = &mut ledger.record.timings;
        timings.classify = self.clock.now().since(began);
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
        signal
    }

    /// Chooses the route.
    fn route<'p>(
        &self,
        plan: &Plan,
        assistant: &'p Assistant,
        signals: &Signals,
        ledger: &mut Ledger,
    ) -> Result<&'p Route, Error> {
        let began = self.clock.now();
        let decision = routing::decide(assistant.rules(), signals);
        let chosen = decision.and_then(|decision| {
            let route = assistant.routes.get(decision.route_idx)?;
            let target = plan.target(route.tiers.first()?.target)?;
            ledger.record.decision = Some(DecidedRoute {
                route: route.name.clone(),
                reason: decision.reason,
                propensity: decision.propensity,
                target: target.model.name.clone(),
            });
            Some(route)
        });
        ledger.record.timings.decide = self.clock.now().since(began);
        chosen.ok_or_else(|| Error::Internal {
            detail: "no route of the assistant matches everything".to_owned(),
        })
    }
}

impl Served {
    /// A request that brought no answer.
    pub async fn failed(error: Error, mut ledger: Ledger) -> Self {
        ledger.failed(&error);
        Self {
            record: ledger.close().await,
            reply: Err(error),
        }
    }
}

impl Decided {
    /// A prompt on which there is no decision.
    pub async fn failed(error: Error, mut ledger: Ledger) -> Self {
        ledger.failed(&error);
        Self {
            record: ledger.close().await,
            outcome: Err(error),
        }
    }
}

/// The assistant that was asked for. One that the caller may not use is as good as none.
pub(super) fn find<'p>(
    plan: &'p Plan,
    asked: &str,
    ledger: &mut Ledger,
) -> Result<&'p Assistant, Error> {
    let Some(tenant) = ledger.record.tenant.clone() else {
        return Err(Error::Unauthenticated(KeyProblem::Missing));
    };
    let found = plan.assistants.get_key_value(asked);
    let Some((name, assistant)) = found.filter(|(_, found)| found.teams.admit(&tenant)) else {
        let known = plan.assistants_of(&tenant);
        return Err(Error::UnknownModel {
            asked: asked.to_owned(),
            known: known.map(|(name, _)| name.to_string()).collect(),
        });
    };
    ledger.asked(name);
    Ok(assistant)
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

/// What drafts must satisfy on this route, compiled before anyone is asked.
fn schema_to_check(route: &Route, request: &Request) -> Result<Option<JsonSchema>, Error> {
    match (route.verify, &request.schema) {
        (Verify::RequestSchema, Some(schema)) => {
            JsonSchema::compile(schema)
                .map(Some)
                .map_err(|problem| Error::Invalid {
                    param: Some("response_format".to_owned()),
                    message: problem.to_string(),
                })
        }
        _ => Ok(None),
    }
}

/// Keeps the prompt of a request whose route does not depend on it, if the log wants it.
fn keep_prompt(plan: &Plan, request: &Request, ledger: &mut Ledger) {
    // Only now, since nobody reads the messages of a request before somebody looks at them.
    if plan.prompts != PromptPolicy::None {
        let passages = passages::select(&request.messages, plan.selection);
        ledger.record.prompt = kept_prompt(&passages, plan.prompts);
    }
}

/// What the record keeps of a prompt.
fn kept_prompt(passages: &[crate::encoder::Passage], policy: PromptPolicy) -> Option<String> {
    let text = || {
        let texts: Vec<&str> = passages
            .iter()
            .map(|passage| passage.text.as_str())
            .collect();
        texts.join("\n")
    };
    match policy {
        PromptPolicy::None => None,
        PromptPolicy::Hashed => Some(crate::domain::hex(&Sha256::digest(text()))),
        PromptPolicy::Full => Some(text()),
    }
}

/// Hands a draft to the caller. A whole one is in the log before; with a stream the ledger goes along
/// and closes before the last piece.
async fn hand_over(draft: Draft, mut ledger: Ledger) -> Served {
    match draft {
        Draft::Whole(answer) => Served {
            record: ledger.close().await,
            reply: Ok(Reply::Whole(answer)),
        },
        Draft::Pieces(pieces) => {
            ledger.settle().await;
            let record = Arc::new(ledger.snapshot());
            let pieces = stream::iter(pieces.into_iter().map(Ok)).boxed();
            let passing = Passing::of(None, pieces, ledger);
            let reply = Ok(Reply::Streamed(passing.boxed()));
            Served { record, reply }
        }
        Draft::Live(live) => {
            let mut record = ledger.snapshot();
            // How it ends, and what it costs, is not known yet.
            record.outcome = Outcome::Pending;
            let passing = Passing::of(Some(live.first), live.rest, ledger);
            Served {
                record: Arc::new(record),
                reply: Ok(Reply::Streamed(passing.boxed())),
            }
        }
    }
}
