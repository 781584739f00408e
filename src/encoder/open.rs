//! From the operator's choice to a running encoder: finds the files, checks them, picks the device.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use super::manifest::{
    CONFIG_FILE, MANIFEST_FILE, Manifest, Pooling, TOKENISER_FILE, WEIGHTS_FILE, sha256,
};
use super::model::Bert;
use super::published::{Config, Published, read};
use super::{DevicePreference, Encoder, Error, HubModel, Kernel, ModelSource, Settings, Window};

/// Opens an encoder and encodes once, so that the first prompt finds everything warm.
pub fn open(settings: Settings) -> Result<Arc<dyn Encoder>, Error> {
    let encoder = load(files_of(settings.model)?, settings.device, settings.kernel)?;
    let warm = Window {
        tokens: encoder.tokenise("ready")?,
    };
    encoder.encode(&[warm])?;
    Ok(Arc::new(encoder))
}

/// The files of a model.
pub(super) fn files_of(model: ModelSource) -> Result<Files, Error> {
    match model {
        ModelSource::Embedded => embedded(),
        ModelSource::Path(folder) => Files::read(&folder),
        ModelSource::Hub(hub) => fetched(&hub),
    }
}

/// Loads files onto the device that is preferred.
pub(super) fn load(
    files: Files,
    preference: DevicePreference,
    kernel: Option<Kernel>,
) -> Result<Bert, Error> {
    Bert::load(files, device(preference)?, kernel)
}

/// A model's files, found and checked.
pub(super) struct Files {
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) pooling: Pooling,
    pub(super) window_tokens: usize,
    pub(super) tokeniser_path: PathBuf,
    pub(super) tokeniser: Cow<'static, [u8]>,
    pub(super) weights_path: PathBuf,
    pub(super) weights: Cow<'static, [u8]>,
    pub(super) digest: String,
}

impl Files {
    /// Reads a folder, by its manifest if it has one.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let manifest_path = folder.join(MANIFEST_FILE);
        match read(&manifest_path) {
            Ok(bytes) => {
                let manifest = Manifest::parse(&manifest_path, &bytes)?;
                let checked = |name: &str| {
                    let path = folder.join(name);
                    let bytes = read(&path)?;
                    manifest.check(name, &path, &bytes)?;
                    Ok(Cow::Owned(bytes))
                };
                let config = checked(CONFIG_FILE)?;
                let contents = Contents {
                    config,
                    tokeniser: checked(TOKENISER_FILE)?,
                    weights: checked(WEIGHTS_FILE)?,
                };
                Self::described(folder, &manifest, contents)
            }
            Err(Error::Missing { .. }) => Self::published(folder, name_of(folder)),
            Err(problem) => Err(problem),
        }
    }

    /// Takes files that a manifest describes and whose digests are right.
    fn described(folder: &Path, manifest: &Manifest, contents: Contents) -> Result<Self, Error> {
        let manifest_path = folder.join(MANIFEST_FILE);
        let config = Config::parse(&folder.join(CONFIG_FILE), &contents.config)?;
        config.check_window(&manifest_path, manifest.window_tokens)?;
        if config.hidden_size != manifest.dimensions {
            return Err(Error::Unsupported {
                path: manifest_path,
                detail: format!(
                    "it says {} dimensions and {CONFIG_FILE} says {}",
                    manifest.dimensions, config.hidden_size
                ),
            });
        }
        let digest = manifest
            .files
            .get(WEIGHTS_FILE)
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            name: manifest.name.clone(),
            config,
            pooling: manifest.pooling,
            window_tokens: manifest.window_tokens,
            tokeniser_path: folder.join(TOKENISER_FILE),
            tokeniser: contents.tokeniser,
            weights_path: folder.join(WEIGHTS_FILE),
            weights: contents.weights,
            digest,
        })
    }

    /// Reads a folder as the Hub keeps it.
    pub(super) fn published(folder: &Path, name: String) -> Result<Self, Error> {
        let published = Published::read(folder)?;
        let tokeniser_path = folder.join(TOKENISER_FILE);
        let weights_path = folder.join(WEIGHTS_FILE);
        let weights = read(&weights_path)?;
        Ok(Self {
            name,
            config: published.config,
            pooling: published.pooling,
            window_tokens: published.window_tokens,
            tokeniser: Cow::Owned(read(&tokeniser_path)?),
            tokeniser_path,
            digest: sha256(&weights),
            weights_path,
            weights: Cow::Owned(weights),
        })
    }
}

struct Contents {
    config: Cow<'static, [u8]>,
    tokeniser: Cow<'static, [u8]>,
    weights: Cow<'static, [u8]>,
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The model compiled in. Its digests are not computed again at every start: a test of this
/// repository holds them against the files, and the binary is one piece.
#[cfg(feature = "embedded-model")]
fn embedded() -> Result<Files, Error> {
    let folder = Path::new("embedded");
    let manifest = embedded_manifest()?;
    let contents = Contents {
        config: Cow::Borrowed(include_bytes!("../../models/all-MiniLM-L6-v2/config.json")),
        tokeniser: Cow::Borrowed(include_bytes!(
            "../../models/all-MiniLM-L6-v2/tokenizer.json"
        )),
        weights: Cow::Borrowed(include_bytes!(
            "../../models/all-MiniLM-L6-v2/model.safetensors"
        )),
    };
    Files::described(folder, &manifest, contents)
}

#[cfg(feature = "embedded-model")]
pub(super) fn embedded_manifest() -> Result<Manifest, Error> {
    const MANIFEST: &[u8] = include_bytes!("../../models/all-MiniLM-L6-v2/manifest.json");
    Manifest::parse(&Path::new("embedded").join(MANIFEST_FILE), MANIFEST)
}

#[cfg(not(feature = "embedded-model"))]
fn embedded() -> Result<Files, Error> {
    Err(not_compiled_in())
}

#[cfg(not(feature = "embedded-model"))]
pub(super) fn embedded_manifest() -> Result<Manifest, Error> {
    Err(not_compiled_in())
}

#[cfg(not(feature = "embedded-model"))]
fn not_compiled_in() -> Error {
    Error::NotCompiledIn {
        wanted: "encoder.model `embedded`".to_owned(),
        feature: "embedded-model",
    }
}

#[cfg(feature = "hub")]
fn fetched(model: &HubModel) -> Result<Files, Error> {
    let folder = super::hub::fetch(model)?;
    Files::published(&folder, model.repository.clone())
}

#[cfg(not(feature = "hub"))]
fn fetched(model: &HubModel) -> Result<Files, Error> {
    Err(Error::NotCompiledIn {
        wanted: format!("encoder.model `hf:{}`", model.repository),
        feature: "hub",
    })
}

fn device(preference: DevicePreference) -> Result<Device, Error> {
    match preference {
        DevicePreference::Cpu => Ok(Device::Cpu),
        DevicePreference::Cuda(number) => cuda(number),
        DevicePreference::Metal => metal(),
        // What is compiled in but not there is no error here: the operator left the choice open.
        DevicePreference::Auto => Ok(cuda(0).or_else(|_| metal()).unwrap_or(Device::Cpu)),
    }
}

fn cuda(number: usize) -> Result<Device, Error> {
    if !cfg!(feature = "cuda") {
        return Err(Error::NotCompiledIn {
            wanted: format!("encoder.device `cuda:{number}`"),
            feature: "cuda",
        });
    }
    Device::new_cuda(number).map_err(|problem| Error::Device {
        device: format!("cuda:{number}"),
        detail: problem.to_string(),
    })
}

fn metal() -> Result<Device, Error> {
    if !cfg!(feature = "metal") {
        return Err(Error::NotCompiledIn {
            wanted: "encoder.device `metal`".to_owned(),
            feature: "metal",
        });
    }
    Device::new_metal(0).map_err(|problem| Error::Device {
        device: "metal".to_owned(),
        detail: problem.to_string(),
    })
}
