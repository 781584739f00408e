//! How long a model should think, in the words of its generation.
//!
//! Efforts follow the table by which Google's own server for OpenAI's format translates them
//! (<https://ai.google.dev/gemini-api/docs/openai#thinking>): levels for newer models, budgets of
//! 1,024, 8,192 and 24,576 tokens for older ones. Thoughts are asked for wherever thinking is, since
//! without the question their summaries stay with the provider.

use serde_json::{Value, json};

use crate::domain::conversation::{Effort, Thinking};
use crate::wire::gemini::Generation;

/// The largest budget of Gemini 2.5 Flash and Flash-Lite.
const FLASH_BUDGET_MAX: u64 = 24_576;

/// The largest budget of Gemini 2.5 Pro.
const PRO_BUDGET_MAX: u64 = 32_768;

/// The least budget of Gemini 2.5 Pro, which cannot stop thinking.
const PRO_BUDGET_MIN: u64 = 128;

/// A model that the caller asked not to think, and that cannot help it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obedience {
    /// The request says what was asked for.
    Full,
    /// The request says the least that the model can do.
    NearestOnly,
}

/// The `thinkingConfig` for what is asked, and whether it says just that.
pub(super) fn write(thinking: Thinking, model: &str) -> (Value, Obedience) {
    let is_pro = model.contains("pro");
    match (Generation::of(model), thinking) {
        (Generation::Older, Thinking::Off) if !is_pro => {
            (json!({ "thinkingBudget": 0 }), Obedience::Full)
        }
        (Generation::Older, Thinking::Off) => {
            let least = json!({ "thinkingBudget": PRO_BUDGET_MIN });
            (least, Obedience::NearestOnly)
        }
        (Generation::Newer, Thinking::Off) => {
            let least = json!({ "thinkingLevel": level(Effort::Minimal, is_pro) });
            (least, Obedience::NearestOnly)
        }
        (Generation::Older, Thinking::Adaptive) => (budget(-1), Obedience::Full),
        (Generation::Newer, Thinking::Adaptive) => {
            (json!({ "includeThoughts": true }), Obedience::Full)
        }
        (Generation::Older, Thinking::Effort(effort)) => {
            (budget(budget_of(effort, is_pro)), Obedience::Full)
        }
        (Generation::Newer, Thinking::Effort(effort)) => {
            let level = level(effort, is_pro);
            let config = json!({ "thinkingLevel": level, "includeThoughts": true });
            (config, Obedience::Full)
        }
        // Newer models still take a budget. A larger one than the model knows is an error there;
        // the largest that it knows is within what was asked for.
        (_, Thinking::Budget(tokens)) => {
            let most = if is_pro {
                PRO_BUDGET_MAX
            } else {
                FLASH_BUDGET_MAX
            };
            (budget(tokens.min(most)), Obedience::Full)
        }
    }
}

fn budget(tokens: impl Into<Value>) -> Value {
    json!({ "thinkingBudget": tokens.into(), "includeThoughts": true })
}

const fn budget_of(effort: Effort, is_pro: bool) -> u64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::Max if is_pro => PRO_BUDGET_MAX,
        Effort::High | Effort::Max => FLASH_BUDGET_MAX,
    }
}

/// Pro models have no level below `low`.
const fn level(effort: Effort, is_pro: bool) -> &'static str {
    match effort {
        Effort::Minimal if !is_pro => "minimal",
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Max => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_told_in_its_own_words() {
        let (flash, pro) = ("gemini-2.5-flash", "gemini-2.5-pro");
        let (new_flash, new_pro) = ("gemini-3.8-flash", "gemini-3.1-pro-preview");
        for (model, thinking, expected) in [
            (flash, Thinking::Off, json!({ "thinkingBudget": 0 })),
            (pro, Thinking::Off, json!({ "thinkingBudget": 128 })),
            (
                new_flash,
                Thinking::Off,
                json!({ "thinkingLevel": "minimal" }),
            ),
            (new_pro, Thinking::Off, json!({ "thinkingLevel": "low" })),
            (flash, Thinking::Adaptive, budget(-1)),
            (
                new_flash,
                Thinking::Adaptive,
                json!({ "includeThoughts": true }),
            ),
            (flash, Thinking::Effort(Effort::Low), budget(1_024)),
            (flash, Thinking::Effort(Effort::Medium), budget(8_192)),
            (flash, Thinking::Effort(Effort::Max), budget(24_576)),
            (pro, Thinking::Effort(Effort::Max), budget(32_768)),
            (flash, Thinking::Budget(100_000), budget(24_576)),
            (pro, Thinking::Budget(2_000), budget(2_000)),
            (new_flash, Thinking::Budget(2_000), budget(2_000)),
            (
                new_flash,
                Thinking::Effort(Effort::Medium),
                json!({ "thinkingLevel": "medium", "includeThoughts": true }),
            ),
            (
                new_pro,
                Thinking::Effort(Effort::Max),
                json!({ "thinkingLevel": "high", "includeThoughts": true }),
            ),
        ] {
            assert_eq!(write(thinking, model).0, expected, "{model} {thinking:?}");
        }
    }

    #[test]
    fn a_model_that_cannot_stop_thinking_does_the_least_and_it_is_said() {
        let obedience = |model: &str| write(Thinking::Off, model).1;
        assert_eq!(obedience("gemini-2.5-flash"), Obedience::Full);
        assert_eq!(obedience("gemini-2.5-pro"), Obedience::NearestOnly);
        assert_eq!(obedience("gemini-flash-latest"), Obedience::NearestOnly);
    }
}
