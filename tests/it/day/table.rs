//! What came of the day, as the page about strategies shows it.

use std::ops::Range;
use std::time::Duration;

use semroute::domain::model::ModelId;
use semroute::domain::quantity::PicoUsd;

use super::run::{Day, Request};
use super::strategies::ALL;
use super::traffic::{HOUR, KINDS};
use super::world::FOUR;

/// When one of the models is three times as slow.
pub(super) fn incident() -> Range<Duration> {
    HOUR * 10..HOUR.mul_f64(11.5)
}

impl Day {
    pub(super) fn cost(&self) -> PicoUsd {
        self.requests.iter().map(|request| request.cost).sum()
    }

    /// The mean score of the answers.
    pub(super) fn quality(&self) -> f64 {
        self.quality_of(|_| true)
    }

    /// The mean score of the answers of the kind that does worst.
    pub(super) fn quality_least(&self) -> f64 {
        let of_kind = |kind| self.quality_of(|request| request.kind == kind);
        (0..KINDS.len()).map(of_kind).fold(1.0, f64::min)
    }

    fn quality_of(&self, counts: impl Fn(&Request) -> bool) -> f64 {
        let answered = self
            .requests
            .iter()
            .filter(|it| it.took.is_some() && counts(it));
        let scores = answered.map(|request| {
            let by = request.asked.last().unwrap();
            FOUR[by.0].quality[request.kind]
        });
        let n = scores.clone().count();
        scores.sum::<f64>() / n as f64
    }

    /// How long so many of a hundred answers took at most, of the requests that came in this span.
    pub(super) fn took(&self, of_hundred: usize, span: &Range<Duration>) -> Duration {
        let of_span = self
            .requests
            .iter()
            .filter(|request| span.contains(&request.at));
        let mut times: Vec<Duration> = of_span.filter_map(|request| request.took).collect();
        times.sort_unstable();
        times[(times.len() * of_hundred).div_ceil(100) - 1]
    }

    pub(super) fn failed(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| request.took.is_none())
            .count()
    }

    /// The share of the requests of a span that were sent to a model first.
    pub(super) fn share(&self, id: ModelId, span: &Range<Duration>) -> f64 {
        let of_span: Vec<&Request> = self
            .requests
            .iter()
            .filter(|request| span.contains(&request.at))
            .collect();
        let to_it = of_span.iter().filter(|request| request.first == id);
        to_it.count() as f64 / of_span.len() as f64
    }
}

/// The table, in Markdown.
pub(super) fn table<'d>(days: impl IntoIterator<Item = (&'d str, &'d Day)>) -> String {
    let mut lines = vec![
        "| strategy | USD | quality | of the worst kind | p50, s | p95, s | p95 in the incident, s | failed | switches | quick / middle / rival / strong, % |"
            .to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    lines.extend(days.into_iter().map(|(name, day)| line(name, day)));
    lines.join("\n")
}

fn line(name: &str, day: &Day) -> String {
    let whole = Duration::ZERO..HOUR * 24;
    let seconds = |of_hundred, span| format!("{:.1}", day.took(of_hundred, span).as_secs_f64());
    let shares = ALL.map(|id| format!("{:.0}", 100.0 * day.share(id, &whole)));
    let has_incumbent = name.starts_with("`fastest`");
    let switches = if has_incumbent {
        day.switches.to_string()
    } else {
        String::new()
    };
    let cells = [
        name.to_owned(),
        format!("{:.2}", day.cost().as_usd()),
        format!("{:.3}", day.quality()),
        format!("{:.2}", day.quality_least()),
        seconds(50, &whole),
        seconds(95, &whole),
        seconds(95, &incident()),
        day.failed().to_string(),
        switches,
        shares.join(" / "),
    ];
    format!("| {} |", cells.join(" | "))
}
