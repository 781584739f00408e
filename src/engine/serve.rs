//! A prompt's path through the product, top to bottom.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::domain::chat::{Answer, Chunk, Request};
use crate::domain::record::{Outcome, Record};
use crate::encoder::Class;
use crate::engine::choose::{self, Choosing, Chosen, Embed};
use crate::engine::error::KeyProblem;
use crate::engine::execute::{Draft, Run};
use crate::engine::ledger::Ledger;
use crate::engine::passing::Passing;
use crate::engine::plan::{Assistant, Plan, Route, Verify};
use crate::engine::{Engine, Error};
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
            // Failures are rare; without a box, every answer would carry their room.
            Err(error) => Box::pin(Served::failed(error, ledger)).await,
        }
    }

    /// Decides where a prompt would go, and asks nobody.
    pub async fn decide(&self, request: &Request, class: Class, mut ledger: Ledger) -> Decided {
        let plan = ledger.plan();
        let decided = async {
            let assistant = find(&plan, &request.model, &mut ledger)?;
            let choosing = Choosing {
                engine: self,
                plan: &plan,
                request,
                class,
                embed: Embed::Always,
            };
            choosing.choose(assistant, &mut ledger).await?;
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
        let choosing = Choosing {
            engine: self,
            plan,
            request,
            class: Class::Interactive,
            embed: Embed::IfLookedAt,
        };
        let Chosen { route, decision } = choosing.choose(assistant, ledger).await?;
        let limit = choose::limit(plan, route);
        ledger.limit(limit);
        let run = Run {
            engine: self,
            plan,
            route,
            tiers: &decision.tiers,
            request,
            schema: schema_to_check(route, request)?,
            limit,
        };
        run.execute(ledger).await
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
    let Some((name, assistant)) = plan
        .assistant(asked)
        .filter(|(_, found)| found.teams.admit(&tenant))
    else {
        let known = plan.assistants_of(&tenant);
        return Err(Error::UnknownModel {
            asked: asked.to_owned(),
            known: known.map(|(name, _)| name.to_string()).collect(),
        });
    };
    ledger.asked(name);
    Ok(assistant)
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
