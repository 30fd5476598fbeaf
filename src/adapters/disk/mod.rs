//! File systems and files of this machine: how full they are, a ballast that fills them, files that are put aside,
//! damaged and put back, mounts and their options. What any of it is for is not known here.

mod ballast;
pub mod disturb;
mod far;
mod files;
mod marks;
mod mounts;

use super::{AdapterError, Fut};
use disturb::Disturb;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub use files::{Facts, Form, Range, Remains};
pub use mounts::{Mount, mount_of, parse_mounts};

/// Who the space is for: a file system can keep a part of itself back for root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// What ordinary users can have.
    #[default]
    Users,
    /// All of it, with what is kept back for root.
    Root,
}

/// How full a file system is, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// What is taken.
    pub used: u64,
    /// What ordinary users can still have.
    pub free: u64,
    /// What root can still have; at least `free`.
    pub free_root: u64,
    /// The number that the file system calls itself by (`f_fsid`); stays over mounts for most kinds.
    pub fsid: u64,
    /// The device number; not the same after a reboot.
    pub device: u64,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// `ext4`, `tmpfs` …
    pub kind: String,
    /// The device or name that was mounted.
    pub source: String,
}

impl Space {
    /// What this reader can still have.
    #[must_use]
    pub fn free_for(&self, reader: Reader) -> u64 {
        match reader {
            Reader::Users => self.free,
            Reader::Root => self.free_root,
        }
    }

    /// How full it is for this reader, between 0 and 1, as `df` counts.
    #[must_use]
    pub fn share(&self, reader: Reader) -> f64 {
        let all = self.used + self.free_for(reader);
        if all == 0 { 1.0 } else { self.used as f64 / all as f64 }
    }

    /// Is it the same file system? Either number is enough: both change in different cases.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let named = self.fsid != 0 && self.fsid == other.fsid;
        self.kind == other.kind && (named || self.device == other.device || self.shares_device(other))
    }

    /// Two mounts (or subvolumes) of one block device.
    fn shares_device(&self, other: &Self) -> bool {
        self.source.starts_with('/') && self.source == other.source
    }

    /// Does it live in memory, so that it and all on it is gone with its mount?
    #[must_use]
    pub fn in_memory(&self) -> bool {
        ["tmpfs", "ramfs"].contains(&self.kind.as_str())
    }
}

/// How far a ballast is to fill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// Until this share is taken, between 0 and 1.
    Share(f64, Reader),
    /// Until so many bytes are left.
    Left(u64, Reader),
    /// So many bytes, however full it gets.
    Bytes(u64),
}

impl Goal {
    /// How many bytes are missing to it, with a ballast of `have` bytes already there.
    #[must_use]
    pub fn missing(&self, space: &Space, have: u64) -> u64 {
        match *self {
            Self::Share(share, reader) => {
                let all = space.used + space.free_for(reader);
                ((all as f64 * share).round() as u64).saturating_sub(space.used)
            }
            Self::Left(left, reader) => space.free_for(reader).saturating_sub(left),
            Self::Bytes(bytes) => bytes.saturating_sub(have),
        }
    }
}

fn missing() -> AdapterError {
    AdapterError::Missing("this world has no disks".to_owned())
}

fn none<'a, T: Send + 'a>() -> Fut<'a, Result<T, AdapterError>> {
    Box::pin(std::future::ready(Err(missing())))
}

/// File systems and files. A world without any need not say so.
pub trait Disks: Send + Sync {
    /// How full the file system is that holds this path.
    fn space<'a>(&'a self, path: &'a Path) -> Fut<'a, Result<Space, AdapterError>> {
        let _ = (path,);
        none()
    }
    /// Lets a file grow until the goal is reached, or until there is no more to have; its size then.
    fn fill<'a>(&'a self, ballast: &'a Path, goal: Goal) -> Fut<'a, Result<u64, AdapterError>> {
        let _ = (ballast, goal);
        none()
    }
    /// Removes a file also from a file system that is full; nothing to remove is fine.
    fn remove<'a>(&'a self, file: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (file,);
        none()
    }
    /// What a file is; `None` if there is none. Symbolic links are not followed.
    fn facts<'a>(&'a self, file: &'a Path) -> Fut<'a, Result<Option<Facts>, AdapterError>> {
        let _ = (file,);
        none()
    }
    /// Gives a file another name on the same file system; an existing one is never replaced.
    ///
    /// # Errors
    /// `Refused` if the new name is taken, `Missing` if the old one is not there.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (from, to);
        none()
    }
    /// Cuts a file off.
    fn truncate<'a>(&'a self, file: &'a Path, length: u64) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (file, length);
        none()
    }
    /// Writes ranges in place; what a range holds beyond the file's end is left out. The times stay as they are.
    fn write<'a>(&'a self, file: &'a Path, ranges: &'a [Range]) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (file, ranges);
        none()
    }
    /// Reads ranges; one beyond the file's end comes back shorter.
    fn read<'a>(&'a self, file: &'a Path, places: &'a [(u64, u64)]) -> Fut<'a, Result<Vec<Range>, AdapterError>> {
        let _ = (file, places);
        none()
    }
    /// How a file compares with what was kept of it.
    fn compare<'a>(&'a self, file: &'a Path, kept: &'a Path) -> Fut<'a, Result<Remains, AdapterError>> {
        let _ = (file, kept);
        none()
    }
    /// Writes what was kept into a file, in place if it is there, with owner, mode, attributes and times.
    fn put_back<'a>(&'a self, kept: &'a Path, file: &'a Path, facts: &'a Facts) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (kept, file, facts);
        none()
    }
    /// Copies a file with all that belongs to it; the copy must not exist yet.
    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (from, to);
        none()
    }
    /// The mounts of this process's namespace, in the order they were made.
    fn mounts(&self) -> Result<Vec<Mount>, AdapterError> {
        Err(missing())
    }
    /// Sets a mount point read-only or writable again; only that mount, not the file system beneath other mounts.
    fn remount<'a>(&'a self, mount: &'a Mount) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (mount,);
        none()
    }
    /// Takes a mount away from the tree; what has files open there keeps them.
    fn detach<'a>(&'a self, point: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (point,);
        none()
    }
    /// Sets, or with none takes away, the disturbance of a tag on a pass-through mount of ours.
    fn disturb<'a>(
        &'a self,
        root: &'a Path,
        tag: &'a str,
        disturb: Option<&'a Disturb>,
    ) -> Fut<'a, Result<(), AdapterError>> {
        let _ = (root, tag, disturb);
        none()
    }
    /// The disturbance of a tag that is in force there.
    fn disturbed<'a>(&'a self, root: &'a Path, tag: &'a str) -> Fut<'a, Result<Option<Disturb>, AdapterError>> {
        let _ = (root, tag);
        none()
    }
    /// The tags of all that are in force there.
    fn disturbers<'a>(&'a self, root: &'a Path) -> Fut<'a, Result<Vec<String>, AdapterError>> {
        let _ = (root,);
        none()
    }
    /// Syncs a directory, which changes nothing; the number of the error that it ended with.
    fn sync_folder<'a>(&'a self, folder: &'a Path) -> Fut<'a, Result<Option<i32>, AdapterError>> {
        let _ = (folder,);
        none()
    }
    /// Processes that have files open below a folder, or work in one: `postgres (pid 12)`; as far as we may look.
    fn users(&self, folder: &Path) -> Vec<String> {
        let _ = folder;
        Vec::new()
    }
    /// Is it read-only for everybody, whoever may write?
    fn is_read_only<'a>(&'a self, folder: &'a Path) -> Fut<'a, Result<bool, AdapterError>> {
        let _ = (folder,);
        none()
    }
    /// Regular files of this name pattern (`PREFIX*`) directly in these folders.
    fn named(&self, folders: &[PathBuf], prefix: &str) -> Vec<PathBuf> {
        let _ = (folders, prefix);
        Vec::new()
    }
    /// The same of one folder whose file system may never answer: it is not waited for longer than a moment.
    ///
    /// # Errors
    /// When it does not answer.
    fn named_far(&self, folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, AdapterError> {
        let _ = (folder, prefix);
        Ok(Vec::new())
    }
    /// Notes for whoever looks without any record that something of this tag is at a place. Best effort.
    fn mark(&self, tag: &str, place: &Path) {
        let _ = (tag, place);
    }
    /// Takes that note away.
    fn unmark(&self, tag: &str) {
        let _ = tag;
    }
    /// All such notes: tag and place.
    fn marks(&self) -> Vec<(String, PathBuf)> {
        Vec::new()
    }
}

/// The disks of this machine.
pub(super) struct SystemDisks;

/// Takes the pass-through mount of a tag away from a directory, if it is what is seen there.
pub(crate) fn let_go(point: &Path, tag: &str) {
    let all = mounts::mounts().unwrap_or_default();
    let seen = all.iter().rfind(|m| m.point == point);
    if seen.is_some_and(|m| disturb::of_ours(m) == Some(tag)) {
        let _detached_already = disturb::detach(point);
    }
}

/// Runs what blocks where it may block.
fn blocking<'a, T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AdapterError> + Send + 'static,
) -> Fut<'a, Result<T, AdapterError>> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|e| Err(AdapterError::Other(format!("a disk operation was broken off: {e}"))))
    })
}

/// An error of the system with the operation and the path it is about.
fn failed(what: &str, path: &Path, error: &std::io::Error) -> AdapterError {
    use std::io::ErrorKind;
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => AdapterError::Missing(text),
        ErrorKind::PermissionDenied
        | ErrorKind::AlreadyExists
        | ErrorKind::StorageFull
        | ErrorKind::ReadOnlyFilesystem => AdapterError::Refused(text),
        _ => AdapterError::Other(text),
    }
}

impl Disks for SystemDisks {
    fn space<'a>(&'a self, path: &'a Path) -> Fut<'a, Result<Space, AdapterError>> {
        let path = path.to_path_buf();
        blocking(move || ballast::space(&path))
    }

    fn fill<'a>(&'a self, ballast: &'a Path, goal: Goal) -> Fut<'a, Result<u64, AdapterError>> {
        let path = ballast.to_path_buf();
        blocking(move || ballast::fill(&path, goal))
    }

    fn remove<'a>(&'a self, file: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let path = file.to_path_buf();
        blocking(move || ballast::remove(&path))
    }

    fn facts<'a>(&'a self, file: &'a Path) -> Fut<'a, Result<Option<Facts>, AdapterError>> {
        let path = file.to_path_buf();
        blocking(move || files::facts(&path))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        blocking(move || files::rename(&from, &to))
    }

    fn truncate<'a>(&'a self, file: &'a Path, length: u64) -> Fut<'a, Result<(), AdapterError>> {
        let path = file.to_path_buf();
        blocking(move || files::truncate(&path, length))
    }

    fn write<'a>(&'a self, file: &'a Path, ranges: &'a [Range]) -> Fut<'a, Result<(), AdapterError>> {
        let (path, ranges) = (file.to_path_buf(), ranges.to_vec());
        blocking(move || files::write(&path, &ranges))
    }

    fn read<'a>(&'a self, file: &'a Path, places: &'a [(u64, u64)]) -> Fut<'a, Result<Vec<Range>, AdapterError>> {
        let (path, places) = (file.to_path_buf(), places.to_vec());
        blocking(move || files::read(&path, &places))
    }

    fn compare<'a>(&'a self, file: &'a Path, kept: &'a Path) -> Fut<'a, Result<Remains, AdapterError>> {
        let (file, kept) = (file.to_path_buf(), kept.to_path_buf());
        blocking(move || files::compare(&file, &kept))
    }

    fn put_back<'a>(&'a self, kept: &'a Path, file: &'a Path, facts: &'a Facts) -> Fut<'a, Result<(), AdapterError>> {
        let (kept, file, facts) = (kept.to_path_buf(), file.to_path_buf(), facts.clone());
        blocking(move || files::put_back(&kept, &file, &facts))
    }

    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        blocking(move || files::copy(&from, &to))
    }

    fn mounts(&self) -> Result<Vec<Mount>, AdapterError> {
        mounts::mounts()
    }

    fn remount<'a>(&'a self, mount: &'a Mount) -> Fut<'a, Result<(), AdapterError>> {
        let mount = mount.clone();
        blocking(move || mounts::remount(&mount))
    }

    fn detach<'a>(&'a self, point: &'a Path) -> Fut<'a, Result<(), AdapterError>> {
        let point = point.to_path_buf();
        blocking(move || disturb::detach(&point))
    }

    fn disturb<'a>(
        &'a self,
        root: &'a Path,
        tag: &'a str,
        disturb: Option<&'a Disturb>,
    ) -> Fut<'a, Result<(), AdapterError>> {
        let (root, tag, disturb) = (root.to_path_buf(), tag.to_owned(), disturb.cloned());
        blocking(move || disturb::set(&root, &tag, disturb.as_ref()))
    }

    fn disturbed<'a>(&'a self, root: &'a Path, tag: &'a str) -> Fut<'a, Result<Option<Disturb>, AdapterError>> {
        let (root, tag) = (root.to_path_buf(), tag.to_owned());
        blocking(move || disturb::get(&root, &tag))
    }

    fn disturbers<'a>(&'a self, root: &'a Path) -> Fut<'a, Result<Vec<String>, AdapterError>> {
        let root = root.to_path_buf();
        blocking(move || disturb::tags(&root))
    }

    fn sync_folder<'a>(&'a self, folder: &'a Path) -> Fut<'a, Result<Option<i32>, AdapterError>> {
        let folder = folder.to_path_buf();
        blocking(move || disturb::sync_folder(&folder))
    }

    fn users(&self, folder: &Path) -> Vec<String> {
        mounts::users(folder)
    }

    fn is_read_only<'a>(&'a self, folder: &'a Path) -> Fut<'a, Result<bool, AdapterError>> {
        let folder = folder.to_path_buf();
        blocking(move || match rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK) {
            Err(rustix::io::Errno::ROFS) => Ok(true),
            Ok(()) | Err(rustix::io::Errno::ACCESS) => Ok(false),
            Err(e) => Err(failed("look at", &folder, &e.into())),
        })
    }

    fn named(&self, folders: &[PathBuf], prefix: &str) -> Vec<PathBuf> {
        files::named(folders, prefix)
    }

    fn named_far(&self, folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, AdapterError> {
        far::named(folder, prefix)
    }

    fn mark(&self, tag: &str, place: &Path) {
        marks::mark(tag, place);
    }

    fn unmark(&self, tag: &str) {
        marks::unmark(tag);
    }

    fn marks(&self) -> Vec<(String, PathBuf)> {
        marks::marks()
    }
}
