//! The models that can be asked: each with who answers for it and how it is asked.

use std::sync::Arc;

use crate::config::catalogue::facts;
use crate::config::overrides::Reading;
use crate::config::problem::{Problem, suggestion};
use crate::config::servers::servers;
use crate::config::value::Period;
use crate::config::{Environment, Loaded, models};
use crate::domain::model::{Model, Terms};
use crate::domain::name::ProviderName;
use crate::engine::plan::Target;
use crate::engine::standing::TargetState;
use crate::provider::Timeouts;

/// Every model of a configuration, in its order.
pub(super) fn targets(
    loaded: &Loaded,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> Vec<Target> {
    let servers = servers(loaded, environment, problems);
    let facts = facts(loaded, problems);
    let mut targets = Vec::new();
    for (name, model) in &loaded.config.models {
        let path = format!("models.{name}");
        let Some(server) = servers.get(model.provider.as_str()) else {
            let known = loaded.config.providers.keys().map(ProviderName::as_str);
            let hint = suggestion(model.provider.as_str(), known);
            let message = format!("no provider is called \"{}\"{hint}", model.provider);
            problems.push(Problem::new(format!("{path}.provider"), message));
            continue;
        };
        let known = facts.models.get(name).cloned().unwrap_or_default();
        let upstream_name = model.name.clone().unwrap_or_else(|| name.to_string());
        let reading = Reading {
            loaded,
            environment,
            model,
            upstream_name: &upstream_name,
            path: &path,
            problems,
        };
        let overrides = reading.overrides();
        if let Some(provider) = server.provider(model, &path, problems) {
            targets.push(Target {
                model: Model {
                    name: name.clone(),
                    provider: model.provider.clone(),
                    upstream_name,
                    price: known.price.value(),
                    limits: known.limits(),
                    abilities: known.abilities.value().unwrap_or_default(),
                    terms: Terms {
                        added_tokens: overrides.as_ref().map_or(0, |it| it.body.tokens()),
                        ..terms(model, &path, problems)
                    },
                },
                provider,
                timeouts: timeouts(model.timeout),
                load_limits: model.limits.load(),
                state: Arc::new(TargetState::within(model.limits.load())),
                overrides,
            });
        }
    }
    targets
}

/// What the operator says of a model beside what it is.
fn terms(model: &models::Model, path: &str, problems: &mut Vec<Problem>) -> Terms {
    let factor = model.tokenizer_factor.unwrap_or(1.0);
    if !(0.1..=10.0).contains(&factor) {
        let message = format!("{factor} is not between 0.1 and 10");
        problems.push(Problem::new(format!("{path}.tokenizer_factor"), message));
    }
    Terms {
        regions: model.regions.as_slice().into(),
        data: model.data.as_slice().into(),
        tokenizer_factor: factor,
        ..Terms::default()
    }
}

fn timeouts(timeout: models::Timeout) -> Timeouts {
    let default = Timeouts::default();
    let or = |period: Option<Period>, default| period.map_or(default, Period::get);
    Timeouts {
        first_token: or(timeout.first_token, default.first_token),
        between_tokens: or(timeout.between_tokens, default.between_tokens),
        whole: or(timeout.whole, default.whole),
    }
}
