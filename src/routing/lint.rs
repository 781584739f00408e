//! Rules that can never hold: what an operator writes and does not mean.
//!
//! A rule is *shadowed* if an earlier one holds whenever it does. That is so if each condition of the
//! earlier one is implied by a condition of the later one; a rule that names several intents is taken
//! apart, so that two earlier rules may shadow it together. Nothing is guessed: what is told can really
//! never hold, and what is not told may still be odd.

use std::sync::Arc;

use crate::domain::complexity::Level;
use crate::domain::quantity::Ratio;

use super::rules::{Condition, Named, Rule, covers};

/// Why a rule can never hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Never {
    /// Whenever it would, one of these earlier rules does, by their positions.
    Shadowed(Vec<usize>),
    /// Two of its conditions, by their keys, exclude each other.
    Contradiction(&'static str, &'static str),
}

/// What rules of one list can never hold, by their positions.
pub fn never(rules: &[&Rule]) -> Vec<(usize, Never)> {
    let found = rules.iter().enumerate().filter_map(|(idx, rule)| {
        let why = contradiction(rule).or_else(|| {
            let earlier = rules.get(..idx)?;
            shadowed(rule, earlier).map(Never::Shadowed)
        });
        Some((idx, why?))
    });
    found.collect()
}

/// Two conditions on the same thing without a value in common.
fn contradiction(rule: &Rule) -> Option<Never> {
    let conditions = rule.conditions();
    conditions.iter().enumerate().find_map(|(idx, left)| {
        let right = conditions
            .iter()
            .skip(idx + 1)
            .find(|right| excludes(left, right))?;
        Some(Never::Contradiction(left.key(), right.key()))
    })
}

fn excludes(left: &Condition, right: &Condition) -> bool {
    match (left, right) {
        // No language is written in a script that it does not have.
        (Condition::Script(scripts), Condition::Language(languages)) => !languages
            .iter()
            .any(|language| scripts.iter().any(|script| script.writes(*language))),
        _ => false,
    }
}

/// The earlier rules that hold whenever this one does, if they do so together.
fn shadowed(rule: &Rule, earlier: &[&Rule]) -> Option<Vec<usize>> {
    let mut by = Vec::new();
    for case in cases(rule) {
        let found = earlier.iter().position(|earlier| implied(earlier, &case))?;
        if !by.contains(&found) {
            by.push(found);
        }
    }
    Some(by)
}

/// The rule as several that each name one intent; itself, where it names none.
fn cases(rule: &Rule) -> Vec<Vec<Condition>> {
    let conditions = rule.conditions();
    let split = conditions
        .iter()
        .position(|it| matches!(it, Condition::Intent(intents, _) if 1 < intents.len()));
    let Some(place) = split else {
        return vec![conditions.to_vec()];
    };
    let Some(Condition::Intent(intents, at_least)) = conditions.get(place) else {
        return vec![conditions.to_vec()];
    };
    let one = |intent: &_| {
        let mut case = conditions.to_vec();
        case[place] = Condition::Intent(vec![Clone::clone(intent)], *at_least);
        case
    };
    intents.iter().map(one).collect()
}

/// Whether a rule holds whenever all these conditions do.
fn implied(rule: &Rule, by: &[Condition]) -> bool {
    let is_implied = |condition| by.iter().any(|stronger| implies(stronger, condition));
    rule.conditions().iter().all(is_implied)
}

/// Whether the second condition holds whenever the first does.
fn implies(stronger: &Condition, weaker: &Condition) -> bool {
    use Condition as C;
    match (stronger, weaker) {
        (C::Gateway(few), C::Gateway(many)) => within(few, many),
        (C::Model(few), C::Model(many)) | (C::Host(few), C::Host(many)) => within(few, many),
        (C::Path(few), C::Path(many)) => few.iter().all(|path| {
            many.iter().any(|it| {
                covers(it, path.trim_end_matches('*'))
                    && (it.ends_with('*') || !path.ends_with('*'))
            })
        }),
        (C::Team(few), C::Team(many)) => within(few, many),
        (C::Key(few), C::Key(many)) => within(few, many),
        (C::Header(few), C::Header(many)) | (C::Metadata(few), C::Metadata(many)) => {
            named_within(few, many)
        }
        (C::Needs(left, needed), C::Needs(right, wanted)) => left == right && needed == wanted,
        (C::Tokens(few), C::Tokens(many)) => many.start() <= few.start() && few.end() <= many.end(),
        (C::Text(few), C::Text(many)) => within(few.expressions(), many.expressions()),
        (C::Script(few), C::Script(many)) => within(few, many),
        (C::Language(few), C::Language(many)) => within(few, many),
        (C::Complexity(few), C::Complexity(many)) => within::<Level>(few, many),
        (C::Intent(few, high), C::Intent(many, low)) => {
            Ratio::get(*low) <= high.get() && within(few, many)
        }
        _ => false,
    }
}

fn within<T: PartialEq>(few: &[T], many: &[T]) -> bool {
    few.iter().all(|one| many.contains(one))
}

/// Whether every value of the first is one of the second; a name without values takes any.
fn named_within(few: &Named, many: &Named) -> bool {
    let values: &[Arc<str>] = &few.values;
    few.name == many.name
        && (many.values.is_empty() || !values.is_empty() && within(values, &many.values))
}

#[cfg(test)]
mod tests;
