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
    now: Heard,
    all: Heard,
}

/// A text that was made when somebody first asked for it.
#[derive(Default)]
struct Heard {
    text: OnceLock<String>,
    // Telling it takes ten times as long as all other rules together.
    language: OnceLock<Option<Language>>,
}

/// How much of a conversation a rule listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// What the person says now, as it would be embedded: what a route goes by.
    Now,
    /// Every word of every turn, whoever spoke it: what goes out to a model, and what policy goes by.
    All,
}

/// What a model is wanted for.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// An answer.
    Chat(&'a Request),
    /// Vectors.
    Vectors {
        /// From the model of this name.
        model: &'a str,
        /// Of what.
        of: Texts,
    },
}

/// Whether texts can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// They are words.
    Words,
    /// They are the ids of tokens, and nobody here knows of which vocabulary.
    TokenIds,
}

impl<'a> Asked<'a> {
    /// A request, and how its words are found: what the person says now, as it would be embedded.
    pub fn new(subject: Subject<'a>, words: &'a (dyn Fn() -> String + Sync)) -> Self {
        Self {
            subject,
            words,
            now: Heard::default(),
            all: Heard::default(),
        }
    }

    /// The name that the caller put into `model`.
    pub fn model(&self) -> &str {
        match self.subject {
            Subject::Chat(request) => &request.model,
            Subject::Vectors { model, .. } => model,
        }
    }

    /// What a model must be able to do; nothing beyond its trade, where vectors are wanted.
    pub fn needs(&self) -> Option<&Needs> {
        match self.subject {
            Subject::Chat(request) => Some(request.needs()),
            Subject::Vectors { .. } => None,
        }
    }

    /// What is said; nothing, where it cannot be searched.
    pub fn said(&self, hearing: Hearing) -> Option<&str> {
        match (hearing, self.subject) {
            (
                _,
                Subject::Vectors {
                    of: Texts::TokenIds,
                    ..
                },
            ) => None,
            (Hearing::All, Subject::Chat(request)) => {
                let turns = || request.messages.iter().map(|turn| turn.text.as_str());
                let all = || turns().collect::<Vec<&str>>().join("\n");
                Some(self.all.text.get_or_init(all))
            }
            _ => Some(self.now.text.get_or_init(self.words)),
        }
    }

    /// The language that it is in, if it can be told.
    pub fn language(&self, hearing: Hearing) -> Option<Language> {
        let heard = match hearing {
            Hearing::Now => &self.now,
            Hearing::All => &self.all,
        };
        let told = || Language::of(self.said(hearing)?);
        *heard.language.get_or_init(told)
    }

    /// The most tokens that the answer may have, where the request says so.
    pub fn output_tokens_max(&self) -> Option<u64> {
        let Subject::Chat(request) = self.subject else {
            return None;
        };
        // Every name of the field has this in it, and most requests have none.
        let is_said = memchr::memmem::find(request.original.text.as_bytes(), b"max").is_some();
        is_said.then(|| request.needs().output_tokens_max).flatten()
    }

    /// About how many tokens the prompt has.
    pub fn tokens(&self) -> u64 {
        match self.subject {
            Subject::Chat(request) => request.tokens_estimate(),
            Subject::Vectors { .. } => self
                .said(Hearing::Now)
                .map_or(0, crate::domain::chat::estimated_tokens),
        }
    }

    /// More tokens than the prompt can have: no token is shorter than a byte.
    pub fn tokens_max(&self) -> u64 {
        let n_bytes = match self.subject {
            Subject::Chat(request) => request.original.text.len(),
            Subject::Vectors { .. } => self.said(Hearing::Now).map_or(0, str::len),
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
