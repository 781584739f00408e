//! Opens the providers that a configuration names.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::presets::{Key, Preset};
use crate::config::problem::Problem;
use crate::config::providers::Provider as ProviderConfig;
use crate::config::value::SecretRef;
use crate::config::{Environment, Loaded, models};
use crate::provider::Provider;
use crate::provider::caller::{Caller, HttpClient, KeyHeader, Secret, Settings};
use crate::provider::simulated::Simulated;

/// A provider that was opened, or the reason why not is among the problems.
pub(super) enum Server {
    Http(Option<Arc<Caller>>),
    Simulated { seed: u64 },
}

impl Server {
    /// Whoever answers for a model.
    pub(super) fn provider(
        &self,
        model: &models::Model,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<dyn Provider>> {
        match self {
            Self::Simulated { seed } => {
                let script = model.script.clone().unwrap_or_default();
                Some(Arc::new(Simulated::new(script, *seed)))
            }
            Self::Http(caller) => {
                if model.script.is_some() {
                    let message = "only a model of a provider of kind simulated has a script";
                    problems.push(Problem::new(format!("{path}.script"), message));
                }
                let caller: Arc<dyn Provider> = caller.clone()?;
                Some(caller)
            }
        }
    }
}

/// Every provider, by its name.
pub(super) fn servers<'a>(
    loaded: &'a Loaded,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'a str, Server> {
    let client = match HttpClient::open() {
        Ok(client) => client,
        Err(error) => {
            problems.push(Problem::new("providers", error.to_string()));
            return BTreeMap::new();
        }
    };
    let mut servers = BTreeMap::new();
    for (name, provider) in &loaded.config.providers {
        let mut opening = Opening {
            loaded,
            environment,
            path: format!("providers.{name}"),
            problems,
        };
        let server = match (provider, provider.preset()) {
            (ProviderConfig::Simulated { seed }, _) => Server::Simulated { seed: *seed },
            (_, None) => Server::Http(None),
            (provider, Some(preset)) => {
                let settings = opening.settings(provider, &preset);
                let caller = Caller::open(&client, &settings)
                    .map_err(|error| opening.problem(error.field, error.message));
                Server::Http(caller.ok().map(Arc::new))
            }
        };
        servers.insert(name.as_str(), server);
    }
    servers
}

/// A provider that is being opened.
struct Opening<'a> {
    loaded: &'a Loaded,
    environment: Environment,
    path: String,
    problems: &'a mut Vec<Problem>,
}

/// What the operator wrote about how to reach a provider.
struct Reach<'a> {
    base_url: Option<&'a str>,
    api_key: Option<&'a SecretRef>,
    headers: &'a BTreeMap<String, SecretRef>,
}

impl Opening<'_> {
    fn problem(&mut self, field: &str, message: impl Into<String>) {
        let path = format!("{}.{field}", self.path);
        self.problems.push(Problem::new(path, message));
    }

    fn secret(&mut self, field: &str, reference: &SecretRef) -> Option<Secret> {
        match self.environment.secret(reference, &self.loaded.folder) {
            Ok(text) => Some(Secret::new(&text)),
            Err(message) => {
                self.problem(field, message);
                None
            }
        }
    }

    fn settings(&mut self, provider: &ProviderConfig, preset: &Preset) -> Settings {
        let reach = Reach::of(provider);
        self.check_key(&reach, preset);
        let base_url = reach.base_url.unwrap_or(preset.base_url).to_owned();
        self.check_address(&base_url);
        let api_key = reach.api_key.and_then(|key| self.secret("api_key", key));
        let mut headers = Vec::new();
        for (header, value) in reach.headers {
            let value = self.secret(&format!("headers.{header}"), value);
            headers.extend(value.map(|value| (header.clone(), value)));
        }
        Settings {
            dialect: preset.dialect,
            manners: preset.manners,
            base_url,
            endpoint: provider.endpoint(),
            api_key,
            key_header: preset.key_header,
            headers,
        }
    }

    /// A provider on the internet knows nobody without a key. At another address there may be one
    /// that does, and a header of one's own may carry it.
    fn check_key(&mut self, reach: &Reach<'_>, preset: &Preset) {
        let Key::Needed(variable) = preset.key else {
            return;
        };
        let elsewhere = !preset.base_url.is_empty() && reach.base_url.is_some();
        let carries_key = |name: &String| {
            let own = match preset.key_header {
                KeyHeader::Bearer => "authorization",
                KeyHeader::Named(name) => name,
            };
            name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case(own)
        };
        let given = reach.api_key.is_some() || reach.headers.keys().any(carries_key);
        if !given && !elsewhere {
            let message = format!(
                "is missing, and this provider answers nobody without a key; put it into a variable of the environment and say api_key: env:{variable}"
            );
            self.problem("api_key", message);
        }
    }

    /// A server that asks itself would ask until its connections run out.
    fn check_address(&mut self, base_url: &str) {
        let listen = self.loaded.config.server.listen;
        let (_, rest) = base_url.split_once("://").unwrap_or(("", base_url));
        let host = rest.split('/').next().unwrap_or_default();
        let is_own = host == listen.to_string()
            || (listen.ip().is_loopback() || listen.ip().is_unspecified())
                && (host == format!("localhost:{}", listen.port())
                    || host == format!("127.0.0.1:{}", listen.port()));
        if is_own && listen.port() != 0 {
            let message = format!(
                "{base_url:?} is where semroute itself listens; give the server another port, or `server.listen`"
            );
            self.problem("base_url", message);
        }
    }
}

impl<'a> Reach<'a> {
    fn of(provider: &'a ProviderConfig) -> Self {
        static NO_HEADERS: BTreeMap<String, SecretRef> = BTreeMap::new();
        match (provider, provider.server()) {
            (_, Some(server)) => Self {
                base_url: server.base_url.as_deref(),
                api_key: server.api_key.as_ref(),
                headers: &server.headers,
            },
            (ProviderConfig::Azure(azure), None) => Self {
                base_url: Some(&azure.base_url),
                api_key: azure.api_key.as_ref(),
                headers: &azure.headers,
            },
            (_, None) => Self {
                base_url: None,
                api_key: None,
                headers: &NO_HEADERS,
            },
        }
    }
}
