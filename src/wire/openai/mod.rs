//! Chat completions, as OpenAI defined them and most servers speak them.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

mod answer;
mod conversation;
mod edit;
mod embeddings;
mod failure;
mod messages;
mod needs;
mod overridden;
mod request;
mod stream;
mod words;
mod written;

use crate::wire::path::segment;

pub(super) use answer::{read_answer, write_answer};
pub(super) use conversation::read_conversation;
pub(super) use edit::edit_request;
pub(super) use embeddings::{
    read_embeddings_answer, read_embeddings_request, write_embeddings_request,
};
pub(super) use failure::{error_kind, read_error, write_error};
pub(super) use overridden::{override_request, read_parameters};
pub(super) use request::{conversation, question, read_request};
pub(super) use stream::{StreamReader, StreamWriter};
pub(super) use written::write_conversation;

/// Where Azure expects requests to a deployment, after a resource's address. `path` is where OpenAI expects
/// them.
pub fn azure_path(deployment: &str, path: &str, api_version: &str) -> String {
    format!(
        "/openai/deployments/{}{path}?api-version={}",
        segment(deployment),
        segment(api_version)
    )
}
