//! The labels of what is counted of requests: names that the operator gave, and words from closed lists.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::domain::name::{AssistantName, IntentName, ModelName, RouteName};

macro_rules! names {
    ($($Name:ty),+) => {
        $(impl EncodeLabelValue for $Name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        })+
    };
}

names!(AssistantName, IntentName, ModelName, RouteName);

/// A name, or the word `none` where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OrNone<N>(pub(super) Option<N>);

impl<N: EncodeLabelValue> EncodeLabelValue for OrNone<N> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => name.encode(encoder),
            None => "none".encode(encoder),
        }
    }
}

macro_rules! labels {
    ($($Labels:ident { $($label:ident: $Value:ty),+ $(,)? })+) => {
        $(#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
        pub(super) struct $Labels {
            $(pub(super) $label: $Value),+
        })+
    };
}

labels! {
    RequestLabels {
        endpoint: &'static str,
        assistant: OrNone<AssistantName>,
        outcome: &'static str,
        error_type: &'static str,
    }
    RoutedLabels {
        assistant: AssistantName,
        route: RouteName,
        intent: OrNone<IntentName>,
        reason: &'static str,
    }
    ChosenLabels {
        assistant: AssistantName,
        route: RouteName,
        target: ModelName,
        reason: &'static str,
    }
    RouteLabels { assistant: AssistantName, route: RouteName }
    EscalationLabels { assistant: AssistantName, route: RouteName, reason: &'static str }
    FailoverLabels {
        assistant: AssistantName,
        route: RouteName,
        target: ModelName,
        reason: &'static str,
    }
    AttemptLabels { target: ModelName, purpose: &'static str }
    TargetLabels { target: ModelName }
    FullLabels { target: ModelName, reason: &'static str }
    TokenLabels { target: ModelName, kind: &'static str, counted_by: &'static str }
    SaturationLabels { then: &'static str }
    EndpointLabels { endpoint: &'static str }
    StageLabels { stage: &'static str }
}
