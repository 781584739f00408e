//! Fetches a model from the Hugging Face Hub into the Hub's own cache, which other programs share.

use std::path::PathBuf;

use hf_hub::repository::RepoTypeModel;
use hf_hub::{HFClientBuilder, HFError, HFRepositorySync};

use super::manifest::{CONFIG_FILE, TOKENISER_FILE, WEIGHTS_FILE};
use super::published::{POOLING_FILE, WINDOW_FILE};
use super::{Error, HubModel};

/// The Hub itself. Always given, so that nothing below reads it from the environment.
const ENDPOINT: &str = "https://huggingface.co";

/// Where a revision is not named.
const REVISION: &str = "main";

/// Fetches what is not in the cache yet; gives the folder.
pub(super) fn fetch(model: &HubModel) -> Result<PathBuf, Error> {
    let problem = |problem: HFError| failed(model, &problem);
    let mut builder =
        HFClientBuilder::new().endpoint(model.endpoint.as_deref().unwrap_or(ENDPOINT));
    if let Some(token) = &model.token {
        builder = builder.token(token);
    }
    if let Some(cache) = &model.cache {
        builder = builder.cache_dir(cache);
    }
    let client = builder.build_sync().map_err(problem)?;
    let (owner, name) = hf_hub::split_id(&model.repository);
    let repository = client.model(owner, name);
    for file in [POOLING_FILE, WINDOW_FILE] {
        match fetch_file(&repository, model, file) {
            // Not every model has these; without them its defaults hold.
            Ok(_) | Err(HFError::EntryNotFound { .. } | HFError::LocalEntryNotFound { .. }) => {}
            Err(other) => return Err(problem(other)),
        }
    }
    for file in [TOKENISER_FILE, WEIGHTS_FILE] {
        fetch_file(&repository, model, file).map_err(problem)?;
    }
    let config = fetch_file(&repository, model, CONFIG_FILE).map_err(problem)?;
    let folder = config.parent().map(PathBuf::from);
    folder.ok_or_else(|| {
        failed(
            model,
            &HFError::Other("the cache has no folder for it".to_owned()),
        )
    })
}

fn fetch_file(
    repository: &HFRepositorySync<RepoTypeModel>,
    model: &HubModel,
    file: &str,
) -> Result<PathBuf, HFError> {
    repository
        .download_file()
        .filename(file)
        .revision(model.revision.as_deref().unwrap_or(REVISION))
        .local_files_only(model.offline)
        .send()
}

fn failed(model: &HubModel, problem: &HFError) -> Error {
    let hint = if model.offline {
        "; it may not be in the cache, and offline is set"
    } else {
        ""
    };
    Error::Hub {
        repository: model.repository.clone(),
        detail: format!("{problem}{hint}"),
    }
}
