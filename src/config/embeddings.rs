//! The models that callers may ask for embeddings.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Loaded;
use crate::config::problem::Problem;
use crate::config::resolve::model_called;
use crate::domain::model::ModelId;
use crate::domain::name::ModelName;

/// Their positions. Each can be told from everything else that can stand in `model`, and has a provider
/// that can be asked.
pub(super) fn resolve(
    loaded: &Loaded,
    models: &BTreeMap<&ModelName, ModelId>,
    problems: &mut Vec<Problem>,
) -> Vec<ModelId> {
    let config = &loaded.config;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (position, name) in config.embeddings.iter().enumerate() {
        let path = format!("embeddings[{position}]");
        if !seen.insert(name) {
            let message = format!("\"{name}\" stands in the list twice; keep one");
            problems.push(Problem::new(&path, message));
        }
        if config.assistants.contains_key(name.as_str()) {
            let message = format!(
                "an assistant is called \"{name}\" as well, and `GET /v1/models` lists both; give one of them another name"
            );
            problems.push(Problem::new(&path, message));
        }
        if let Some(id) = model_called(name, models, &path, problems) {
            refuse_strangers(loaded, name, &path, problems);
            found.push(id);
        }
    }
    found
}

/// A provider that speaks another format has embeddings of another shape, or none.
fn refuse_strangers(loaded: &Loaded, name: &ModelName, path: &str, problems: &mut Vec<Problem>) {
    let model = loaded.config.models.get(name);
    let provider = model.map(|model| &model.provider);
    let found = provider.and_then(|provider| loaded.config.providers.get_key_value(provider));
    // A provider that is not there is told where the model names it.
    let Some((provider, found)) = found else {
        return;
    };
    let why = match found.preset() {
        None => "is simulated and makes no vectors",
        Some(preset) if preset.dialect.embedder().is_none() => {
            "does not speak OpenAI's format, the only one in which embeddings can be asked for"
        }
        Some(_) => return,
    };
    let message = format!(
        "\"{name}\" cannot be asked: its provider \"{provider}\" {why}; name a model of another provider"
    );
    problems.push(Problem::new(path, message));
}

/// The encoder inside the process answers to its own name at the same endpoint.
pub(super) fn tell_from_encoder(loaded: &Loaded, encoder: &str, problems: &mut Vec<Problem>) {
    for (position, name) in loaded.config.embeddings.iter().enumerate() {
        if name.as_str() == encoder {
            let message = format!(
                "the encoder inside the process is called \"{name}\" as well; give the model another name under `models`, and this one as its `name`"
            );
            problems.push(Problem::new(format!("embeddings[{position}]"), message));
        }
    }
}
