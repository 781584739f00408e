//! Chat completions, as OpenAI defined them and most servers speak them.

mod answer;
mod failure;
mod request;

pub(super) use answer::{STREAM_END, read_answer, read_event, write_answer, write_chunk};
pub(super) use failure::{read_failure, write_error};
pub(super) use request::{read_request, write_request};
