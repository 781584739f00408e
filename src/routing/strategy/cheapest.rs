//! The cheapest that is measured to be good enough, by what the request is expected to cost in all.
//!
//! Good enough means that the lower bound of the measured quality reaches the bar: a model that did well
//! on ten prompts has not shown that it is good. One that was never measured at this intent is no
//! choice. Where nobody reaches the bar, the best measured is asked: an answer below the bar is worth
//! more than none, and the reason says that it is one.

use crate::domain::decision::Out;
use crate::domain::event::ChosenReason;
use crate::domain::model::ModelId;
use crate::domain::quantity::Ratio;

use super::{Choice, Field, by};

/// Choice by cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cheapest {
    /// The bar that the quality's lower bound must reach; none, if it is left out.
    pub quality: Option<Ratio>,
    /// What costs of a model are multiplied by: discounts, fees. 1, where a model is left out.
    pub multipliers: Vec<(ModelId, f64)>,
}

impl Cheapest {
    pub(super) fn choose(&self, field: &mut Field<'_>) -> Option<Choice> {
        for candidate in &mut field.candidates {
            let multiplier = self.multipliers.iter().find(|(id, _)| *id == candidate.id);
            if let (Some((_, factor)), Some(cost)) = (multiplier, candidate.weighed.cost) {
                candidate.weighed.cost = Some(cost.scaled(*factor));
            }
            if let Some(bar) = self.quality {
                let quality = candidate.quality(field.quality, field.intent);
                candidate.weighed.quality_low = quality.map(|it| it.low);
                match quality {
                    None => candidate.rule_out(Out::QualityUnknown),
                    Some(quality) if quality.low < bar.get() => candidate.rule_out(Out::BelowBar),
                    Some(_) => {}
                }
            }
            if candidate.weighed.cost.is_none() {
                candidate.rule_out(Out::PriceUnknown);
            }
        }
        let weighed = |idx: usize| &field.candidates[idx].weighed;
        let fit: Vec<usize> = field
            .open()
            .filter(|it| weighed(*it).out.is_none())
            .collect();
        if !fit.is_empty() {
            let order = by(fit, |idx| weighed(idx).cost);
            return Some(Choice::certain(order, ChosenReason::Cheapest));
        }
        let below = field
            .open()
            .filter(|it| weighed(*it).out == Some(Out::BelowBar));
        let best = by(below.collect(), |idx| {
            -weighed(idx).quality_low.unwrap_or_default()
        });
        (!best.is_empty()).then(|| Choice::certain(best, ChosenReason::BestMeasured))
    }
}
