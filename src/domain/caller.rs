//! Who asks, and what they say of a request beside the request itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::name::TeamName;

/// What the tenant is called where no key is asked for. No team may have this name.
pub const ANONYMOUS: &str = "anonymous";

/// On whose behalf a request is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tenant {
    /// Anybody's: no key is asked for.
    Anonymous,
    /// A team's, whose key came with it.
    Team(TeamName),
}

impl Tenant {
    /// How it is written in records and log lines.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Anonymous => ANONYMOUS,
            Self::Team(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Tenant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A key, by what the configuration calls it: `env:CLINIC_KEY`, never by its text. Cloning it is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLabel(Arc<str>);

impl KeyLabel {
    /// The key that the configuration calls so.
    pub fn new(reference: &str) -> Self {
        Self(reference.into())
    }

    /// What the configuration calls it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is written on a request, outside its body: how it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The host asked, without its port, in lower case.
    pub host: Option<Arc<str>>,
    /// The headers that a rule of the plan looks at, names in lower case; one that comes several times
    /// stands here as often.
    pub headers: Vec<(Arc<str>, String)>,
}

impl Envelope {
    /// The values of a header.
    pub fn values<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e str> {
        self.headers
            .iter()
            .filter(move |(known, _)| **known == *name)
            .map(|(_, value)| value.as_str())
    }
}

/// The most pairs of one request, as OpenAI has it for the metadata of its own.
const PAIRS_MAX: usize = 16;

/// The longest key, in characters.
const KEY_CHARS_MAX: usize = 64;

/// The longest value, in characters. With all pairs at their longest, a record grows by 9 kB in ASCII.
const VALUE_CHARS_MAX: usize = 512;

/// What a caller says of a request, for its own books: names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Adds a pair, or says why it cannot stand.
    pub fn add(&mut self, key: String, value: String) -> Result<(), String> {
        let (n_key, n_value) = (key.chars().count(), value.chars().count());
        if n_key == 0 {
            return Err("it has an empty key; give the value a name".to_owned());
        }
        if KEY_CHARS_MAX < n_key {
            let begin: String = key.chars().take(KEY_CHARS_MAX).collect();
            return Err(format!(
                "the key \"{begin}…\" has {n_key} characters; at most {KEY_CHARS_MAX} are allowed"
            ));
        }
        if VALUE_CHARS_MAX < n_value {
            return Err(format!(
                "the value of {key:?} has {n_value} characters; at most {VALUE_CHARS_MAX} are allowed"
            ));
        }
        if self.0.contains_key(&key) {
            return Err(format!("the key {key:?} stands in it twice; keep one"));
        }
        if self.0.len() == PAIRS_MAX {
            return Err(format!(
                "it has more than {PAIRS_MAX} keys, {key:?} among them; leave some out"
            ));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The longest name of a conversation; a session's id of any kind fits.
const CONVERSATION_CHARS_MAX: usize = 128;

/// What a caller calls a conversation. Cloning it is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConversationId(Arc<str>);

impl ConversationId {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for ConversationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromStr for ConversationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if !(1..=CONVERSATION_CHARS_MAX).contains(&length) {
            return Err(format!(
                "it has {length} characters; give 1 to {CONVERSATION_CHARS_MAX}"
            ));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(character) => Err(format!(
                "it has the character {character:?}; visible ASCII without spaces is allowed"
            )),
            None => Ok(Self(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(pairs: &[(&str, &str)]) -> Result<Metadata, String> {
        let mut metadata = Metadata::default();
        for (key, value) in pairs {
            metadata.add((*key).to_owned(), (*value).to_owned())?;
        }
        Ok(metadata)
    }

    #[test]
    fn the_longest_pair_is_accepted_and_one_more_character_is_not() {
        let (key, value) = ("ä".repeat(64), "ß".repeat(512));
        assert!(added(&[(&key, &value)]).is_ok());
        assert!(added(&[(&format!("{key}k"), &value)]).is_err());
        assert!(added(&[(&key, &format!("{value}v"))]).is_err());
        assert!(added(&[("", "v")]).is_err());
    }

    #[test]
    fn sixteen_keys_are_accepted_and_one_more_is_not() {
        let keys: Vec<String> = (0..17).map(|n| format!("k{n}")).collect();
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        assert!(added(&pairs[..16]).is_ok());
        assert!(added(&pairs).unwrap_err().contains("more than 16 keys"));
    }

    #[test]
    fn the_longest_conversation_is_accepted_and_what_could_break_a_line_is_not() {
        assert!("c".repeat(128).parse::<ConversationId>().is_ok());
        for text in ["", "a b", "a\n", "ü", &"c".repeat(129)] {
            assert!(text.parse::<ConversationId>().is_err(), "{text:?}");
        }
    }
}
