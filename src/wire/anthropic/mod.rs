//! Messages, as Anthropic defined them.
//!
//! The format differs from chat completions in more than names: instructions stand beside the
//! messages, what tools returned is part of the user's turn, thoughts come signed, every answer
//! needs a limit, and a stream numbers its blocks and opens and closes each.

mod answer;
mod block;
mod compose;
mod count;
mod edit;
mod failure;
mod generation;
mod needs;
mod overridden;
mod request;
mod stream_reader;
mod stream_writer;
mod understand;
mod vocabulary;

pub(super) use answer::{read_answer, write_answer};
pub(super) use compose::write_conversation;
pub use count::{Countable, read_countable};
pub(super) use edit::edit_request;
pub(super) use failure::{error_kind, read_error, write_error};
pub(super) use overridden::override_request;
pub(super) use request::read_request;
pub(super) use stream_reader::StreamReader;
pub(super) use stream_writer::StreamWriter;
pub(super) use understand::read_conversation;

#[cfg(test)]
mod tests;
