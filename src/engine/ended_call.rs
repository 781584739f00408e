//! A call that has ended: what it cost, how long each of its tokens took, and what it says of its target.
//! All of that waits until its tokens are known.

use std::time::Duration;

use crate::domain::chat::Usage;
use crate::domain::event::{FailoverReason, Purpose};
use crate::domain::model::Model;
use crate::domain::quantity::{Moment, PicoUsd};
use crate::domain::record::{Attempt, AttemptResult, Cost, as_millis};
use crate::engine::standing::{Observed, Unsettled};
use crate::health::outputs::Place;
use crate::health::samples::{Ended, Took};

/// A call that has ended.
pub(super) struct EndedCall {
    /// Which of the request's calls it is.
    pub(super) attempt_idx: usize,
    /// When its first token came, from its beginning.
    pub(super) first_token: Option<Duration>,
    /// How long it took.
    pub(super) total: Duration,
    /// When it ended.
    pub(super) at: Moment,
    /// Whether the request's own time was over then.
    pub(super) time: OwnTime,
    /// Who was asked.
    pub(super) model: Model,
    /// The route that the request was on.
    pub(super) place: Option<Place>,
    /// What was taken of the target's room.
    pub(super) unsettled: Unsettled,
}

/// Whether a call ended because the request's own time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnTime {
    /// There was more of it.
    Left,
    /// All of it had gone by while this call lasted.
    AllGone,
    /// What the calls before it left had gone by.
    RestGone,
}

impl EndedCall {
    /// Notes what it used up, and lets its target be known by it.
    pub(super) fn used(self, attempts: &mut [Attempt], usage: Option<Usage>) {
        let Some(attempt) = attempts.get_mut(self.attempt_idx) else {
            return;
        };
        let tpot = self
            .first_token
            .zip(usage)
            .and_then(|(first_token, usage)| time_per_later_token(self.total, first_token, usage));
        attempt.usage = usage;
        attempt.tpot_ms = tpot.map(as_millis);
        attempt.cost_usd = cost(&self.model, attempt.result, usage);
        let ended = match fate(attempt, self.time) {
            Fate::Answered => Some(Ended::Answered(Took {
                ttft: self.first_token,
                tpot: match self.first_token {
                    Some(_) => tpot,
                    None => usage.and_then(|usage| time_per_token(self.total, usage.output_tokens)),
                },
                total: self.total,
            })),
            Fate::ToBlame => Some(Ended::Failed),
            Fate::Nothing => None,
        };
        let output_tokens = match ended {
            Some(Ended::Answered(_)) => usage.map(|usage| usage.output_tokens),
            Some(Ended::Failed) | None => None,
        };
        let observed = Observed {
            ended,
            output: self.place.zip(output_tokens),
            tokens_used: tokens_used(attempt.result, usage),
        };
        self.unsettled.settle(observed, self.at);
    }
}

/// What the end of a call says of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    ToBlame,
    Nothing,
}

/// A caller that left or asked for something wrong says nothing of the target, and vectors take another
/// time than answers.
fn fate(attempt: &Attempt, time: OwnTime) -> Fate {
    if attempt.purpose == Purpose::Embeddings {
        return Fate::Nothing;
    }
    match attempt.result {
        AttemptResult::Answered => Fate::Answered,
        AttemptResult::Failed(reason) => match (reason, time) {
            // The answer may have been a long one, or what was left of the time too little.
            (FailoverReason::TimeoutBetweenTokens, OwnTime::AllGone | OwnTime::RestGone)
            | (FailoverReason::TimeoutFirstToken, OwnTime::RestGone) => Fate::Nothing,
            _ => Fate::ToBlame,
        },
        AttemptResult::Rejected | AttemptResult::Unsayable | AttemptResult::Abandoned => {
            Fate::Nothing
        }
    }
}

/// What counts against the target's tokens a minute.
fn tokens_used(result: AttemptResult, usage: Option<Usage>) -> Option<u64> {
    match usage {
        _ if was_turned_away(result) => Some(0),
        Some(usage) => Some(usage.input_tokens.saturating_add(usage.output_tokens)),
        None => None,
    }
}

/// Mean time between output tokens after the first.
fn time_per_later_token(total: Duration, first_token: Duration, usage: Usage) -> Option<Duration> {
    let n_later = usage.output_tokens.checked_sub(1)?;
    time_per_token(total.saturating_sub(first_token), n_later)
}

fn time_per_token(all: Duration, n_tokens: u64) -> Option<Duration> {
    all.checked_div(u32::try_from(n_tokens).ok()?)
}

/// Whether the provider did nothing for the call.
const fn was_turned_away(result: AttemptResult) -> bool {
    matches!(
        result,
        AttemptResult::Rejected
            | AttemptResult::Unsayable
            | AttemptResult::Failed(
                FailoverReason::Connect
                    | FailoverReason::TargetFull
                    | FailoverReason::Status429
                    | FailoverReason::Status4xx
                    | FailoverReason::Status5xx,
            )
    )
}

/// What a call cost. One that was refused at the door cost nothing; one that broke in the middle may have
/// cost something that nobody told us.
fn cost(model: &Model, result: AttemptResult, usage: Option<Usage>) -> Cost {
    match (usage, model.price) {
        _ if was_turned_away(result) => Cost::Known(PicoUsd::ZERO),
        (Some(usage), Some(price)) => Cost::Known(price.of(usage)),
        _ => Cost::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(purpose: Purpose, result: AttemptResult) -> Attempt {
        Attempt {
            target: "small".parse().unwrap(),
            purpose,
            result,
            status: None,
            usage: None,
            cost_usd: Cost::Unknown,
            ttft_ms: None,
            tpot_ms: None,
            total_ms: 0.0,
            dropped: Vec::new(),
            overridden: Vec::new(),
        }
    }

    #[test]
    fn a_target_is_to_blame_for_what_it_did_and_not_for_what_its_callers_did() {
        use AttemptResult::{Abandoned, Answered, Failed, Rejected, Unsayable};
        use FailoverReason::{Status429, StreamCut, TimeoutFirstToken};
        for (result, expected) in [
            (Answered, Fate::Answered),
            (Failed(Status429), Fate::ToBlame),
            (Failed(StreamCut), Fate::ToBlame),
            (Failed(TimeoutFirstToken), Fate::ToBlame),
            (Rejected, Fate::Nothing),
            (Unsayable, Fate::Nothing),
            (Abandoned, Fate::Nothing),
        ] {
            let answer = attempt(Purpose::Answer, result);
            assert_eq!(fate(&answer, OwnTime::Left), expected, "{result:?}");
            let vectors = attempt(Purpose::Embeddings, result);
            assert_eq!(fate(&vectors, OwnTime::Left), Fate::Nothing);
        }
    }

    #[test]
    fn a_call_that_got_what_others_left_of_the_time_is_no_failure_of_its_target() {
        use FailoverReason::{TimeoutBetweenTokens, TimeoutFirstToken};
        let timeout = |reason| attempt(Purpose::Failover, AttemptResult::Failed(reason));
        let none = timeout(TimeoutFirstToken);
        assert_eq!(fate(&none, OwnTime::AllGone), Fate::ToBlame);
        assert_eq!(fate(&none, OwnTime::RestGone), Fate::Nothing);
        let long = timeout(TimeoutBetweenTokens);
        assert_eq!(fate(&long, OwnTime::AllGone), Fate::Nothing);
        assert_eq!(fate(&long, OwnTime::Left), Fate::ToBlame);
    }

    #[test]
    fn a_call_that_was_turned_away_used_no_tokens() {
        let refused = AttemptResult::Failed(FailoverReason::Status429);
        assert_eq!(tokens_used(refused, None), Some(0));
        let cut = AttemptResult::Failed(FailoverReason::StreamCut);
        assert_eq!(tokens_used(cut, None), None, "nobody knows");
        assert_eq!(tokens_used(cut, Some(Usage::of(10, 5))), Some(15));
    }
}
