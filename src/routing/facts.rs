//! What is known of a request when it is decided on. Whatever costs something to find out (the text,
//! its language, how many tokens it has) is found out when a rule first asks.

use std::sync::OnceLock;
use std::time::Duration;

use crate::domain::caller::{ConversationId, Envelope, KeyLabel, Metadata, Tenant};
use crate::domain::chat::{Needs, Request};
use crate::domain::complexity::Level;
use crate::domain::name::{IntentName, RegionName};
use crate::domain::record::Intent;

use super::rules::language::Language;

/// What is known of a request without understanding it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What is asked for.
    pub asked: &'a Asked<'a>,
    /// On whose behalf.
    pub tenant: &'a Tenant,
    /// The key that came with it, where keys are asked for.
    pub key: Option<&'a KeyLabel>,
    /// What the caller says of it.
    pub metadata: &'a Metadata,
    /// The conversation that it belongs to.
    pub conversation: Option<&'a ConversationId>,
    /// The path asked.
    pub path: &'a str,
    /// What is written on it beside.
    pub envelope: &'a Envelope,
    /// Where this gateway stands.
    pub region: Option<&'a RegionName>,
    /// The time of day, since 1970 in UTC.
    pub wall: Duration,
    /// What chance has to say in this decision.
    pub seed: u64,
}

/// What a request asks for.
pub struct Asked<'a> {
    subject: Subject<'a>,
    words: &'a (dyn Fn() -> String + Sync),
    known: OnceLock<String>,
    // Telling it takes ten times as long as all other rules together.
    language: OnceLock<Option<Language>>,
}

/// What a model is wanted for.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// An answer.
    Chat(&'a Request),
    /// Vectors of texts, from the model of this name.
    Vectors(&'a str),
}

impl<'a> Asked<'a> {
    /// A request, and how its words are found: what the person says now, as it would be embedded.
    pub const fn new(subject: Subject<'a>, words: &'a (dyn Fn() -> String + Sync)) -> Self {
        Self {
            subject,
            words,
            known: OnceLock::new(),
            language: OnceLock::new(),
        }
    }

    /// The name that the caller put into `model`.
    pub fn model(&self) -> &str {
        match self.subject {
            Subject::Chat(request) => &request.model,
            Subject::Vectors(model) => model,
        }
    }

    /// What a model must be able to do; nothing beyond its trade, where vectors are wanted.
    pub fn needs(&self) -> Option<&Needs> {
        match self.subject {
            Subject::Chat(request) => Some(request.needs()),
            Subject::Vectors(_) => None,
        }
    }

    /// What the person says now.
    pub fn words(&self) -> &str {
        self.known.get_or_init(self.words)
    }

    /// The language that they are written in, if it can be told.
    pub fn language(&self) -> Option<Language> {
        *self.language.get_or_init(|| Language::of(self.words()))
    }

    /// About how many tokens the prompt has.
    pub fn tokens(&self) -> u64 {
        match self.subject {
            Subject::Chat(request) => request.tokens_estimate(),
            Subject::Vectors(_) => crate::domain::chat::estimated_tokens(self.words()),
        }
    }

    /// More tokens than the prompt can have: no token is shorter than a byte.
    pub fn tokens_max(&self) -> u64 {
        let n_bytes = match self.subject {
            Subject::Chat(request) => request.original.text.len(),
            Subject::Vectors(_) => self.words().len(),
        };
        u64::try_from(n_bytes).unwrap_or(u64::MAX)
    }
}

/// What the encoder made of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Understanding {
    /// What it is about.
    pub intent: IntentSignal,
    /// How much it asks of a model, where that was found out.
    pub complexity: Option<Level>,
}

impl Understanding {
    /// Of a prompt that nobody has looked at.
    pub const NONE: Self = Self::without(IntentSignal::NotAsked);

    /// Of a prompt of which no more is known than this.
    pub const fn without(intent: IntentSignal) -> Self {
        Self {
            intent,
            complexity: None,
        }
    }
}

/// What a prompt is about, or why that is not known.
#[derive(Debug, Clone, PartialEq)]
pub enum IntentSignal {
    /// The nearest intent is near enough.
    Known {
        /// The intent.
        name: IntentName,
        /// The calibrated probability that the prompt belongs to it, 0 to 1.
        probability: f64,
    },
    /// No intent is near enough.
    OutOfScope,
    /// There was no text to embed.
    NoText,
    /// The encoder had too much to do.
    EncoderSaturated,
    /// The encoder failed on this prompt.
    EncoderFailed,
    /// Nobody has asked yet.
    NotAsked,
}

impl IntentSignal {
    /// The intent, where it is known.
    pub const fn name(&self) -> Option<&IntentName> {
        match self {
            Self::Known { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl From<&Intent> for IntentSignal {
    fn from(intent: &Intent) -> Self {
        if intent.out_of_scope {
            Self::OutOfScope
        } else {
            Self::Known {
                name: intent.name.clone(),
                probability: f64::from(intent.score),
            }
        }
    }
}
