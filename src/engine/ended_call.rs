//! A call that has ended: what it cost, how long each of its tokens took, and what it says of its target.
//! All of that waits until its tokens are known.

use std::time::Duration;

use crate::domain::chat::Usage;
use crate::domain::event::{FailoverReason, Purpose};
use crate::domain::model::Price;
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
    /// List price of who was asked, where it is known.
    pub(super) price: Option<Price>,
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
    /// It is over, and this call had at least half of it.
    MostGone,
    /// It is over, and this call had what others left: less than half.
    RestGone,
}

impl OwnTime {
    /// After a call that took so long, with so much left of all the time that its request had.
    ///
    /// How many calls came before says nothing: one that was refused at once took no time from the next.
    pub(super) fn of(call: Duration, left: Duration, limit: Duration) -> Self {
        if !left.is_zero() {
            Self::Left
        } else if limit <= call.saturating_mul(2) {
            Self::MostGone
        } else {
            Self::RestGone
        }
    }
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
        attempt.cost_usd = cost(self.price, attempt.result, usage);
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
            (FailoverReason::TimeoutBetweenTokens, OwnTime::MostGone | OwnTime::RestGone)
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

/// Mean time between output tokens after the first that was seen. The model thought before that one, so
/// the tokens of its thoughts took none of this time.
fn time_per_later_token(total: Duration, first_token: Duration, usage: Usage) -> Option<Duration> {
    let n_seen = usage.output_tokens.checked_sub(usage.reasoning_tokens)?;
    let n_later = n_seen.checked_sub(1)?;
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
fn cost(price: Option<Price>, result: AttemptResult, usage: Option<Usage>) -> Cost {
    match (usage, price) {
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
            result,
            ..Attempt::begun("small".parse().unwrap(), purpose)
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
        assert_eq!(fate(&none, OwnTime::MostGone), Fate::ToBlame);
        assert_eq!(fate(&none, OwnTime::RestGone), Fate::Nothing);
        let long = timeout(TimeoutBetweenTokens);
        assert_eq!(fate(&long, OwnTime::MostGone), Fate::Nothing);
        assert_eq!(fate(&long, OwnTime::Left), Fate::ToBlame);
    }

    #[test]
    fn what_a_call_had_of_the_time_is_told_by_time() {
        let ms = Duration::from_millis;
        let limit = ms(30_000);
        for (call, left, expected) in [
            (30_000, 0, OwnTime::MostGone),
            (29_999, 0, OwnTime::MostGone),
            (15_000, 0, OwnTime::MostGone),
            (14_999, 0, OwnTime::RestGone),
            (29_999, 1, OwnTime::Left),
        ] {
            assert_eq!(OwnTime::of(ms(call), ms(left), limit), expected, "{call}");
        }
    }

    #[test]
    fn the_time_per_token_is_that_of_the_tokens_seen_after_the_first() {
        let ms = Duration::from_millis;
        let usage = |output_tokens, reasoning_tokens| Usage {
            reasoning_tokens,
            ..Usage::of(10, output_tokens)
        };
        for (total, first_token, usage, expected) in [
            // 2 s for the 100 tokens after the first.
            (22_000, 20_000, usage(101, 0), Some(ms(20))),
            // The same after 2,000 tokens of thought.
            (22_000, 20_000, usage(2_101, 2_000), Some(ms(20))),
            // All of it came at once.
            (500, 500, usage(11, 0), Some(ms(0))),
            // No token after the first, or none of which anything is known.
            (22_000, 20_000, usage(1, 0), None),
            (22_000, 20_000, usage(2_001, 2_000), None),
            (22_000, 20_000, usage(0, 0), None),
            (22_000, 20_000, usage(5, 5), None),
            (22_000, 20_000, usage(5, 6), None),
        ] {
            let found = time_per_later_token(ms(total), ms(first_token), usage);
            assert_eq!(found, expected, "{usage:?}");
        }
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
