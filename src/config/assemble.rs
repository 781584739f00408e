//! Puts together what a process runs: reads the configuration, opens the encoder, reads the
//! centroids, and resolves all of it to a plan. Problems of all of them are told at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::config::artefacts::{Fitting, read_centroids};
use crate::config::catalogue::facts;
use crate::config::encoder::{Encoder as EncoderConfig, Saturated};
use crate::config::log::{Prompts, To};
use crate::config::resolve::resolve;
use crate::config::{Environment, Loaded, Problem, Problems, complexity, embeddings, load};
use crate::encoder::{self, Encoder, ModelSource, queue};
use crate::engine::{Plan, StaticEncoding};
use crate::store::{Output, Rotation};

/// What a process runs.
pub struct Assembled {
    /// The configuration.
    pub loaded: Loaded,
    /// The encoder.
    pub encoder: Arc<dyn Encoder>,
    /// What embeds prompts while that has too much to do.
    pub static_encoding: Option<StaticEncoding>,
    /// The bounds of its queue.
    pub queue: queue::Settings,
    /// The plan.
    pub plan: Plan,
}

impl Assembled {
    /// What centroids must have been trained with.
    pub fn fitting(&self) -> Fitting {
        let fixed = self.static_encoding.as_ref();
        Fitting::of(self.encoder.as_ref(), fixed.map(|it| it.encoder.as_ref()))
    }

    /// Where the server listens.
    pub fn listen(&self) -> SocketAddr {
        self.loaded.config.server.listen
    }

    /// What works, but probably not as it was meant.
    pub fn warnings(&self) -> Vec<Problem> {
        let log = &self.loaded.config.log;
        let mut warnings = Vec::new();
        if log.prompts != Prompts::Full {
            warnings.push(Problem::new(
                "log.prompts",
                "centroids cannot be retrained from a log without prompts; write `full` if they shall be",
            ));
        }
        warnings.extend(facts(&self.loaded, &mut Vec::new()).warnings);
        warnings.extend(super::warnings::of(&self.loaded.config, &self.plan));
        warnings.extend(complexity::warnings(&self.loaded.config));
        warnings
    }

    /// When files of the log are closed, and which are kept.
    pub fn rotation(&self) -> Rotation {
        let log = &self.loaded.config.log;
        Rotation {
            bytes: log.rotate.get(),
            keep: log.keep,
        }
    }

    /// Where records go.
    pub fn outputs(&self) -> Vec<Output> {
        let to = self.loaded.config.log.to.iter();
        to.map(|to| match to {
            To::Stdout => Output::Stdout,
            To::Folder(folder) => Output::Folder(folder.clone()),
        })
        .collect()
    }
}

/// Assembles what the configuration at a path describes, or the embedded one.
pub fn assemble(path: Option<&Path>, environment: Environment) -> Result<Assembled, Problems> {
    let loaded = load(path)?;
    let mut problems = Vec::new();
    let encoder = open_encoder(
        &model_in(&loaded),
        &loaded.config.encoder.device,
        environment,
        &mut problems,
    );
    let Some(encoder) = encoder else {
        // The rest is checked all the same, so that all problems are told at once.
        resolve(&loaded, environment, None, &mut problems);
        return Err(Problems(problems));
    };
    over_encoder(loaded, encoder, environment)
}

/// Assembles a configuration over an encoder that is open already.
pub fn over_encoder(
    loaded: Loaded,
    encoder: Arc<dyn Encoder>,
    environment: Environment,
) -> Result<Assembled, Problems> {
    let mut problems = Vec::new();
    let fixed = match loaded.config.encoder.saturated {
        Saturated::Static => open_static_encoder(&model_in(&loaded), &encoder),
        Saturated::Default => Ok(None),
    };
    let fixed = fixed.unwrap_or_else(|error| {
        problems.push(Problem::new("encoder.saturated", error.to_string()));
        None
    });
    let fitting = Fitting::of(encoder.as_ref(), fixed.as_deref());
    let name = &loaded.config.intents.centroids;
    let centroids = read_centroids(name, &loaded.folder, &fitting)
        .map_err(|message| problems.push(Problem::new("intents.centroids", message)));
    let complexity = complexity::read(&loaded, &fitting.main.into(), &mut problems);
    embeddings::tell_from_encoder(&loaded, &encoder.identity().name, &mut problems);
    match resolve(&loaded, environment, centroids.ok(), &mut problems) {
        Some(plan) if problems.is_empty() => Ok(Assembled {
            queue: queue_settings(&loaded.config.encoder),
            static_encoding: fixed.map(|encoder| StaticEncoding {
                encoder,
                windows_max: loaded.config.encoder.windows,
            }),
            encoder,
            plan: Plan { complexity, ..plan },
            loaded,
        }),
        _ => Err(Problems(problems)),
    }
}

/// Opens an encoder by what an operator calls it and its device. `None` has put its reasons among the problems.
pub fn open_encoder(
    model: &str,
    device: &str,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn Encoder>> {
    let settings = encoder_settings(model, device, environment, problems)?;
    let opened = encoder::open(settings);
    opened
        .map_err(|error| problems.push(Problem::new("encoder", error.to_string())))
        .ok()
}

/// Opens the static encoder that belongs to an open one, by what an operator calls that. `None` if it has
/// none.
pub fn open_static_encoder(
    model: &str,
    open: &Arc<dyn Encoder>,
) -> Result<Option<Arc<dyn Encoder>>, encoder::Error> {
    encoder::open_static(&model.parse()?, open)
}

/// Which encoder an operator means, and on which device.
pub fn encoder_settings(
    model: &str,
    device: &str,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> Option<encoder::Settings> {
    let mut noted = |path: &str, error: &encoder::Error| {
        problems.push(Problem::new(path, error.to_string()));
    };
    let model = model
        .parse()
        .map_err(|error| noted("encoder.model", &error));
    let device = device
        .parse()
        .map_err(|error| noted("encoder.device", &error));
    let kernel = environment
        .get("SEMROUTE_KERNEL")
        .map(|name| name.parse())
        .transpose()
        .map_err(|error| noted("SEMROUTE_KERNEL", &error));
    Some(encoder::Settings {
        model: reached(model.ok()?, environment),
        device: device.ok()?,
        kernel: kernel.ok()?,
    })
}

/// A model's source, with what the environment says of how to reach the hub.
fn reached(source: ModelSource, environment: Environment) -> ModelSource {
    let ModelSource::Hub(mut hub) = source else {
        return source;
    };
    hub.token = environment.get("HF_TOKEN");
    hub.endpoint = environment.get("HF_ENDPOINT");
    hub.cache = environment.get("HF_HUB_CACHE").map(Into::into);
    hub.offline = environment
        .get("HF_HUB_OFFLINE")
        .is_some_and(|value| value != "0");
    ModelSource::Hub(hub)
}

fn queue_settings(config: &EncoderConfig) -> queue::Settings {
    queue::Settings {
        wait_max: config.wait.get(),
        windows_max: config.windows,
        threads: (0 < config.threads).then_some(config.threads),
        remembered_max: config.remember,
        ..queue::Settings::default()
    }
}

/// The encoder that a configuration names; a path in it starts from the config's own folder.
fn model_in(loaded: &Loaded) -> String {
    let model = &loaded.config.encoder.model;
    match model.strip_prefix("path:") {
        Some(path) => format!("path:{}", loaded.folder.join(path).display()),
        None => model.clone(),
    }
}
