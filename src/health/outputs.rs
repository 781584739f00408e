//! How long a target's answers are, by the place they were asked from: what is asked of a model on one
//! route may be a word, and on another a page.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::name::{AssistantName, RouteName};

/// Answers that a mean rests on: the last ones, so that it follows what is asked.
pub const ANSWERS_MAX: usize = 100;

/// With fewer of a place, the mean over all places says more.
pub const ANSWERS_MIN: usize = 5;

/// A route of an assistant. Routes of two assistants may have the same name and nothing in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The route.
    pub route: RouteName,
    /// Whose route it is.
    pub assistant: AssistantName,
}

/// The output tokens of one target's answers.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    all: Last,
    by_place: BTreeMap<Place, Last>,
}

/// The last answers, and their sum.
#[derive(Debug, Clone, Default)]
struct Last {
    tokens: VecDeque<u64>,
    // Wider than any sum of so many.
    sum: u128,
}

impl Outputs {
    /// Takes in an answer.
    pub fn add(&mut self, place: &Place, tokens: u64) {
        self.all.add(tokens);
        match self.by_place.get_mut(place) {
            Some(last) => last.add(tokens),
            None => self.by_place.entry(place.clone()).or_default().add(tokens),
        }
    }

    /// How many tokens an answer has on average: of this place, or of all while there are too few of it.
    pub fn mean(&self, place: &Place) -> Option<f64> {
        self.mean_here(place).or_else(|| self.mean_anywhere())
    }

    /// The same of this place alone; not known while there are too few.
    pub fn mean_here(&self, place: &Place) -> Option<f64> {
        let last = self.by_place.get(place)?;
        if last.tokens.len() < ANSWERS_MIN {
            return None;
        }
        last.mean()
    }

    /// The same over all places.
    pub fn mean_anywhere(&self) -> Option<f64> {
        self.all.mean()
    }

    /// Forgets the places that there are no longer.
    pub fn keep(&mut self, is_there: impl Fn(&Place) -> bool) {
        self.by_place.retain(|place, _| is_there(place));
    }
}

impl Last {
    fn add(&mut self, tokens: u64) {
        if self.tokens.len() == ANSWERS_MAX
            && let Some(oldest) = self.tokens.pop_front()
        {
            self.sum -= u128::from(oldest);
        }
        self.tokens.push_back(tokens);
        self.sum += u128::from(tokens);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean past 2^53 is still a mean"
    )]
    fn mean(&self) -> Option<f64> {
        (!self.tokens.is_empty()).then(|| self.sum as f64 / self.tokens.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(route: &str) -> Place {
        Place {
            route: route.parse().unwrap(),
            assistant: "assistant".parse().unwrap(),
        }
    }

    #[test]
    fn a_place_with_few_answers_is_taken_to_be_like_the_others() {
        let mut outputs = Outputs::default();
        assert_eq!(outputs.mean(&place("code")), None);
        for _ in 0..12 {
            outputs.add(&place("code"), 1_000);
        }
        assert_eq!(outputs.mean(&place("yes-or-no")), Some(1_000.0));
        for _ in 0..ANSWERS_MIN - 1 {
            outputs.add(&place("yes-or-no"), 0);
        }
        assert_eq!(outputs.mean(&place("yes-or-no")), Some(750.0));
        outputs.add(&place("yes-or-no"), 1);
        assert_eq!(outputs.mean(&place("yes-or-no")), Some(0.2));
        assert_eq!(outputs.mean(&place("code")), Some(1_000.0));
    }

    #[test]
    fn routes_of_two_assistants_are_two_places() {
        let mut outputs = Outputs::default();
        let other = Place {
            assistant: "other".parse().unwrap(),
            ..place("default")
        };
        for _ in 0..10 {
            outputs.add(&place("default"), 10);
            outputs.add(&other, 30);
        }
        assert_eq!(outputs.mean(&place("default")), Some(10.0));
        assert_eq!(outputs.mean(&other), Some(30.0));
    }

    #[test]
    fn a_place_that_is_gone_is_forgotten_and_the_mean_over_all_is_not() {
        let mut outputs = Outputs::default();
        for _ in 0..10 {
            outputs.add(&place("old"), 10);
            outputs.add(&place("kept"), 30);
        }
        outputs.keep(|it| it.route.as_str() == "kept");
        assert_eq!(outputs.mean(&place("old")), Some(20.0));
        assert_eq!(outputs.mean(&place("kept")), Some(30.0));
        assert_eq!(outputs.by_place.len(), 1);
    }

    proptest! {
        #[test]
        fn a_mean_is_that_of_the_last_hundred(tokens in proptest::collection::vec(0_u64..1_000_000, 1..250)) {
            let mut outputs = Outputs::default();
            for (idx, n) in tokens.iter().enumerate() {
                outputs.add(&place("only"), *n);
                let last = &tokens[(idx + 1).saturating_sub(ANSWERS_MAX)..=idx];
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let mean = last.iter().sum::<u64>() as f64 / last.len() as f64;
                let found = outputs.mean(&place("only")).unwrap();
                prop_assert!((found - mean).abs() < 1e-6, "{} is not {}", found, mean);
            }
        }
    }
}
