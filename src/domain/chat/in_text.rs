//! What stands in a request's text, read when somebody first asks for it: a request whose route does
//! not depend on it is long, and nobody asks.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// What a reader finds in a text. It is read once at most.
#[derive(Clone)]
pub struct InText<T> {
    text: Arc<str>,
    read: fn(&str) -> T,
    known: OnceLock<T>,
}

impl<T> InText<T> {
    /// What this reader will find in the text.
    pub const fn of(text: Arc<str>, read: fn(&str) -> T) -> Self {
        Self {
            text,
            read,
            known: OnceLock::new(),
        }
    }

    /// The same, by whoever wrote the text and knows what stands in it.
    #[must_use]
    pub(crate) fn known_to_be(self, value: T) -> Self {
        Self {
            known: OnceLock::from(value),
            ..self
        }
    }
}

impl<T> Deref for InText<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.known.get_or_init(|| (self.read)(&self.text))
    }
}

impl<T: PartialEq> PartialEq for InText<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for InText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
