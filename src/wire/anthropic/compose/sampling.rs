//! How words are chosen, in the fields that the model takes.

use serde::Serialize;

use crate::domain::conversation::Sampling;
use crate::wire::anthropic::compose::thinking::Mind;
use crate::wire::anthropic::generation::Generation;

/// The most that a temperature can be here. Others allow 2, for the same spread at 1.
const TEMPERATURE_MAX: f64 = 1.0;

/// The least share of the distribution that a model may be held to while it thinks.
const TOP_P_MIN_THINKING: f64 = 0.95;

/// The fields.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

/// Knows which of them a call may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chooser {
    pub(super) generation: Generation,
    pub(super) mind: Mind,
}

impl Chooser {
    /// The fields; what is left out or not followed to the letter is listed.
    pub(super) fn write<'a>(self, sampling: &'a Sampling, dropped: &mut Vec<String>) -> Fields<'a> {
        let mut drop = |name: &str| dropped.push(name.to_owned());
        if sampling.seed.is_some() {
            drop("seed");
        }
        for (name, penalty) in [
            ("presence_penalty", sampling.presence_penalty),
            ("frequency_penalty", sampling.frequency_penalty),
        ] {
            // 0 is what there is without the field.
            if penalty.is_some_and(|penalty| penalty.abs() > 0.0) {
                drop(name);
            }
        }
        let temperature = self.temperature(sampling.temperature);
        if temperature != sampling.temperature {
            drop("temperature");
        }
        let top_p = self.top_p(sampling.top_p, temperature);
        if top_p != sampling.top_p && !keeps_all(sampling.top_p) {
            drop("top_p");
        }
        let top_k = self.top_k(sampling.top_k);
        if top_k != sampling.top_k {
            drop("top_k");
        }
        Fields {
            temperature,
            top_p,
            top_k,
            stop_sequences: &sampling.stop,
        }
    }

    fn temperature(self, wanted: Option<f64>) -> Option<f64> {
        let possible = wanted.map(|it| it.min(TEMPERATURE_MAX));
        match (self.generation, self.mind) {
            (Generation::Unsampled, _) => None,
            (Generation::Foreign, _) | (_, Mind::Quiet) => possible,
            // While it thinks, only the highest will do, which is also what there is without it.
            (_, Mind::Thinking) => possible.filter(|it| TEMPERATURE_MAX <= *it),
        }
    }

    fn top_p(self, wanted: Option<f64>, temperature: Option<f64>) -> Option<f64> {
        match (self.generation, self.mind) {
            (Generation::Foreign, _) => wanted,
            (Generation::Unsampled, _) => None,
            // These models take one of the two.
            _ if temperature.is_some() => None,
            (_, Mind::Quiet) => wanted,
            (_, Mind::Thinking) => wanted.filter(|it| TOP_P_MIN_THINKING <= *it),
        }
    }

    fn top_k(self, wanted: Option<u64>) -> Option<u64> {
        match (self.generation, self.mind) {
            (Generation::Foreign, _) => wanted,
            (Generation::Unsampled, _) | (_, Mind::Thinking) => None,
            (_, Mind::Quiet) => wanted,
        }
    }
}

/// Whether a share of the distribution is all of it, which is what there is without the field.
fn keeps_all(top_p: Option<f64>) -> bool {
    top_p.is_some_and(|share| 1.0 <= share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(model: &str, mind: Mind, sampling: &Sampling) -> (String, Vec<String>) {
        let chooser = Chooser {
            generation: Generation::of(model),
            mind,
        };
        let mut dropped = Vec::new();
        let fields = chooser.write(sampling, &mut dropped);
        (serde_json::to_string(&fields).unwrap(), dropped)
    }

    fn warm(temperature: f64) -> Sampling {
        Sampling {
            temperature: Some(temperature),
            top_p: Some(0.9),
            top_k: Some(5),
            ..Sampling::default()
        }
    }

    #[test]
    fn each_generation_gets_what_it_takes_and_the_rest_is_listed() {
        let (fields, dropped) = written("claude-opus-4-6", Mind::Quiet, &warm(0.5));
        assert_eq!(fields, r#"{"temperature":0.5,"top_k":5}"#);
        assert_eq!(dropped, ["top_p"]);

        let (fields, dropped) = written("claude-opus-4-6", Mind::Thinking, &warm(0.5));
        assert_eq!(fields, "{}");
        assert_eq!(dropped, ["temperature", "top_p", "top_k"]);

        let (fields, dropped) = written("claude-opus-4-7", Mind::Quiet, &warm(0.5));
        assert_eq!(fields, "{}");
        assert_eq!(dropped, ["temperature", "top_p", "top_k"]);

        let (fields, dropped) = written("kimi", Mind::Thinking, &warm(0.5));
        assert_eq!(fields, r#"{"temperature":0.5,"top_p":0.9,"top_k":5}"#);
        assert!(dropped.is_empty());
    }

    #[test]
    fn a_temperature_above_the_highest_becomes_the_highest_and_is_listed() {
        let hot = Sampling {
            temperature: Some(1.6),
            ..Sampling::default()
        };
        let (fields, dropped) = written("claude-haiku-4-5", Mind::Quiet, &hot);
        assert_eq!(fields, r#"{"temperature":1.0}"#);
        assert_eq!(dropped, ["temperature"]);
    }

    #[test]
    fn fields_that_ask_for_what_there_is_without_them_are_not_listed() {
        let plain = Sampling {
            temperature: Some(0.5),
            top_p: Some(1.0),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        };
        let (_, dropped) = written("claude-haiku-4-5", Mind::Quiet, &plain);
        assert!(dropped.is_empty(), "{dropped:?}");

        let odd = Sampling {
            seed: Some(1),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(-0.5),
            ..Sampling::default()
        };
        let (_, dropped) = written("claude-haiku-4-5", Mind::Quiet, &odd);
        assert_eq!(dropped, ["seed", "presence_penalty", "frequency_penalty"]);
    }
}
