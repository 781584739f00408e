//! How long the model should think, in the way that it can be told.
//!
//! Newer models think as long as they like and are told how hard to try; older ones get a budget of
//! tokens. An effort for an older model becomes a budget by the table below, and a budget for a
//! newer one the effort whose budget is nearest above.

use serde_json::{Value, json};

use crate::domain::conversation::{
    Conversation, Effort, Part, Speaker, Thinking, ToolChoice, Turn,
};
use crate::wire::anthropic::generation::Generation;
use crate::wire::anthropic::vocabulary::effort_word;

/// The least budget that the format allows.
const BUDGET_MIN: u64 = 1_024;

/// Efforts and the budgets that stand for them. Each is four times the one before but the last,
/// which is as much as pays off without batches, by the format's own advice.
const BUDGETS: [(Effort, u64); 5] = [
    (Effort::Minimal, BUDGET_MIN),
    (Effort::Low, 2_048),
    (Effort::Medium, 8_192),
    (Effort::High, 24_576),
    (Effort::Max, 32_768),
];

/// The caller's name for what is listed when it cannot be done.
const CALLERS_FIELD: &str = "reasoning_effort";

/// Whether the model will think in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mind {
    /// It may.
    Thinking,
    /// It was not told to.
    Quiet,
}

/// What is said about thinking.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) thinking: Option<Value>,
    pub(super) effort: Option<&'static str>,
    pub(super) mind: Mind,
}

impl Plan {
    const SILENT: Self = Self {
        thinking: None,
        effort: None,
        mind: Mind::Quiet,
    };
}

pub(super) fn plan(
    conversation: &Conversation,
    generation: Generation,
    tokens_max: u64,
    dropped: &mut Vec<String>,
) -> Plan {
    let plan = match (conversation.thinking, generation) {
        (None, _) => return Plan::SILENT,
        (Some(Thinking::Off), _) => Some(Plan {
            thinking: Some(json!({ "type": "disabled" })),
            ..Plan::SILENT
        }),
        (Some(_), Generation::Early) => None,
        (Some(wanted), Generation::Budgeted) => {
            let may_think =
                !is_forced(conversation) && !is_amid_unsigned_calls(&conversation.turns);
            may_think
                .then(|| fitting_budget(wanted, tokens_max))
                .flatten()
                .map(with_budget)
        }
        (Some(Thinking::Budget(tokens)), Generation::Foreign) if !is_forced(conversation) => {
            Some(with_budget(tokens))
        }
        (Some(wanted), Generation::Adaptive | Generation::Unsampled | Generation::Foreign) => {
            adaptive(effort_of(wanted), is_forced(conversation))
        }
    };
    plan.unwrap_or_else(|| {
        dropped.push(CALLERS_FIELD.to_owned());
        Plan::SILENT
    })
}

fn with_budget(tokens: u64) -> Plan {
    Plan {
        thinking: Some(json!({ "type": "enabled", "budget_tokens": tokens })),
        effort: None,
        mind: Mind::Thinking,
    }
}

/// Thinks as long as it likes, with this effort. Where a tool must be called the model may not
/// think, but an effort is still heeded.
fn adaptive(effort: Option<Effort>, is_forced: bool) -> Option<Plan> {
    let effort = effort.map(effort_word);
    match (is_forced, effort) {
        (true, None) => None,
        (true, Some(_)) => Some(Plan {
            effort,
            ..Plan::SILENT
        }),
        (false, _) => Some(Plan {
            thinking: Some(json!({ "type": "adaptive" })),
            effort,
            mind: Mind::Thinking,
        }),
    }
}

/// Whether a tool must be called. The models refuse to think then.
fn is_forced(conversation: &Conversation) -> bool {
    matches!(
        conversation.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    )
}

/// Whether the model waits for results of calls that it made without a thought of its own before
/// them. Models with a budget refuse to think on from there, and callers of other formats have no
/// way to hand a thought back.
fn is_amid_unsigned_calls(turns: &[Turn]) -> bool {
    let returns = |turn: &&Turn| {
        turn.speaker == Speaker::User
            && turn
                .parts
                .iter()
                .any(|it| matches!(it, Part::ToolResult(_)))
    };
    let mut latest_first = turns
        .iter()
        .rev()
        .skip_while(|turn| turn.speaker == Speaker::System);
    if !latest_first.clone().next().as_ref().is_some_and(returns) {
        return false;
    }
    let caller = latest_first.find(|turn| turn.speaker == Speaker::Assistant);
    let signed = |part: &Part| {
        matches!(
            part,
            Part::Thought {
                signature: Some(_),
                ..
            }
        )
    };
    !caller.is_some_and(|turn| turn.parts.iter().any(signed))
}

/// A budget below the limit of tokens, which counts thoughts too; nothing, if the limit leaves no
/// room for one. An effort says nothing exact, so it takes at most half of the limit.
fn fitting_budget(wanted: Thinking, tokens_max: u64) -> Option<u64> {
    let budget = match wanted {
        Thinking::Off => return None,
        Thinking::Budget(tokens) => tokens.min(tokens_max.saturating_sub(1)),
        Thinking::Adaptive => budget_of(Effort::Medium).min(tokens_max / 2),
        Thinking::Effort(effort) => budget_of(effort).min(tokens_max / 2),
    };
    let budget = budget.max(BUDGET_MIN);
    (budget < tokens_max).then_some(budget)
}

fn budget_of(effort: Effort) -> u64 {
    BUDGETS
        .iter()
        .find(|(known, _)| *known == effort)
        .map_or(BUDGET_MIN, |(_, budget)| *budget)
}

fn effort_of(wanted: Thinking) -> Option<Effort> {
    match wanted {
        Thinking::Off | Thinking::Adaptive => None,
        Thinking::Effort(effort) => Some(effort),
        Thinking::Budget(tokens) => {
            let nearest = BUDGETS.iter().find(|(_, budget)| tokens <= *budget);
            Some(nearest.map_or(Effort::Max, |(effort, _)| *effort))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::conversation::{ToolCall, ToolResult, ToolStatus};

    const ADAPTIVE: &str = "claude-sonnet-4-6";
    const BUDGETED: &str = "claude-sonnet-4-5";

    fn conversation(thinking: Thinking) -> Conversation {
        Conversation {
            thinking: Some(thinking),
            ..Conversation::default()
        }
    }

    fn planned(conversation: &Conversation, model: &str, tokens_max: u64) -> (Plan, Vec<String>) {
        let mut dropped = Vec::new();
        let plan = plan(
            conversation,
            Generation::of(model),
            tokens_max,
            &mut dropped,
        );
        (plan, dropped)
    }

    fn budget(model: &str, thinking: Thinking, tokens_max: u64) -> Option<u64> {
        let (plan, dropped) = planned(&conversation(thinking), model, tokens_max);
        assert_eq!(plan.thinking.is_none(), dropped == [CALLERS_FIELD]);
        plan.thinking?["budget_tokens"].as_u64()
    }

    #[test]
    fn an_effort_is_said_as_such_to_a_newer_model_and_as_a_budget_to_an_older_one() {
        let high = Thinking::Effort(Effort::High);
        let (plan, dropped) = planned(&conversation(high), ADAPTIVE, 100);
        assert_eq!(plan.thinking, Some(json!({ "type": "adaptive" })));
        assert_eq!(plan.effort, Some("high"));
        assert!(dropped.is_empty());
        assert_eq!(budget(BUDGETED, high, 64_000), Some(24_576));
        assert_eq!(budget(BUDGETED, high, 4_096), Some(2_048));
        assert_eq!(budget(BUDGETED, high, 1_500), Some(BUDGET_MIN));
        assert_eq!(budget(BUDGETED, high, BUDGET_MIN), None);
        assert_eq!(budget("claude-3-haiku-20240307", high, 64_000), None);
    }

    #[test]
    fn a_budget_becomes_the_nearest_effort_where_budgets_are_refused() {
        for (tokens, word) in [
            (1_024, "low"),
            (5_000, "medium"),
            (20_000, "high"),
            (90_000, "max"),
        ] {
            let (plan, _) = planned(&conversation(Thinking::Budget(tokens)), ADAPTIVE, 100);
            assert_eq!(plan.effort, Some(word), "{tokens}");
        }
        assert_eq!(
            budget(BUDGETED, Thinking::Budget(5_000), 64_000),
            Some(5_000)
        );
        assert_eq!(
            budget(BUDGETED, Thinking::Budget(5_000), 4_000),
            Some(3_999)
        );
    }

    #[test]
    fn a_model_that_must_call_a_tool_is_not_told_to_think() {
        let mut forced = conversation(Thinking::Effort(Effort::Low));
        forced.tool_choice = Some(ToolChoice::Required);
        let (plan, dropped) = planned(&forced, BUDGETED, 64_000);
        assert_eq!(plan, Plan::SILENT);
        assert_eq!(dropped, [CALLERS_FIELD]);
        let (plan, dropped) = planned(&forced, ADAPTIVE, 64_000);
        assert_eq!((plan.thinking, plan.effort), (None, Some("low")));
        assert!(dropped.is_empty());
    }

    #[test]
    fn a_model_with_a_budget_does_not_think_on_from_calls_whose_thoughts_are_lost() {
        let turns = |thought: Option<&str>| {
            let call = ToolCall {
                id: "1".to_owned(),
                name: "look".to_owned(),
                arguments: "{}".to_owned(),
            };
            let result = ToolResult {
                call_id: "1".to_owned(),
                content: Vec::new(),
                status: ToolStatus::Worked,
            };
            let thought = Part::Thought {
                text: "hm".to_owned(),
                signature: thought.map(ToOwned::to_owned),
            };
            vec![
                Turn {
                    speaker: Speaker::Assistant,
                    parts: vec![thought, Part::ToolCall(call)],
                },
                Turn {
                    speaker: Speaker::User,
                    parts: vec![Part::ToolResult(result)],
                },
            ]
        };
        assert!(is_amid_unsigned_calls(&turns(None)));
        assert!(!is_amid_unsigned_calls(&turns(Some("signed"))));
        assert!(!is_amid_unsigned_calls(&[]));
    }

    #[test]
    fn no_thinking_is_said_where_none_is_wanted_and_nothing_where_nobody_spoke_of_it() {
        let (plan, _) = planned(&conversation(Thinking::Off), ADAPTIVE, 100);
        assert_eq!(plan.thinking, Some(json!({ "type": "disabled" })));
        let (plan, dropped) = planned(&Conversation::default(), ADAPTIVE, 100);
        assert_eq!(plan, Plan::SILENT);
        assert!(dropped.is_empty());
    }
}
