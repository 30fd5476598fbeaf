//! The vault: bytes that must be put back (a key, a file), in the state directory and never in a run's folder. A folder
//! per owner, mode 0700, files 0600, on the disk before the intent is journaled, erased when the fault is healed.

use super::AdapterError;
use super::files::{digest, digest_of, failed};
use crate::model::Owner;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// So many folders one owner may work in at once.
const MOST_FOLDERS: u32 = 100;

/// The vault below a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    root: PathBuf,
    keeps: bool,
}

impl Vault {
    /// The one in this state directory.
    #[must_use]
    pub fn at(state_dir: &Path) -> Self {
        Self { root: state_dir.join("vault"), keeps: true }
    }

    /// One that only looks at what it would keep, for a rehearsal.
    #[must_use]
    pub fn rehearsing(self) -> Self {
        Self { keeps: false, ..self }
    }

    /// Its folder; not there before something is kept.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps a copy of a file under a name; on the disk when it returns. Keeping it again replaces it. Returns the copy's
    /// SHA-256, hex.
    ///
    /// # Errors
    /// When it cannot be kept: then nothing may be broken.
    pub fn keep(&self, owner: &Owner, name: &str, path: &Path) -> Result<String, AdapterError> {
        self.store(owner, name, &mut File::open(path).map_err(failed("open", path))?)
    }

    /// Keeps bytes under a name, as `keep` does with a file.
    ///
    /// # Errors
    /// As `keep`.
    pub fn keep_bytes(&self, owner: &Owner, name: &str, mut bytes: &[u8]) -> Result<String, AdapterError> {
        self.store(owner, name, &mut bytes)
    }

    fn store(&self, owner: &Owner, name: &str, from: &mut impl io::Read) -> Result<String, AdapterError> {
        if !self.keeps {
            return digest_of(from).map_err(failed("read what would be kept for", Path::new(name)));
        }
        let folder = self.folder(owner);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("create", &folder))?;
        let (to, draft) = (folder.join(plain(name)), folder.join(format!(".{}", plain(name))));
        drop(fs::remove_file(&draft));
        let mut copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(failed("create", &draft))?;
        io::copy(from, &mut copy).map_err(failed("write", &draft))?;
        copy.sync_all().map_err(failed("sync", &draft))?;
        fs::rename(&draft, &to).map_err(failed("rename", &draft))?;
        for folder in [folder.as_path(), self.root.as_path()] {
            File::open(folder).and_then(|f| f.sync_all()).map_err(failed("sync", folder))?;
        }
        digest(&to)
    }

    /// The copy that was kept under this name, if there is one.
    #[must_use]
    pub fn kept(&self, owner: &Owner, name: &str) -> Option<PathBuf> {
        let path = self.folder(owner).join(plain(name));
        path.is_file().then_some(path)
    }

    /// Erases everything of this owner; that there is nothing is no error.
    ///
    /// # Errors
    /// When it cannot be erased.
    pub fn erase(&self, owner: &Owner) -> Result<(), AdapterError> {
        let folder = self.folder(owner);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("erase", &folder)(error)),
            _ => Ok(()),
        }
    }

    /// A new folder of this owner's own, to work in; private.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder_for(&self, owner: &Owner) -> Result<PathBuf, AdapterError> {
        let folder = self.folder(owner);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("create", &folder))?;
        for number in 1..=MOST_FOLDERS {
            let own = folder.join(format!("work-{number}"));
            match DirBuilder::new().mode(0o700).create(&own) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &own)(error)),
                Ok(()) => return Ok(own),
            }
        }
        Err(AdapterError::Other(format!("{} holds {MOST_FOLDERS} folders already", folder.display())))
    }

    /// Erases such a folder, and its owner's if nothing else is in it.
    ///
    /// # Errors
    /// When it cannot be erased.
    pub fn erase_folder(&self, folder: &Path) -> Result<(), AdapterError> {
        fs::remove_dir_all(folder).map_err(failed("erase", folder))?;
        if let Some(owners) = folder.parent().filter(|parent| parent.starts_with(&self.root)) {
            // Others may be at work in it.
            drop(fs::remove_dir(owners));
        }
        Ok(())
    }

    /// The tags of all owners of whom something is kept.
    #[must_use]
    pub fn owners(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut tags: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        tags.sort();
        tags
    }

    fn folder(&self, owner: &Owner) -> PathBuf {
        self.root.join(owner.tag())
    }
}

/// A name of ours is safe already; this holds even for one that a damaged journal made up.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_private_and_gone_when_erased() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        fs::write(&file, "secret").unwrap();
        let vault = Vault::at(&folder.path().join("state"));
        let owner = Owner { run: "r1".into(), fault: "f1".into() };
        let first = vault.keep(&owner, "../key.pem", &file).unwrap();
        assert_eq!(vault.keep(&owner, "../key.pem", &file).unwrap(), first);
        let kept = vault.kept(&owner, "../key.pem").unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"secret");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        let around = fs::metadata(kept.parent().unwrap()).unwrap();
        assert_eq!(around.permissions().mode() & 0o777, 0o700);
        assert_eq!(vault.owners(), [owner.tag()]);
        vault.erase(&owner).unwrap();
        vault.erase(&owner).unwrap();
        assert!(vault.kept(&owner, "../key.pem").is_none() && vault.owners().is_empty());
    }
}
