//! Where and how the server listens.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::Period;

/// Long enough for a slow model to answer at length, after another one failed first.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Where and how the server listens.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The longest that a request may take, all its calls to models together.
    pub request_timeout: Period,
    /// Where this gateway stands, for rules on `region`: a name such as `eu`, or `env:NAME`, so that one
    /// config serves gateways in several places.
    pub region: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            request_timeout: Period::of(REQUEST_TIMEOUT),
            region: None,
        }
    }
}
