//! Who serves models.
//!
//! Most kinds differ in an address and a few habits only, so they have the same keys; what is known
//! of each stands in [`crate::config::presets`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::SecretRef;

/// Who serves models.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Provider {
    /// OpenAI at `https://api.openai.com/v1`, or with `base_url` any server that speaks its chat
    /// completions (<https://platform.openai.com/docs/api-reference/chat>).
    Openai(Server),
    /// Anthropic at `https://api.anthropic.com/v1`, or with `base_url` any server that speaks its
    /// messages (<https://platform.claude.com/docs/en/api/messages>).
    Anthropic(Server),
    /// Google Gemini at `https://generativelanguage.googleapis.com/v1beta`
    /// (<https://ai.google.dev/api/generate-content>).
    Gemini(Server),
    /// Mistral at `https://api.mistral.ai/v1` (<https://docs.mistral.ai/api/>).
    Mistral(Server),
    /// Groq at `https://api.groq.com/openai/v1` (<https://console.groq.com/docs/api-reference>).
    Groq(Server),
    /// Together at `https://api.together.xyz/v1`
    /// (<https://docs.together.ai/reference/chat-completions-1>).
    Together(Server),
    /// Fireworks at `https://api.fireworks.ai/inference/v1`
    /// (<https://docs.fireworks.ai/api-reference/post-chatcompletions>).
    Fireworks(Server),
    /// DeepSeek at `https://api.deepseek.com/v1`
    /// (<https://api-docs.deepseek.com/api/create-chat-completion>).
    Deepseek(Server),
    /// xAI at `https://api.x.ai/v1` (<https://docs.x.ai/docs/api-reference>).
    Xai(Server),
    /// OpenRouter at `https://openrouter.ai/api/v1`
    /// (<https://openrouter.ai/docs/api-reference/chat-completion>).
    Openrouter(Server),
    /// Cerebras at `https://api.cerebras.ai/v1`
    /// (<https://inference-docs.cerebras.ai/api-reference/chat-completions>).
    Cerebras(Server),
    /// vLLM's server on this machine, at `http://127.0.0.1:8000/v1`
    /// (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>).
    Vllm(Server),
    /// Ollama on this machine, at `http://127.0.0.1:11434/v1`
    /// (<https://docs.ollama.com/api/openai-compatibility>).
    Ollama(Server),
    /// llama.cpp's server on this machine, at `http://127.0.0.1:8080/v1`, which is also where
    /// semroute listens unless told otherwise: give one of them another port
    /// (<https://github.com/ggml-org/llama.cpp/tree/master/tools/server>).
    LlamaCpp(Server),
    /// Azure OpenAI. A model's `name` is that of its deployment
    /// (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
    Azure(Azure),
    /// Models that follow a script, so that routing can be seen without a key. Every answer and
    /// every record says that it is simulated.
    Simulated {
        /// What chance decides, such as which requests fail, follows from it.
        #[serde(default)]
        seed: u64,
    },
}

/// How to reach a server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Server {
    /// The API's address, up to and without the path of a request; the kind's own, if it is left
    /// out.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The key. Providers on the internet need one, unless a header carries it or `base_url` is
    /// given.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    /// Headers that every call carries; their values are secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
}

/// How to reach deployments on Azure.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Azure {
    /// The resource's address: `https://RESOURCE.openai.azure.com`.
    pub base_url: String,
    /// The version of the API. The default is the last that has a date and is no preview.
    #[serde(default = "azure_api_version")]
    pub api_version: String,
    /// The resource's key, unless a header carries a token of Entra ID.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    /// Headers that every call carries; their values are secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
}

fn azure_api_version() -> String {
    "2024-10-21".to_owned()
}
