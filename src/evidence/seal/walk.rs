//! Every file of a run's folder with its digest. Only regular files are evidence: a link points to something that is not
//! sealed, and a pipe or a socket holds nothing that could be.

use super::{FROM_MANIFEST, FileDigest, SealError, addendum};
use std::fs::{self, File};
use std::path::Path;

/// More files than this are no run's.
const MOST: usize = 100_000;
/// Folders in folders.
const DEEPEST: usize = 16;

/// All that belongs into the manifest, by path, sorted.
pub(super) fn digests(dir: &Path) -> Result<Vec<FileDigest>, SealError> {
    let mut paths = Vec::new();
    folder(dir, "", 0, &mut paths)?;
    paths.sort();
    paths.into_iter().map(|path| digest(dir, path)).collect()
}

fn folder(dir: &Path, below: &str, depth: usize, paths: &mut Vec<String>) -> Result<(), SealError> {
    let here = dir.join(below);
    let foreign = |path: &Path, why: &str| SealError::Foreign { path: path.to_path_buf(), why: why.to_owned() };
    for entry in fs::read_dir(&here).map_err(SealError::io("list", &here))? {
        let entry = entry.map_err(SealError::io("list", &here))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.contains('\r')) else {
            return Err(foreign(&path, "its name cannot be written down everywhere; rename or remove it"));
        };
        let relative = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        if below.is_empty() && (FROM_MANIFEST.contains(&name) || name == addendum::FOLDER) {
            continue;
        }
        let kind = entry.file_type().map_err(SealError::io("look at", &path))?;
        if kind.is_symlink() {
            return Err(foreign(&path, "it is a symbolic link: what it points to would not be sealed; remove it"));
        }
        if kind.is_dir() {
            if depth == DEEPEST {
                return Err(foreign(&path, "it is too deep in other folders"));
            }
            folder(dir, &relative, depth + 1, paths)?;
        } else if kind.is_file() {
            paths.push(relative);
        } else {
            return Err(foreign(&path, "it is no regular file; remove it"));
        }
        if paths.len() > MOST {
            return Err(foreign(dir, "it holds too many files"));
        }
    }
    Ok(())
}

fn digest(dir: &Path, path: String) -> Result<FileDigest, SealError> {
    let full = dir.join(&path);
    let file = File::open(&full).map_err(SealError::io("open", &full))?;
    let (bytes, sha256) = crate::evidence::digest::of(&file).map_err(SealError::io("read", &full))?;
    // What is vouched for must not be lost.
    file.sync_all().map_err(SealError::io("sync", &full))?;
    Ok(FileDigest { path, bytes, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_found_but_what_is_made_from_the_manifest() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a.x", "ops/o", "SHA256SUMS", "addenda/1", "ops/SHA256SUMS", "start.tsr"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let found = digests(dir.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["a.x", "b", "ops/SHA256SUMS", "ops/o", "start.tsr"]);
        assert_eq!(found[1].sha256, crate::journal::digest(b"b"));
        assert_eq!(found[1].bytes, 1);
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let refused = digests(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("/link cannot be sealed: it is a symbolic link"), "{refused}");
        fs::remove_file(dir.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert!(digests(dir.path()).unwrap_err().to_string().contains("no regular file"));
        fs::remove_file(dir.path().join("socket")).unwrap();
        fs::write(dir.path().join("a\rb"), "").unwrap();
        assert!(digests(dir.path()).unwrap_err().to_string().contains("its name"));
    }
}
