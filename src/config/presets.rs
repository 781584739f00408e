//! What is known of each kind of provider.

use crate::catalogue::of_host;
use crate::config::providers::{Provider, Server};
use crate::provider::caller::{Endpoint, KeyHeader};
use crate::wire::{LengthField, Manners, Outbound, StreamUsage};

/// What is known of a kind of server.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// What it speaks.
    pub dialect: Outbound,
    /// What it wants beyond that.
    pub manners: Manners,
    /// Where it is, unless told otherwise.
    pub base_url: &'static str,
    /// The header that carries its key.
    pub key_header: KeyHeader,
    /// Whether it needs a key.
    pub key: Key,
}

/// Whether a server needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// It does; by custom this variable of the environment holds it.
    Needed(&'static str),
    /// It takes one if it was started with one.
    Optional,
}

/// The count of tokens is asked for where the server's documentation knows the question. The others
/// always tell, and some of them refuse fields that they do not know.
const ASKED: StreamUsage = StreamUsage::OnDemand;
const TOLD: StreamUsage = StreamUsage::Untold;

const NEWER: LengthField = LengthField::MaxCompletionTokens;
const OLDER: LengthField = LengthField::MaxTokens;

/// A vendor on the internet that speaks OpenAI's format.
const fn hosted(
    base_url: &'static str,
    key: &'static str,
    stream_usage: StreamUsage,
    length_field: LengthField,
) -> Preset {
    Preset {
        dialect: Outbound::OpenAi,
        manners: Manners {
            stream_usage,
            length_field,
        },
        base_url,
        key_header: KeyHeader::Bearer,
        key: Key::Needed(key),
    }
}

/// A server on this machine that speaks OpenAI's format.
const fn local(base_url: &'static str) -> Preset {
    Preset {
        key: Key::Optional,
        ..hosted(base_url, "", ASKED, OLDER)
    }
}

const OPENAI: Preset = hosted("https://api.openai.com/v1", "OPENAI_API_KEY", ASKED, NEWER);
const MISTRAL: Preset = hosted("https://api.mistral.ai/v1", "MISTRAL_API_KEY", TOLD, OLDER);
const ANTHROPIC: Preset = Preset {
    dialect: Outbound::Anthropic,
    key_header: KeyHeader::Named("x-api-key"),
    ..hosted(
        "https://api.anthropic.com/v1",
        "ANTHROPIC_API_KEY",
        TOLD,
        NEWER,
    )
};
const GROQ: Preset = hosted(
    "https://api.groq.com/openai/v1",
    "GROQ_API_KEY",
    ASKED,
    NEWER,
);
const TOGETHER: Preset = hosted(
    "https://api.together.xyz/v1",
    "TOGETHER_API_KEY",
    TOLD,
    OLDER,
);
const FIREWORKS: Preset = hosted(
    "https://api.fireworks.ai/inference/v1",
    "FIREWORKS_API_KEY",
    ASKED,
    OLDER,
);
const DEEPSEEK: Preset = hosted(
    "https://api.deepseek.com/v1",
    "DEEPSEEK_API_KEY",
    ASKED,
    OLDER,
);
const XAI: Preset = hosted("https://api.x.ai/v1", "XAI_API_KEY", ASKED, NEWER);
const OPENROUTER: Preset = hosted(
    "https://openrouter.ai/api/v1",
    "OPENROUTER_API_KEY",
    TOLD,
    OLDER,
);
const CEREBRAS: Preset = hosted(
    "https://api.cerebras.ai/v1",
    "CEREBRAS_API_KEY",
    TOLD,
    NEWER,
);
const VLLM: Preset = local("http://127.0.0.1:8000/v1");
const OLLAMA: Preset = local("http://127.0.0.1:11434/v1");
const LLAMA_CPP: Preset = local("http://127.0.0.1:8080/v1");
const GEMINI: Preset = Preset {
    dialect: Outbound::Gemini,
    key_header: KeyHeader::Named("x-goog-api-key"),
    ..hosted(
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        TOLD,
        NEWER,
    )
};
const AZURE: Preset = Preset {
    key_header: KeyHeader::Named("api-key"),
    ..hosted("", "AZURE_OPENAI_API_KEY", ASKED, NEWER)
};

impl Provider {
    /// What is known of its kind; nothing of models that follow a script.
    pub const fn preset(&self) -> Option<Preset> {
        let preset = match self {
            Self::Openai(_) => OPENAI,
            Self::Anthropic(_) => ANTHROPIC,
            Self::Gemini(_) => GEMINI,
            Self::Mistral(_) => MISTRAL,
            Self::Groq(_) => GROQ,
            Self::Together(_) => TOGETHER,
            Self::Fireworks(_) => FIREWORKS,
            Self::Deepseek(_) => DEEPSEEK,
            Self::Xai(_) => XAI,
            Self::Openrouter(_) => OPENROUTER,
            Self::Cerebras(_) => CEREBRAS,
            Self::Vllm(_) => VLLM,
            Self::Ollama(_) => OLLAMA,
            Self::LlamaCpp(_) => LLAMA_CPP,
            Self::Azure(_) => AZURE,
            Self::Simulated { .. } => return None,
        };
        Some(preset)
    }

    /// The name that the catalogue of prices has for whoever sends the bill; nothing, if that is not
    /// known: the address is no vendor's, or the models are simulated.
    pub fn vendor(&self) -> Option<&'static str> {
        let preset = self.preset()?;
        let own = match self {
            Self::Azure(azure) => Some(azure.base_url.as_str()),
            other => other.server()?.base_url.as_deref(),
        };
        let url = reqwest::Url::parse(own.unwrap_or(preset.base_url).trim()).ok()?;
        of_host(url.host_str()?)
    }

    /// The keys that most kinds have.
    pub(super) const fn server(&self) -> Option<&Server> {
        match self {
            Self::Openai(server)
            | Self::Anthropic(server)
            | Self::Gemini(server)
            | Self::Mistral(server)
            | Self::Groq(server)
            | Self::Together(server)
            | Self::Fireworks(server)
            | Self::Deepseek(server)
            | Self::Xai(server)
            | Self::Openrouter(server)
            | Self::Cerebras(server)
            | Self::Vllm(server)
            | Self::Ollama(server)
            | Self::LlamaCpp(server) => Some(server),
            Self::Azure(_) | Self::Simulated { .. } => None,
        }
    }

    /// Where below the address requests go.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Azure(azure) => Endpoint::AzureDeployment {
                api_version: azure.api_version.clone(),
            },
            _ => Endpoint::OfDialect,
        }
    }
}
