//! What a call has used up where its provider did not say, or said it before the end.
//!
//! A provider bills for what it wrote, whether or not its count arrived: a stream that was cut or that
//! its caller left costs as much as was written by then. So the text of an answer is kept while it
//! goes by, and counted if the provider's own count is missing.

use std::sync::Arc;

use crate::budget::tokens;
use crate::domain::chat::{Answer, Body, Chunk, Counter, Delta, OriginalRequest, Usage};
use crate::domain::conversation::Part;
use crate::domain::record::AttemptResult;
use crate::provider::overrides::Overrides;
use crate::wire::Inbound;

/// How much of an answer's text is kept to be counted. It is some hundred times the length of a long
/// answer; what goes past it is taken to go on as it began.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What is known of a call's use while it lasts.
pub(super) struct Spent {
    asked: OriginalRequest,
    overrides: Option<Arc<Overrides>>,
    kept: String,
    n_bytes: u64,
    told: Option<Usage>,
}

/// What a call has used up.
pub(super) enum Use {
    /// It was told, or can never be known.
    Known(Option<Usage>),
    /// The texts must be counted.
    Uncounted(Uncounted),
}

/// Texts of a call whose tokens must be counted.
pub(super) struct Uncounted(Spent);

impl Uncounted {
    /// Counts them, which takes its time.
    pub(super) fn count(&self) -> Option<Usage> {
        match self.0.told {
            None => self.0.counted(),
            // A count that came before the end says little about the output; it may still be right.
            Some(told) => Some(self.0.raised(told)),
        }
    }
}

impl Spent {
    /// Nothing of an answer to this request has come yet.
    pub(super) const fn on(asked: OriginalRequest, overrides: Option<Arc<Overrides>>) -> Self {
        Self {
            asked,
            overrides,
            kept: String::new(),
            n_bytes: 0,
            told: None,
        }
    }

    /// Takes a piece of the answer into account.
    pub(super) fn add(&mut self, chunk: &Chunk) {
        self.add_text(&chunk.text);
        if let Body::Read(deltas) = &chunk.body {
            for delta in deltas {
                self.add_text(beside_text(delta));
            }
        }
        // Providers that count more than once repeat a running total.
        self.told = chunk.usage.or(self.told);
    }

    /// Takes a whole answer into account.
    pub(super) fn add_answer(&mut self, answer: &Answer) {
        self.add_text(&answer.text);
        if let Body::Read(completion) = &answer.body {
            for part in &completion.parts {
                let (text, more) = part_beside_text(part);
                self.add_text(text);
                self.add_text(more);
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len());
        let is_whole = self.kept.len() as u64 == self.n_bytes;
        if is_whole {
            self.kept.push_str(&text[..text.floor_char_boundary(room)]);
        }
        self.n_bytes = self.n_bytes.saturating_add(text.len() as u64);
    }

    /// What the call has used up: as the provider told in the end, or else as can be told from the
    /// texts. Nothing is known of a call that brought no text: nobody can say from outside whether it
    /// was billed.
    pub(super) fn usage(mut self, result: AttemptResult, told: Option<Usage>) -> Use {
        self.told = told.or(self.told);
        let is_known = result == AttemptResult::Answered && self.told.is_some();
        if is_known {
            Use::Known(self.told)
        } else if self.n_bytes == 0 {
            // What a provider told of a call that broke, it told before the answer was written.
            Use::Known(None)
        } else {
            Use::Uncounted(Uncounted(self))
        }
    }

    fn raised(&self, told: Usage) -> Usage {
        let output_tokens = self.output_tokens();
        if output_tokens <= told.output_tokens {
            return told;
        }
        Usage {
            output_tokens,
            counted_by: Counter::Semroute,
            ..told
        }
    }

    fn counted(&self) -> Option<Usage> {
        let format = Inbound::of(self.asked.format)?;
        let request = format.read_request(self.asked.text.as_bytes()).ok()?;
        let messages = &request.messages;
        let input_tokens = match &self.overrides {
            None => tokens::count_messages(messages.iter().map(|it| it.text.as_str())),
            Some(overrides) => {
                let texts = overrides.body.texts(messages);
                tokens::count_messages(texts.iter().map(AsRef::as_ref))
            }
        };
        Some(Usage {
            counted_by: Counter::Semroute,
            ..Usage::of(input_tokens, self.output_tokens())
        })
    }

    fn output_tokens(&self) -> u64 {
        tokens::count_known(&self.kept, self.n_bytes)
    }
}

/// What a piece adds that is written and billed, but no part of the text. What nobody understood,
/// because it travels verbatim, is not seen here.
fn beside_text(delta: &Delta) -> &str {
    match delta {
        Delta::Thought(text) | Delta::Refusal(text) => text,
        Delta::ToolCallBegun { name, .. } => name,
        Delta::ToolCallArguments { json, .. } => json,
        Delta::Text(_) | Delta::ThoughtSignature(_) => "",
    }
}

/// The same of a part of a whole answer.
fn part_beside_text(part: &Part) -> (&str, &str) {
    match part {
        Part::Thought { text, .. } | Part::Refusal(text) => (text, ""),
        Part::ToolCall(call) => (&call.name, &call.arguments),
        Part::Text(_)
        | Part::Image(_)
        | Part::Document { .. }
        | Part::Audio(_)
        | Part::ToolResult(_) => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::FailoverReason;

    const CUT: AttemptResult = AttemptResult::Failed(FailoverReason::StreamCut);

    fn spent(texts: &[&str]) -> Spent {
        let body = br#"{"model":"a","messages":[{"role":"user","content":"hello world"}]}"#;
        let request = Inbound::OpenAi.read_request(body).unwrap();
        let mut spent = Spent::on(request.original, None);
        for text in texts {
            spent.add(&piece(text, None));
        }
        spent
    }

    fn piece(text: &str, usage: Option<Usage>) -> Chunk {
        Chunk {
            text: text.to_owned(),
            usage,
            finish: None,
            body: Body::Read(Vec::new()),
        }
    }

    fn used(spent: Spent, result: AttemptResult, told: Option<Usage>) -> Option<Usage> {
        match spent.usage(result, told) {
            Use::Known(usage) => usage,
            Use::Uncounted(texts) => texts.count(),
        }
    }

    fn counted(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            counted_by: Counter::Semroute,
            ..Usage::of(input_tokens, output_tokens)
        }
    }

    #[test]
    fn text_that_came_is_counted_however_the_call_ended() {
        for result in [AttemptResult::Answered, AttemptResult::Abandoned, CUT] {
            let usage = used(spent(&["hello", " world"]), result, None);
            assert_eq!(usage, Some(counted(3 + 3 + 2, 2)), "{result:?}");
        }
    }

    #[test]
    fn the_use_of_a_call_that_brought_no_text_is_not_known() {
        for result in [AttemptResult::Answered, AttemptResult::Abandoned, CUT] {
            assert_eq!(used(spent(&[]), result, None), None, "{result:?}");
            assert_eq!(used(spent(&[""]), result, None), None, "{result:?}");
        }
    }

    #[test]
    fn what_the_provider_told_in_the_end_is_not_counted_again() {
        let told = Usage::of(500, 1);
        let usage = used(spent(&["hello world"]), AttemptResult::Answered, Some(told));
        assert_eq!(usage, Some(told));
    }

    #[test]
    fn a_count_from_before_the_end_is_raised_to_what_came() {
        let mut cut = spent(&[]);
        cut.add(&piece("", Some(Usage::of(500, 1))));
        cut.add(&piece("hello world", None));
        assert_eq!(used(cut, CUT, None), Some(counted(500, 2)));
        let mut cut = spent(&["hello"]);
        cut.add(&piece(" world", Some(Usage::of(500, 9))));
        assert_eq!(used(cut, CUT, None), Some(Usage::of(500, 9)));
    }

    #[test]
    fn a_tool_call_is_counted_with_the_text() {
        let mut spent = spent(&["hello world"]);
        spent.add(&Chunk {
            body: Body::Read(vec![
                Delta::ToolCallBegun {
                    call_idx: 0,
                    id: "1".to_owned(),
                    name: " find".to_owned(),
                },
                Delta::ToolCallArguments {
                    call_idx: 0,
                    json: " it".to_owned(),
                },
            ]),
            ..piece("", None)
        });
        let usage = used(spent, AttemptResult::Answered, None);
        assert_eq!(usage, Some(counted(8, 4)));
    }

    #[test]
    fn what_goes_past_the_kept_text_counts_by_its_length() {
        let line = "one two three four\n";
        let text = line.repeat(KEPT_BYTES_MAX / line.len() / 4);
        let mut long = spent(&[]);
        for _ in 0..12 {
            long.add_text(&text);
        }
        assert!(long.kept.len() <= KEPT_BYTES_MAX);
        let whole = tokens::count(&text) * 12;
        let usage = used(long, CUT, None).unwrap();
        let off = usage.output_tokens.abs_diff(whole);
        assert!(off * 100 < whole, "{} for {whole}", usage.output_tokens);
    }

    #[test]
    fn what_comes_after_the_kept_text_is_full_is_never_taken_for_what_followed_it() {
        let mut long = spent(&[]);
        // The last character does not fit, and the next one would.
        long.add_text(&"a".repeat(KEPT_BYTES_MAX - 1));
        long.add_text("é");
        long.add_text("b");
        assert!(!long.kept.ends_with('b'));
    }
}
