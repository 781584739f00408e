//! What is different in every call to one target, as its operator set it.

use std::fmt;

use hyper::header::HeaderMap;

use crate::provider::caller::{Secret, SettingsError, secret_headers};
use crate::wire::overrides;

/// What is different in every call to one target.
#[derive(Clone, Default)]
pub struct Overrides {
    /// In the request's body.
    pub body: overrides::Overrides,
    headers: HeaderMap,
    names: Vec<String>,
}

impl Overrides {
    /// Such a body, and these headers, which take the place of all others of their names.
    pub fn of(
        body: overrides::Overrides,
        headers: &[(String, Secret)],
    ) -> Result<Self, SettingsError> {
        let system = body.system.iter().map(|_| "system".to_owned());
        let parameters = body.parameters.names();
        let parameters = parameters.map(|name| format!("parameters.{name}"));
        let sent = headers.iter().map(|(name, _)| format!("headers.{name}"));
        let names = system.chain(parameters).chain(sent).collect();
        Ok(Self {
            headers: secret_headers(headers)?,
            body,
            names,
        })
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What is different, by its keys in the configuration; never a value.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Puts the headers into those of a call.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overrides").field(&self.names).finish()
    }
}
