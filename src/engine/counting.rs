//! Counting tokens, off the threads that serve requests. The vocabulary takes a quarter of a second to
//! build, and a mebibyte of text tens of milliseconds to count; nobody else's answer may wait for that.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::budget::tokens;
use crate::domain::chat::Usage;
use crate::domain::record::{Outcome, Record};
use crate::engine::ledger::Ledger;
use crate::engine::serve::find;
use crate::engine::spent::Uncounted;
use crate::engine::{Engine, Error};
use crate::wire::Countable;

/// How many counts of one kind are made at once. Callers can send much text at no cost to them, and what is
/// counted must leave a small machine room to serve.
const AT_ONCE_MAX: usize = 2;

/// Whose turn it is among callers who want tokens counted, in the whole process.
static ASKED: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// The same among requests that end with tokens to count. Their answers must not wait for the others.
static OWED: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// How many tokens a conversation has.
pub struct Counted {
    /// For the headers.
    pub record: Arc<Record>,
    /// The tokens, or why they were not counted.
    pub reply: Result<u64, Error>,
}

impl Engine {
    /// Counts the tokens of a conversation.
    pub async fn count_tokens(&self, asked: Countable, mut ledger: Ledger) -> Counted {
        let plan = ledger.plan();
        let reply = match find(&plan, &asked.model, &mut ledger) {
            Ok(_) => {
                let counting = aside(&ASKED, move || count(&asked));
                let counted = timeout(ledger.time_left(), counting).await;
                match counted {
                    Ok(Some(n_tokens)) => Ok(n_tokens),
                    Ok(None) => Err(Error::Internal {
                        detail: "the tokens of a conversation could not be counted".to_owned(),
                    }),
                    Err(_) => Err(Error::DeadlineExceeded {
                        limit: plan.request_timeout,
                    }),
                }
            }
            Err(error) => Err(error),
        };
        match &reply {
            Ok(_) => ledger.record.outcome = Outcome::Answered,
            Err(error) => ledger.failed(error),
        }
        Counted {
            record: ledger.close().await,
            reply,
        }
    }
}

impl Counted {
    /// A request that cannot be read.
    pub async fn failed(error: Error, mut ledger: Ledger) -> Self {
        ledger.failed(&error);
        Self {
            record: ledger.close().await,
            reply: Err(error),
        }
    }
}

fn count(asked: &Countable) -> u64 {
    let texts = asked.texts.iter().map(String::as_str);
    let beside = asked.beside.iter().map(|text| tokens::count(text));
    beside.fold(tokens::count_messages(texts), u64::saturating_add)
}

/// Counts what requests have used up, where their providers did not say.
pub(super) async fn count_owed(texts: Vec<Arc<Uncounted>>) -> Vec<Option<Usage>> {
    count_each(texts, |it| it.count()).await
}

/// Counts each of these. Where that fails, nothing is known of any, but there is an entry for each: a call
/// whose tokens nobody could count has ended all the same.
async fn count_each<T: Send + 'static>(
    of: Vec<T>,
    count: impl Fn(&T) -> Option<Usage> + Send + 'static,
) -> Vec<Option<Usage>> {
    let n = of.len();
    let counts = aside(&OWED, move || of.iter().map(count).collect()).await;
    counts.unwrap_or_else(|| vec![None; n])
}

/// Does work on a thread that serves nobody, when its turn comes. Nothing comes of work that panics.
async fn aside<T: Send + 'static>(
    turns: &Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    // It is never closed.
    let _turn = turns.acquire().await;
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|error| tracing::error!(%error, "tokens could not be counted"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_whose_tokens_cannot_be_counted_are_still_there() {
        let panics = |n: &u64| match n {
            2 => panic!("in the middle"),
            _ => Some(Usage::of(1, *n)),
        };
        assert_eq!(count_each(vec![1, 2, 3], panics).await, [None; 3]);
        let counted = count_each(vec![1, 3], panics).await;
        assert_eq!(counted, [Some(Usage::of(1, 1)), Some(Usage::of(1, 3))]);
    }
}
