//! A file whose bytes are replaced, with the original in the vault: kept, replaced, put back with owner, mode and times.

use super::{Cx, FaultError, Look, word};
use crate::adapters::{AdapterError, FileState};
use crate::model::TargetRef;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A file, how it was, and where its bytes are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Swap {
    /// Where it is.
    pub path: PathBuf,
    /// How it was.
    pub before: FileState,
    /// Its name in the vault.
    pub name: String,
    /// Where the vault keeps it, for people.
    pub kept: PathBuf,
}

impl Swap {
    /// Keeps the bytes of a target of kind `file`.
    pub(super) async fn of_target(target: &TargetRef, name: &str, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let found = cx.scope.target(target).await.map_err(FaultError::NothingToBreak)?;
        let path = found.fields.get("path").ok_or_else(|| {
            FaultError::Reference(format!("`{}` is of kind {}, not a file", target.name(), found.kind))
        })?;
        Self::of(Path::new(path), name, cx)
    }

    /// Keeps the bytes of a file. Nothing of it is changed.
    pub(super) fn of(path: &Path, name: &str, cx: &Cx<'_>) -> Result<Self, FaultError> {
        let missing = || FaultError::NothingToBreak(format!("{} is not there", path.display()));
        let before = cx.world.files.look(path)?.ok_or_else(missing)?;
        let digest = cx.scope.vault().keep(&cx.owner, name, path)?;
        if digest != before.digest {
            let why = format!("{} changed while it was read", path.display());
            return Err(AdapterError::Refused(why).into());
        }
        let kept = cx.scope.vault().kept(&cx.owner, name).unwrap_or_default();
        Ok(Self { path: path.to_path_buf(), before, name: name.to_owned(), kept })
    }

    /// Is it what it was, to the byte?
    pub(super) fn is_as_before(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        Ok(cx.world.files.look(&self.path)?.is_some_and(|now| now.digest == self.before.digest))
    }

    /// Other bytes, with the same owner and mode, and the time of now.
    pub(super) fn replace(&self, bytes: &[u8], cx: &Cx<'_>) -> Result<(), FaultError> {
        let wall = cx.world.clock.stamp().wall;
        let changed = (wall.timestamp(), i64::from(wall.timestamp_subsec_nanos()));
        cx.world.files.put(&self.path, bytes, &FileState { changed, ..self.before.clone() })?;
        Ok(())
    }

    /// Puts it back. Says whether it had to.
    pub(super) fn put_back(&self, cx: &Cx<'_>) -> Result<Had, FaultError> {
        if cx.world.files.look(&self.path)?.as_ref() == Some(&self.before) {
            return Ok(Had::Nothing);
        }
        let kept = cx.scope.vault().kept(&cx.owner, &self.name).ok_or_else(|| {
            AdapterError::Missing(format!("what {} was is not in the vault any more", self.path.display()))
        })?;
        let bytes = cx.world.files.read(&kept)?;
        cx.world.files.put(&self.path, &bytes, &self.before)?;
        Ok(Had::Changed)
    }

    /// Bytes, owner, mode and time, compared with before.
    pub(super) fn is_back(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let path = self.path.display();
        Ok(match cx.world.files.look(&self.path)? {
            Some(now) if now == self.before => Look { holds: true, detail: format!("{path} is what it was") },
            Some(now) if now.digest == self.before.digest => {
                Look { holds: false, detail: format!("{path} has its bytes, and not its owner, mode or time") }
            }
            Some(_) => Look { holds: false, detail: format!("{path} is not what it was") },
            None => Look { holds: false, detail: format!("{path} is gone") },
        })
    }

    /// The command that puts it back.
    pub(super) fn by_hand(&self) -> String {
        let (user, group) = self.before.owner;
        let (from, to) = (word(&self.kept.to_string_lossy()), word(&self.path.to_string_lossy()));
        format!("install -m {:o} -o {user} -g {group} {from} {to}", self.before.mode)
    }
}

/// Was there anything to put back?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Had {
    /// It was as before.
    Nothing,
    /// It was changed.
    Changed,
}
