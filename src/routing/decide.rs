//! A decision within a route: what policy leaves, what the strategy prefers, what the guards allow.

use crate::domain::decision::{Out, Removed, Weighed};
use crate::domain::event::ChosenReason;
use crate::domain::model::{Model, ModelId, Tier};
use crate::domain::name::IntentName;
use crate::domain::quality::QualityTable;
use crate::domain::quantity::Ratio;
use crate::domain::standing::{Refusal, Room, Standing};

use super::expectation::Odds;
use super::facts::Facts;
use super::guard::Guards;
use super::policy::{InForce, Policy};
use super::strategy::{Candidate, Choice, Field, Luck, Role, Strategy};

/// What a decision looks up: models, and how they have done on the route in question.
pub trait Knowledge {
    /// The model at a position.
    fn model(&self, id: ModelId) -> Option<&Model>;

    /// How it has done lately, and whether it can take one more call.
    fn standing(&self, id: ModelId) -> Standing;

    /// Whether it can take one more call: all that is asked where nothing depends on how it has done.
    fn room(&self, id: ModelId) -> Room {
        self.standing(id).room
    }
}

/// How a route answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// One model answers; a strategy chooses it.
    Single {
        /// The models that it chooses among, in the operator's order.
        of: Vec<ModelId>,
        /// How it chooses.
        strategy: Strategy,
        /// Who stands in when none of them can answer, in order.
        failover: Vec<ModelId>,
        /// What the choice may not exceed.
        guards: Guards,
    },
    /// Each tier is asked if the draft of the one before fails its check.
    Cascade(Vec<Tier>),
}

impl Way {
    /// Whether it looks at what the prompt is about.
    pub const fn looks_at_intent(&self) -> bool {
        match self {
            Self::Single { strategy, .. } => strategy.looks_at_intent(),
            Self::Cascade(_) => false,
        }
    }

    /// The headers that it looks at.
    pub fn headers(&self) -> impl Iterator<Item = &std::sync::Arc<str>> {
        let header = match self {
            Self::Single {
                strategy: Strategy::Weighted(weighted),
                ..
            } => weighted.header(),
            _ => None,
        };
        header.into_iter()
    }

    /// Whether whom it chose last has a say.
    pub const fn has_incumbent(&self) -> bool {
        match self {
            Self::Single { strategy, .. } => matches!(strategy, Strategy::Fastest(_)),
            Self::Cascade(_) => false,
        }
    }

    /// The models that policy and chance aside would be asked, tier by tier.
    pub fn first_choices(&self) -> Vec<ModelId> {
        match self {
            Self::Single { of, .. } => of.first().copied().into_iter().collect(),
            Self::Cascade(tiers) => tiers.iter().map(|tier| tier.target).collect(),
        }
    }

    /// Every model that may be asked, each once or more.
    pub fn models(&self) -> Vec<ModelId> {
        match self {
            Self::Single {
                of,
                failover,
                guards,
                ..
            } => {
                let budget = guards.cost.map(|guard| guard.budget_model);
                of.iter().chain(failover).copied().chain(budget).collect()
            }
            Self::Cascade(tiers) => tiers.iter().flat_map(Tier::targets).collect(),
        }
    }
}

/// Everything beside the request that a choice within a route depends on.
pub struct Ladder<'a> {
    /// How the route answers.
    pub way: &'a Way,
    /// What it is called, so that two routes deal the same user out apart.
    pub salt: &'a str,
    /// Which models the request may reach.
    pub policy: &'a Policy,
    /// How good models are, where that was measured.
    pub quality: Option<&'a QualityTable>,
    /// What the prompt is about, where that is known.
    pub intent: Option<&'a IntentName>,
    /// Whom the route chose last.
    pub incumbent: Option<ModelId>,
}

/// Who is asked, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Who is asked, tier by tier; at least one.
    pub tiers: Vec<Tier>,
    /// Who is asked first.
    pub first: ModelId,
    /// Why.
    pub chosen: ChosenReason,
    /// How probable that was, over all that chance might have said.
    pub propensity: Ratio,
    /// Whether chance had a say.
    pub luck: Luck,
    /// What the candidates were weighed by; nothing where the route names its model.
    pub candidates: Vec<Weighed>,
    /// Models that the request may not reach.
    pub removed: Vec<Removed>,
    /// Models that were passed over since they had no room.
    pub refused: Vec<Refusal>,
    /// Whether the incumbent could have been chosen.
    pub incumbent: Incumbent,
}

/// Whom a route chose last, in the next decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incumbent {
    /// It could have been chosen, or there is none.
    Asked,
    /// It is on the route, but the request may not reach it, or it is full.
    Absent,
}

impl Decision {
    /// Whether whom it chose is the incumbent from now on: a probe, a guard or a stand-in is none, nor is
    /// whoever was the fastest of those that were left when the incumbent could not be asked. Otherwise one
    /// request that may not reach it would send all others elsewhere.
    pub const fn takes_over(&self) -> bool {
        matches!(self.incumbent, Incumbent::Asked)
            && matches!(self.chosen, ChosenReason::Fastest | ChosenReason::Incumbent)
    }
}

/// There is nobody to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct NoCandidate {
    /// Models that the request may not reach, and why, in the order of the route.
    pub removed: Vec<Removed>,
    /// Models that it may reach, and why they are no choice.
    pub out: Vec<(Weighed, Out)>,
}

/// Chooses within a route.
pub fn choose(
    ladder: &Ladder<'_>,
    facts: &Facts<'_>,
    knowledge: &dyn Knowledge,
) -> Result<Decision, NoCandidate> {
    let mut gate = Gate {
        in_force: ladder.policy.in_force(facts),
        facts,
        knowledge,
        removed: Vec::new(),
    };
    match ladder.way {
        Way::Single {
            of,
            strategy,
            failover,
            guards,
        } => {
            let candidates = gate.candidates(of, failover, (strategy, guards));
            let incumbent = incumbent(ladder.incumbent, of, &candidates);
            let field = Field {
                candidates,
                facts,
                intent: ladder.intent,
                quality: ladder.quality,
                incumbent: ladder.incumbent,
                salt: ladder.salt,
                odds: Odds::default(),
            };
            let mut decision = single(strategy, guards, field, gate.removed)?;
            decision.incumbent = incumbent;
            Ok(decision)
        }
        Way::Cascade(tiers) => cascade(tiers, gate),
    }
}

/// Whether whom the route chose last may be chosen again.
fn incumbent(last: Option<ModelId>, of: &[ModelId], candidates: &[Candidate<'_>]) -> Incumbent {
    let is_choice = |id| candidates.iter().any(|it| it.id == id && it.is_choice());
    match last {
        Some(id) if of.contains(&id) && !is_choice(id) => Incumbent::Absent,
        _ => Incumbent::Asked,
    }
}

/// Lets through what policy allows, and notes the rest.
struct Gate<'a> {
    in_force: InForce<'a>,
    facts: &'a Facts<'a>,
    knowledge: &'a dyn Knowledge,
    removed: Vec<Removed>,
}

impl<'a> Gate<'a> {
    fn admits(&mut self, id: ModelId) -> Option<&'a Model> {
        let model = self.knowledge.model(id)?;
        match self.in_force.removal(id, model, self.facts) {
            None => Some(model),
            Some(removed) => {
                if !self.removed.iter().any(|it| it.model == removed.model) {
                    self.removed.push(removed);
                }
                None
            }
        }
    }

    fn candidates(
        &mut self,
        of: &[ModelId],
        failover: &[ModelId],
        (strategy, guards): (&Strategy, &Guards),
    ) -> Vec<Candidate<'a>> {
        let looks_back = strategy.looks_back() || !guards.is_none();
        let budget = guards.cost.map(|guard| (guard.budget_model, Role::Budget));
        let choices = of.iter().map(|id| (*id, Role::Choice));
        let stand_ins = failover.iter().map(|id| (*id, Role::StandIn));
        let all = choices.chain(stand_ins).chain(budget);
        let mut candidates: Vec<Candidate<'a>> = Vec::with_capacity(of.len() + failover.len());
        for (id, role) in all {
            if candidates.iter().any(|it| it.id == id) {
                continue;
            }
            let Some(model) = self.admits(id) else {
                continue;
            };
            let standing = if looks_back {
                self.knowledge.standing(id)
            } else {
                Standing {
                    room: self.knowledge.room(id),
                    ..Standing::default()
                }
            };
            let mut weighed = Weighed::new(model.name.clone());
            weighed.out = (standing.room != Room::Free).then_some(Out::Full(standing.room));
            candidates.push(Candidate {
                id,
                model,
                standing,
                role,
                weighed,
            });
        }
        candidates
    }
}

fn single(
    strategy: &Strategy,
    guards: &Guards,
    mut field: Field<'_>,
    removed: Vec<Removed>,
) -> Result<Decision, NoCandidate> {
    if strategy.looks_ahead() || !guards.is_none() {
        field.look_ahead();
    }
    let choice = strategy.choose(&mut field);
    let stands_in = |it: &Candidate<'_>| it.role == Role::StandIn && it.standing.room == Room::Free;
    let mut choice = choice.unwrap_or_else(|| Choice {
        order: Vec::new(),
        reason: ChosenReason::StandIn,
        odds: Vec::new(),
        luck: Luck::None,
    });
    let stand_ins = (0..field.candidates.len()).filter(|idx| stands_in(&field.candidates[*idx]));
    choice.order.extend(stand_ins);
    let Some(&first) = choice.order.first() else {
        return Err(NoCandidate::of(field.candidates, removed));
    };
    // One that is full now may have room by the time that the others have failed.
    let is_full = |it: &Candidate<'_>| it.role != Role::Budget && it.standing.room != Room::Free;
    let full = (0..field.candidates.len()).filter(|idx| is_full(&field.candidates[*idx]));
    choice.order.extend(full);
    if choice.odds.is_empty() {
        choice.odds = vec![(first, 1.0)];
    }
    Ok(decided(
        &choice,
        first,
        guards,
        (field.candidates, removed),
        strategy,
    ))
}

fn decided(
    choice: &Choice,
    first: usize,
    guards: &Guards,
    (candidates, removed): (Vec<Candidate<'_>>, Vec<Removed>),
    strategy: &Strategy,
) -> Decision {
    let redirected = guards.redirect(first, &candidates);
    let first = redirected.first;
    let led_here = |(from, _): &&(usize, f64)| guards.redirect(*from, &candidates).first == first;
    let odds = choice.odds.iter().filter(led_here).map(|(_, odds)| odds);
    let stand_ins = choice.order.iter().filter(|idx| **idx != first);
    let tier = Tier {
        target: candidates[first].id,
        stand_ins: stand_ins.map(|idx| candidates[*idx].id).collect(),
    };
    // Whoever stands behind the choice was not wanted, full or not.
    let is_wanted = |idx: usize, it: &Candidate<'_>| it.role == Role::Choice || idx < first;
    let refused = candidates.iter().enumerate().filter_map(|(idx, it)| {
        let reason = it.standing.room;
        (reason != Room::Free && is_wanted(idx, it)).then(|| Refusal {
            target: it.model.name.clone(),
            reason,
        })
    });
    let refused = refused.collect();
    let is_plain = *strategy == Strategy::Pinned
        && guards.is_none()
        && candidates.iter().all(|it| it.weighed.out.is_none());
    Decision {
        first: tier.target,
        tiers: vec![tier],
        chosen: redirected.reason.unwrap_or(choice.reason),
        propensity: Ratio::clamped(odds.sum()),
        luck: choice.luck,
        candidates: if is_plain {
            Vec::new()
        } else {
            candidates.into_iter().map(|it| it.weighed).collect()
        },
        removed,
        refused,
        incumbent: Incumbent::Asked,
    }
}

/// The tiers of a cascade that policy leaves. Whoever stands in for a tier that is gone takes its place.
fn cascade(tiers: &[Tier], mut gate: Gate<'_>) -> Result<Decision, NoCandidate> {
    let left = tiers.iter().filter_map(|tier| {
        let mut targets = tier.targets().filter(|id| gate.admits(*id).is_some());
        Some(Tier {
            target: targets.next()?,
            stand_ins: targets.collect(),
        })
    });
    let left: Vec<Tier> = left.collect();
    let removed = gate.removed;
    match left.first() {
        None => Err(NoCandidate::of(Vec::new(), removed)),
        Some(tier) => Ok(Decision {
            first: tier.target,
            tiers: left,
            chosen: ChosenReason::Cascade,
            propensity: Ratio::ONE,
            luck: Luck::None,
            candidates: Vec::new(),
            removed,
            refused: Vec::new(),
            incumbent: Incumbent::Asked,
        }),
    }
}

impl NoCandidate {
    fn of(candidates: Vec<Candidate<'_>>, removed: Vec<Removed>) -> Self {
        let out = candidates.into_iter().filter_map(|it| {
            let out = it.weighed.out?;
            Some((it.weighed, out))
        });
        Self {
            out: out.collect(),
            removed,
        }
    }
}

#[cfg(test)]
mod tests;
