//! What a request asks for beside its words.

use std::sync::Arc;

/// What a request needs of a model beside writing text, and how long its answer may get. Where a request
/// says something twice, the greater need counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// It offers tools, whether or not the model must call one.
    pub tools: Need,
    /// A turn, however old, shows an image. A document is none, though most models look at its pages.
    pub images: Need,
    /// A turn holds a document that is more than plain text, such as a PDF.
    pub documents: Need,
    /// A turn holds sound.
    pub audio: Need,
    /// The answer must keep to a JSON Schema.
    pub schema: Need,
    /// The answer must be some JSON object, of no particular schema.
    pub json_object: Need,
    /// The most tokens that the answer may have.
    pub output_tokens_max: Option<u64>,
    /// The caller's own name for the person that it asks for.
    pub user: Option<Arc<str>>,
    /// About how many tokens stand beside the texts of the messages: the descriptions of the tools, earlier
    /// calls to them, and documents of plain text.
    pub beside_tokens: u64,
}

/// Whether a request needs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Need {
    /// It does.
    Yes,
    /// It does not.
    #[default]
    No,
}

impl Need {
    /// Whether it is needed.
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl From<bool> for Need {
    fn from(is_needed: bool) -> Self {
        if is_needed { Self::Yes } else { Self::No }
    }
}
