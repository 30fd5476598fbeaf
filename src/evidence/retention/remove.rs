//! Removes a run and leaves its tombstone: first the tombstone, on the disk, then file by file. Whoever is killed in between
//! is followed by somebody who goes on.

use super::super::tombstone::{self, Tombstone};
use super::survey::{Found, files};
use chrono::{DateTime, Utc};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a run could not be removed.
#[derive(Debug, Error)]
#[error("cannot remove {path}: {why}")]
pub struct PruneError {
    path: PathBuf,
    why: io::Error,
}

/// Who removes, when and why.
#[derive(Debug, Clone)]
pub struct Pruner {
    /// User and machine, or the CI's job.
    pub by: String,
    /// Why.
    pub why: String,
    /// The moment.
    pub at: DateTime<Utc>,
}

/// Removes a run; gives the bytes that are free now.
///
/// # Errors
/// Names what could not be written or removed; called again, [`finish`] goes on from there.
pub fn remove(found: &Found, pruner: &Pruner) -> Result<u64, PruneError> {
    let stone = Tombstone {
        schema: tombstone::VERSION.to_owned(),
        run: found.run.clone(),
        drill: found.drill.clone(),
        environment: found.environment.clone(),
        started: found.started,
        chain: found.chain.clone(),
        manifest: found.manifest.clone(),
        journal_head: found.journal_head.clone(),
        verdict: found.verdict,
        exit_code: found.exit_code,
        pruned_at: pruner.at,
        by: pruner.by.clone(),
        why: pruner.why.clone(),
    };
    // These types have only keys that are text.
    let mut text = serde_json::to_vec_pretty(&stone).unwrap_or_default();
    text.push(b'\n');
    let path = found.dir.join(tombstone::FILE);
    set(&path, &text).map_err(|why| PruneError { path, why })?;
    finish(&found.dir)
}

/// Removes everything that a tombstone does not keep; gives the bytes that are free now.
///
/// # Errors
/// As [`remove`].
pub fn finish(dir: &Path) -> Result<u64, PruneError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |why| PruneError { path, why }
    };
    let mut freed = 0;
    let mut folders = Vec::new();
    for (name, bytes) in files(dir).map_err(failed(dir))?.into_iter().filter(|(name, _)| !tombstone::keeps(name)) {
        let path = dir.join(&name);
        gone(fs::remove_file(&path)).map_err(failed(&path))?;
        freed += bytes;
    }
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        if entry.file_type().map_err(failed(dir))?.is_dir() {
            below(&entry.path(), &mut folders);
        }
    }
    // From the deepest up; one that holds something that stays is not empty, and stays, too.
    folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))?;
    Ok(freed)
}

fn below(folder: &Path, into: &mut Vec<PathBuf>) {
    into.push(folder.to_owned());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        below(&entry.path(), into);
    }
}

/// Somebody else may have removed it.
fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whole, and on the disk.
fn set(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
