//! By chance, with weights: canaries, A/B tests, a share for a new model.
//!
//! With `sticky`, chance speaks once for each user, header or conversation, and says the same for a
//! window. Nothing is stored for it: what chance says follows from the key itself and from which window
//! it is, so that it is the same after a reload, after a restart and on every node. Windows begin at
//! another moment for each key, so that not everybody is dealt out anew at once. Where weights change, no
//! more users move than must.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::caller::ConversationId;
use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::model::ModelId;
use crate::routing::chance::Chance;
use crate::routing::facts::Facts;

use super::{Choice, Field, Luck, by};

/// Choice by weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// The weight of each model; only their ratios matter.
    pub weights: Vec<(ModelId, f64)>,
    /// For whom chance speaks once.
    pub sticky: Option<Sticky>,
}

/// For whom chance speaks once, and how long that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Sticky {
    /// For whom.
    pub by: StickyBy,
    /// How long; for ever, if it is left out.
    pub window: Option<Duration>,
}

/// For whom chance speaks once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyBy {
    /// The person, as the request names her.
    User,
    /// The conversation, as `X-Semroute-Conversation` names it.
    Conversation,
    /// The value of a header.
    Header(Arc<str>),
    /// The value of a name in the caller's metadata.
    Metadata(Arc<str>),
}

impl Weighted {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        let key = self.sticky.as_ref().and_then(|it| it.key(field.facts));
        let (chance, reason, luck) = if let (Some(key), Some(sticky)) = (key, &self.sticky) {
            // The seed has no say in it.
            (sticky.chance(key, field), ChosenReason::Sticky, Luck::None)
        } else {
            let chance = field.chance().about("weighted");
            (chance, ChosenReason::Weighted, Luck::Asked)
        };
        let weights: Vec<f64> = field
            .candidates
            .iter()
            .map(|it| self.weight(it.id))
            .collect();
        let runners: Vec<usize> = field.open().filter(|idx| 0.0 < weights[*idx]).collect();
        let sum: f64 = runners.iter().map(|idx| weights[*idx]).sum();
        for (idx, candidate) in field.candidates.iter_mut().enumerate() {
            match weights[idx] {
                weight if 0.0 < weight && runners.contains(&idx) => {
                    candidate.weighed.share = Some(weight / sum);
                }
                weight if weight <= 0.0 => candidate.rule_out(Out::NoWeight),
                _ => {}
            }
        }
        let arrivals = by(runners, |idx| {
            let name = field.candidates[idx].model.name.as_str();
            chance.arrival(name, weights[idx])
        });
        (!arrivals.is_empty()).then(|| Choice {
            odds: arrivals
                .iter()
                .map(|idx| (*idx, weights[*idx] / sum))
                .collect(),
            order: arrivals,
            reason,
            luck,
        })
    }

    /// The header that tells for whom chance speaks.
    pub fn header(&self) -> Option<&Arc<str>> {
        match &self.sticky.as_ref()?.by {
            StickyBy::Header(name) => Some(name),
            StickyBy::User | StickyBy::Conversation | StickyBy::Metadata(_) => None,
        }
    }

    fn weight(&self, id: ModelId) -> f64 {
        let found = self.weights.iter().find(|(known, _)| *known == id);
        found.map_or(0.0, |(_, weight)| *weight)
    }
}

impl Sticky {
    fn key<'f>(&self, facts: &Facts<'f>) -> Option<&'f str> {
        match &self.by {
            StickyBy::User => facts.asked.needs().and_then(|it| it.user.as_deref()),
            StickyBy::Conversation => facts.conversation.map(ConversationId::as_str),
            StickyBy::Header(name) => {
                let headers = facts.envelope.headers.iter();
                let mut values = headers.filter(|(known, _)| known == name);
                values.next().map(|(_, value)| value.as_str())
            }
            StickyBy::Metadata(name) => facts.metadata.get(name),
        }
    }

    /// What chance says to a key in the window that it is in.
    fn chance(&self, key: &str, field: &Field<'_>) -> Chance {
        let chance = Chance::of_text(key).about(field.salt);
        let Some(window) = self.window else {
            return chance;
        };
        let offset = window.mul_f64(chance.about("window").uniform());
        let since = field.facts.wall.saturating_add(offset).as_nanos();
        let number = since / window.as_nanos().max(1);
        chance.at(u64::try_from(number).unwrap_or(u64::MAX))
    }
}
