//! `semroute route`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::Failure;
use crate::cli::report::{Reporter, short};
use crate::cli::serve::{Logging, engine};
use crate::config::{Environment, assemble};
use crate::domain::decision::Weighed;
use crate::domain::name::AssistantName;
use crate::domain::record::Record;
use crate::encoder::Class;
use crate::engine::ledger::Ledger;
use crate::gateway;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The prompt.
    text: String,
    /// The configuration; the embedded one, if it is left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The assistant; the first one, if it is left out.
    #[arg(long, value_name = "NAME")]
    assistant: Option<String>,
    /// What chance says, to see a decision of the log again.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document, the same as `POST /v1/route`.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    environment: Environment,
    reporter: Reporter,
) -> Result<(), Failure> {
    let mut assembled = assemble(arguments.config.as_deref(), environment)?;
    assembled.plan = assembled.plan.without_keys();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let engine = engine(assembled, Logging::Nowhere)?;
    let plan = engine.plan();
    let first = plan.assistants.keys().next().map(AssistantName::to_string);
    let asked = arguments.assistant.clone().or(first).unwrap_or_default();
    let request = gateway::question(&asked, &arguments.text)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let mut ledger = Ledger::open(&engine, "semroute route", String::new());
    if let Some(seed) = arguments.seed {
        ledger.seeded(seed);
    }
    let decided = runtime.block_on(engine.decide(&request, Class::Interactive, ledger));
    if let Err(error) = &decided.outcome {
        return Err(Failure::Usage(error.to_string()));
    }
    if arguments.json {
        reporter.json(&gateway::Explanation::of(&decided.record))?;
    } else {
        reporter.result(&explained(&decided.record))?;
    }
    Ok(())
}

/// A decision, for people.
fn explained(record: &Record) -> String {
    let mut lines = Vec::new();
    if let Some(decision) = &record.decision {
        lines.push(format!(
            "route   {} → {} (because: {}, {})",
            decision.route, decision.target, decision.reason, decision.chosen
        ));
        if let Some(seed) = decision.seed {
            let odds = decision.propensity.get() * 100.0;
            lines.push(format!("chance  {odds:.1}% for this model; seed {seed}"));
        }
        let removed = decision.removed.iter();
        lines.extend(removed.map(|it| format!("removed {} by {}: {}", it.model, it.by, it.why)));
        lines.extend(decision.candidates.iter().map(weighed));
    }
    if let Some(intent) = &record.intent {
        let scope = if intent.out_of_scope {
            "out of scope"
        } else {
            "in scope"
        };
        lines.push(format!(
            "intent  {} {:.3}, {:.3} ahead; similarity {:.3}\nscope   {scope}: {:.3} (threshold {}; {:.1}% of prompts in scope are less clear)",
            intent.name,
            intent.score,
            intent.margin,
            intent.similarity,
            intent.scope_score,
            threshold(intent.threshold),
            intent.p_value * 100.0
        ));
        let behind = intent.runners_up.iter();
        let behind: Vec<String> = behind
            .map(|other| format!("{} {:.3}", other.name, other.score))
            .collect();
        lines.push(format!("behind  {}", behind.join(", ")));
    }
    if let Some(complexity) = &record.complexity {
        lines.push(format!(
            "level   {} {:.3}",
            complexity.level, complexity.score
        ));
    }
    if let Some(text) = &record.text {
        let truncated = if text.truncated { ", truncated" } else { "" };
        lines.push(format!(
            "text    {} tokens in {} windows{truncated}",
            text.tokens, text.windows
        ));
    }
    let timings = &record.timings;
    lines.push(format!(
        "time    encode {}, classify {}, decide {}",
        short(timings.encode),
        short(timings.classify),
        short(timings.decide)
    ));
    lines.join("\n")
}

/// What a candidate was weighed by, on one line.
fn weighed(candidate: &Weighed) -> String {
    let parts = [
        candidate.cost.map(|it| format!("${it} expected")),
        candidate.time.map(|it| format!("{} expected", short(it))),
        candidate.pace.map(|it| format!("pace {}", short(it))),
        candidate.samples.map(|n| format!("{n} samples")),
        candidate
            .quality_low
            .map(|it| format!("quality at least {it:.3}")),
        candidate.score.map(|it| format!("score {it:.3}")),
        candidate
            .share
            .map(|it| format!("share {:.1}%", it * 100.0)),
        candidate
            .out
            .map(|out| format!("no choice: {}", out.said())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("weighed {}: {}", candidate.model, parts.join(", "))
}

/// A threshold that nothing stays below is none.
fn threshold(value: f32) -> String {
    if value <= f32::MIN {
        "none".to_owned()
    } else {
        format!("{value:.3}")
    }
}
