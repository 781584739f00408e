//! What is different in every request to one target: the system prompt and parameters, as its operator
//! set them.
//!
//! Parameters are written in the vocabulary of chat completions. A body in that format has them set in its
//! text, whoever wrote it; one in Anthropic's has them set in its text where the caller spoke the format
//! too; everywhere else they go into the conversation, and are written like a caller's own.

use std::borrow::Cow;

use crate::domain::chat::{Delivery, Message, Request};
use crate::domain::conversation::{Conversation, Part, Speaker, Turn};
use crate::wire::{Inbound, Malformed, Manners, Outbound, StreamUsage, Writing, Written};
use crate::wire::{anthropic, openai};

mod parameters;
mod system;

pub use parameters::Parameters;
pub use system::{Place, SystemPrompt};

pub(super) use parameters::Word;

/// What is different in every request to one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    /// The system prompt, if it is touched.
    pub system: Option<SystemPrompt>,
    /// What else is set or taken out.
    pub parameters: Parameters,
}

impl Overrides {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.system.is_none() && self.parameters.is_empty()
    }

    /// The texts of a conversation as the target gets them, one a message.
    pub fn texts<'a>(&self, messages: &'a [Message]) -> Vec<Cow<'a, str>> {
        match &self.system {
            Some(system) => system.texts(messages),
            None => messages.iter().map(|it| it.text.as_str().into()).collect(),
        }
    }

    /// About how many tokens they add to a prompt.
    pub fn tokens(&self) -> u64 {
        self.system.as_ref().map_or(0, SystemPrompt::tokens)
    }

    /// Puts them into a conversation.
    fn apply(&self, conversation: &mut Conversation) {
        if let Some(system) = &self.system {
            system.instruct(conversation);
        }
        self.parameters.apply(conversation);
    }
}

impl Outbound {
    /// Writes a request for a target that is asked differently.
    pub fn write_overridden(
        self,
        request: &Request,
        writing: &Writing<'_>,
        overrides: &Overrides,
    ) -> Result<Written, Malformed> {
        match (self, Inbound::of(request.original.format)) {
            (Self::OpenAi, _) => {
                let mut written = self.write_request(request, writing)?;
                // What the caller gave in vain, the operator has seen to.
                let is_ours = |name: &String| overrides.parameters.names().any(|it| it == name);
                written.dropped.retain(|name| !is_ours(name));
                let length_field = writing.manners.length_field;
                Ok(Written {
                    body: openai::override_request(&written.body, overrides, length_field)?,
                    ..written
                })
            }
            (Self::Anthropic, Some(Inbound::Anthropic)) => {
                let written = self.write_request(request, writing)?;
                anthropic::override_request(written, overrides, writing.model)
            }
            (Self::Anthropic | Self::Gemini, _) => self.translated(request, writing, |it| {
                overrides.apply(it);
            }),
        }
    }

    /// What of these parameters a model cannot be told in this format, each with the parameter's name. A
    /// provider of OpenAI's format is told everything, since servers have words of their own.
    pub fn untellable(self, parameters: &Parameters, model: &str) -> Vec<Malformed> {
        if self == Self::OpenAi {
            return Vec::new();
        }
        let mut problems: Vec<Malformed> = parameters.foreign().map(foreign).collect();
        if parameters.count_alternatives() {
            // No other format has a word for them, and a probe that asks for none would not tell.
            problems.push(foreign("top_logprobs"));
        }
        let turn = Turn {
            speaker: Speaker::User,
            parts: vec![Part::Text("hello".to_owned())],
        };
        let mut probe = Conversation {
            turns: vec![turn],
            ..Conversation::default()
        };
        parameters.apply(&mut probe);
        let writing = Writing {
            model,
            delivery: Delivery::Whole,
            manners: Manners {
                stream_usage: StreamUsage::Untold,
                ..Manners::default()
            },
        };
        match self.write_conversation(&probe, &writing) {
            Ok(written) => problems.extend(written.dropped.into_iter().map(unheeded)),
            Err(problem) => problems.push(problem),
        }
        problems
    }
}

fn foreign(name: &str) -> Malformed {
    let message = format!(
        "the format of this model's provider has no word for `{name}`; leave it out, or give it to a model of a provider that speaks OpenAI's format"
    );
    Malformed::new(name, message)
}

fn unheeded(name: String) -> Malformed {
    let message = format!(
        "this model cannot be told `{name}`, or not this value beside the others; leave it out or give another value"
    );
    Malformed::new(name, message)
}

#[cfg(test)]
mod tests;
