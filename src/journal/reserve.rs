//! Space that is kept back for the end of the record: when the disk is full, the file that holds it is removed, and
//! there is room to write down that everything was healed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "journal.reserve";
/// A few hundred events; clients go on writing their logs until the load has stopped.
const BYTES: usize = 1 << 20;

/// The space; given back when the value goes.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Option<PathBuf>,
}

impl Reserve {
    /// Keeps space back beside a journal. Written, not only promised: a hole would take no space.
    pub fn keep(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        let reserve = Self { file: Some(path.clone()) };
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; BYTES])?;
        file.sync_data()?;
        Ok(reserve)
    }

    /// None is kept; one that a dead runner left is given back.
    pub fn none(dir: &Path) -> Self {
        drop(Self { file: Some(dir.join(NAME)) });
        Self { file: None }
    }

    /// Gives the space back.
    pub fn release(&mut self) -> Released {
        match self.file.take().map(fs::remove_file) {
            Some(Ok(())) => Released::Now,
            Some(Err(_)) | None => Released::Before,
        }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.release();
    }
}

/// Was there space to give back?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    /// Yes.
    Now,
    /// It was given back before, or there was none.
    Before,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_back_once_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::keep(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path().join(NAME)).unwrap().len(), BYTES as u64);
        assert_eq!(reserve.release(), Released::Now);
        assert_eq!(reserve.release(), Released::Before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(dir.path().join(NAME), "left").unwrap();
        drop(Reserve::none(dir.path()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
