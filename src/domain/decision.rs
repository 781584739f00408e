//! What was decided on a request, so that a decision can be understood, and made again, from one line
//! of the log: every candidate with the figures it was weighed by, every model removed and why, the
//! choice, its reason and how probable it was.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::domain::event::{ChosenReason, RoutedReason};
use crate::domain::name::{ModelName, RouteName};
use crate::domain::quantity::{PicoUsd, Ratio};
use crate::domain::record::as_millis;
use crate::domain::standing::Room;

/// The route, the model that is asked first, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// The route.
    pub route: RouteName,
    /// Why this one.
    pub reason: RoutedReason,
    /// Who is asked first.
    pub target: ModelName,
    /// Why this one.
    pub chosen: ChosenReason,
    /// How probable this choice was, over all that chance might have said; 1 where it had no say.
    pub propensity: Ratio,
    /// What chance said: the same seed, the same decision. Not written where it had no say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The figures that candidates were weighed by, in the route's order; nothing where the route names
    /// its model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Weighed>,
    /// Models that the request may not reach, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
}

/// A route on which there is nobody to ask, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undecided {
    /// The route.
    pub route: RouteName,
    /// Why this one.
    pub reason: RoutedReason,
    /// Models that the request may reach, and why each is no choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Weighed>,
    /// Models that it may not reach, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
}

/// A model that a request may not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The model.
    pub model: ModelName,
    /// The policy's rule by its name, or `ability`, or `context`.
    #[serde(serialize_with = "text")]
    pub by: Arc<str>,
    /// Why, for people.
    #[serde(serialize_with = "text")]
    pub why: Arc<str>,
}

impl Removed {
    /// What removes models that cannot do what the request needs.
    pub const ABILITY: &str = "ability";
    /// What removes models whose context the prompt does not fit.
    pub const CONTEXT: &str = "context";
}

/// A candidate, and the figures that it was weighed by. What is not known, or not asked, is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weighed {
    /// The model.
    pub model: ModelName,
    /// What the request is expected to cost with it.
    #[serde(rename = "expected_cost_usd", skip_serializing_if = "Option::is_none")]
    pub cost: Option<PicoUsd>,
    /// How many tokens prompt and answer are expected to have together.
    #[serde(skip)]
    pub tokens: Option<f64>,
    /// How many tokens its answer is expected to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<OutputTokens>,
    /// How long its answer is expected to take.
    #[serde(
        rename = "expected_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub time: Option<Duration>,
    /// How fast it is, by the measure that the route compares.
    #[serde(
        rename = "pace_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub pace: Option<Duration>,
    /// How many answers that rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The lower bound of its quality at this intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_low: Option<f64>,
    /// Its score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Its share of the traffic by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Why it was no choice, if it was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<Out>,
}

impl Weighed {
    /// A candidate of which nothing is known yet.
    pub const fn new(model: ModelName) -> Self {
        Self {
            model,
            cost: None,
            tokens: None,
            output_tokens: None,
            time: None,
            pace: None,
            samples: None,
            quality_low: None,
            score: None,
            share: None,
            out: None,
        }
    }
}

/// How many tokens an answer is expected to have, and how one knows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutputTokens {
    /// So many.
    pub expected: f64,
    /// How one knows.
    pub from: Expectation,
}

/// How an expected length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// From the model's last answers on the route.
    Learned,
    /// From the last answers of the other models.
    OtherModels,
    /// From the model's last answers on other routes.
    OtherRoutes,
    /// From nothing: the same is assumed of every model.
    Assumed,
}

/// Why a candidate was no choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Out {
    /// It cannot take one more call.
    Full(Room),
    /// Its quality at this intent was never measured.
    QualityUnknown,
    /// Its quality is below the bar.
    BelowBar,
    /// Its price is not known.
    PriceUnknown,
    /// It has no fresh samples.
    NoSamples,
    /// It takes longer per token than the route asks for.
    TooSlow,
    /// It has no weight.
    NoWeight,
}

impl Out {
    /// Why, for people.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Full(_) => "it is known that it can take no more calls",
            Self::QualityUnknown => "the quality at this intent was never measured",
            Self::BelowBar => "the measured quality is below the bar",
            Self::PriceUnknown => "the price is not known",
            Self::NoSamples => "it is not known how fast it is",
            Self::TooSlow => "it is known that it is too slow",
            Self::NoWeight => "the weight is 0",
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands a field over like this")]
fn millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(as_millis).serialize(serializer)
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
