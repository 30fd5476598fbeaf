//! The index of runs that may hold open faults: `open/RUN` in the state directory names the run's folder.
//! Written before the first fault, removed when the run ended healed; what `run`, `status` and `recover` look at.

use super::{JournalError, writer};
use crate::model::RunId;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The index in one state directory.
#[derive(Debug, Clone)]
pub struct Index {
    open: PathBuf,
}

/// A run that may hold open faults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
}

/// The state directory: `$BLACKSTART_STATE_DIR`, else `/var/lib/blackstart` for root, else
/// `$XDG_STATE_HOME/blackstart`, else `~/.local/state/blackstart`. `variable` looks an environment variable up.
/// `None` if the user has neither of them nor a home.
#[must_use]
pub fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(stated) = path("BLACKSTART_STATE_DIR") {
        return Some(stated);
    }
    if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        return Some(PathBuf::from("/var/lib/blackstart"));
    }
    let state = path("XDG_STATE_HOME").or_else(|| path("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("blackstart"))
}

impl Index {
    /// The index below `state_dir`, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(state_dir: &Path) -> Result<Self, JournalError> {
        let open = state_dir.join("open");
        fs::create_dir_all(&open).map_err(JournalError::io("create", &open))?;
        Ok(Self { open })
    }

    /// The index below `state_dir` as it is, perhaps not there at all; nothing is made.
    #[must_use]
    pub fn at(state_dir: &Path) -> Self {
        Self { open: state_dir.join("open") }
    }

    /// Notes that a run may hold open faults from now on; durable when it returns.
    ///
    /// # Errors
    /// If it cannot be written or synced: then nothing may be injected.
    pub fn add(&self, run: &RunId, dir: &Path) -> Result<(), JournalError> {
        let dir = fs::canonicalize(dir).map_err(JournalError::io("resolve", dir))?;
        let path = self.path(run);
        let draft = self.open.join(format!(".{}", file_name(run)));
        let mut file = File::create(&draft).map_err(JournalError::io("create", &draft))?;
        file.write_all(dir.as_os_str().as_bytes()).map_err(JournalError::io("write", &draft))?;
        file.sync_all().map_err(JournalError::io("sync", &draft))?;
        fs::rename(&draft, &path).map_err(JournalError::io("rename", &draft))?;
        writer::sync_dir(&self.open)
    }

    /// Notes that a run holds no open fault any more. Removing it twice is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, run: &RunId) -> Result<(), JournalError> {
        let path = self.path(run);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(JournalError::io("remove", &path)(error)),
            _ => writer::sync_dir(&self.open),
        }
    }

    /// All runs that may hold open faults, oldest first.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn list(&self) -> Result<Vec<OpenRun>, JournalError> {
        let entries = match fs::read_dir(&self.open) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(JournalError::io("list", &self.open))?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(JournalError::io("list", &self.open))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            let dir = fs::read(&path).map_err(JournalError::io("read", &path))?;
            runs.push(OpenRun { run: RunId(name), dir: PathBuf::from(OsString::from_vec(dir)) });
        }
        runs.sort();
        Ok(runs)
    }

    fn path(&self, run: &RunId) -> PathBuf {
        self.open.join(file_name(run))
    }
}

/// A run's id is safe as a name by construction; this holds even for one that a damaged journal made up.
fn file_name(run: &RunId) -> String {
    run.as_str().replace(['/', '\0'], "_").trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_listed_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("state")).unwrap();
        let (a, b) = (RunId::from("20261120T120000Z-a"), RunId::from("20261120T110000Z-b"));
        index.add(&a, dir.path()).unwrap();
        index.add(&b, dir.path()).unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let runs = index.list().unwrap();
        assert_eq!(runs, [OpenRun { run: b.clone(), dir: dir.clone() }, OpenRun { run: a.clone(), dir }]);
        index.remove(&a).unwrap();
        index.remove(&a).unwrap();
        assert_eq!(index.list().unwrap().len(), 1);
        index.remove(&b).unwrap();
        assert!(index.list().unwrap().is_empty());
    }

    #[test]
    fn the_stated_directory_comes_first() {
        let stated = |name: &str| (name == "BLACKSTART_STATE_DIR").then(|| OsString::from("/srv/state"));
        assert_eq!(directory(stated), Some(PathBuf::from("/srv/state")));
    }
}
