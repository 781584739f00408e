//! Strategies: which of a route's models is asked first, and in which order the others stand in.
//!
//! Each is a pure function of the same [`Field`] and lies in a file of its own. What a strategy does not
//! know of a candidate is a state and never 0: a model without fresh samples is neither fast nor slow,
//! and gets a small share of the traffic by chance until it is known.

mod cheapest;
mod fastest;
mod priority;
mod probe;
mod score;
mod weighted;

use crate::domain::decision::{Out, Weighed};
use crate::domain::event::ChosenReason;
use crate::domain::model::{Model, ModelId};
use crate::domain::name::IntentName;
use crate::domain::quality::{Quality, QualityTable};
use crate::domain::standing::{Room, Standing};

use super::chance::Chance;
use super::expectation::{self, Odds};
use super::facts::Facts;

pub use cheapest::Cheapest;
pub use fastest::{Fastest, Measure};
pub use priority::Priority;
pub use score::{Score, Weights};
pub use weighted::{Sticky, StickyBy, Weighted};

/// Fewer answers than this say nothing of the next one: one that stalled, or found a warm cache, would
/// decide for twenty minutes.
pub(super) const SAMPLES_MIN: usize = 3;

/// How a route's model is chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// The one that the route names.
    Pinned,
    /// By chance, with weights.
    Weighted(Weighted),
    /// The first in order that is not too slow.
    Priority(Priority),
    /// The fastest.
    Fastest(Fastest),
    /// The cheapest that is good enough.
    Cheapest(Cheapest),
    /// The highest worth: quality, less cost and time.
    Score(Score),
}

/// What a strategy chooses from.
pub struct Field<'a> {
    /// The route's models, in its order.
    pub candidates: Vec<Candidate<'a>>,
    /// What is known of the request.
    pub facts: &'a Facts<'a>,
    /// What it is about, where that is known.
    pub intent: Option<&'a IntentName>,
    /// How good models are, where that was measured.
    pub quality: Option<&'a QualityTable>,
    /// Whom the route chose last.
    pub incumbent: Option<ModelId>,
    /// What the route is called, so that two routes deal the same user out apart.
    pub salt: &'a str,
    /// The odds of a call that are the same for all candidates.
    pub odds: Odds,
}

/// A model that may be chosen.
pub struct Candidate<'a> {
    /// Its position in the plan.
    pub id: ModelId,
    /// What it is.
    pub model: &'a Model,
    /// How it has done lately.
    pub standing: Standing,
    /// Whether the strategy may choose it first.
    pub role: Role,
    /// The figures that it is weighed by.
    pub weighed: Weighed,
}

/// What a model is on a route for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The strategy chooses among these.
    Choice,
    /// These stand in, in their order, when none of those can answer.
    StandIn,
    /// The cost guard puts this one first, and nothing else does.
    Budget,
}

/// Who is asked, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Positions among the candidates: who is asked first, and who stands in.
    pub order: Vec<usize>,
    /// Why the first is.
    pub reason: ChosenReason,
    /// How probable it was for each that might have come first to do so.
    pub odds: Vec<(usize, f64)>,
    /// Whether chance had a say.
    pub luck: Luck,
}

/// Whether chance had a say in a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// It had none.
    None,
    /// It was asked, and the seed tells what it said.
    Asked,
}

impl Choice {
    /// A choice that chance has no say in.
    fn certain(order: Vec<usize>, reason: ChosenReason) -> Self {
        Self {
            odds: order
                .first()
                .map(|first| (*first, 1.0))
                .into_iter()
                .collect(),
            order,
            reason,
            luck: Luck::None,
        }
    }
}

impl Strategy {
    /// How it is called in configurations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pinned => "to",
            Self::Weighted(_) => "weighted",
            Self::Priority(_) => "priority",
            Self::Fastest(_) => "fastest",
            Self::Cheapest(_) => "cheapest",
            Self::Score(_) => "score",
        }
    }

    /// Whether it looks at what the prompt is about.
    pub const fn looks_at_intent(&self) -> bool {
        match self {
            Self::Cheapest(cheapest) => cheapest.quality.is_some(),
            Self::Score(score) => 0.0 < score.weights.quality,
            Self::Pinned | Self::Weighted(_) | Self::Priority(_) | Self::Fastest(_) => false,
        }
    }

    /// Whether it looks at how targets have done lately.
    pub const fn looks_back(&self) -> bool {
        match self {
            Self::Pinned | Self::Weighted(_) => false,
            Self::Priority(priority) => priority.tpot_max.is_some(),
            Self::Fastest(_) | Self::Cheapest(_) | Self::Score(_) => true,
        }
    }

    /// Whether it looks at what a request will cost or how long it will take.
    pub const fn looks_ahead(&self) -> bool {
        matches!(self, Self::Cheapest(_) | Self::Score(_))
    }

    /// Chooses among the candidates, and notes in each what it was weighed by. `None` where none of them
    /// may be chosen first.
    pub fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        match self {
            Self::Pinned => {
                let order: Vec<usize> = field.open().collect();
                (!order.is_empty()).then(|| Choice::certain(order, ChosenReason::Pinned))
            }
            Self::Weighted(weighted) => weighted.choose(field),
            Self::Priority(priority) => priority.choose(field),
            Self::Fastest(fastest) => fastest.choose(field),
            Self::Cheapest(cheapest) => cheapest.choose(field),
            Self::Score(score) => score.choose(field),
        }
    }
}

impl<'a> Field<'a> {
    /// The positions of those that may be chosen and can take one more call.
    fn open(&self) -> impl Iterator<Item = usize> {
        let candidates = self.candidates.iter().enumerate();
        candidates
            .filter(|(_, it)| it.is_choice())
            .map(|(idx, _)| idx)
    }

    /// Those that may be chosen, with room or without.
    fn choices(&mut self) -> impl Iterator<Item = &mut Candidate<'a>> {
        let candidates = self.candidates.iter_mut();
        candidates.filter(|it| it.role == Role::Choice)
    }

    /// What chance says in this decision.
    fn chance(&self) -> Chance {
        Chance::of_seed(self.facts.seed)
    }

    /// Works out what the request will cost with each candidate, and how long it will take.
    pub(super) fn look_ahead(&mut self) {
        let max = self.facts.asked.output_tokens_max();
        let standings: Vec<Standing> = self.candidates.iter().map(|it| it.standing).collect();
        let outputs = expectation::output_tokens(&standings, max);
        let input_tokens = self.facts.asked.tokens();
        for (candidate, output) in self.candidates.iter_mut().zip(outputs) {
            let odds = Odds {
                retry: candidate.standing.failure_share.unwrap_or_default(),
                ..self.odds
            };
            let call = expectation::call_cost(candidate.model, input_tokens, output);
            let factor = expectation::total_cost(1.0, 0.0, odds);
            #[expect(clippy::cast_precision_loss, reason = "no prompt has 2^53 tokens")]
            let input = candidate.model.terms.tokens(input_tokens) as f64;
            candidate.weighed.tokens = Some(input + output.expected);
            candidate.weighed.output_tokens = Some(output);
            candidate.weighed.cost = call.map(|call| call.scaled(factor));
            candidate.weighed.time = expectation::time(candidate.standing.long, output);
        }
    }
}

impl Candidate<'_> {
    /// Whether it may be chosen first and can take one more call.
    pub(super) fn is_choice(&self) -> bool {
        self.role == Role::Choice && self.standing.room == Room::Free
    }

    /// Its quality at an intent, by its own name or by that of its provider.
    fn quality(
        &self,
        table: Option<&QualityTable>,
        intent: Option<&IntentName>,
    ) -> Option<Quality> {
        let table = table?;
        let Model {
            name,
            upstream_name,
            ..
        } = self.model;
        let own = table.of(intent, name.as_str());
        own.or_else(|| table.of(intent, upstream_name))
    }

    /// Notes why it is no choice.
    fn rule_out(&mut self, out: Out) {
        self.weighed.out = self.weighed.out.or(Some(out));
    }
}

/// Smaller first; those that are equal stay in the route's order.
fn by<K: PartialOrd>(mut positions: Vec<usize>, key: impl Fn(usize) -> K) -> Vec<usize> {
    positions.sort_by(|left, right| {
        let order = key(*left).partial_cmp(&key(*right));
        order.unwrap_or(std::cmp::Ordering::Equal)
    });
    positions
}

#[cfg(test)]
mod tests;
