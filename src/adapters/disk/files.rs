//! Files that are put aside, damaged and put back, with all that belongs to them: owner, mode, extended attributes,
//! times. Nothing here replaces a file that is in the way.

use super::{AdapterError, failed};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const PIECE: usize = 256 * 1024;

/// What a file is, besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The device number of its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// `file`, `directory`, `link` or `other`.
    pub form: Form,
    /// Its size in bytes.
    pub size: u64,
    /// User and group.
    pub owner: (u32, u32),
    /// Permission bits.
    pub mode: u32,
    /// When it was last written: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// When it was last read.
    pub accessed: (i64, i64),
    /// How many names it has.
    pub names: u64,
    /// Extended attributes, values in hexadecimal digits; only those that this process may read.
    pub attributes: BTreeMap<String, String>,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

impl Facts {
    /// Is it the very same file, whatever it holds now?
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Bytes at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Where they begin.
    pub at: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How a file compares with what was kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Byte for byte the same.
    Whole,
    /// The same as far as it goes: the end is missing.
    Beginning,
    /// All of it is there, and more behind it.
    Longer,
    /// It holds something else.
    Other,
    /// There is none.
    Gone,
}

/// See [`super::Disks::facts`].
pub(super) fn facts(path: &Path) -> Result<Option<Facts>, AdapterError> {
    let about = match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| failed("look at", path, &e))?,
    };
    let form = match about.file_type() {
        t if t.is_file() => Form::File,
        t if t.is_dir() => Form::Directory,
        t if t.is_symlink() => Form::Link,
        _ => Form::Other,
    };
    Ok(Some(Facts {
        device: about.dev(),
        inode: about.ino(),
        form,
        size: about.len(),
        owner: (about.uid(), about.gid()),
        mode: about.mode() & 0o7777,
        modified: (about.mtime(), about.mtime_nsec()),
        accessed: (about.atime(), about.atime_nsec()),
        names: about.nlink(),
        attributes: attributes(path),
    }))
}

/// Those that can be read; a file system without them has none.
fn attributes(path: &Path) -> BTreeMap<String, String> {
    let mut names = vec![0_u8; 64 * 1024];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0_u8; 64 * 1024];
        let name = String::from_utf8_lossy(name).into_owned();
        if let Ok(length) = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]) {
            found.insert(name, super::super::hex(&value[..length]));
        }
    }
    found
}

/// See [`super::Disks::rename`].
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), AdapterError> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it (overlay of old kernels, NFS): a link is refused where a name is taken.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::hard_link(from, to).map_err(|e| failed("rename", from, &e))?;
            std::fs::remove_file(from).map_err(|e| failed("rename", from, &e))
        }
        other => other.map_err(|e| failed("rename", from, &e.into())),
    }
}

fn open(path: &Path, flags: OFlags) -> Result<File, AdapterError> {
    let opened = rustix::fs::open(path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
    opened.map(File::from).map_err(|e| failed("open", path, &e.into()))
}

/// See [`super::Disks::truncate`].
pub(super) fn truncate(path: &Path, length: u64) -> Result<(), AdapterError> {
    let file = open(path, OFlags::RDWR)?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(|e| failed("truncate", path, &e))
}

/// See [`super::Disks::write`].
pub(super) fn write(path: &Path, ranges: &[Range]) -> Result<(), AdapterError> {
    let wrong = |e: std::io::Error| failed("write to", path, &e);
    let file = open(path, OFlags::RDWR)?;
    let before = file.metadata().map_err(wrong)?;
    for range in ranges {
        let room = before.len().saturating_sub(range.at).min(range.bytes.len() as u64);
        file.write_all_at(&range.bytes[..usize::try_from(room).unwrap_or(0)], range.at).map_err(wrong)?;
    }
    file.sync_all().map_err(wrong)?;
    set_times(&file, (before.atime(), before.atime_nsec()), (before.mtime(), before.mtime_nsec())).map_err(wrong)
}

/// See [`super::Disks::read`].
pub(super) fn read(path: &Path, places: &[(u64, u64)]) -> Result<Vec<Range>, AdapterError> {
    let file = open(path, OFlags::RDONLY)?;
    let mut found = Vec::new();
    for (at, length) in places {
        let mut bytes = vec![0; usize::try_from(*length).unwrap_or(usize::MAX)];
        let mut have = 0;
        while have < bytes.len() {
            match file.read_at(&mut bytes[have..], at + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed("read", path, &e)),
            }
        }
        bytes.truncate(have);
        found.push(Range { at: *at, bytes });
    }
    Ok(found)
}

/// See [`super::Disks::compare`].
pub(super) fn compare(path: &Path, kept: &Path) -> Result<Remains, AdapterError> {
    let mut now = match open(path, OFlags::RDONLY) {
        Err(AdapterError::Missing(_)) => return Ok(Remains::Gone),
        other => other?,
    };
    let mut before = open(kept, OFlags::RDONLY)?;
    let (mut a, mut b) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let (n, m) = (whole(&mut now, &mut a, path)?, whole(&mut before, &mut b, kept)?);
        let both = n.min(m);
        if a[..both] != b[..both] {
            return Ok(Remains::Other);
        }
        if n > m {
            return Ok(Remains::Longer);
        }
        if n < m {
            return Ok(Remains::Beginning);
        }
        if n == 0 {
            return Ok(Remains::Whole);
        }
    }
}

/// Reads until the piece is full or the file ends.
fn whole(file: &mut File, piece: &mut [u8], path: &Path) -> Result<usize, AdapterError> {
    let mut have = 0;
    while have < piece.len() {
        match file.read(&mut piece[have..]) {
            Ok(0) => break,
            Ok(more) => have += more,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(failed("read", path, &e)),
        }
    }
    Ok(have)
}

/// See [`super::Disks::put_back`].
pub(super) fn put_back(kept: &Path, path: &Path, facts: &Facts) -> Result<(), AdapterError> {
    let wrong = |e: std::io::Error| failed("put back", path, &e);
    let mut from = open(kept, OFlags::RDONLY)?;
    let to = open(path, OFlags::RDWR | OFlags::CREATE)?;
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    loop {
        let length = whole(&mut from, &mut piece, kept)?;
        if length == 0 {
            break;
        }
        to.write_all_at(&piece[..length], at).map_err(wrong)?;
        at += length as u64;
    }
    to.set_len(at).map_err(wrong)?;
    belongings(&to, facts).and_then(|()| to.sync_all()).map_err(wrong)?;
    set_times(&to, facts.accessed, facts.modified).map_err(wrong)
}

/// Owner first (it clears set-user-id), then mode, then attributes (an access list may change the mode's group bits).
fn belongings(file: &File, facts: &Facts) -> std::io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != facts.owner {
        std::os::unix::fs::fchown(file, Some(facts.owner.0), Some(facts.owner.1))?;
    }
    if now.mode() & 0o7777 != facts.mode || (now.uid(), now.gid()) != facts.owner {
        file.set_permissions(std::fs::Permissions::from_mode(facts.mode))?;
    }
    for (name, value) in &facts.attributes {
        let value = super::super::unhex(value).unwrap_or_default();
        let mut present = vec![0; value.len() + 1];
        let same = rustix::fs::fgetxattr(file, name.as_str(), &mut present[..]).is_ok_and(|n| present[..n] == value);
        if !same {
            rustix::fs::fsetxattr(file, name.as_str(), &value, XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn set_times(file: &File, accessed: (i64, i64), modified: (i64, i64)) -> std::io::Result<()> {
    let time = |(seconds, nanos): (i64, i64)| Timespec { tv_sec: seconds, tv_nsec: nanos as _ };
    let both = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    Ok(rustix::fs::futimens(file, &both)?)
}

/// See [`super::Disks::copy`].
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), AdapterError> {
    let about = facts(from)?.ok_or_else(|| AdapterError::Missing(format!("{} is not there", from.display())))?;
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(AdapterError::Refused(format!("{} is in the way", to.display())));
    }
    put_back(from, to, &about)
}

/// See [`super::Disks::named`].
pub(super) fn named(folders: &[PathBuf], prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let entries = entries.filter_map(Result::ok);
        let fits = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with(prefix);
        found.extend(entries.filter(fits).map(|e| e.path()));
    }
    found.sort();
    found.dedup();
    found
}
