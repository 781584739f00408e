//! What of a conversation is embedded.
//!
//! A router must see what the person wants *now*. System text says what the application is, tool
//! results say what the world answered, and coding harnesses wrap reminders around the person's
//! words; none of it is a wish, and all of it would pull every prompt towards the same place. So
//! only people's turns count, without the harness's blocks, and by default only the last one.

use std::borrow::Cow;

use crate::domain::chat::{Message, Role};
use crate::encoder::Passage;

/// Which turns are embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Selection {
    /// The last turn of the person.
    #[default]
    LastUser,
    /// All turns of the person, each counting half as much as the one after it.
    Weighted,
    /// All turns of person and model, counting the same.
    All,
}

/// How much a turn counts of what the next one does, under [`Selection::Weighted`].
const WEIGHT_OF_EARLIER_TURN: f32 = 0.5;

/// Turns further back than this count for less than a thousandth and are left out.
const WEIGHTED_TURNS_MAX: usize = 10;

/// Blocks that harnesses put into a person's turn. They begin with a tag and end with its closing one.
const NOISE_TAGS: [&str; 6] = [
    "system-reminder",
    "command-name",
    "command-message",
    "command-args",
    "local-command-stdout",
    "environment_details",
];

/// Lines that harnesses write in a person's name.
const NOISE_LINES: [&str; 3] = [
    "[Request interrupted by user]",
    "[Request interrupted by user for tool use]",
    "[Continue]",
];

/// The passages to embed, in the order of the conversation; none if nobody said anything.
pub fn select(messages: &[Message], selection: Selection) -> Vec<Passage> {
    let turns = messages.iter().filter(|message| match selection {
        Selection::LastUser | Selection::Weighted => message.role == Role::User,
        Selection::All => matches!(message.role, Role::User | Role::Assistant),
    });
    let latest_first = turns.rev().filter_map(|message| spoken(&message.text));
    let mut passages: Vec<Passage> = match selection {
        Selection::LastUser => latest_first
            .take(1)
            .map(|text| passage(text, 1.0))
            .collect(),
        Selection::All => latest_first.map(|text| passage(text, 1.0)).collect(),
        Selection::Weighted => latest_first
            .take(WEIGHTED_TURNS_MAX)
            .scan(1.0, |weight, text| {
                let passage = passage(text, *weight);
                *weight *= WEIGHT_OF_EARLIER_TURN;
                Some(passage)
            })
            .collect(),
    };
    passages.reverse();
    passages
}

fn passage(text: Cow<'_, str>, weight: f32) -> Passage {
    Passage {
        text: text.into_owned(),
        weight,
    }
}

/// What a person said in a turn, without what a harness put there; `None` if nothing is left.
fn spoken(text: &str) -> Option<Cow<'_, str>> {
    let mut rest = Cow::Borrowed(text);
    // Most texts have neither sign, and nothing else in them is looked for.
    if text.contains('<') {
        for tag in NOISE_TAGS {
            if let Some(without) = without_blocks(&rest, tag) {
                rest = Cow::Owned(without);
            }
        }
    }
    let is_noise = |line: &str| NOISE_LINES.contains(&line.trim());
    if text.contains('[') && rest.lines().any(is_noise) {
        let kept: Vec<&str> = rest.lines().filter(|line| !is_noise(line)).collect();
        rest = Cow::Owned(kept.join("\n"));
    }
    (!rest.trim().is_empty()).then_some(rest)
}

/// The text without its `<tag>…</tag>` blocks; `None` if it has none. A block that is not closed stays:
/// a person may write about a tag.
fn without_blocks(text: &str, tag: &str) -> Option<String> {
    let open = format!("<{tag}>");
    let close = format!("</{tag}>");
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(&open) {
        let after = &rest[start + open.len()..];
        let Some(end) = after.find(&close) else {
            break;
        };
        kept.push_str(&rest[..start]);
        rest = &after[end + close.len()..];
    }
    if rest.len() == text.len() {
        return None;
    }
    kept.push_str(rest);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Message {
        Message {
            role,
            text: text.to_owned(),
        }
    }

    fn texts(messages: &[Message], selection: Selection) -> Vec<(String, f32)> {
        select(messages, selection)
            .into_iter()
            .map(|passage| (passage.text, passage.weight))
            .collect()
    }

    fn conversation() -> Vec<Message> {
        vec![
            turn(Role::System, "You are a helpful bank."),
            turn(Role::User, "What is a bond?"),
            turn(Role::Assistant, "A loan."),
            turn(Role::Tool, "{\"rate\": 3}"),
            turn(Role::User, "Translate that to French"),
        ]
    }

    #[test]
    fn by_default_only_the_last_thing_that_the_person_said_counts() {
        let expected = vec![("Translate that to French".to_owned(), 1.0)];
        assert_eq!(texts(&conversation(), Selection::LastUser), expected);
    }

    #[test]
    fn weighted_turns_halve_with_every_step_back() {
        let expected = vec![
            ("What is a bond?".to_owned(), 0.5),
            ("Translate that to French".to_owned(), 1.0),
        ];
        assert_eq!(texts(&conversation(), Selection::Weighted), expected);
    }

    #[test]
    fn all_leaves_out_the_system_and_the_tools() {
        let all = texts(&conversation(), Selection::All);
        let texts: Vec<&str> = all.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["What is a bond?", "A loan.", "Translate that to French"]
        );
    }

    #[test]
    fn what_a_harness_wraps_around_the_words_is_cut_out() {
        let messages = [turn(
            Role::User,
            "<system-reminder>be brief</system-reminder>fix the test<system-reminder>x</system-reminder>",
        )];
        assert_eq!(
            texts(&messages, Selection::LastUser),
            [("fix the test".to_owned(), 1.0)]
        );
    }

    #[test]
    fn a_turn_that_is_all_noise_gives_way_to_the_one_before() {
        let messages = [
            turn(Role::User, "why does it fail?"),
            turn(Role::User, "[Request interrupted by user]\n"),
            turn(Role::User, "<command-name>/clear</command-name>"),
        ];
        assert_eq!(
            texts(&messages, Selection::LastUser),
            [("why does it fail?".to_owned(), 1.0)]
        );
    }

    #[test]
    fn all_noise_has_a_sign_that_is_looked_for() {
        let blocks = NOISE_TAGS.map(|tag| format!("<{tag}>x</{tag}>"));
        let lines = NOISE_LINES.map(ToOwned::to_owned);
        assert!(
            blocks
                .iter()
                .chain(&lines)
                .all(|text| spoken(text).is_none())
        );
    }

    #[test]
    fn a_tag_that_a_person_writes_about_stays() {
        let messages = [turn(Role::User, "what does <system-reminder> mean?")];
        assert_eq!(
            texts(&messages, Selection::LastUser),
            [("what does <system-reminder> mean?".to_owned(), 1.0)]
        );
    }

    #[test]
    fn nobody_said_anything() {
        assert!(select(&[turn(Role::User, " \n")], Selection::All).is_empty());
        assert!(select(&[], Selection::LastUser).is_empty());
    }
}
