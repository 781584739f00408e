//! Notices that a folder has other centroids in force.
//!
//! It looks at the names, times and lengths of two small files, so looking each second costs nothing.
//! It polls because that works on every file system that people mount into a container, where
//! notifications do not.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::centroids::CentroidSet;
use crate::centroids::format::MANIFEST_FILE;
use crate::config::artefacts::{EMBEDDED_NAME, Fitting, read_artefact};
use crate::config::intents::Watch as Setting;
use crate::config::load::Loaded;
use crate::store::versions::Versions;

/// Looks at one folder again and again.
pub struct Watch {
    folder: PathBuf,
    fitting: Fitting,
    interval: Duration,
    seen: Seen,
}

/// Centroids that came into force since the last look.
pub struct Found {
    /// What operators call them.
    pub version: String,
    /// They, or why they cannot be used.
    pub centroids: Result<CentroidSet, String>,
}

/// What a look sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    version: Option<String>,
    manifest: Option<(SystemTime, u64)>,
}

impl Watch {
    /// `None` where there is nothing to watch, or nobody wants to.
    pub fn of(loaded: &Loaded, fitting: Fitting) -> Option<Self> {
        let intents = &loaded.config.intents;
        let Setting::Every(interval) = intents.watch else {
            return None;
        };
        if intents.centroids == EMBEDDED_NAME {
            return None;
        }
        let folder = loaded.folder.join(&intents.centroids);
        Some(Self {
            seen: look_at(&folder),
            folder,
            fitting,
            interval: interval.get(),
        })
    }

    /// How long to wait between two looks.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Centroids that came into force since the last look. Those that cannot be used are told once.
    pub fn look(&mut self) -> Option<Found> {
        let now = look_at(&self.folder);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        let current = Versions::of(&self.folder)
            .current_folder()
            .map_err(|error| error.to_string());
        let centroids = current.and_then(|folder| read_artefact(&folder, &self.fitting));
        let name = self
            .folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        Some(Found {
            version: match &self.seen.version {
                Some(version) => format!("{name}/{version}"),
                None => name.into_owned(),
            },
            centroids,
        })
    }
}

/// What cannot be read is seen as not there: the next look may find it.
fn look_at(folder: &Path) -> Seen {
    let versions = Versions::of(folder);
    let manifest = versions.current_folder().ok().and_then(|current| {
        let about = std::fs::metadata(current.join(MANIFEST_FILE)).ok()?;
        Some((about.modified().ok()?, about.len()))
    });
    Seen {
        version: versions.current_name().ok().flatten(),
        manifest,
    }
}
