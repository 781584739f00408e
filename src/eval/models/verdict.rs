//! What the figures come to, in words that nobody has to look up.

use crate::eval::bootstrap::Estimate;
use crate::eval::models::figures::{Drawn, Draws};
use crate::eval::models::report::{Cost, Line, Report, Role};
use crate::eval::models::ways::Way;

/// The share of the best model's quality that is spoken of: what is saved there is what people ask.
const SPOKEN_OF: f64 = 0.95;

/// The sentences, the one that matters most first.
pub(super) fn of(report: &Report, draws: &Draws, ways: &[Way]) -> Vec<String> {
    let Some(table) = report.line("table") else {
        return Vec::new();
    };
    let judge = Judge {
        report,
        draws,
        ways,
    };
    let sentences = match report.cost {
        Cost::Known => vec![
            judge.one_model_for_all(),
            judge.against_mix(table),
            judge.against_shuffled(table),
            missed(table),
            judge.bar_is_worse_than_mix(),
            judge.better_kinds(),
            judge.better_routers(),
        ],
        Cost::Unknown => vec![
            Some(judge.quality_alone(table)),
            judge.against_shuffled(table),
        ],
    };
    sentences.into_iter().flatten().collect()
}

struct Judge<'a> {
    report: &'a Report,
    draws: &'a Draws,
    ways: &'a [Way],
}

impl Judge<'_> {
    fn one_model_for_all(&self) -> Option<String> {
        let cheapest = self.report.cheapest.as_ref()?;
        let best = &self.report.best_single;
        (cheapest.name == best.name).then(|| {
            format!(
                "{} is the best model and the cheapest: there is nothing to route here.",
                best.name
            )
        })
    }

    fn against_mix(&self, table: &Line) -> Option<String> {
        let gain = table.area_over_mix?;
        let said = match sign(gain) {
            Sign::More => "pays: its quality over the range of costs is above",
            Sign::Less => "does not pay: its quality over the range of costs is below",
            Sign::Neither => {
                "is not shown to pay: its quality over the range of costs is not clearly above"
            }
        };
        let mix = self.report.line("mix").and_then(|mix| mix.at(SPOKEN_OF));
        let shares = table.at(SPOKEN_OF).zip(mix).map(|(own, mix)| {
            format!(
                " Aiming at {:.0}% of the best model's quality it spends {} of that model's cost and reaches {} of its quality; the mix spends {}.",
                SPOKEN_OF * 100.0,
                percent(own.cost_share),
                percent(own.quality_share),
                percent(mix.cost_share),
            )
        });
        Some(format!(
            "Routing with the {} {said} that of a random mix of single models ({}).{}",
            table.title,
            signed(gain),
            shares.unwrap_or_default()
        ))
    }

    /// Whether the kinds are what it owes its quality to.
    fn against_shuffled(&self, table: &Line) -> Option<String> {
        let gain = match self.report.cost {
            Cost::Known => self.area_gain("table", "shuffled")?,
            Cost::Unknown => self.gain("table", "shuffled", &|drawn, way| {
                drawn.ways[way].best.quality
            })?,
        };
        (sign(gain) != Sign::More).then(|| {
            format!(
                "With its kinds shuffled the {} does as well ({} for the true kinds): they say nothing about which model to take.",
                table.title,
                signed(gain)
            )
        })
    }

    /// One bar for all kinds may lose what the table knows.
    fn bar_is_worse_than_mix(&self) -> Option<String> {
        let gain = self.report.line("table_over_bar")?.area_over_mix?;
        (sign(gain) == Sign::Less).then(|| {
            format!(
                "Taking the cheapest model over a fixed bar is worse than a random mix ({}), whatever the table knows.",
                signed(gain)
            )
        })
    }

    /// Other kinds by which the table would be better.
    fn better_kinds(&self) -> Option<String> {
        let better = self.better(&|line| line.role == Role::Router && line.key != "table");
        (!better.is_empty()).then(|| format!("Better than that: {}.", better.join("; ")))
    }

    fn better_routers(&self) -> Option<String> {
        let better = self.better(&|line| line.role == Role::NotInRouter);
        (!better.is_empty()).then(|| {
            format!(
                "Better too, but not what the router runs: {}.",
                better.join("; ")
            )
        })
    }

    fn better(&self, is_meant: &dyn Fn(&Line) -> bool) -> Vec<String> {
        let lines = self.report.routing.iter().filter(|line| is_meant(line));
        let gains = lines.filter_map(|line| {
            let gain = self.area_gain(line.key, "table")?;
            (sign(gain) == Sign::More).then(|| format!("{} ({})", line.title, signed(gain)))
        });
        gains.collect()
    }

    fn quality_alone(&self, table: &Line) -> String {
        let place = self.place("table");
        let gain = self.draws.estimate(|drawn| {
            place.map_or(0.0, |place| {
                drawn.ways[place].best.quality - drawn.best.quality
            })
        });
        let said = match sign(gain) {
            Sign::More => "is better than",
            Sign::Less => "is worse than",
            Sign::Neither => "is not clearly better than",
        };
        format!(
            "Costs are not known, so only quality is compared. Routing with the {} {said} {} for everything ({}).",
            table.title,
            self.report.best_single.name,
            signed(gain)
        )
    }

    fn area_gain(&self, one: &str, other: &str) -> Option<Estimate> {
        self.gain(one, other, &|drawn, way| drawn.ways[way].area)
    }

    fn gain(
        &self,
        one: &str,
        other: &str,
        figure: &dyn Fn(&Drawn, usize) -> f64,
    ) -> Option<Estimate> {
        let (one, other) = self.place(one).zip(self.place(other))?;
        let gain = |drawn: &Drawn| figure(drawn, one) - figure(drawn, other);
        Some(self.draws.estimate(gain))
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.ways.iter().position(|way| way.key == key)
    }
}

/// Shares that were promised by the training part and not kept.
fn missed(table: &Line) -> Option<String> {
    let missed = table
        .at
        .iter()
        .filter(|at| at.quality_share.high < at.wanted);
    let shares: Vec<String> = missed
        .map(|at| {
            format!(
                "{:.0}% ({} reached)",
                at.wanted * 100.0,
                percent(at.quality_share)
            )
        })
        .collect();
    (!shares.is_empty()).then(|| {
        format!(
            "On rows that had no say, it stays below what the training part promised at {}.",
            shares.join(", ")
        )
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    More,
    Less,
    Neither,
}

/// Which side of 0 the whole interval lies on.
fn sign(estimate: Estimate) -> Sign {
    if 0.0 < estimate.low {
        Sign::More
    } else if estimate.high < 0.0 {
        Sign::Less
    } else {
        Sign::Neither
    }
}

fn percent(estimate: Estimate) -> String {
    format!("{:.1}%", estimate.value * 100.0)
}

fn signed(estimate: Estimate) -> String {
    format!(
        "{:+.4}, {:+.4} to {:+.4}",
        estimate.value, estimate.low, estimate.high
    )
}
