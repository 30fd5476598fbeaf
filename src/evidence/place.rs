//! Files that are put in their place in one step, on disk when it returns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file. A reader sees the old one or the whole new one.
///
/// # Errors
/// When it cannot; the place is then as it was.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(path);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&draft, path)).and_then(|()| sync_folder_of(path));
    if placed.is_err() {
        drop(fs::remove_file(&draft));
    }
    placed
}

/// What a file is called while it is written; one that stays was left by a writer that died.
#[must_use]
pub fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Removes a file; that it is not there is no error.
///
/// # Errors
/// When it cannot.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => sync_folder_of(path),
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("SHA256SUMS.sig");
        put(&path, b"one").unwrap();
        put(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(put(Path::new("/proc/x"), b"x").is_err());
    }
}
