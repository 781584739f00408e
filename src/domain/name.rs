//! Names that an operator gives: of models, routes, assistants, intents, providers and teams.
//!
//! They travel in HTTP headers, metric labels and folder names, so they are checked once, where
//! they are read, and each kind is a type of its own. Cloning one is cheap.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// Long enough for any model's name, short enough for a header and a label.
const NAME_CHARS_MAX: usize = 96;

/// What a name may hold beside letters and digits. Quotes, commas and semicolons part values in headers
/// and lists.
const PUNCTUATION: &str = "-_.:/@?!&+'()#%= ";

/// Why a text cannot be a name.
fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a name cannot be empty".to_owned());
    }
    if NAME_CHARS_MAX < text.len() {
        return Err(format!(
            "the name has {} characters; at most {NAME_CHARS_MAX} are allowed",
            text.len()
        ));
    }
    let unfit = |c: char| !(c.is_ascii_alphanumeric() || PUNCTUATION.contains(c));
    if let Some(character) = text.chars().find(|c| unfit(*c)) {
        return Err(format!(
            "the name {text:?} has the character {character:?}; letters, digits, spaces and {PUNCTUATION} are allowed"
        ));
    }
    if text.trim() != text {
        return Err(format!("the name {text:?} begins or ends with a space"));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta] $Name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema,
        )]
        #[serde(try_from = "String")]
        #[schemars(with = "String")]
        pub struct $Name(Arc<str>);

        impl $Name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $Name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl std::str::FromStr for $Name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$Name> for String {
            fn from(name: $Name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $Name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

name! {
    /// What callers put in `model`: a virtual model with routes behind it.
    AssistantName,
    /// A kind of data that only some models are cleared for: `phi`, say.
    DataClass,
    /// A class of prompts that a centroid stands for.
    IntentName,
    /// A model as the operator calls it.
    ModelName,
    /// Whoever serves models: an account with a vendor, a server of one's own.
    ProviderName,
    /// Where data is processed, or where a gateway stands.
    RegionName,
    /// One way through an assistant.
    RouteName,
    /// Callers that share keys.
    TeamName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_line_break_would_split_a_header_and_is_refused() {
        let problem = "bad\r\nname".parse::<ModelName>().unwrap_err();
        assert!(problem.contains("'\\r'"), "{problem}");
    }

    #[test]
    fn the_longest_name_is_accepted_and_one_more_character_is_not() {
        assert!("m".repeat(NAME_CHARS_MAX).parse::<RouteName>().is_ok());
        assert!("m".repeat(NAME_CHARS_MAX + 1).parse::<RouteName>().is_err());
    }

    #[test]
    fn names_with_dots_and_slashes_are_common_and_fine() {
        assert!(
            "meta-llama/Llama-3.3-70B@v1:free"
                .parse::<ModelName>()
                .is_ok()
        );
    }
}
