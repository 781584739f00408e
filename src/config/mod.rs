//! What an operator writes, and how it becomes a [`Plan`](crate::engine::Plan).
//!
//! One type a section, each key documented where it stands: these comments are the reference that
//! `docs/configuration.md` and the JSON Schema are made of. Values are valid by construction; what
//! depends on other sections is checked in [`resolve`]. All problems are told at once, with their
//! place.

pub mod artefacts;
pub mod assemble;
pub mod assistants;
pub mod catalogue;
pub mod check;
pub mod complexity;
mod embeddings;
pub mod encoder;
pub mod init;
pub mod intents;
pub mod load;
pub mod log;
pub mod models;
pub mod overrides;
pub mod policy;
pub mod presets;
pub mod problem;
pub mod providers;
pub mod reference;
pub mod resolve;
mod routes;
pub mod schema;
pub mod server;
mod servers;
pub mod strategies;
mod targets;
pub mod teams;
pub mod value;
mod warnings;
pub mod watch;
pub mod when;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::name::{AssistantName, ModelName, ProviderName, TeamName};

pub use assemble::{Assembled, assemble};
pub use load::{Environment, Loaded, load};
pub use problem::{Problem, Problems};

/// The configuration of semroute.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where and how the server listens.
    #[serde(default)]
    pub server: server::Server,
    /// The sentence encoder inside the process.
    #[serde(default)]
    pub encoder: encoder::Encoder,
    /// The intents that prompts are sorted into.
    #[serde(default)]
    pub intents: intents::Intents,
    /// How much prompts ask of a model, for rules with `complexity`.
    #[serde(default)]
    pub complexity: complexity::Complexity,
    /// Who serves models, by a name of your choice.
    pub providers: BTreeMap<ProviderName, providers::Provider>,
    /// The models that can be asked, by a name of your choice.
    pub models: BTreeMap<ModelName, models::Model>,
    /// A file of prices, limits and abilities of models, as `semroute models prices` writes it. Its
    /// entries take the place of those of the same names in the catalogue that ships.
    #[serde(default)]
    pub catalogue: Option<PathBuf>,
    /// The table of how good models are at which intent, as `semroute eval models` writes it: a path
    /// relative to the config's own folder.
    #[serde(default)]
    pub quality: Option<PathBuf>,
    /// Which models a request may reach at all, before anything is optimised. Every rule that applies
    /// counts.
    #[serde(default)]
    pub policy: Vec<policy::Rules>,
    /// What callers put in `model`: each is a list of routes.
    pub assistants: BTreeMap<AssistantName, assistants::Assistant>,
    /// Models that callers may name in `model` at `/v1/embeddings`, beside the encoder inside the process:
    /// names under `models`. Their providers must speak OpenAI's format.
    #[serde(default)]
    pub embeddings: Vec<ModelName>,
    /// Who may ask, by a name of your choice. With it, every call under `/v1/` needs the key of a team;
    /// without it, nobody needs one.
    // A section that is there but empty is an error: it must not open the server to everyone.
    #[serde(default)]
    #[schemars(with = "BTreeMap<TeamName, teams::Team>")]
    pub teams: Option<BTreeMap<TeamName, teams::Team>>,
    /// The log of records, one JSON object a request.
    #[serde(default)]
    pub log: log::Log,
}
