//! What the length of a prompt alone would tell: the control for labels that could be had by counting.
//!
//! It is given the best that length can do. Lengths are parted into stretches, at most as many as there
//! are labels (and at most a dozen), each with one label, so that as many training rows as possible are right; a label may
//! take several stretches, and one that never pays takes none.

use serde::Serialize;

use crate::domain::name::IntentName;
use crate::eval::bootstrap::{Chance, Estimate, Figure, of_share};
use crate::eval::compare::{Paired, paired_by};
use crate::eval::outcome::{Expected, Outcome};

/// The most stretches: with more, the rule would learn single rows by heart.
const STRETCHES_MAX: usize = 12;

/// How long a labelled prompt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its characters.
    pub chars: usize,
    /// Its label.
    pub label: IntentName,
}

/// Which label prompts of which length get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Rule {
    /// From the shortest; the first begins at 0, and each ends where the next begins.
    stretches: Vec<Stretch>,
}

/// Lengths that get one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The fewest characters.
    pub from_chars: usize,
    /// The label.
    pub label: IntentName,
}

/// The classifier beside what length alone tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Control {
    /// How often length alone is right, over rows in scope.
    pub accuracy: Estimate,
    /// The classifier (`new`) against it (`old`) on the same rows.
    pub comparison: Paired,
    /// What it goes by.
    pub rule: Rule,
}

impl Rule {
    /// The rule that has most rows right, of those the one with the fewest stretches. `None` without a
    /// row.
    pub fn fit(rows: &[Measured]) -> Option<Self> {
        let mut labels: Vec<&IntentName> = rows.iter().map(|row| &row.label).collect();
        labels.sort();
        labels.dedup();
        let steps = steps(rows, &labels);
        let mut best = Table::start(&steps, labels.len())?;
        let mut fit = best.whole();
        for _ in 1..labels.len().min(STRETCHES_MAX) {
            best = best.with_one_more(&steps, labels.len());
            if fit.n_right < best.whole().n_right {
                fit = best.whole();
            }
        }
        let stretch = |(step, label): &(usize, usize)| Stretch {
            from_chars: if *step == 0 { 0 } else { steps[*step].chars },
            label: labels[*label].clone(),
        };
        Some(Self {
            stretches: fit.begins.iter().map(stretch).collect(),
        })
    }

    /// The label of a prompt of so many characters.
    pub fn label(&self, chars: usize) -> Option<&IntentName> {
        let begun = self.stretches.iter().rev();
        let mut begun = begun.filter(|stretch| stretch.from_chars <= chars);
        begun.next().map(|stretch| &stretch.label)
    }

    /// What goes by which label, from the shortest.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }
}

/// A length, and how many rows of each label have it.
struct Step {
    chars: usize,
    counts: Vec<usize>,
}

fn steps(rows: &[Measured], labels: &[&IntentName]) -> Vec<Step> {
    let mut by_length: std::collections::BTreeMap<usize, Vec<usize>> =
        std::collections::BTreeMap::new();
    for row in rows {
        let counts = by_length
            .entry(row.chars)
            .or_insert_with(|| vec![0; labels.len()]);
        if let Ok(label) = labels.binary_search(&&row.label) {
            counts[label] += 1;
        }
    }
    let step = |(chars, counts)| Step { chars, counts };
    by_length.into_iter().map(step).collect()
}

/// Some lengths from the shortest on, parted: which step begins a stretch of which label.
#[derive(Debug, Clone, Default)]
struct Parted {
    n_right: usize,
    begins: Vec<(usize, usize)>,
}

/// For each step, the best parting of all lengths up to it into at most so many stretches.
struct Table {
    up_to: Vec<Parted>,
}

impl Table {
    /// One stretch. `None` without a step.
    fn start(steps: &[Step], n_labels: usize) -> Option<Self> {
        let nothing = vec![Parted::default(); steps.len()];
        let one = Self { up_to: nothing }.extended(steps, n_labels, Begin::AtTheShortest);
        (!one.up_to.is_empty()).then_some(one)
    }

    fn with_one_more(&self, steps: &[Step], n_labels: usize) -> Self {
        self.extended(steps, n_labels, Begin::Anywhere)
    }

    /// The best that one more stretch can do, for each place where it may begin and each label. Only the
    /// best open stretch of each label is carried on, so this is one pass.
    fn extended(&self, steps: &[Step], n_labels: usize, begin: Begin) -> Self {
        let mut open: Vec<Option<Parted>> = vec![None; n_labels];
        let mut up_to = Vec::with_capacity(steps.len());
        for (idx, step) in steps.iter().enumerate() {
            let before = match (idx, begin) {
                (0, _) => Some(Parted::default()),
                (_, Begin::AtTheShortest) => None,
                (_, Begin::Anywhere) => Some(self.up_to[idx - 1].clone()),
            };
            for (label, open) in open.iter_mut().enumerate() {
                let is_worse = |before: &Parted| {
                    open.as_ref()
                        .is_none_or(|open| open.n_right < before.n_right)
                };
                if let Some(before) = before.as_ref().filter(|before| is_worse(before)) {
                    let mut opened = before.clone();
                    opened.begins.push((idx, label));
                    *open = Some(opened);
                }
                if let Some(open) = open {
                    open.n_right += step.counts[label];
                }
            }
            let best = open.iter().flatten().rev();
            up_to.extend(best.max_by_key(|parted| parted.n_right).cloned());
        }
        Self { up_to }
    }

    /// All lengths.
    fn whole(&self) -> Parted {
        self.up_to.last().cloned().unwrap_or_default()
    }
}

/// Where the last stretch may begin.
#[derive(Clone, Copy)]
enum Begin {
    AtTheShortest,
    Anywhere,
}

/// A classifier's outcomes beside what the rule makes of the same rows, whose lengths stand in the same
/// order. `None` without a row in scope.
pub fn control(
    outcomes: &[Outcome],
    chars: &[usize],
    rule: Rule,
    chance: Chance,
) -> Option<Control> {
    let mut sides = Vec::new();
    for (outcome, chars) in outcomes.iter().zip(chars) {
        if let Expected::Intent(label) = &outcome.expected {
            let by_length = rule.label(*chars) == Some(label);
            sides.push((by_length, outcome.found.name == *label));
        }
    }
    let n_right = sides.iter().filter(|(by_length, _)| *by_length).count();
    Some(Control {
        accuracy: of_share(n_right, sides.len(), chance, Figure::Accuracy)?,
        comparison: paired_by(&sides, chance)?,
        rule,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(of: &[(usize, &str)]) -> Vec<Measured> {
        let row = |(chars, label): &(usize, &str)| Measured {
            chars: *chars,
            label: label.parse().unwrap(),
        };
        of.iter().map(row).collect()
    }

    fn n_right(rule: &Rule, rows: &[Measured]) -> usize {
        let right = |row: &&Measured| rule.label(row.chars) == Some(&row.label);
        rows.iter().filter(right).count()
    }

    #[test]
    fn labels_that_length_gives_away_are_all_found() {
        let rows = rows(&[(3, "short"), (5, "short"), (40, "long"), (90, "long")]);
        let rule = Rule::fit(&rows).unwrap();
        assert_eq!(n_right(&rule, &rows), 4);
        assert_eq!(rule.stretches()[0].from_chars, 0);
        assert_eq!(rule.stretches()[1].from_chars, 40);
    }

    #[test]
    fn a_label_at_both_ends_gets_both_ends() {
        let rows = rows(&[
            (1, "a"),
            (2, "a"),
            (9, "b"),
            (10, "c"),
            (50, "a"),
            (51, "a"),
        ]);
        let rule = Rule::fit(&rows).unwrap();
        assert_eq!(n_right(&rule, &rows), 5, "{rule:?}");
    }

    #[test]
    fn where_length_says_nothing_the_largest_label_takes_all() {
        let rows = rows(&[(7, "a"), (7, "b"), (7, "b")]);
        let rule = Rule::fit(&rows).unwrap();
        assert_eq!(rule.stretches().len(), 1);
        assert_eq!(rule.label(1_000).map(IntentName::as_str), Some("b"));
        assert_eq!(Rule::fit(&[]), None);
    }

    proptest! {
        #[test]
        fn no_other_two_stretches_do_better(
            lengths in proptest::collection::vec((0_usize..12, 0_usize..2), 1..20),
        ) {
            let named: Vec<(usize, &str)> =
                lengths.iter().map(|(chars, label)| (*chars, ["a", "b"][*label])).collect();
            let rows = rows(&named);
            let best = n_right(&Rule::fit(&rows).unwrap(), &rows);
            for from in 0..13 {
                for (first, second) in [("a", "b"), ("b", "a"), ("a", "a"), ("b", "b")] {
                    let of = |chars: usize| if chars < from { first } else { second };
                    let n = named.iter().filter(|(chars, label)| of(*chars) == *label).count();
                    prop_assert!(n <= best, "{first} {second} from {from}: {n} of {best}");
                }
            }
        }
    }
}
