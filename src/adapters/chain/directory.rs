//! Heads in a folder: a lock beside each, and a new file renamed over the old one.

use super::{Change, Swapped};
use crate::adapters::AdapterError;
use crate::adapters::files::failed;
use crate::clock::Clock;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whoever holds the lock reads and writes a small file.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) async fn change(
    folder: &Path,
    name: &str,
    change: Change<'_>,
    clock: &Clock,
) -> Result<Swapped, AdapterError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let path = folder.join(name);
    let _lock = lock(&folder.join(format!(".{name}.lock")), clock).await?;
    let there = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        other => Some(other.map_err(failed("read", &path))?),
    };
    if let Some(text) = change(there.as_deref()).map_err(AdapterError::Refused)? {
        put(folder, &path, name, &text)?;
    }
    Ok(Swapped::Surely)
}

fn put(folder: &Path, path: &Path, name: &str, text: &str) -> Result<(), AdapterError> {
    let draft: PathBuf = folder.join(format!(".{name}.new"));
    let mut file = File::create(&draft).map_err(failed("create", &draft))?;
    file.write_all(text.as_bytes()).map_err(failed("write", &draft))?;
    file.sync_all().map_err(failed("sync", &draft))?;
    fs::rename(&draft, path).map_err(failed("rename", &draft))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// The lock goes with the file, also when its holder dies.
async fn lock(path: &Path, clock: &Clock) -> Result<File, AdapterError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(failed("open", path))?;
    let until = clock.mono().after(PATIENCE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if clock.mono() < until => {
                clock.sleep_until(clock.mono().after(LOOK_EVERY)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let why = format!("somebody has held {} for {} s", path.display(), PATIENCE.as_secs());
                return Err(AdapterError::TimedOut(why));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
    }
}
