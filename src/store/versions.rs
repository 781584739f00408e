//! The folder of a set of centroids: one artefact, or versions of it of which one is in force.
//!
//! ```text
//! centroids/support/CURRENT                    0002-5b1f…   names the version in force
//! centroids/support/versions/0001-9c04…/       manifest.json, vectors.safetensors, …
//! centroids/support/versions/0002-5b1f…/
//! centroids/support/history.jsonl              who was put in force, when, by which command
//! ```
//!
//! A version is written beside the others and renamed into place when it is whole; putting one in
//! force renames one small file. Each step leaves a folder that can be read, so a crash at any point
//! leaves the old version in force or the new one and never half of either. A folder that holds an
//! artefact and no versions is its own only version until another is added.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::centroids::format::{MANIFEST_FILE, VECTORS_FILE};
use crate::centroids::rows::ROWS_FILE;
use crate::centroids::static_part::{STATIC_MANIFEST_FILE, STATIC_VECTORS_FILE};

/// The file that names the version in force.
pub const CURRENT_FILE: &str = "CURRENT";

/// The folder of all versions.
const VERSIONS_FOLDER: &str = "versions";

/// What happened, a line each.
const HISTORY_FILE: &str = "history.jsonl";

/// Locked by whoever changes anything. The operating system lets go of it when that process ends, however
/// it ends; the file stays.
const LOCK_FILE: &str = "LOCK";

/// The version that an artefact becomes which lay in the folder itself. Its digest is not known here, and
/// a name needs only to be its own.
const FIRST_NAME: &str = "0001-first";

/// What an artefact may consist of; whatever else lies in the folder is its owner's.
const ARTEFACT_FILES: [&str; 6] = [
    MANIFEST_FILE,
    VECTORS_FILE,
    STATIC_MANIFEST_FILE,
    STATIC_VECTORS_FILE,
    ROWS_FILE,
    COMPARISON_FILE,
];

/// How a version did against the one before it; beside its artefact, where it was compared.
pub const COMPARISON_FILE: &str = "comparison.json";

/// What a version is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its folder's name: a number and the beginning of its digest.
    pub name: String,
    /// Where its artefact lies.
    pub folder: PathBuf,
    /// Whether it is in force.
    pub is_current: bool,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, RFC 3339, UTC.
    pub time: String,
    /// What was done.
    pub what: What,
    /// The version in force before.
    pub from: String,
    /// The version in force since.
    pub to: String,
}

/// How a version came into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was chosen.
    Promote,
    /// The one after it was taken back.
    Rollback,
}

/// Why versions cannot be read or changed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk says no.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to begin with.
    #[error(
        "{path} holds no centroids: give a folder that `semroute train LABELS --out FOLDER` wrote"
    )]
    Nothing {
        /// The folder.
        path: String,
    },
    /// Somebody else is at it.
    #[error("{path} is locked: another command is changing these centroids; wait for it")]
    Locked {
        /// The lock.
        path: String,
    },
    /// No version is called so.
    #[error("there is no version {wanted:?} in {path}; there is {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The folder.
        path: String,
        /// What there is.
        known: String,
    },
    /// There is nothing to go back to.
    #[error(
        "no version was in force before this one in {path}: `semroute versions` lists what there is"
    )]
    NothingBefore {
        /// The folder.
        path: String,
    },
}

/// The versions of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    folder: PathBuf,
}

impl Versions {
    /// The versions in a folder.
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The name of the version in force; none, if the folder is an artefact itself.
    pub fn current_name(&self) -> Result<Option<String>, Error> {
        let path = self.folder.join(CURRENT_FILE);
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(at(&path)(source)),
        }
    }

    /// Where the artefact in force lies.
    pub fn current_folder(&self) -> Result<PathBuf, Error> {
        Ok(match self.current_name()? {
            Some(name) => self.folder.join(VERSIONS_FOLDER).join(name),
            None => self.folder.clone(),
        })
    }

    /// Every version, the oldest first; none, if the folder is an artefact itself.
    pub fn list(&self) -> Result<Vec<Version>, Error> {
        let current = self.current_name()?;
        let folder = self.folder.join(VERSIONS_FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(at(&folder)(source)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let path = entry.map_err(at(&folder))?.path();
            let name = path
                .file_name()
                .map(|it| it.to_string_lossy().into_owned())
                .unwrap_or_default();
            if number_of(&name).is_some() {
                versions.push(Version {
                    is_current: current.as_ref() == Some(&name),
                    folder: path,
                    name,
                });
            }
        }
        versions.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(versions)
    }

    /// The version that is meant by a number, the beginning of a digest, or a whole name; the newest,
    /// if nothing is said.
    pub fn find(&self, wanted: Option<&str>) -> Result<Version, Error> {
        let versions = self.list()?;
        let is_meant = |version: &Version| match (wanted, number_of(&version.name)) {
            (None, _) => true,
            (Some(wanted), Some((number, digest))) => {
                version.name == wanted
                    || wanted.parse() == Ok(number)
                    || (4 <= wanted.len() && digest.starts_with(wanted))
            }
            (Some(_), None) => false,
        };
        versions
            .iter()
            .rfind(|it| is_meant(it))
            .cloned()
            .ok_or_else(|| {
                if versions.is_empty() {
                    return Error::Nothing {
                        path: self.folder.display().to_string(),
                    };
                }
                let known: Vec<&str> = versions.iter().map(|it| it.name.as_str()).collect();
                Error::Unknown {
                    wanted: wanted.unwrap_or_default().to_owned(),
                    path: self.folder.display().to_string(),
                    known: known.join(", "),
                }
            })
    }

    /// Adds a version, whole or not at all. It is not in force, unless it is the first.
    pub fn add(&self, digest: &str, files: &[(&str, &[u8])]) -> Result<Version, Error> {
        let versions = self.folder.join(VERSIONS_FOLDER);
        fs::create_dir_all(&versions).map_err(at(&versions))?;
        let _lock = self.lock()?;
        self.adopt_flat()?;
        let name = self.next_name(digest)?;
        let unfinished = versions.join(format!(".{name}"));
        // What a killed command left is of no use.
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        fs::create_dir(&unfinished).map_err(at(&unfinished))?;
        for (file, bytes) in files {
            let path = unfinished.join(file);
            write_synced(&path, bytes).map_err(at(&path))?;
        }
        let folder = versions.join(&name);
        sync_folder(&unfinished).map_err(at(&unfinished))?;
        fs::rename(&unfinished, &folder).map_err(at(&folder))?;
        sync_folder(&versions).map_err(at(&versions))?;
        let is_current = self.current_name()?.is_none();
        if is_current {
            self.point_to(&name)?;
        }
        Ok(Version {
            name,
            folder,
            is_current,
        })
    }

    /// Puts a version in force.
    pub fn promote(&self, version: &Version, time: String) -> Result<Change, Error> {
        let _lock = self.lock()?;
        let from = self.current_name()?.unwrap_or_default();
        self.change(What::Promote, from, version.name.clone(), time)
    }

    /// Puts the version in force that was so before; again, the one before that.
    pub fn rollback(&self, time: String) -> Result<Change, Error> {
        let _lock = self.lock()?;
        let nothing_before = || Error::NothingBefore {
            path: self.folder.display().to_string(),
        };
        let mut stack = Vec::new();
        for change in self.history()? {
            if stack.is_empty() {
                stack.push(change.from.clone());
            }
            match change.what {
                What::Promote => stack.push(change.to),
                What::Rollback => {
                    stack.pop();
                }
            }
        }
        // A change that was noted and then not made leaves a name on top that is not in force.
        let current = self.current_name()?;
        while stack
            .last()
            .is_some_and(|name| Some(name) != current.as_ref())
        {
            stack.pop();
        }
        let from = stack.pop().ok_or_else(nothing_before)?;
        let to = stack.pop().ok_or_else(nothing_before)?;
        self.change(What::Rollback, from, to, time)
    }

    /// Everything that was put in force, the oldest first.
    pub fn history(&self) -> Result<Vec<Change>, Error> {
        let path = self.folder.join(HISTORY_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(at(&path)(source)),
        };
        // A line that a crash tore is of a change that was not made.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines.collect())
    }

    fn change(&self, what: What, from: String, to: String, time: String) -> Result<Change, Error> {
        let change = Change {
            time,
            what,
            from,
            to,
        };
        let path = self.folder.join(HISTORY_FILE);
        let line = serde_json::to_string(&change).map_err(|error| at(&path)(error.into()))?;
        // Noted first: of a change that is noted and not made, rolling back knows what was in force.
        let mut history = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        // On a line of its own, even after one that a crash tore.
        let torn = fs::read(&path).map_err(at(&path))?;
        let start = if torn.last().is_none_or(|byte| *byte == b'\n') {
            ""
        } else {
            "\n"
        };
        writeln!(history, "{start}{line}").map_err(at(&path))?;
        history.sync_all().map_err(at(&path))?;
        self.point_to(&change.to)?;
        Ok(change)
    }

    /// Makes an artefact that lies in the folder itself the first version. Its files go last: until
    /// `CURRENT` is there, they are what a reader finds.
    fn adopt_flat(&self) -> Result<(), Error> {
        if self.current_name()?.is_some() || !self.folder.join(MANIFEST_FILE).exists() {
            return Ok(());
        }
        let flat: Vec<PathBuf> = ARTEFACT_FILES
            .iter()
            .map(|name| self.folder.join(name))
            .filter(|path| path.is_file())
            .collect();
        let versions = self.folder.join(VERSIONS_FOLDER);
        let folder = versions.join(FIRST_NAME);
        // It may have been copied, and the command killed before it said so.
        if !folder.exists() {
            let unfinished = versions.join(format!(".{FIRST_NAME}"));
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
            }
            fs::create_dir(&unfinished).map_err(at(&unfinished))?;
            for path in &flat {
                if let Some(file) = path.file_name() {
                    let bytes = fs::read(path).map_err(at(path))?;
                    let to = unfinished.join(file);
                    write_synced(&to, &bytes).map_err(at(&to))?;
                }
            }
            sync_folder(&unfinished).map_err(at(&unfinished))?;
            fs::rename(&unfinished, &folder).map_err(at(&folder))?;
            sync_folder(&versions).map_err(at(&versions))?;
        }
        self.point_to(FIRST_NAME)?;
        for path in flat {
            fs::remove_file(&path).map_err(at(&path))?;
        }
        Ok(())
    }

    fn next_name(&self, digest: &str) -> Result<String, Error> {
        let versions = self.list()?;
        let last = versions
            .iter()
            .filter_map(|it| number_of(&it.name))
            .map(|it| it.0);
        let start: String = digest.chars().take(12).collect();
        Ok(format!("{:04}-{start}", last.max().unwrap_or(0) + 1))
    }

    /// Names the version in force by renaming a file over the one that did.
    fn point_to(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(CURRENT_FILE);
        let unfinished = self.folder.join(format!(".{CURRENT_FILE}"));
        write_synced(&unfinished, format!("{name}\n").as_bytes()).map_err(at(&unfinished))?;
        fs::rename(&unfinished, &path).map_err(at(&path))?;
        sync_folder(&self.folder).map_err(at(&self.folder))
    }

    fn lock(&self) -> Result<Lock, Error> {
        let path = self.folder.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked {
                path: path.display().to_string(),
            }),
            Err(TryLockError::Error(source)) => Err(at(&path)(source)),
        }
    }
}

/// The lock, given back when it goes.
struct Lock {
    _file: File,
}

/// The number and the digest that a version's name is made of.
fn number_of(name: &str) -> Option<(u64, &str)> {
    let (number, digest) = name.split_once('-')?;
    Some((number.parse().ok()?, digest))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename last: the name is part of the folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| Error::Io { path, source }
}

#[cfg(test)]
mod tests;
