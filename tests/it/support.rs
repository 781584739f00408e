//! A running server for tests: an engine over the shipped encoder, on a free port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::HeaderName;
use semroute::clock::{Clock, SystemClock};
use semroute::config::Environment;
use semroute::config::assemble::{Assembled, over_encoder};
use semroute::config::load::{EMBEDDED, parse};
use semroute::encoder::{self, Encoder, EncoderQueue};
use semroute::engine::{Engine, Parts};
use semroute::gateway;
use semroute::store::{Output, RecordLog, Settings};
use semroute::telemetry::Metrics;
use serde_json::Value;
use tokio::net::TcpListener;

/// The shipped encoder, opened once for all tests.
pub(crate) fn shipped_encoder() -> Arc<dyn Encoder> {
    static ENCODER: OnceLock<Arc<dyn Encoder>> = OnceLock::new();
    let opened = ENCODER.get_or_init(|| encoder::open(encoder::Settings::default()).unwrap());
    Arc::clone(opened)
}

pub(crate) const NO_ENVIRONMENT: Environment = Environment::from_lookup(|_| None);

fn assembled(config: &str, environment: Environment) -> Assembled {
    parse(config, PathBuf::from(env!("CARGO_MANIFEST_DIR")))
        .and_then(|loaded| over_encoder(loaded, shipped_encoder(), environment))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) client: reqwest::Client,
}

impl Server {
    /// Runs a configuration; the embedded one without a text.
    pub(crate) async fn start(config: Option<&str>) -> Self {
        Self::with(config, encoder::queue::DEPTH_MAX).await
    }

    /// Runs a configuration whose secrets are looked up, and logs into a folder.
    pub(crate) async fn logging(config: &str, environment: Environment, folder: &Path) -> Self {
        let assembled = assembled(config, environment);
        let log = RecordLog::open(&Settings {
            outputs: vec![Output::Folder(folder.to_owned())],
            rotation: assembled.rotation(),
            wall: Arc::new(|| Duration::ZERO),
            on_lost: Arc::new(|| {}),
        });
        Self::over(assembled, encoder::queue::DEPTH_MAX, log.unwrap()).await
    }

    /// The same over an encoder that has too much to do for any prompt.
    pub(crate) async fn saturated() -> Self {
        Self::with(None, 0).await
    }

    async fn with(config: Option<&str>, depth_max: usize) -> Self {
        let assembled = assembled(config.unwrap_or(EMBEDDED), NO_ENVIRONMENT);
        Self::over(assembled, depth_max, RecordLog::none()).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    async fn over(assembled: Assembled, depth_max: usize, log: RecordLog) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let monotonic = Arc::clone(&clock);
        let queue = encoder::queue::Settings {
            // Tests share the machine; what is tested here is not how fast it is.
            wait_max: Duration::from_mins(1),
            depth_max,
            ..assembled.queue
        };
        let engine = Engine::new(Parts {
            seed: 1,
            plan: assembled.plan,
            encoder: EncoderQueue::start(
                shipped_encoder(),
                queue,
                Arc::new(move || monotonic.now().elapsed()),
                Box::new(|_| {}),
            )
            .unwrap(),
            static_encoding: assembled.static_encoding,
            clock,
            metrics: Arc::new(Metrics::new()),
            log,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(gateway::serve(listener, engine, std::future::pending()));
        Self {
            address,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.client.post(self.url(path)).body(body);
        Reply::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    /// Asks the assistant.
    pub(crate) async fn chat(&self, text: &str) -> Reply {
        let body = serde_json::json!({
            "model": "assistant", "messages": [{ "role": "user", "content": text }],
        });
        self.post("/v1/chat/completions", body.to_string()).await
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Which headers it has.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|it| panic!("{it}: {}", self.text))
    }

    /// What an error says: its status, code and the field at fault.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        assert!(
            !word("message").is_empty() && !word("type").is_empty(),
            "{error}"
        );
        (self.status, word("code"), word("param"))
    }
}

/// The value of a metric whose line holds all of these words.
pub(crate) fn metric(text: &str, name: &str, words: &[&str]) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.starts_with(name) && words.iter().all(|word| line.contains(word)))?;
    line.rsplit(' ').next()?.parse().ok()
}
