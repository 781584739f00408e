//! Words that requests, answers and streams share: why an answer ended, what it used, how hard to
//! think.

use serde::{Deserialize, Serialize};

use crate::domain::chat::{Finish, Usage};
use crate::domain::conversation::Effort;

/// Why an answer ended, by its own word and the text that ended it.
pub(super) fn read_finish(stop_reason: &str, stop_sequence: Option<String>) -> Finish {
    match stop_reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopText(stop_sequence),
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Filtered,
        other => Finish::Other(other.to_owned()),
    }
}

/// The word for why an answer ended. An end that nobody explained is taken for a natural one, and a
/// word of another format too, since clients know a closed list.
pub(super) fn stop_reason(finish: Option<&Finish>) -> &str {
    match finish {
        Some(Finish::StopText(_)) => "stop_sequence",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::Filtered) => "refusal",
        Some(Finish::Other(word)) if word == "pause_turn" => "pause_turn",
        None | Some(Finish::Stop | Finish::Other(_)) => "end_turn",
    }
}

/// The text that ended an answer, where one did.
pub(super) fn stop_sequence(finish: Option<&Finish>) -> Option<&str> {
    match finish {
        Some(Finish::StopText(text)) => text.as_deref(),
        _ => None,
    }
}

/// Tokens, as this format counts them: those of the prompt that were read from or written to the
/// cache are counted apart from the others, where [`Usage`] has them within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(super) struct Tally {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: u64,
}

impl Tally {
    /// The tally of a text; an empty one, if it is none.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// This one, with what a later one tells anew: a stream counts the prompt first and the answer
    /// last, and what it repeats is a running total.
    pub(super) fn with(self, later: Self) -> Self {
        let output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        Self {
            // A later 0 is no count: the prompt was counted at the start.
            input_tokens: later
                .input_tokens
                .filter(|n_tokens| 0 < *n_tokens)
                .or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later
                .cache_read_input_tokens
                .or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details,
        }
    }

    /// What was used; unknown where the tokens of the prompt or of the answer are not told.
    pub(super) fn usage(self) -> Option<Usage> {
        let cached = self.cache_read_input_tokens.unwrap_or_default();
        let written = self.cache_creation_input_tokens.unwrap_or_default();
        let fresh = self.input_tokens?;
        let thinking = self.output_tokens_details.map(|it| it.thinking_tokens);
        Some(Usage {
            input_tokens: fresh.saturating_add(cached).saturating_add(written),
            output_tokens: self.output_tokens?,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            reasoning_tokens: thinking.unwrap_or_default(),
            ..Usage::default()
        })
    }

    /// The tally of what was used. The format has no word for unknown, so that is written as 0.
    pub(super) fn of(usage: Option<Usage>) -> Self {
        let usage = usage.unwrap_or_default();
        let apart = usage
            .cached_input_tokens
            .saturating_add(usage.cache_write_tokens);
        Self {
            input_tokens: Some(usage.input_tokens.saturating_sub(apart)),
            cache_creation_input_tokens: Some(usage.cache_write_tokens),
            cache_read_input_tokens: Some(usage.cached_input_tokens),
            output_tokens: Some(usage.output_tokens),
            output_tokens_details: (0 < usage.reasoning_tokens).then_some(OutputDetails {
                thinking_tokens: usage.reasoning_tokens,
            }),
        }
    }
}

/// How hard to think, by this format's word; nothing for a word that is none.
pub(super) fn read_effort(word: &str) -> Option<Effort> {
    match word {
        "low" => Some(Effort::Low),
        "medium" => Some(Effort::Medium),
        "high" => Some(Effort::High),
        "xhigh" | "max" => Some(Effort::Max),
        _ => None,
    }
}

/// This format's word for how hard to think. It has none below `low`.
pub(super) const fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_tokens_include_the_cached_ones_here_and_exclude_them_there() {
        let text = r#"{"input_tokens":10,"cache_creation_input_tokens":200,
            "cache_read_input_tokens":3000,"output_tokens":7,
            "output_tokens_details":{"thinking_tokens":4},"service_tier":"standard"}"#;
        let tally = Tally::read(text);
        let usage = tally.usage().unwrap();
        assert_eq!(usage.input_tokens, 3210);
        assert_eq!(
            (usage.cached_input_tokens, usage.cache_write_tokens),
            (3000, 200)
        );
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (7, 4));
        assert_eq!(Tally::of(Some(usage)), tally);
    }

    #[test]
    fn a_stream_counts_the_prompt_first_and_the_answer_last() {
        let first =
            Tally::read(r#"{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}"#);
        let last = Tally::read(r#"{"output_tokens":42}"#);
        let usage = first.with(last).usage().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (15, 42));
        assert_eq!(last.usage(), None, "the prompt was never counted");
    }

    #[test]
    fn every_end_keeps_its_word_both_ways() {
        for word in [
            "end_turn",
            "max_tokens",
            "tool_use",
            "refusal",
            "pause_turn",
        ] {
            assert_eq!(stop_reason(Some(&read_finish(word, None))), word);
        }
        let finish = read_finish("stop_sequence", Some("END".to_owned()));
        assert_eq!(finish, Finish::StopText(Some("END".to_owned())));
        assert_eq!(stop_reason(Some(&finish)), "stop_sequence");
        assert_eq!(stop_sequence(Some(&finish)), Some("END"));
        let full = read_finish("model_context_window_exceeded", None);
        assert_eq!(full, Finish::Length);
        assert_eq!(stop_reason(None), "end_turn");
    }
}
