//! Chat completions, as OpenAI defined them and most servers speak them.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

mod answer;
mod conversation;
mod edit;
mod failure;
mod messages;
mod request;
mod stream;
mod words;
mod written;

pub(super) use answer::{read_answer, write_answer};
pub(super) use conversation::read_conversation;
pub(super) use edit::edit_request;
pub(super) use failure::{error_kind, read_failure, write_error};
pub(super) use request::read_request;
pub(super) use stream::{StreamReader, StreamWriter};
pub(super) use written::write_conversation;
