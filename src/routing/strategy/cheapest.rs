//! The cheapest that is measured to be good enough, by what the request is expected to cost in all.
//!
//! Good enough means that the lower bound of the measured quality reaches the bar: a model that did well
//! on ten prompts has not shown that it is good. One that was never measured at this intent is no
//! choice. Those below the bar stand in when the others cannot answer, the best first, and the best of
//! them is asked where nobody reaches the bar: an answer below the bar is worth more than none, and the
//! reason says that it is one.

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
        let (table, intent) = (field.quality, field.intent);
        for candidate in field.choices() {
            let multiplier = self.multipliers.iter().find(|(id, _)| *id == candidate.id);
            if let (Some((_, factor)), Some(cost)) = (multiplier, candidate.weighed.cost) {
                candidate.weighed.cost = Some(cost.scaled(*factor));
            }
            if let Some(bar) = self.quality {
                let quality = candidate.quality(table, intent);
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
        let out_by = |out| field.open().filter(move |idx| weighed(*idx).out == out);
        let fit = by(out_by(None).collect(), |idx| weighed(idx).cost);
        let below = by(out_by(Some(Out::BelowBar)).collect(), |idx| {
            -weighed(idx).quality_low.unwrap_or_default()
        });
        let reason = match fit.first() {
            Some(_) => ChosenReason::Cheapest,
            None => ChosenReason::BestMeasured,
        };
        let order = [fit, below].concat();
        (!order.is_empty()).then(|| Choice::certain(order, reason))
    }
}
