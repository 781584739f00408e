//! What holds for all conversations and all streams.

use proptest::prelude::*;

mod conversations;
mod streams;

/// Words that are no blank.
fn words() -> impl Strategy<Value = String> {
    "[a-zé🦀\"\\\\\n ]{0,8}[a-z]"
}
