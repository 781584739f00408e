//! A system prompt of the operator's own, before, after, around or instead of the caller's.
//!
//! The caller's system prompt is what the conversation begins with in the application's name: in chat
//! completions that may be several messages. Instructions later in the conversation are turns of it and
//! stay.

use std::borrow::Cow;

use crate::domain::chat::{Message, Role, estimated_tokens};
use crate::domain::conversation::{Conversation, Part, Speaker};
use crate::wire::json::{Raw, array, string};
use crate::wire::rewrite::quoted;

/// What stands between two texts that were not written to follow each other.
const BETWEEN: &str = "\n\n";

/// A system prompt of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPrompt {
    /// What stands before the caller's own.
    head: String,
    /// What stands after it.
    tail: String,
    own: Own,
}

/// What becomes of the caller's own system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Kept,
    LeftOut,
}

/// Where a text stands by the caller's own system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before it.
    Before,
    /// After it.
    After,
    /// In its place.
    Instead,
}

impl SystemPrompt {
    /// This text at that place.
    pub fn placed(text: &str, place: Place) -> Self {
        let text = text.trim();
        let (head, tail, own) = match place {
            Place::Before => (format!("{text}{BETWEEN}"), String::new(), Own::Kept),
            Place::After => (String::new(), format!("{BETWEEN}{text}"), Own::Kept),
            Place::Instead => (text.to_owned(), String::new(), Own::LeftOut),
        };
        Self { head, tail, own }
    }

    /// These texts around it, with nothing between.
    pub fn around(head: &str, tail: &str) -> Self {
        Self {
            head: head.trim_start().to_owned(),
            tail: tail.trim_end().to_owned(),
            own: Own::Kept,
        }
    }

    /// About how many tokens it has.
    pub(super) fn tokens(&self) -> u64 {
        estimated_tokens(&self.alone())
    }

    /// What is said where the caller has no system prompt, or it does not count.
    fn alone(&self) -> String {
        format!("{}{}", self.head, self.tail).trim().to_owned()
    }

    /// What stands before and after each of so many messages that make up the caller's system prompt. Without
    /// any, or where none counts, there is nothing to stand by.
    pub(in crate::wire) fn pieces(&self, n_own: usize) -> Vec<Piece<'_>> {
        if self.own == Own::LeftOut {
            return Vec::new();
        }
        let last = n_own.saturating_sub(1);
        let pieces = (0..n_own).map(|position| Piece {
            head: if position == 0 { &self.head } else { "" },
            tail: if position == last { &self.tail } else { "" },
        });
        pieces.collect()
    }

    /// The JSON text of a new system prompt.
    pub(in crate::wire) fn alone_quoted(&self) -> String {
        quoted(&self.alone())
    }

    /// Puts it into a conversation. Every turn keeps its position, so that what is told of one is told of
    /// the caller's.
    pub(super) fn instruct(&self, conversation: &mut Conversation) {
        let turns = &mut conversation.turns;
        let is_own = |speaker| speaker == Speaker::System;
        let n_own = turns.iter().take_while(|it| is_own(it.speaker)).count();
        let pieces = self.pieces(n_own);
        if pieces.is_empty() {
            for turn in turns.iter_mut().take(n_own) {
                turn.parts.clear();
            }
            conversation.instructions = Some(self.alone());
        }
        for (turn, piece) in turns.iter_mut().zip(pieces) {
            match turn.parts.first_mut() {
                Some(Part::Text(text)) => text.insert_str(0, piece.head),
                _ => turn.parts.insert(0, Part::Text(piece.head.to_owned())),
            }
            match turn.parts.last_mut() {
                Some(Part::Text(text)) => text.push_str(piece.tail),
                _ => turn.parts.push(Part::Text(piece.tail.to_owned())),
            }
        }
    }

    /// The texts of a conversation with it, one a message.
    pub(super) fn texts<'a>(&self, messages: &'a [Message]) -> Vec<Cow<'a, str>> {
        let is_own = |message: &&Message| message.role == Role::System;
        let n_own = messages.iter().take_while(is_own).count();
        let pieces = self.pieces(n_own);
        let mut texts: Vec<Cow<'a, str>> = Vec::new();
        if pieces.is_empty() {
            texts.push(self.alone().into());
        }
        let own = messages.iter().zip(&pieces);
        texts.extend(own.map(|(own, piece)| Cow::Owned(piece.around(&own.text))));
        texts.extend(
            messages[n_own..]
                .iter()
                .map(|it| Cow::from(it.text.as_str())),
        );
        texts
    }
}

/// What stands before and after a part of the caller's system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) struct Piece<'a> {
    head: &'a str,
    tail: &'a str,
}

impl Piece<'_> {
    fn around(self, own: &str) -> String {
        format!("{}{own}{}", self.head, self.tail)
    }

    /// The JSON text of a content, a string or a list of parts, with these before and after it. The content's
    /// own text stays as it is written.
    pub(in crate::wire) fn around_content(self, content: Option<Raw<'_>>) -> String {
        let own = content.map_or("", Raw::get);
        if let Some(parts) = content.and_then(array) {
            let mut parts: Vec<Cow<'_, str>> = parts.map(|part| part.get().into()).collect();
            if let Some(head) = text_part(self.head) {
                parts.insert(0, head.into());
            }
            parts.extend(text_part(self.tail).map(Cow::from));
            return format!("[{}]", parts.join(","));
        }
        let is_words = content
            .and_then(string)
            .is_some_and(|text| !text.trim().is_empty());
        if !is_words {
            return quoted(self.around("").trim());
        }
        let (head, tail) = (quoted(self.head), quoted(self.tail));
        let inside = |text: &str| text[1..text.len() - 1].to_owned();
        format!("\"{}{}{}\"", inside(&head), inside(own), inside(&tail))
    }
}

/// A part of a content; nothing for words that are none, which providers refuse.
fn text_part(text: &str) -> Option<String> {
    let text = text.trim();
    let part = || serde_json::json!({ "type": "text", "text": text }).to_string();
    (!text.is_empty()).then(part)
}
