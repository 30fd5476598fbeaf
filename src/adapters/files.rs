//! Files of this machine: what they are, and putting bytes back with owner, mode and times. Why is decided elsewhere.

use super::{AdapterError, hex};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Bytes.
    pub length: u64,
    /// SHA-256 of its bytes, hex.
    pub digest: String,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Last change of its bytes: seconds and nanoseconds since 1970.
    pub changed: (i64, i64),
}

/// Files.
pub trait Files: Send + Sync {
    /// A regular file as it is now; symbolic links are followed. None if there is none.
    ///
    /// # Errors
    /// `Refused` if it is something else, or may not be read.
    fn look(&self, path: &Path) -> Result<Option<FileState>, AdapterError>;
    /// Its bytes.
    ///
    /// # Errors
    /// `Missing`, `Refused`.
    fn read(&self, path: &Path) -> Result<Vec<u8>, AdapterError>;
    /// Puts these bytes there with mode, owner and time of `as_was`, at once for every reader, and on the disk when it
    /// returns. Digest and length of `as_was` are not looked at.
    ///
    /// # Errors
    /// When it cannot; the file is then as it was.
    fn put(&self, path: &Path, bytes: &[u8], as_was: &FileState) -> Result<(), AdapterError>;
    /// Removes it; that it is not there is no error.
    ///
    /// # Errors
    /// When it cannot.
    fn remove(&self, path: &Path) -> Result<(), AdapterError>;
}

/// The files of this machine.
pub(super) struct SystemFiles;

/// An error of the system about a path.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AdapterError {
    let path = path.to_path_buf();
    move |error| {
        let text = format!("cannot {what} {}: {error}", path.display());
        match error.kind() {
            ErrorKind::NotFound => AdapterError::Missing(text),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => AdapterError::Refused(text),
            _ => AdapterError::Other(text),
        }
    }
}

/// SHA-256 of a file's bytes, hex; read piece by piece.
pub(super) fn digest(path: &Path) -> Result<String, AdapterError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    digest_of(&mut file).map_err(failed("read", path))
}

/// SHA-256 of everything that can be read, hex.
pub(super) fn digest_of(from: &mut impl Read) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0_u8; 1 << 16]);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

impl Files for SystemFiles {
    fn look(&self, path: &Path) -> Result<Option<FileState>, AdapterError> {
        let meta = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("look at", path))?,
        };
        if !meta.is_file() {
            return Err(AdapterError::Refused(format!("{} is no regular file", path.display())));
        }
        Ok(Some(FileState {
            length: meta.len(),
            digest: digest(path)?,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            changed: (meta.mtime(), meta.mtime_nsec()),
        }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, AdapterError> {
        fs::read(path).map_err(failed("read", path))
    }

    fn put(&self, path: &Path, bytes: &[u8], as_was: &FileState) -> Result<(), AdapterError> {
        // The place that a symbolic link names, not the link, is what was looked at.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let draft = beside(&path);
        let done =
            write(&draft, bytes, as_was).and_then(|()| fs::rename(&draft, &path).map_err(failed("rename", &draft)));
        if done.is_err() {
            drop(fs::remove_file(&draft));
        }
        done?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
    }

    fn remove(&self, path: &Path) -> Result<(), AdapterError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
            _ => Ok(()),
        }
    }
}

/// A name in the same folder, so that renaming is one step.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.blackstart-{}", std::process::id()))
}

fn write(path: &Path, bytes: &[u8], as_was: &FileState) -> Result<(), AdapterError> {
    drop(fs::remove_file(path));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    let (user, group) = as_was.owner;
    let meta = file.metadata().map_err(failed("look at", path))?;
    if (meta.uid(), meta.gid()) != (user, group) {
        std::os::unix::fs::fchown(&file, Some(user), Some(group)).map_err(failed("give to its owner", path))?;
    }
    // After the owner: a change of owner takes set-user-id bits away.
    file.set_permissions(fs::Permissions::from_mode(as_was.mode)).map_err(failed("set the mode of", path))?;
    file.sync_all().map_err(failed("sync", path))?;
    let changed = TimeSpec::new(as_was.changed.0, as_was.changed.1);
    utimensat(nix::fcntl::AT_FDCWD, path, &changed, &changed, UtimensatFlags::FollowSymlink)
        .map_err(|e| failed("set the time of", path)(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_is_put_back_with_mode_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let was = SystemFiles.look(&path).unwrap().unwrap();
        fs::write(&path, "broken").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(SystemFiles.look(&path).unwrap().unwrap(), was);
        for _ in 0..2 {
            SystemFiles.put(&path, b"secret", &was).unwrap();
            assert_eq!(SystemFiles.look(&path).unwrap().unwrap(), was);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_is_not_there_is_none_and_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SystemFiles.look(&folder.path().join("no")).unwrap(), None);
        assert!(matches!(SystemFiles.look(folder.path()), Err(AdapterError::Refused(_))));
        SystemFiles.remove(&folder.path().join("no")).unwrap();
    }
}
