//! What other centroids would have done with the requests of a log: which intents and routes would
//! change, and what that would cost.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::name::IntentName;
use crate::domain::quantity::PicoUsd;
use crate::eval::share;

/// A request of the log, as both sets see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Its id.
    pub request_id: String,
    /// The beginning of its prompt.
    pub text: String,
    /// The intent that the record says.
    pub logged_intent: Option<IntentName>,
    /// What the centroids in force make of it.
    pub old: Seen,
    /// What the others make of it.
    pub new: Seen,
}

/// What a set makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The nearest intent.
    pub intent: IntentName,
    /// Whether the prompt is out of scope.
    pub out_of_scope: bool,
    /// The route.
    pub route: String,
    /// Who is asked first.
    pub target: String,
    /// What the logged tokens would cost there; none, if tokens or prices are not known.
    pub cost: Option<PicoUsd>,
}

/// What would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Requests that were replayed.
    pub n: usize,
    /// Of those whose record says an intent, the share where the centroids in force find the same now.
    /// Less than 1, centroids or encoder have changed since.
    pub agreement_with_log: f64,
    /// Requests that would get another intent.
    pub intents: Changes,
    /// Requests that would take another route.
    pub routes: Changes,
    /// Requests that would be asked of another model first.
    pub targets: Changes,
    /// Requests that would come into scope, or fall out of it.
    pub scope: Changes,
    /// What the logged tokens cost under each set.
    pub cost: CostChange,
}

/// Requests that would be dealt with otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes {
    /// How many.
    pub n: usize,
    /// Which share of all.
    pub share: f64,
    /// From what to what, the commonest first.
    pub moves: Vec<Move>,
}

/// One way in which requests would be dealt with otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// As the centroids in force have it.
    pub from: String,
    /// As the others would.
    pub to: String,
    /// How many requests.
    pub n: usize,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// A request, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its id.
    pub request_id: String,
    /// The beginning of its prompt.
    pub text: String,
}

/// What the logged tokens cost under each set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostChange {
    /// Requests whose tokens and prices are known.
    pub n_known: usize,
    /// Requests of which one is not; they are in neither sum.
    pub n_unknown: usize,
    /// Under the centroids in force.
    pub old_usd: PicoUsd,
    /// Under the others.
    pub new_usd: PicoUsd,
}

impl CostChange {
    /// How much more the others would cost, as a share of what is paid now; unknown of nothing.
    pub fn rise(&self) -> Option<f64> {
        let (old, new) = (self.old_usd.as_usd(), self.new_usd.as_usd());
        (0.0 < old).then(|| new / old - 1.0)
    }
}

/// Adds up what would change; of each change, so many requests are shown.
pub fn report(replayed: &[Replayed], n_examples: usize) -> Report {
    let logged: Vec<(&IntentName, &IntentName)> = replayed
        .iter()
        .filter_map(|it| Some((it.logged_intent.as_ref()?, &it.old.intent)))
        .collect();
    let n_agreeing = logged.iter().filter(|(then, now)| then == now).count();
    let changes = |of: fn(&Seen) -> String| changes(replayed, of, n_examples);
    Report {
        n: replayed.len(),
        agreement_with_log: share(n_agreeing, logged.len()),
        intents: changes(|seen| seen.intent.to_string()),
        routes: changes(|seen| seen.route.clone()),
        targets: changes(|seen| seen.target.clone()),
        scope: changes(|seen| {
            let scope = if seen.out_of_scope {
                "out of scope"
            } else {
                "in scope"
            };
            scope.to_owned()
        }),
        cost: cost(replayed),
    }
}

fn changes(replayed: &[Replayed], of: fn(&Seen) -> String, n_examples: usize) -> Changes {
    let mut moves: BTreeMap<(String, String), Vec<&Replayed>> = BTreeMap::new();
    for request in replayed {
        let (from, to) = (of(&request.old), of(&request.new));
        if from != to {
            moves.entry((from, to)).or_default().push(request);
        }
    }
    let n = moves.values().map(Vec::len).sum();
    let mut moves: Vec<Move> = moves
        .into_iter()
        .map(|((from, to), requests)| Move {
            from,
            to,
            n: requests.len(),
            examples: requests
                .into_iter()
                .take(n_examples)
                .map(|request| Example {
                    request_id: request.request_id.clone(),
                    text: request.text.clone(),
                })
                .collect(),
        })
        .collect();
    moves.sort_by_key(|it| std::cmp::Reverse(it.n));
    Changes {
        n,
        share: share(n, replayed.len()),
        moves,
    }
}

fn cost(replayed: &[Replayed]) -> CostChange {
    let both = replayed
        .iter()
        .filter_map(|request| request.old.cost.zip(request.new.cost));
    let known: Vec<(PicoUsd, PicoUsd)> = both.collect();
    CostChange {
        n_known: known.len(),
        n_unknown: replayed.len() - known.len(),
        old_usd: known.iter().map(|costs| costs.0).sum(),
        new_usd: known.iter().map(|costs| costs.1).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(intent: &str, route: &str, usd_per_million: Option<f64>) -> Seen {
        Seen {
            intent: intent.parse().unwrap(),
            out_of_scope: false,
            route: route.to_owned(),
            target: format!("model of {route}"),
            cost: usd_per_million.map(|usd| PicoUsd::per_token(usd).unwrap().times(1_000_000)),
        }
    }

    fn replayed(old: Seen, new: Seen) -> Replayed {
        Replayed {
            request_id: "a".to_owned(),
            text: "hello".to_owned(),
            logged_intent: Some("chat".parse().unwrap()),
            old,
            new,
        }
    }

    #[test]
    fn changes_are_counted_with_examples_and_costs_where_they_are_known() {
        let requests = [
            replayed(
                seen("chat", "small", Some(1.0)),
                seen("code", "large", Some(5.0)),
            ),
            replayed(
                seen("chat", "small", Some(1.0)),
                seen("code", "large", Some(5.0)),
            ),
            replayed(
                seen("chat", "small", Some(1.0)),
                seen("talk", "small", Some(1.0)),
            ),
            replayed(
                seen("code", "large", None),
                seen("code", "large", Some(5.0)),
            ),
        ];
        let found = report(&requests, 1);
        assert_eq!(
            (found.n, found.intents.n, found.routes.n, found.scope.n),
            (4, 3, 2, 0)
        );
        let first = &found.intents.moves[0];
        assert_eq!(
            (first.from.as_str(), first.to.as_str(), first.n),
            ("chat", "code", 2)
        );
        assert_eq!(first.examples.len(), 1);
        assert!((found.agreement_with_log - 0.75).abs() < 1e-12);
        assert_eq!((found.cost.n_known, found.cost.n_unknown), (3, 1));
        assert_eq!(found.cost.old_usd.to_string(), "3");
        assert_eq!(found.cost.new_usd.to_string(), "11");
        assert!((found.cost.rise().unwrap() - 8.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn of_nothing_nothing_rises() {
        let found = report(&[], 1);
        assert_eq!((found.n, found.cost.rise()), (0, None));
    }
}
