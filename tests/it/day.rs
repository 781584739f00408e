//! A day of simulated traffic over four simulated models, by each strategy: the table of
//! `docs/strategies.md`, and what must be true of it.
//!
//! Every decision is the product's own; the models, their prices, their speed and their quality are made
//! up. So it shows that the strategies do what they are meant to when a model slows down, recovers, fails
//! or changes its price, and nothing of anybody's real models or traffic.
//!
//! `SEMROUTE_WRITE_DOCS=1 cargo test --test it day::` writes the table into the page.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and lengths are small"
)]

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use semroute::domain::event::ChosenReason;
use semroute::domain::model::ModelId;

mod pace;
mod run;
mod strategies;
mod table;
mod traffic;
mod world;

use run::{Day, day};
use strategies::{BARS, choosers};
use table::{incident, table};
use traffic::{HOUR, Traffic};
use world::{FOUR, MIDDLE, QUICK, RIVAL};

const BEGIN: &str = "<!-- The simulated day begins; its test writes it. -->\n";
const END: &str = "\n<!-- The simulated day ends. -->";

/// The same day by every strategy.
fn days() -> &'static [(&'static str, Day)] {
    static DAYS: OnceLock<Vec<(&str, Day)>> = OnceLock::new();
    DAYS.get_or_init(|| {
        let traffic = Traffic::of_a_day();
        let of = |chooser: strategies::Chooser| (chooser.name, day(&FOUR, &traffic, &chooser.way));
        choosers().into_iter().map(of).collect()
    })
}

/// The day by the strategy whose name begins like this.
#[track_caller]
fn by(name: &str) -> &'static Day {
    let found = days().iter().find(|(known, _)| known.starts_with(name));
    &found.expect(name).1
}

fn hours(from: f64, to: f64) -> Range<Duration> {
    HOUR.mul_f64(from)..HOUR.mul_f64(to)
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "who runs the tests says whether they may write"
)]
fn the_table_of_the_simulated_day_is_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/strategies.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("the page says where the table begins");
    let (committed, after) = rest.split_once(END).expect("and where it ends");
    let fresh = table(days().iter().map(|(name, day)| (*name, day)));
    if committed == fresh {
        return;
    }
    let write = std::env::var_os("SEMROUTE_WRITE_DOCS").is_some();
    assert!(
        write,
        "the table in docs/strategies.md is out of date; run: SEMROUTE_WRITE_DOCS=1 cargo test --test it day::\n{fresh}"
    );
    std::fs::write(&path, [before, BEGIN, &fresh, END, after].concat()).unwrap();
}

#[test]
fn nobody_is_cheaper_than_the_cheapest() {
    let least = by("`cheapest` of all four").cost();
    for (name, day) in days() {
        // A pinned model has its own stand-in, which is not the cheapest at every hour.
        assert!(least <= day.cost(), "{name}: {} < {least}", day.cost());
    }
}

#[test]
fn with_a_bar_no_choice_is_below_it_and_no_kind_does_worse() {
    let table = world::quality(&FOUR);
    for (bar, name) in BARS.into_iter().zip(["0.70", "0.75"]) {
        let day = by(&format!("`cheapest` of all four; `quality: {name}"));
        for request in &day.requests {
            let intent = traffic::KINDS[request.kind].intent.parse().unwrap();
            let model = FOUR[request.first.0].name;
            let quality = table.of(Some(&intent), model).unwrap();
            assert!(bar <= quality.low, "{model} at {intent}");
        }
        assert!(bar <= day.quality_least());
        assert!(by("`cheapest` of all four").quality_least() < bar);
        assert!(day.cost() < by("`to: strong`").cost());
    }
}

#[test]
fn a_new_price_is_followed_at_once_and_calls_that_are_made_twice_are_counted() {
    let day = by("`cheapest` of all four; `quality: 0.75");
    let share = |id, from, to| day.share(id, &hours(from, to));
    assert!(share(RIVAL, 0.5, 12.0) < 0.01, "it is dearer until noon");
    assert!(share(MIDDLE, 12.0, 18.0) < 0.01, "and cheaper from then on");
    assert!(0.2 < share(RIVAL, 12.0, 18.0));
    // Of its calls, three in ten fail now, and so cost more than its price.
    assert!(share(RIVAL, 18.25, 18.75) < share(MIDDLE, 18.25, 18.75));
    assert!(share(MIDDLE, 19.25, 24.0) < 0.01, "it works again");
}

/// The slow one is left within ten minutes, and is back within half an hour after it has recovered: its
/// slow answers are forgotten after twenty minutes, and the few requests that probe it need some more.
#[test]
fn the_fastest_leaves_a_model_that_slows_down_and_comes_back_to_it() {
    let day = by("`fastest` of `middle`, `rival`; `by: tpot`");
    let share = |from, to| day.share(RIVAL, &hours(from, to));
    assert!(0.95 < share(9.0, 10.0), "{} before", share(9.0, 10.0));
    let during = share(10.0 + 1.0 / 6.0, 11.5);
    assert!(0.0 < during && during < 0.05, "{during} in the incident");
    assert!(0.99 < share(12.0, 13.0), "{} after", share(12.0, 13.0));
}

#[test]
fn whoever_watches_the_pace_has_shorter_tails_in_the_incident_than_whoever_does_not() {
    let p95 = |name| by(name).took(95, &incident());
    let unwatched = p95("`to: rival`");
    for name in [
        "`fastest` of `middle`, `rival`; `by: tpot`",
        "`fastest` of `middle`, `rival`; `by: p95`",
        "`priority` of `rival`",
    ] {
        assert!(
            p95(name).mul_f64(1.5) < unwatched,
            "{name}: {:?}, {unwatched:?}",
            p95(name)
        );
    }
}

#[test]
fn guards_keep_the_strong_model_from_what_is_dear_or_slow() {
    let (guarded, strong) = (by("`priority` of `strong`"), by("`to: strong`"));
    assert!(guarded.cost() < strong.cost());
    let whole = hours(0.0, 24.0);
    assert!(guarded.took(95, &whole) < strong.took(95, &whole));
    for reason in [ChosenReason::CostGuard, ChosenReason::TimeGuard] {
        assert!(
            guarded
                .requests
                .iter()
                .any(|request| request.chosen == reason)
        );
    }
}

#[test]
fn nobody_sends_what_is_about_a_person_to_a_model_that_is_not_cleared() {
    for (name, day) in days() {
        let personal: Vec<_> = day
            .requests
            .iter()
            .filter(|request| request.is_personal)
            .collect();
        assert!(1_000 < personal.len());
        for request in personal {
            assert!(!request.asked.contains(&QUICK), "{name}");
        }
    }
}

#[test]
fn every_request_is_asked_for_and_answered_unless_all_that_could_answer_failed() {
    for (name, day) in days() {
        assert_eq!(day.requests.len(), days()[0].1.requests.len(), "{name}");
        for request in &day.requests {
            let mut asked: Vec<ModelId> = request.asked.clone();
            asked.sort_unstable();
            asked.dedup();
            assert_eq!(
                asked.len(),
                request.asked.len(),
                "{name}: nobody is asked twice"
            );
            assert_eq!(request.asked.first(), Some(&request.first), "{name}");
        }
    }
    assert_eq!(by("`score`").failed(), 0, "one of four always answers");
}
