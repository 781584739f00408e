//! An evaluation as one page that can be sent to anyone: no script, no file beside it.

mod plot;

use std::fmt::Write as _;

use crate::centroids::CentroidSet;
use crate::cli::eval::Findings;
use crate::cli::eval::summary::of_comparison;
use crate::eval::reliability::Bin;
use crate::eval::{Estimate, Expected, Outcome, Report};

use plot::{Bars, Dot, bars, reliability, roc, two_histograms};

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2126;--faint:#6b7683;--line:#d5dae0;--paper:#fff;--a:#2563a8;--b:#c2571a;--tint:#eef2f7}\
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--faint:#94a0ac;--line:#39424c;--paper:#14181c;--a:#6aa9ee;--b:#ef8f52;--tint:#1d2329}}\
@media print{:root{--ink:#000;--paper:#fff}section{break-inside:avoid}}\
body{margin:2rem auto;max-width:66rem;padding:0 1.2rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:0 0 .6rem}p{margin:.3rem 0}\
.faint,figcaption{color:var(--faint);font-size:.87rem}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.2rem 0}\
.tile{background:var(--tint);border-radius:.5rem;padding:.7rem .9rem}.tile b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}\
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1.6rem}\
section{margin:1.8rem 0}figure{margin:0}svg{width:100%;height:auto;display:block}\
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:var(--tint);border-radius:.5rem;padding:.8rem;overflow-x:auto;font-size:.82rem}\
.axis{stroke:var(--line)}.ink{fill:var(--ink)}.label{fill:var(--faint);font-size:11px}.a{fill:var(--a)}.b{fill:var(--b)}.la{stroke:var(--a);fill:none;stroke-width:2}.dash{stroke:var(--faint);stroke-dasharray:4 4}";

/// The whole page.
pub(super) fn of(findings: &Findings, outcomes: &[Outcome], set: &CentroidSet) -> String {
    let report = &findings.report;
    let manifest = set.manifest();
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}: evaluation</title>\
         <style>{STYLE}</style></head><body><h1>Intents “{name}”</h1>\
         <p class=\"faint\">{n} rows · rule: {rule} · encoder {encoder} · trained on {rows} rows</p>",
        name = escape(&manifest.name),
        n = report.n_rows,
        rule = escape(&manifest.rule.to_string()),
        encoder = escape(&manifest.encoder.name),
        rows = manifest.data.n_rows,
    );
    page.push_str(&tiles(report));
    if let Some(comparison) = &findings.comparison {
        let text = escape(&of_comparison(comparison));
        page.push_str(&section(
            "Against the other set",
            &format!("<pre>{text}</pre>"),
        ));
    }
    page.push_str(&curves(report, outcomes));
    page.push_str(&section("Each intent", &intents(report)));
    page.push_str(&section("Commonest confusions", &confusions(report)));
    page.push_str("</body></html>\n");
    page
}

fn tiles(report: &Report) -> String {
    let mut tiles = String::from("<div class=\"tiles\">");
    let mut tile = |name: &str, estimate: Option<Estimate>, note: String| {
        if let Some(it) = estimate {
            // Writing to a String cannot fail.
            let _ = write!(
                tiles,
                "<div class=\"tile\">{name}<b>{:.1}%</b><span class=\"faint\">{:.1}–{:.1}, n = {}{note}</span></div>",
                it.value * 100.0,
                it.low * 100.0,
                it.high * 100.0,
                it.n
            );
        }
    };
    let controls = report.controls.as_ref().map(|controls| {
        format!(
            "<br>majority {:.1}%, shuffled {:.1}%",
            controls.majority.accuracy * 100.0,
            controls.shuffled.accuracy * 100.0
        )
    });
    tile("Accuracy", report.accuracy, controls.unwrap_or_default());
    tile(
        "Accepted and right",
        report.accepted_accuracy,
        String::new(),
    );
    tile("Rejected in scope", report.rejected_in_scope, String::new());
    let ece = report.reliability.as_ref().map(|it| it.ece);
    tile("Calibration error", ece, String::new());
    let scope = report.out_of_scope;
    tile("AUROC of scope", scope.map(|it| it.auroc), String::new());
    let fpr = scope.map(|it| it.fpr_at_95_tpr);
    tile("FPR at 95% TPR", fpr, String::new());
    tile(
        "Rejected out of scope",
        scope.map(|it| it.rejected),
        String::new(),
    );
    tiles + "</div>"
}

fn curves(report: &Report, outcomes: &[Outcome]) -> String {
    let mut figures = String::new();
    if let Some(found) = &report.reliability {
        let dot = |bin: &Bin| Dot {
            x: bin.probability,
            y: bin.accuracy,
            n: bin.n,
        };
        let dots: Vec<Dot> = found.bins.iter().map(dot).collect();
        figures.push_str(&figure(
            "Reliability",
            &reliability(&dots),
            "On the dashed line, probabilities are how often the intent is right. The area of a dot is its number of rows.",
        ));
    }
    let scores = |is_in_scope: bool| -> Vec<f64> {
        outcomes
            .iter()
            .filter(|it| matches!(it.expected, Expected::Intent(_)) == is_in_scope)
            .map(|it| f64::from(it.found.scope_score))
            .collect()
    };
    let (within, outside) = (scores(true), scores(false));
    if !outside.is_empty() && !within.is_empty() {
        figures.push_str(&figure(
            "Scope",
            &two_histograms(&within, &outside, f64::from(report.threshold)),
            "Scope scores of rows in scope (blue) and out of scope (orange), as shares of each; below the dashed threshold a prompt is rejected.",
        ));
        figures.push_str(&figure(
            "Receiver operating characteristic of scope",
            &roc(&within, &outside),
            "The share of rows in scope that get in, over the share of rows out of scope that do.",
        ));
    }
    format!("<section class=\"pair\">{figures}</section>")
}

fn figure(title: &str, svg: &str, caption: &str) -> String {
    format!("<figure><h2>{title}</h2>{svg}<figcaption>{caption}</figcaption></figure>")
}

fn section(title: &str, content: &str) -> String {
    format!("<section><h2>{title}</h2>{content}</section>")
}

fn intents(report: &Report) -> String {
    let mut sorted: Vec<_> = report.intents.iter().collect();
    // The worst first: that is what the page is opened for.
    let recall = |value: Option<f64>| value.unwrap_or(2.0);
    sorted.sort_by(|one, other| recall(one.recall).total_cmp(&recall(other.recall)));
    let rows: Vec<Bars> = sorted
        .into_iter()
        .map(|intent| Bars {
            name: escape(intent.name.as_str()),
            n: intent.n,
            recall: intent.recall,
            precision: intent.precision,
        })
        .collect();
    bars(&rows)
}

fn confusions(report: &Report) -> String {
    let mut rows = String::new();
    for confusion in &report.confusions {
        let examples: Vec<String> = confusion
            .examples
            .iter()
            .map(|row| {
                let (text, place) = (escape(&row.text), escape(&row.place));
                format!("{text} <span class=\"faint\">{place}</span>")
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(confusion.expected.as_str()),
            escape(confusion.found.as_str()),
            confusion.n,
            examples.join("<br>")
        );
    }
    format!(
        "<table><thead><tr><th>label</th><th>taken for</th><th class=\"n\">rows</th><th>such as</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

/// Text that shows as itself wherever it stands in a page.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_says_is_shown_and_never_run() {
        assert_eq!(
            escape("<script>alert('&\"')</script>"),
            "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;"
        );
    }
}
