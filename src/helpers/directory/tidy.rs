//! Before a run: the folders, a write that is tried out, and what earlier runs left. Only files that bear our names, in
//! folders that bear our mark, are ever removed.

use super::writer::{folder, sync_folder};
use crate::adapters::AdapterError;
use crate::adapters::directory::records::{FileName, MARKER};
use crate::adapters::directory::wire::Place;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Earlier runs that one preparation removes.
const RUNS: usize = 1_000;
/// A mark is a run's name.
const MARK: u64 = 256;

pub(super) fn prepare(place: &Place, need: Option<u64>) -> Result<(), AdapterError> {
    let path = &place.path;
    let about = fs::metadata(path).map_err(|e| said("look at", path, &e))?;
    if !about.is_dir() {
        return Err(AdapterError::Refused(format!("{} is no directory", path.display())));
    }
    let ledgers = path.join(&place.name);
    match fs::create_dir(&ledgers) {
        Ok(()) => sync_folder(path).map_err(|e| said("sync", path, &e))?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(said("make the folder", &ledgers, &e)),
    }
    if !fs::symlink_metadata(&ledgers).is_ok_and(|meta| meta.is_dir()) {
        let text = format!("{} is there and is no folder; name another with `table`", ledgers.display());
        return Err(AdapterError::Refused(text));
    }
    clear(place, &ledgers)?;
    make_run(place).map_err(|e| said("make the folder", &folder(place), &e))?;
    try_out(place)?;
    room(place, need)
}

/// An error, and what to do about it.
fn said(doing: &str, path: &Path, error: &io::Error) -> AdapterError {
    let text = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => AdapterError::Missing(format!("{text}; make it, or mount what belongs there")),
        ErrorKind::PermissionDenied => AdapterError::Refused(format!("{text}; let the user of this run write there")),
        ErrorKind::ReadOnlyFilesystem => AdapterError::Refused(format!("{text}; mount it writable")),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => AdapterError::Refused(format!("{text}; make room there")),
        _ => AdapterError::Other(text),
    }
}

/// The run's folder with its mark; there already is fine.
pub(super) fn make_run(place: &Place) -> io::Result<()> {
    let folder = folder(place);
    match fs::create_dir(&folder) {
        Ok(()) => {}
        // Another writer was first.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(e),
    }
    let mut mark = fs::File::create(folder.join(MARKER))?;
    mark.write_all(place.run.as_bytes())?;
    mark.sync_all()?;
    sync_folder(&folder)?;
    sync_folder(&place.path.join(&place.name))
}

fn try_out(place: &Place) -> Result<(), AdapterError> {
    let slot = super::SLOTS;
    super::writer::visit(place, slot, 0).map_err(|trouble| {
        let error = io::Error::from_raw_os_error(trouble.errno);
        said("write, sync and read a file in", &folder(place), &error)
    })
}

fn room(place: &Place, need: Option<u64>) -> Result<(), AdapterError> {
    let Some(need) = need else { return Ok(()) };
    let path = &place.path;
    let seen = rustix::fs::statvfs(path).map_err(|e| said("look at the file system of", path, &e.into()))?;
    let free = seen.f_bavail.saturating_mul(seen.f_frsize);
    if free >= need {
        return Ok(());
    }
    let text = format!(
        "{}: {} MiB are free, and {} MiB may be written (rate × `max_duration` × the size of a record); make room, or \
         lower one of these",
        path.display(),
        free >> 20,
        need.div_ceil(1 << 20)
    );
    Err(AdapterError::Refused(text))
}

/// What earlier runs left. What cannot be removed stays: it is in nobody's way.
fn clear(place: &Place, ledgers: &Path) -> Result<(), AdapterError> {
    let all = fs::read_dir(ledgers).map_err(|e| said("list", ledgers, &e))?;
    for entry in all.flatten().take(RUNS) {
        let run = entry.path();
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && name != place.run.as_str() && is_marked(&run, &name.to_string_lossy()) {
            remove(&run);
        }
    }
    Ok(())
}

/// Does the folder's mark name the folder?
fn is_marked(run: &Path, name: &str) -> bool {
    let mark = run.join(MARKER);
    let plain = fs::symlink_metadata(&mark).is_ok_and(|meta| meta.is_file() && meta.len() <= MARK);
    plain && fs::read_to_string(mark).is_ok_and(|text| text == name)
}

/// The files that bear our names, then the mark, then the folder, if nothing else is in it.
fn remove(run: &Path) {
    let files = fs::read_dir(run).into_iter().flatten().flatten();
    let mut others = 0;
    for file in files {
        let ours = file.file_name().to_str().and_then(FileName::read);
        let plain = file.file_type().is_ok_and(|kind| kind.is_file());
        match ours {
            Some(FileName::Marker) if plain => {}
            Some(_) if plain && fs::remove_file(file.path()).is_ok() => {}
            _ => others += 1,
        }
    }
    if others == 0 && fs::remove_file(run.join(MARKER)).is_ok() {
        // Something new in it keeps it.
        let _kept = fs::remove_dir(run);
    }
}
