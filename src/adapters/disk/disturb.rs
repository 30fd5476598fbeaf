//! What is asked of a pass-through file system of ours: how operations are delayed or made to fail. It is told by an
//! extended attribute of the mount's root, one per owner, so whoever can reach the directory can look and switch.

use super::{AdapterError, failed};
use crate::model::Dur;
use rustix::fs::XattrFlags;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How the attribute's name begins; the owner's tag follows.
pub const ATTRIBUTE: &str = "user.blackstart.";
/// How the name of what is mounted begins; the owner's tag follows.
pub const SOURCE: &str = "blackstart#";

/// The tag (or other word) of a mount, if it is a pass-through mount of ours.
#[must_use]
pub fn of_ours(mount: &super::Mount) -> Option<&str> {
    mount.source.strip_prefix(SOURCE).filter(|_| mount.kind == "fuse" || mount.kind.starts_with("fuse."))
}

/// Operations on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Reading from a file, as far as the page cache does not.
    Read,
    /// Writing to a file.
    Write,
    /// Syncing a file or directory.
    Fsync,
    /// Opening or creating a file.
    Open,
    /// Names and attributes: listing, renaming, removing, changing modes.
    Metadata,
}

/// The error that an operation ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum IoError {
    /// Input/output error: the device fails.
    EIO,
    /// No space left on device.
    ENOSPC,
    /// Read-only file system.
    EROFS,
}

impl IoError {
    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        let error = match self {
            Self::EIO => rustix::io::Errno::IO,
            Self::ENOSPC => rustix::io::Errno::NOSPC,
            Self::EROFS => rustix::io::Errno::ROFS,
        };
        error.raw_os_error()
    }
}

/// A disturbance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disturb {
    /// Which operations.
    pub operations: Vec<Operation>,
    /// Added to each.
    pub delay: Dur,
    /// The delay varies by up to this, both ways.
    pub jitter: Dur,
    /// What they end with.
    pub error: Option<IoError>,
    /// Which part of them is disturbed, between 0 and 1.
    pub share: f64,
    /// It ends by itself after this.
    pub limit: Dur,
    /// How many operations it has disturbed; told, not asked.
    #[serde(default)]
    pub hits: u64,
}

fn name(tag: &str) -> String {
    format!("{ATTRIBUTE}{tag}")
}

/// Sets, or with none takes away, the disturbance of a tag.
pub(super) fn set(root: &Path, tag: &str, disturb: Option<&Disturb>) -> Result<(), AdapterError> {
    let done = match disturb {
        Some(disturb) => {
            let text = serde_json::to_vec(disturb).unwrap_or_default();
            rustix::fs::setxattr(root, name(tag), &text, XattrFlags::empty())
        }
        None => match rustix::fs::removexattr(root, name(tag)) {
            Err(rustix::io::Errno::NODATA) => Ok(()),
            other => other,
        },
    };
    done.map_err(|e| failed("switch the disturbance of", root, &e.into()))
}

/// The disturbance of a tag that is in force.
pub(super) fn get(root: &Path, tag: &str) -> Result<Option<Disturb>, AdapterError> {
    let mut text = vec![0; 16 * 1024];
    match rustix::fs::getxattr(root, name(tag), &mut text[..]) {
        Ok(length) => said(root, &text[..length]).map(Some),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(failed("look at the disturbance of", root, &e.into())),
    }
}

/// What cannot be read is in force nevertheless.
fn said(root: &Path, text: &[u8]) -> Result<Disturb, AdapterError> {
    serde_json::from_slice(text).map_err(|e| failed("understand the disturbance of", root, &e.into()))
}

/// The tags of all disturbances that are in force.
pub(super) fn tags(root: &Path) -> Result<Vec<String>, AdapterError> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::listxattr(root, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(e) => return Err(failed("list the disturbances of", root, &e.into())),
    };
    let all = String::from_utf8_lossy(&names[..length]).into_owned();
    Ok(all.split('\0').filter_map(|name| name.strip_prefix(ATTRIBUTE)).map(str::to_owned).collect())
}

/// Takes a mount away from the tree; what has files open there keeps them. With `fusermount3` where we may not ourselves.
pub(super) fn detach(point: &Path) -> Result<(), AdapterError> {
    use nix::mount::{MntFlags, umount2};
    match umount2(point, MntFlags::MNT_DETACH) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EPERM) => {
            let ran = std::process::Command::new("fusermount3").arg("-uz").arg(point).output();
            match ran {
                Ok(output) if output.status.success() => Ok(()),
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                    Err(AdapterError::Refused(format!("cannot unmount {}: {said}", point.display())))
                }
                Err(e) => Err(failed("run fusermount3 for", point, &e)),
            }
        }
        Err(e) => Err(failed("unmount", point, &e.into())),
    }
}

/// Syncs a directory: an operation that changes nothing and goes all the way. None if it worked.
pub(super) fn sync_folder(folder: &Path) -> Result<Option<i32>, AdapterError> {
    let open = std::fs::File::open(folder).map_err(|e| failed("open", folder, &e))?;
    Ok(open.sync_all().err().map(|e| e.raw_os_error().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_understood_is_not_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let set = |text: &[u8]| rustix::fs::setxattr(folder.path(), name("t1"), text, XattrFlags::empty());
        assert!(get(folder.path(), "t1").unwrap().is_none());
        set(b"{\"of another version\": 1}").unwrap();
        assert!(matches!(get(folder.path(), "t1"), Err(e) if e.to_string().contains("understand")));
        assert_eq!(tags(folder.path()).unwrap(), ["t1"]);
        assert!(tags(&folder.path().join("nowhere")).is_err());
    }
}
