//! Directories: every entry below one by its path, kind, mode and content, whatever order the file system lists them in.
//!
//! Symbolic links are entries, and are not followed. What is neither file, folder nor link is never opened: a pipe would
//! wait for ever. Zeros are not read where the file system knows of a hole, and count the same where it does not.

use super::{Counts, Directory, Taken, short};
use crate::adapters::AdapterError;
use crate::adapters::files::failed;
use crate::model::{DataPart, Fingerprint, Listing, left_out};
use rustix::fs::{OFlags, SeekFrom};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Beyond so many entries their names are not kept: what differs is then counted by the sums alone.
const LISTED: usize = 200_000;
/// Folders may be nested so deep.
const DEEPEST: usize = 512;
/// Content is read and looked through for zeros in pieces of this size.
const PIECE: usize = 1 << 16;
static ZEROS: [u8; PIECE] = [0; PIECE];

/// By a process of our own: one that hangs can be given up, and its runner can end.
pub(super) async fn fingerprint(
    program: Option<&Path>,
    directory: &Directory,
    limit: Duration,
) -> Result<Taken, AdapterError> {
    let path = std::path::absolute(&directory.path).unwrap_or_else(|_| directory.path.clone());
    let asked = Directory { path, ..directory.clone() };
    crate::adapters::directory::fingerprint(program, &asked, limit).await
}

/// The same in this very process, for as long as it takes.
///
/// # Errors
/// When it cannot be read, is no directory, or changes meanwhile.
pub fn take(asked: &Directory) -> Result<Taken, AdapterError> {
    Walk::new(asked).whole()
}

struct Walk<'a> {
    asked: &'a Directory,
    buffer: Vec<u8>,
    count: u64,
    sum: u64,
    listing: Option<BTreeMap<String, u64>>,
}

impl<'a> Walk<'a> {
    fn new(asked: &'a Directory) -> Self {
        Self { asked, buffer: vec![0; PIECE], count: 0, sum: 0, listing: Some(BTreeMap::new()) }
    }

    fn whole(mut self) -> Result<Taken, AdapterError> {
        let root = &self.asked.path;
        let name = self.asked.name.clone();
        let unit = "entry".to_owned();
        match fs::metadata(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let absent = vec![format!("the directory {}", root.display())];
                return Ok(Taken { print: Fingerprint { unit, ..Fingerprint::default() }, listing: None, absent });
            }
            Err(error) => return Err(failed("look at", root)(error)),
            Ok(meta) if !meta.is_dir() => {
                return Err(AdapterError::Refused(format!("{} is no directory", root.display())));
            }
            Ok(_) => {}
        }
        self.folders(root)?;
        let parts = BTreeMap::from([(name, DataPart::new(self.count, self.sum, self.shape()))]);
        Ok(Taken { print: Fingerprint { unit, parts }, listing: self.listing.map(Listing), absent: Vec::new() })
    }

    /// What is looked at of each entry.
    fn shape(&self) -> String {
        let more = [(self.asked.times, ", time"), (self.asked.owners, ", owner")];
        let more = more.iter().filter(|(counts, _)| *counts == Counts::Yes).map(|(_, word)| *word);
        format!("path, kind, mode, content{}", more.collect::<String>())
    }

    /// All that is below it, without recursion: the depth of a tree is the user's, the stack is ours.
    fn folders(&mut self, root: &Path) -> Result<(), AdapterError> {
        let mut open: Vec<PathBuf> = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let place = root.join(&folder);
            for entry in fs::read_dir(&place).map_err(failed("list", &place))? {
                let path = folder.join(entry.map_err(failed("list", &place))?.file_name());
                if left_out(&self.asked.exclude, &path.to_string_lossy()) {
                    continue;
                }
                if self.entry(root, &path)? == Kind::Folder {
                    if path.components().count() > DEEPEST {
                        return Err(AdapterError::Other(format!("{}: nested too deep", root.join(&path).display())));
                    }
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, root: &Path, path: &Path) -> Result<Kind, AdapterError> {
        let place = root.join(path);
        let meta = fs::symlink_metadata(&place).map_err(failed("look at", &place))?;
        let kind = Kind::of(&meta);
        let mut hash = Sha256::new();
        text(&mut hash, path.as_os_str());
        hash.update([kind as u8]);
        // A link's own mode means nothing.
        hash.update(if kind == Kind::Link { 0 } else { meta.mode() & 0o7777 }.to_le_bytes());
        if self.asked.owners == Counts::Yes {
            hash.update(meta.uid().to_le_bytes());
            hash.update(meta.gid().to_le_bytes());
        }
        if self.asked.times == Counts::Yes && kind == Kind::File {
            hash.update(meta.mtime().to_le_bytes());
            hash.update(meta.mtime_nsec().to_le_bytes());
        }
        match kind {
            Kind::File => self.content(&place, &mut hash)?,
            Kind::Link => text(&mut hash, fs::read_link(&place).map_err(failed("read", &place))?.as_os_str()),
            Kind::Device => hash.update(meta.rdev().to_le_bytes()),
            Kind::Folder | Kind::Pipe | Kind::Socket => {}
        }
        let digest = short(&hash.finalize());
        self.count += 1;
        self.sum = self.sum.wrapping_add(digest);
        if self.listing.as_ref().is_some_and(|listing| listing.len() >= LISTED) {
            self.listing = None;
        }
        if let Some(listing) = &mut self.listing {
            listing.insert(path.to_string_lossy().into_owned(), digest);
        }
        Ok(kind)
    }

    /// Length, and every piece that is not all zeros with its place.
    fn content(&mut self, place: &Path, hash: &mut Sha256) -> Result<(), AdapterError> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let flags = i32::try_from(flags).unwrap_or_default();
        let mut file =
            fs::OpenOptions::new().read(true).custom_flags(flags).open(place).map_err(failed("open", place))?;
        let before = file.metadata().map_err(failed("look at", place))?;
        let (length, mut at) = (before.len(), 0);
        hash.update(length.to_le_bytes());
        while let Some(start) = next_data(&file, at, length, place)? {
            at = start;
            let wanted = usize::try_from((length - at).min(PIECE as u64)).unwrap_or(PIECE);
            let piece = &mut self.buffer[..wanted];
            read_full(&mut file, piece).map_err(failed("read", place))?;
            if piece != &ZEROS[..wanted] {
                hash.update(at.to_le_bytes());
                hash.update(&*piece);
            }
            at += wanted as u64;
        }
        let after = file.metadata().map_err(failed("look at", place))?;
        let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
        if stamp(&before) != stamp(&after) {
            let why = "changed while it was read: leave it out, or stop what writes to it";
            return Err(AdapterError::Other(format!("{} {why}", place.display())));
        }
        Ok(())
    }
}

/// Where the next piece with data begins, its file positioned there; pieces begin at multiples of their size.
fn next_data(file: &File, at: u64, length: u64, place: &Path) -> Result<Option<u64>, AdapterError> {
    if at >= length {
        return Ok(None);
    }
    let found = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(found) => found,
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        // A file system that knows no holes: all is data.
        Err(rustix::io::Errno::INVAL) => at,
        Err(error) => return Err(failed("read", place)(error.into())),
    };
    let start = (found / PIECE as u64 * PIECE as u64).max(at);
    if start >= length {
        return Ok(None);
    }
    rustix::fs::seek(file, SeekFrom::Start(start)).map_err(|e| failed("read", place)(e.into()))?;
    Ok(Some(start))
}

/// As `read_exact`, but a file that became shorter is no error here: its metadata tells.
fn read_full(file: &mut File, mut into: &mut [u8]) -> std::io::Result<()> {
    while !into.is_empty() {
        match file.read(into) {
            Ok(0) => {
                into.fill(0);
                return Ok(());
            }
            Ok(n) => into = &mut into[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Its length goes first, so that what follows cannot be taken for a part of it.
fn text(hash: &mut Sha256, text: &OsStr) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    File,
    Folder,
    Link,
    Pipe,
    Socket,
    Device,
}

impl Kind {
    fn of(meta: &Metadata) -> Self {
        let kind = meta.file_type();
        match () {
            () if kind.is_file() => Self::File,
            () if kind.is_dir() => Self::Folder,
            () if kind.is_symlink() => Self::Link,
            () if kind.is_fifo() => Self::Pipe,
            () if kind.is_socket() => Self::Socket,
            () => Self::Device,
        }
    }
}

#[cfg(test)]
mod tests;
