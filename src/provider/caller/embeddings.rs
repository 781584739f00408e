//! Vectors from a provider.

use crate::domain::chat::Delivery;
use crate::domain::embeddings::Vectors;
use crate::domain::event::Failure;
use crate::provider::Embed;
use crate::provider::caller::{Caller, Endpoint, deadline_in};
use crate::wire::azure_path;

impl Caller {
    pub(super) async fn call_embeddings(&self, call: Embed<'_>) -> Result<Vectors, Failure> {
        let Some(embedder) = self.dialect.embedder() else {
            let message = "the model's provider speaks a format without embeddings".to_owned();
            return Err(Failure::unsayable(message));
        };
        let deadline = deadline_in(call.wait_max);
        let path = match &self.endpoint {
            Endpoint::OfDialect => embedder.path().to_owned(),
            Endpoint::AzureDeployment { api_version } => {
                azure_path(call.model, embedder.path(), api_version)
            }
        };
        let headers = self.headers_for(&call.request.original, Delivery::Whole, call.overrides);
        let body = embedder.write_request(call.request, call.model);
        let reply = self.post(path, headers, body, deadline).await?;
        let text = self.read_text(reply, deadline).await?;
        embedder
            .read_answer(text)
            .map_err(|problem| self.malformed(&problem))
    }
}
