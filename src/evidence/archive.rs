//! A run's folder as one archive: the same bytes each time and on every machine. Names are sorted, owners and times are those of
//! the run and not of the disk, and the gzip header says nothing.

use super::scan::UNSEALED;
use flate2::{Compression, GzBuilder};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use thiserror::Error;

/// gzip's word for an operating system that nobody knows.
const NOBODYS: u8 = 255;

/// Why a folder could not be packed.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// A link or a device: another machine could not make anything of it.
    #[error("{0} is neither a file nor a folder")]
    Strange(PathBuf),
    /// A file is longer or shorter than it was a moment ago.
    #[error("{0} changed while it was read")]
    Changed(PathBuf),
    /// The disk.
    #[error("cannot read or write {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Packs a folder. The entries lie in a folder `name`, and carry `moment` (seconds since 1970) as their time.
///
/// # Errors
/// When a file cannot be read, changes meanwhile, or is no file; or `to` cannot be written.
pub fn pack(dir: &Path, name: &str, moment: u64, to: impl Write) -> Result<(), ArchiveError> {
    let out = |e| ArchiveError::Io(PathBuf::from("the archive"), e);
    let zipped = GzBuilder::new().mtime(0).operating_system(NOBODYS).write(to, Compression::new(6));
    let mut archive = Builder::new(zipped);
    for path in files(dir)? {
        let from = dir.join(&path);
        let failed = |e| ArchiveError::Io(from.clone(), e);
        let file = File::open(&from).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(length);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(moment);
        let mut counted = Counted { from: (&file).take(length), read: 0 };
        archive.append_data(&mut header, format!("{name}/{path}"), &mut counted).map_err(failed)?;
        let read = counted.read;
        let longer = (&file).read(&mut [0]).map_err(failed)? > 0;
        if longer || read != length {
            return Err(ArchiveError::Changed(from));
        }
    }
    let mut rest = archive.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(out)?;
    rest.flush().map_err(out)
}

struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Was the folder marked, because a secret stands in it?
#[must_use]
pub fn is_marked(dir: &Path) -> bool {
    dir.join(UNSEALED).exists()
}

/// Files below, sorted by the bytes of their paths, `/` between parts.
fn files(dir: &Path) -> Result<Vec<String>, ArchiveError> {
    let (mut found, mut todo) = (Vec::new(), vec![(dir.to_owned(), String::new())]);
    while let Some((folder, prefix)) = todo.pop() {
        let failed = |e| ArchiveError::Io(folder.clone(), e);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
                return Err(ArchiveError::Strange(entry.path()));
            };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                todo.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                found.push(name);
            } else {
                return Err(ArchiveError::Strange(entry.path()));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
