//! Routing: which way through an assistant a prompt takes. Pure: signals in, a decision out.
//!
//! What the encoder, the clock and the counters found comes in as [`Signals`]; the same signals
//! always give the same decision. The first rule that matches wins; the last route of an assistant
//! matches everything, so there is always a decision.

use crate::domain::event::RoutedReason;
use crate::domain::name::IntentName;
use crate::domain::quantity::Ratio;
use crate::domain::record::Intent;

/// What is known about a request when its route is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Signals {
    /// What the prompt is about.
    pub intent: IntentSignal,
}

/// What the prompt is about, or why that is not known.
#[derive(Debug, Clone, PartialEq)]
pub enum IntentSignal {
    /// The nearest intent is near enough.
    Known(IntentName),
    /// No intent is near enough.
    OutOfScope,
    /// There was no text to embed.
    NoText,
    /// The encoder had too much to do.
    EncoderSaturated,
    /// The encoder failed on this prompt.
    EncoderFailed,
    /// Nobody asked, since no rule looks at it.
    NotAsked,
}

impl From<&Intent> for IntentSignal {
    fn from(intent: &Intent) -> Self {
        if intent.out_of_scope {
            Self::OutOfScope
        } else {
            Self::Known(intent.name.clone())
        }
    }
}

/// When a route applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// To prompts of these intents.
    Intents(Vec<IntentName>),
    /// To every prompt: the last route of an assistant.
    Always,
}

/// Which route, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The route's position in its assistant.
    pub route_idx: usize,
    /// Why this one.
    pub reason: RoutedReason,
    /// How probable this decision was. Rules leave nothing to chance.
    pub propensity: Ratio,
}

/// Chooses the first route whose rule matches. `None` only where no rule matches everything, which
/// the config refuses.
pub fn decide<'a>(
    rules: impl IntoIterator<Item = &'a Rule>,
    signals: &Signals,
) -> Option<Decision> {
    let mut intent_counted = false;
    rules.into_iter().enumerate().find_map(|(route_idx, rule)| {
        intent_counted |= rule.looks_at_intent();
        let reason = match rule.matches(&signals.intent)? {
            // Whatever the prompt had been about, it would have come here.
            _ if !intent_counted => RoutedReason::Rule,
            reason => reason,
        };
        Some(Decision {
            route_idx,
            reason,
            propensity: Ratio::ONE,
        })
    })
}

/// Whether the decision may depend on what the prompt is about: whether a rule looks at it before one
/// matches everything.
pub fn depends_on_intent<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> bool {
    rules
        .into_iter()
        .take_while(|rule| **rule != Rule::Always)
        .any(Rule::looks_at_intent)
}

impl Rule {
    const fn looks_at_intent(&self) -> bool {
        match self {
            Self::Intents(_) => true,
            Self::Always => false,
        }
    }

    /// Why this rule matches, if it does.
    fn matches(&self, signal: &IntentSignal) -> Option<RoutedReason> {
        match (self, signal) {
            (Self::Intents(intents), IntentSignal::Known(intent)) => {
                intents.contains(intent).then_some(RoutedReason::Intent)
            }
            (Self::Intents(_), _) => None,
            (Self::Always, signal) => Some(match signal {
                IntentSignal::Known(_) => RoutedReason::Default,
                IntentSignal::OutOfScope => RoutedReason::OutOfScope,
                IntentSignal::NoText => RoutedReason::NoText,
                IntentSignal::EncoderSaturated => RoutedReason::EncoderSaturated,
                IntentSignal::EncoderFailed => RoutedReason::EncoderFailed,
                IntentSignal::NotAsked => RoutedReason::Rule,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(name: &str) -> IntentName {
        name.parse().unwrap()
    }

    fn rules() -> Vec<Rule> {
        vec![
            Rule::Intents(vec![intent("code"), intent("sql")]),
            Rule::Intents(vec![intent("sql"), intent("maths")]),
            Rule::Always,
        ]
    }

    fn decided(signal: IntentSignal) -> (usize, RoutedReason) {
        let signals = Signals { intent: signal };
        let decision = decide(&rules(), &signals).unwrap();
        (decision.route_idx, decision.reason)
    }

    #[test]
    fn the_first_route_that_names_the_intent_wins() {
        let sql = IntentSignal::Known(intent("sql"));
        assert_eq!(decided(sql), (0, RoutedReason::Intent));
        let maths = IntentSignal::Known(intent("maths"));
        assert_eq!(decided(maths), (1, RoutedReason::Intent));
    }

    #[test]
    fn an_intent_that_no_rule_names_goes_to_the_last_route() {
        let chat = IntentSignal::Known(intent("smalltalk"));
        assert_eq!(decided(chat), (2, RoutedReason::Default));
    }

    #[test]
    fn every_reason_not_to_know_the_intent_ends_at_the_default_and_is_told_apart() {
        for (signal, reason) in [
            (IntentSignal::OutOfScope, RoutedReason::OutOfScope),
            (IntentSignal::NoText, RoutedReason::NoText),
            (
                IntentSignal::EncoderSaturated,
                RoutedReason::EncoderSaturated,
            ),
            (IntentSignal::EncoderFailed, RoutedReason::EncoderFailed),
        ] {
            assert_eq!(decided(signal), (2, reason));
        }
    }

    #[test]
    fn where_no_rule_looks_at_the_intent_the_rule_is_the_reason_whatever_is_known() {
        for signal in [
            IntentSignal::NotAsked,
            IntentSignal::Known(intent("code")),
            IntentSignal::EncoderSaturated,
        ] {
            let signals = Signals { intent: signal };
            let decision = decide(&[Rule::Always], &signals).unwrap();
            assert_eq!(decision.reason, RoutedReason::Rule);
        }
    }

    #[test]
    fn the_intent_matters_only_to_rules_before_the_one_that_takes_everything() {
        let code = Rule::Intents(vec![intent("code")]);
        assert!(depends_on_intent(&rules()));
        assert!(!depends_on_intent(&[Rule::Always]));
        assert!(!depends_on_intent(&[Rule::Always, code]));
        assert!(!depends_on_intent(&[]));
    }

    #[test]
    fn without_a_last_route_there_may_be_no_decision() {
        let signals = Signals {
            intent: IntentSignal::OutOfScope,
        };
        assert_eq!(decide(&rules()[..2], &signals), None);
    }
}
