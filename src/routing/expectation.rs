//! What a request may be expected to cost and how long to take with a model, before it is asked.

use std::time::Duration;

use crate::domain::decision::{Expectation, OutputTokens};
use crate::domain::model::Model;
use crate::domain::quantity::PicoUsd;
use crate::domain::standing::{Pace, Standing};

use super::strategy::SAMPLES_MIN;

/// Output tokens of an answer of which nothing is known. Between a short reply and a page; it is the
/// same for all candidates, so that it cannot prefer one.
const OUTPUT_TOKENS_ASSUMED: f64 = 300.0;

/// How probable it is that a request costs more, or less, than one call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Odds {
    /// That the call fails and is made again, or another one in its place.
    pub retry: f64,
    /// That a second call is made beside it, for speed.
    pub hedge: f64,
    /// That a cache answers, and nobody is asked.
    pub cache_hit: f64,
    /// That the draft fails its check and is escalated.
    pub escalation: f64,
}

/// What a request costs in all that may become of it, in expectation: every call that is made, and what
/// an escalation adds, unless a cache answers.
///
/// `call` is the cost of one call, `escalated` that of the call that a failed check leads to; odds are
/// probabilities, 0 to 1. The result is in the unit of both.
pub fn total_cost(call: f64, escalated: f64, odds: Odds) -> f64 {
    let calls = 1.0 + odds.retry + odds.hedge;
    (call * calls + escalated * odds.escalation) * (1.0 - odds.cache_hit)
}

/// The output tokens to expect of each candidate.
///
/// What a model's own answers on the route say comes first. One that has given none there yet is taken to
/// write as much as the others do there on average: what a route asks for tells more than the model,
/// which may write pages elsewhere. Where nobody has answered on the route, answers elsewhere count in
/// the same way, and where there are none either, the same is assumed of all. No answer gets longer than
/// the request allows.
pub fn output_tokens(standings: &[Standing], max: Option<u64>) -> Vec<OutputTokens> {
    let here = mean(standings.iter().filter_map(|it| it.output_tokens));
    let anywhere = mean(standings.iter().filter_map(|it| it.output_tokens_anywhere));
    let of = |standing: &Standing| match (standing.output_tokens, here) {
        (Some(expected), _) => (expected, Expectation::Learned),
        (None, Some(expected)) => (expected, Expectation::OtherModels),
        (None, None) => match (standing.output_tokens_anywhere, anywhere) {
            (Some(expected), _) => (expected, Expectation::OtherRoutes),
            (None, Some(expected)) => (expected, Expectation::OtherModels),
            (None, None) => (OUTPUT_TOKENS_ASSUMED, Expectation::Assumed),
        },
    };
    #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
    let most = max.map_or(f64::INFINITY, |max| max as f64);
    let expectations = standings.iter().map(|standing| {
        let (expected, from) = of(standing);
        OutputTokens {
            expected: expected.min(most),
            from,
        }
    });
    expectations.collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum) = (0.0, 0.0);
    for value in values {
        n += 1.0;
        sum += value;
    }
    (0.0 < n).then(|| sum / n)
}

/// What one call is expected to cost; not known, where the price is not.
pub fn call_cost(model: &Model, input_tokens: u64, output: OutputTokens) -> Option<PicoUsd> {
    let price = model.price?;
    let input = price.input.times(model.terms.tokens(input_tokens));
    Some(input + price.output.scaled(output.expected))
}

/// How long an answer is expected to take: the time to its first token, and that of all others. Where
/// answers come whole there is no first token to be seen, and the time per token holds it already. It is
/// not known while too few answers tell it.
pub fn time(pace: Pace, output: OutputTokens) -> Option<Duration> {
    let per_token = pace.tpot?.over(SAMPLES_MIN)?;
    let first_token = pace.ttft.and_then(|it| it.over(SAMPLES_MIN));
    let tokens = Duration::try_from_secs_f64(per_token.as_secs_f64() * output.expected).ok()?;
    Some(first_token.unwrap_or_default().saturating_add(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::standing::Measured;

    fn with_output(output_tokens: Option<f64>) -> Standing {
        Standing {
            output_tokens,
            ..Standing::default()
        }
    }

    #[test]
    fn every_call_that_may_be_made_is_counted_and_a_cache_hit_costs_nothing() {
        let cost = |odds| total_cost(100.0, 1_000.0, odds);
        let none = Odds::default();
        assert!((cost(none) - 100.0).abs() < 1e-9);
        assert!((cost(Odds { retry: 0.1, ..none }) - 110.0).abs() < 1e-9);
        assert!((cost(Odds { hedge: 0.5, ..none }) - 150.0).abs() < 1e-9);
        let escalation = Odds {
            escalation: 0.3,
            ..none
        };
        assert!((cost(escalation) - 400.0).abs() < 1e-9);
        let cached = Odds {
            cache_hit: 0.25,
            ..escalation
        };
        assert!((cost(cached) - 300.0).abs() < 1e-9);
        assert!(
            cost(Odds {
                cache_hit: 1.0,
                ..none
            })
            .abs()
                < 1e-9
        );
    }

    #[test]
    fn a_model_that_has_not_answered_yet_is_taken_to_write_as_much_as_the_others() {
        let standings = [
            with_output(Some(100.0)),
            with_output(Some(300.0)),
            with_output(None),
        ];
        let found = output_tokens(&standings, None);
        let expected: Vec<f64> = found.iter().map(|it| it.expected).collect();
        assert_eq!(expected, [100.0, 300.0, 200.0]);
        assert_eq!(found[0].from, Expectation::Learned);
        assert_eq!(found[2].from, Expectation::OtherModels);
    }

    #[test]
    fn what_others_write_on_the_route_tells_more_than_what_a_model_writes_elsewhere() {
        let elsewhere = |tokens| Standing {
            output_tokens_anywhere: Some(tokens),
            ..Standing::default()
        };
        let expected = |standings: &[Standing]| {
            let found = output_tokens(standings, None);
            (found[0].expected, found[0].from)
        };
        let wordy = elsewhere(2_000.0);
        assert_eq!(
            expected(&[wordy, with_output(Some(20.0))]),
            (20.0, Expectation::OtherModels)
        );
        assert_eq!(
            expected(&[wordy, with_output(None)]),
            (2_000.0, Expectation::OtherRoutes)
        );
        assert_eq!(
            expected(&[with_output(None), wordy]),
            (2_000.0, Expectation::OtherModels)
        );
    }

    #[test]
    fn where_nobody_has_answered_the_same_is_assumed_of_all_and_never_0() {
        let found = output_tokens(&[with_output(None), with_output(None)], None);
        assert!(found.iter().all(|it| it.from == Expectation::Assumed));
        assert!((found[0].expected - OUTPUT_TOKENS_ASSUMED).abs() < 1e-9);
        assert!((found[0].expected - found[1].expected).abs() < 1e-9);
    }

    #[test]
    fn no_answer_gets_longer_than_the_request_allows() {
        let found = output_tokens(&[with_output(Some(900.0))], Some(64));
        assert!((found[0].expected - 64.0).abs() < 1e-9);
    }

    #[test]
    fn time_is_that_to_the_first_token_and_that_of_the_others() {
        let measured = |millis, n| {
            Some(Measured {
                value: Duration::from_millis(millis),
                n,
            })
        };
        let pace = Pace {
            ttft: measured(200, SAMPLES_MIN),
            tpot: measured(10, SAMPLES_MIN),
            p95: None,
        };
        let output = OutputTokens {
            expected: 100.0,
            from: Expectation::Learned,
        };
        assert_eq!(time(pace, output), Some(Duration::from_millis(1_200)));
        let unknown = Pace { tpot: None, ..pace };
        assert_eq!(time(unknown, output), None, "unknown is not fast");
        let of_few = Pace {
            tpot: measured(10, SAMPLES_MIN - 1),
            p95: measured(900, 100),
            ..pace
        };
        assert_eq!(
            time(of_few, output),
            None,
            "the other answers say nothing of it"
        );
    }
}
