//! Vectors from a provider. One model is asked and no other in its place: vectors of two models cannot
//! be compared, so another one's would be wrong in silence.

use std::sync::Arc;

use crate::domain::chat::estimated_tokens;
use crate::domain::embeddings::{TextsToEmbed, Vectors};
use crate::domain::event::{FailoverReason, Failure, Purpose};
use crate::domain::model::ModelId;
use crate::domain::record::{Outcome, Record};
use crate::engine::choose::facts;
use crate::engine::ledger::Ledger;
use crate::engine::plan::Target;
use crate::engine::{Engine, Error, Plan};
use crate::provider::Embed;
use crate::routing::{Asked, NoCandidate, Subject, Texts};

/// What a request for vectors came to.
pub struct Embedded {
    /// For the headers.
    pub record: Arc<Record>,
    /// The answer as the provider wrote it, or why there is none.
    pub reply: Result<String, Error>,
}

impl Engine {
    /// Has texts embedded by the model that the request names.
    pub async fn embed(&self, request: &TextsToEmbed, mut ledger: Ledger) -> Embedded {
        let plan = ledger.plan();
        let reply = match plan.embedder(&request.model) {
            Some((id, target)) => match allowed(&plan, (id, target), request, &ledger) {
                Ok(()) => ask(target, request, &mut ledger).await,
                Err(error) => Err(error),
            },
            None => Err(Error::UnknownModel {
                asked: request.model.clone(),
                known: plan
                    .embedders()
                    .map(|it| it.model.name.to_string())
                    .collect(),
            }),
        };
        match &reply {
            Ok(_) => ledger.record.outcome = Outcome::Answered,
            Err(error) => ledger.failed(error),
        }
        Embedded {
            record: ledger.close().await,
            reply: reply.map(|answer| answer.text),
        }
    }
}

/// The texts to be embedded, line by line; nothing, where they are not words.
fn inputs(body: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        input: Input,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Input {
        One(String),
        Several(Vec<String>),
    }
    match serde_json::from_str::<Body>(body).ok()?.input {
        Input::One(text) => Some(text),
        Input::Several(texts) => Some(texts.join("\n")),
    }
}

/// Whether policy lets the texts reach the model. Rules on words search the texts; where those are the
/// ids of tokens, such a rule applies, since they may say anything.
fn allowed(
    plan: &Plan,
    (id, target): (ModelId, &Target),
    request: &TextsToEmbed,
    ledger: &Ledger,
) -> Result<(), Error> {
    // Most configurations have no policy, and then nobody reads the texts.
    if plan.policy.rules().is_empty() {
        return Ok(());
    }
    let inputs = inputs(&request.original.text);
    let words = || inputs.clone().unwrap_or_default();
    let subject = Subject::Vectors {
        model: &request.model,
        of: match inputs {
            Some(_) => Texts::Words,
            None => Texts::TokenIds,
        },
    };
    let asked = Asked::new(subject, &words);
    let facts = facts(plan, &asked, ledger)?;
    let removed = plan
        .policy
        .in_force(&facts)
        .removal(id, &target.model, &facts);
    match removed {
        None => Ok(()),
        Some(removed) => Err(Error::NoCandidate(NoCandidate {
            removed: vec![removed],
            out: Vec::new(),
        })),
    }
}

async fn ask(
    target: &Target,
    request: &TextsToEmbed,
    ledger: &mut Ledger,
) -> Result<Vectors, Error> {
    let tokens = match target.load_limits.tokens_per_minute {
        Some(_) => estimated_tokens(&request.original.text),
        None => 0,
    };
    let permit = ledger.admit(target, tokens).map_err(|full| {
        let retry_after = full.free_in;
        Error::TargetsFull { retry_after }
    })?;
    ledger.call_began(target, Purpose::Embeddings, &request.original, permit);
    let limit = ledger.plan().request_timeout;
    let call = Embed {
        request,
        model: &target.model.upstream_name,
        wait_max: target.timeouts.whole,
        overrides: target.overrides.as_deref(),
    };
    match tokio::time::timeout(ledger.time_left(), target.provider.embed(call)).await {
        Ok(Ok(answer)) => {
            ledger.call_answered(answer.usage);
            Ok(answer)
        }
        Ok(Err(failure)) => {
            ledger.call_failed(&failure);
            Err(Error::Upstream(failure))
        }
        Err(_) => {
            let message = "the request's own time was over";
            let reason = FailoverReason::TimeoutFirstToken;
            ledger.call_failed(&Failure::unavailable(reason, message));
            Err(Error::DeadlineExceeded { limit })
        }
    }
}
