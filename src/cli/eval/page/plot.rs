//! Plots as inline SVG.

use std::fmt::Write as _;

/// The side of a square plot, and the room for its axes.
const SIDE: f64 = 320.0;
const MARGIN: f64 = 36.0;

/// Bins of a histogram: enough to see two humps, few enough that some hundred rows fill them.
const BINS: usize = 40;

/// A point of a reliability diagram.
pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) n: usize,
}

/// The figures of an intent.
pub(super) struct Bars {
    pub(super) name: String,
    pub(super) n: usize,
    pub(super) recall: Option<f64>,
    pub(super) precision: Option<f64>,
}

/// Accuracy over probability.
pub(super) fn reliability(dots: &[Dot]) -> String {
    let most = dots.iter().map(|dot| dot.n).max().unwrap_or(1);
    let mut marks = diagonal();
    for dot in dots {
        let radius = 3.0 + 11.0 * (as_f64(dot.n) / as_f64(most)).sqrt();
        let _ = write!(
            marks,
            "<circle class=\"a\" fill-opacity=\".75\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>{} rows: probability {:.2}, accuracy {:.2}</title></circle>",
            across(dot.x),
            up(dot.y),
            dot.n,
            dot.x,
            dot.y
        );
    }
    square("probability", "accuracy", &marks)
}

/// Two distributions of one score, and a threshold between them.
pub(super) fn two_histograms(within: &[f64], outside: &[f64], threshold: f64) -> String {
    let all = || within.iter().chain(outside);
    let low = all().copied().fold(f64::INFINITY, f64::min);
    let high = all().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low).max(f64::MIN_POSITIVE);
    let shares = |values: &[f64]| {
        let mut shares = [0.0; BINS];
        for value in values {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a position from 0 to the number of bins"
            )]
            let place = ((value - low) / width * as_f64(BINS)) as usize;
            shares[place.min(BINS - 1)] += 1.0 / as_f64(values.len());
        }
        shares
    };
    let (of_within, of_outside) = (shares(within), shares(outside));
    let most = of_within
        .iter()
        .chain(&of_outside)
        .copied()
        .fold(0.0, f64::max);
    let mut marks = String::new();
    let step = (SIDE - MARGIN) / as_f64(BINS);
    for (class, shares) in [("a", of_within), ("b", of_outside)] {
        for (bin, share) in shares.iter().enumerate() {
            let height = share / most * (SIDE - MARGIN);
            let _ = write!(
                marks,
                "<rect class=\"{class}\" fill-opacity=\".6\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                MARGIN + as_f64(bin) * step,
                SIDE - MARGIN + 10.0 - height,
                step - 0.5
            );
        }
    }
    let place = (threshold - low) / width;
    if (0.0..=1.0).contains(&place) {
        let x = across(place);
        let _ = write!(
            marks,
            "<line class=\"dash\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"10\" y2=\"{:.1}\"/>",
            SIDE - MARGIN + 10.0
        );
    }
    let ends = format!(
        "<text class=\"label\" x=\"{MARGIN}\" y=\"{y}\">{low:.2}</text><text class=\"label\" text-anchor=\"end\" x=\"{SIDE}\" y=\"{y}\">{high:.2}</text>",
        y = SIDE - 8.0
    );
    format!("<svg viewBox=\"0 0 {SIDE} {SIDE}\" role=\"img\">{marks}{ends}</svg>")
}

/// True positives over false positives as the threshold falls.
pub(super) fn roc(within: &[f64], outside: &[f64]) -> String {
    let mut scored: Vec<(f64, bool)> = within
        .iter()
        .map(|score| (*score, true))
        .chain(outside.iter().map(|score| (*score, false)))
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (mut n_in, mut n_out) = (0, 0);
    let mut points = format!("{:.1},{:.1}", across(0.0), up(0.0));
    for equals in scored.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq()) {
        n_in += equals.iter().filter(|it| it.1).count();
        n_out += equals.iter().filter(|it| !it.1).count();
        let _ = write!(
            points,
            " {:.1},{:.1}",
            across(as_f64(n_out) / as_f64(outside.len())),
            up(as_f64(n_in) / as_f64(within.len()))
        );
    }
    let marks = diagonal() + &format!("<polyline class=\"la\" points=\"{points}\"/>");
    square("out of scope that get in", "in scope that get in", &marks)
}

/// Recall and precision of each intent, one below the other.
pub(super) fn bars(rows: &[Bars]) -> String {
    const ROW: f64 = 22.0;
    const LEFT: f64 = 230.0;
    const WIDTH: f64 = 900.0;
    let length = |share: f64| share * (WIDTH - LEFT - 120.0);
    let mut marks = String::from(
        "<text class=\"label\" x=\"230\" y=\"12\">recall (blue) and precision (orange)</text>",
    );
    for (place, row) in rows.iter().enumerate() {
        let y = 20.0 + as_f64(place) * ROW;
        let _ = write!(
            marks,
            "<text class=\"ink\" font-size=\"12\" text-anchor=\"end\" x=\"{:.0}\" y=\"{:.1}\">{} <tspan class=\"label\">{}</tspan></text>",
            LEFT - 8.0,
            y + 13.0,
            row.name,
            row.n
        );
        for (class, share, offset) in [("a", row.recall, 2.0), ("b", row.precision, 10.0)] {
            if let Some(share) = share {
                let _ = write!(
                    marks,
                    "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"7\"/>",
                    y + offset,
                    length(share).max(1.0)
                );
            }
        }
        let shown = |share: Option<f64>| {
            share.map_or_else(|| "–".to_owned(), |share| format!("{:.0}%", share * 100.0))
        };
        let _ = write!(
            marks,
            "<text class=\"label\" text-anchor=\"end\" x=\"{WIDTH}\" y=\"{:.1}\">{} / {}</text>",
            y + 13.0,
            shown(row.recall),
            shown(row.precision)
        );
    }
    let height = 30.0 + as_f64(rows.len()) * ROW;
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{marks}</svg>")
}

fn square(across_name: &str, up_name: &str, marks: &str) -> String {
    let (left, bottom) = (across(0.0), up(0.0));
    let mut axes = String::new();
    for tenth in [0.0, 0.5, 1.0] {
        let _ = write!(
            axes,
            "<line class=\"axis\" x1=\"{left}\" x2=\"{SIDE}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"label\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{tenth}</text><text class=\"label\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{tenth}</text>",
            left - 5.0,
            up(tenth) + 4.0,
            across(tenth),
            bottom + 14.0,
            y = up(tenth)
        );
    }
    format!(
        "<svg viewBox=\"-10 0 {} {}\" role=\"img\">{axes}{marks}<text class=\"label\" text-anchor=\"end\" x=\"{SIDE}\" y=\"{:.1}\">{across_name}</text><text class=\"label\" x=\"{:.1}\" y=\"26\">{up_name}</text></svg>",
        SIDE + 20.0,
        SIDE + 6.0,
        bottom + 28.0,
        left + 6.0
    )
}

fn diagonal() -> String {
    format!(
        "<line class=\"dash\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        across(0.0),
        up(0.0),
        across(1.0),
        up(1.0)
    )
}

fn across(share: f64) -> f64 {
    MARGIN + share * (SIDE - MARGIN)
}

fn up(share: f64) -> f64 {
    10.0 + (1.0 - share) * (SIDE - MARGIN)
}

#[expect(clippy::cast_precision_loss, reason = "a count on a plot")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}
