//! Quality over cost as one page that can be sent to anyone: no script, no file beside it.

use std::fmt::Write as _;

use crate::cli::eval::models::Findings;
use crate::cli::eval::models::summary::{ANSWERS, figure, role, signed};
use crate::cli::eval::page::{STYLE, escape};
use crate::eval::models::grid::Point;
use crate::eval::models::report::{Line, Report, Single};

/// The plot, and the room for its axes.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 40.0;

/// Colours that differ for most eyes (Okabe and Ito 2008), for lines in the order of the report.
const COLOURS: [&str; 8] = [
    "#7f7f7f", "#b8b8b8", "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
];

/// The whole page.
pub(super) fn of(findings: &Findings) -> String {
    let report = &findings.report;
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Models: does routing pay?</title>\
         <style>{STYLE}</style></head><body><h1>Does routing pay?</h1>\
         <p class=\"faint\">{} rows, each judged once by what the others taught · data {}</p>",
        report.n_rows,
        findings.data.digest.get(..12).unwrap_or_default()
    );
    for sentence in &report.verdict {
        // Writing to a String cannot fail.
        let _ = write!(page, "<p>{}</p>", escape(sentence));
    }
    if let Some(plot) = plot(report) {
        let _ = write!(
            page,
            "<section><h2>Quality over cost</h2><figure>{plot}<figcaption>Mean quality against USD for {ANSWERS:.0} answers, on rows that had no say in it. Dots are single models.</figcaption></figure></section>"
        );
    }
    let _ = write!(
        page,
        "<section><h2>Each way of routing</h2>{}</section><section><h2>Each model</h2>{}</section></body></html>",
        lines(report),
        models(&report.models)
    );
    page.push('\n');
    page
}

/// The plot. None without costs.
fn plot(report: &Report) -> Option<String> {
    let dots: Vec<(&Single, Point)> = report
        .models
        .iter()
        .filter_map(|it| {
            let cost = it.cost_usd?.value;
            let quality = it.quality.value;
            Some((it, Point { cost, quality }))
        })
        .collect();
    let curves = report.routing.iter().flat_map(|line| line.curve.iter());
    let points: Vec<Point> = curves
        .copied()
        .chain(dots.iter().map(|(_, dot)| *dot))
        .collect();
    let scale = Scale::of(&points)?;
    let mut marks = scale.axes();
    for (place, line) in report.routing.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let dash = if place < COLOURS.len() {
            ""
        } else {
            " stroke-dasharray=\"6 3\""
        };
        let path: Vec<String> = line.curve.iter().map(|point| scale.place(*point)).collect();
        let _ = write!(
            marks,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash} points=\"{}\"><title>{}</title></polyline><text font-size=\"12\" fill=\"{colour}\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            path.join(" "),
            escape(&line.title),
            WIDTH + 12.0,
            24.0 + 18.0 * f64::from(u32::try_from(place).unwrap_or(0)),
            escape(&line.title)
        );
    }
    for (model, dot) in dots {
        let (x, y) = (scale.across(dot.cost), scale.up(dot.quality));
        let name = escape(model.name.as_str());
        let _ = write!(
            marks,
            "<circle class=\"ink\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{name}: {:.3}, USD {:.4}</title></circle><text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            dot.quality,
            dot.cost * ANSWERS,
            x + 6.0,
            y + 13.0
        );
    }
    Some(format!(
        "<svg viewBox=\"0 0 {} {HEIGHT}\" role=\"img\" aria-label=\"quality over cost\">{marks}</svg>",
        WIDTH + 330.0
    ))
}

/// Where a point stands. Costs differ by powers of ten, so their axis is logarithmic, unless one is 0.
struct Scale {
    costs: (f64, f64),
    qualities: (f64, f64),
    is_logarithmic: bool,
}

impl Scale {
    fn of(points: &[Point]) -> Option<Self> {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        if points.is_empty() {
            return None;
        }
        let costs = range(&mut points.iter().map(|point| point.cost));
        Some(Self {
            costs,
            qualities: range(&mut points.iter().map(|point| point.quality)),
            is_logarithmic: 0.0 < costs.0,
        })
    }

    fn across(&self, cost: f64) -> f64 {
        let (low, high) = self.costs;
        let share = if self.is_logarithmic {
            (cost / low).ln() / (high / low).ln().max(f64::MIN_POSITIVE)
        } else {
            (cost - low) / (high - low).max(f64::MIN_POSITIVE)
        };
        LEFT + share * (WIDTH - LEFT - 10.0)
    }

    fn up(&self, quality: f64) -> f64 {
        let (low, high) = self.qualities;
        let share = (quality - low) / (high - low).max(f64::MIN_POSITIVE);
        15.0 + (1.0 - share) * (HEIGHT - BOTTOM - 25.0)
    }

    fn place(&self, point: Point) -> String {
        format!(
            "{:.1},{:.1}",
            self.across(point.cost),
            self.up(point.quality)
        )
    }

    /// Lines at the ends and three places between.
    fn axes(&self) -> String {
        let mut axes = String::new();
        for quarter in 0..=4_u32 {
            let share = f64::from(quarter) / 4.0;
            let between = |(low, high): (f64, f64)| low + share * (high - low);
            let quality = between(self.qualities);
            let (low, high) = self.costs;
            let cost = if self.is_logarithmic {
                low * (high / low).powf(share)
            } else {
                between(self.costs)
            };
            let (x, y) = (self.across(cost), self.up(quality));
            let _ = write!(
                axes,
                "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"label\" text-anchor=\"end\" x=\"{:.0}\" y=\"{:.1}\">{quality:.3}</text><text class=\"label\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.0}\">{:.3}</text>",
                LEFT - 6.0,
                y + 4.0,
                HEIGHT - BOTTOM + 14.0,
                cost * ANSWERS
            );
        }
        axes
    }
}

fn lines(report: &Report) -> String {
    let mut rows = String::new();
    for line in &report.routing {
        let cells = cells(line).join("</td><td class=\"n\">");
        let _ = write!(
            rows,
            "<tr><td>{}</td><td class=\"faint\">{}</td><td class=\"n\">{cells}</td></tr>",
            escape(&line.title),
            role(line.role)
        );
    }
    format!(
        "<table><thead><tr><th>routing</th><th></th><th class=\"n\">quality over cost</th><th class=\"n\">over the mix</th><th class=\"n\">cost at 99%</th><th class=\"n\">at 98%</th><th class=\"n\">at 95%</th></tr></thead><tbody>{rows}</tbody></table>\
         <p class=\"faint\">Costs and qualities are shares of {}’s; quality reached stands in brackets.</p>",
        escape(report.best_single.name.as_str())
    )
}

/// The area, its lead, and the shares. Without costs, the quality alone.
fn cells(line: &Line) -> Vec<String> {
    let Some(area) = line.area else {
        return vec![figure(line.quality)];
    };
    let mut cells = vec![
        figure(area),
        line.area_over_mix.map_or_else(String::new, signed),
    ];
    cells.extend(line.at.iter().map(|at| {
        format!(
            "{:.1}% ({:.1}–{:.1})<br><span class=\"faint\">[{:.1}%, {:.1}–{:.1}]</span>",
            at.cost_share.value * 100.0,
            at.cost_share.low * 100.0,
            at.cost_share.high * 100.0,
            at.quality_share.value * 100.0,
            at.quality_share.low * 100.0,
            at.quality_share.high * 100.0
        )
    }));
    cells
}

fn models(models: &[Single]) -> String {
    let mut rows = String::new();
    for model in models {
        let cost = model.cost_usd.map_or_else(
            || "unknown".to_owned(),
            |cost| format!("{:.4}", cost.value * ANSWERS),
        );
        let _ = write!(
            rows,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{cost}</td></tr>",
            escape(model.name.as_str()),
            figure(model.quality)
        );
    }
    format!(
        "<table><thead><tr><th>model</th><th class=\"n\">quality</th><th class=\"n\">USD for {ANSWERS:.0} answers</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}
