//! Words of OpenAI's format for what all formats mean.

use crate::domain::chat::Finish;
use crate::domain::conversation::Effort;

/// The names of the limit of tokens, the newer one first.
pub(super) const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

pub(super) fn read_finish(word: &str) -> Finish {
    match word {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::Filtered,
        other => Finish::Other(other.to_owned()),
    }
}

/// Clients know five words and no others.
pub(super) const fn write_finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopText(_) | Finish::Other(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

pub(super) fn read_effort(word: &str) -> Option<Effort> {
    match word {
        "minimal" => Some(Effort::Minimal),
        "low" => Some(Effort::Low),
        "medium" => Some(Effort::Medium),
        "high" => Some(Effort::High),
        "xhigh" => Some(Effort::Max),
        _ => None,
    }
}

pub(super) const fn write_effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => "xhigh",
    }
}

/// Kinds of sound that a request may hold, with their media types.
const AUDIO_FORMATS: [(&str, &str); 2] = [("wav", "audio/wav"), ("mp3", "audio/mpeg")];

pub(super) fn media_type_of_audio(format: &str) -> Option<&'static str> {
    let known = AUDIO_FORMATS.iter().find(|(name, _)| *name == format);
    known.map(|(_, media_type)| *media_type)
}

pub(super) fn audio_format_of(media_type: &str) -> Option<&'static str> {
    let known = AUDIO_FORMATS.iter().find(|(_, kind)| *kind == media_type);
    known.map(|(name, _)| *name)
}
