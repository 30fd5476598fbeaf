//! One file for all writers, and one fsync(2) for all records that wait for it, as databases do: whoever comes first syncs
//! for all who have written by then.

use super::writer::{SEGMENT, Segment, trouble, write_all};
use crate::adapters::directory::records::segment_name;
use crate::adapters::directory::wire::{Place, Spot, Step, Trouble, Whose};
use crate::model::Fsync;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub(super) struct Group {
    current: Mutex<(u32, Option<Arc<Shared>>)>,
}

/// A file that all append to. Whoever waits for it holds it, whatever is current by then.
struct Shared {
    name: String,
    file: File,
    whose: Whose,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    length: u64,
    /// Up to here it is on the disk.
    synced: u64,
    /// Somebody syncs.
    syncing: bool,
    /// It went wrong: nothing is appended to it, and it is never synced again.
    failed: Option<Trouble>,
}

impl Group {
    /// Writes a record, and returns when it is on the disk.
    pub fn write(&self, place: &Place, line: &str) -> Result<Spot, Trouble> {
        loop {
            let shared = self.file(place)?;
            if let Some((spot, end)) = shared.append(line)? {
                return shared.wait(end).map(|()| spot);
            }
            // It failed, or became full, meanwhile: another one is begun.
        }
    }

    /// The current file, or a new one if that takes no more.
    fn file(&self, place: &Place) -> Result<Arc<Shared>, Trouble> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, open) = &mut *current;
        if let Some(shared) = open.as_ref().filter(|shared| shared.progress().takes_more()) {
            return Ok(Arc::clone(shared));
        }
        *open = None;
        *begun += 1;
        let Segment { name, file, whose, .. } =
            Segment::begin(place, segment_name(None, place.process, *begun), Fsync::Group)?;
        let gone = || trouble(Step::Open, whose)(std::io::Error::from_raw_os_error(nix::errno::Errno::EBADF as i32));
        let file = file.ok_or_else(gone)?;
        let shared = Shared { name, file, whose, progress: Mutex::default(), changed: Condvar::new() };
        let shared = Arc::new(shared);
        *open = Some(Arc::clone(&shared));
        Ok(shared)
    }
}

impl Progress {
    fn takes_more(&self) -> bool {
        self.failed.is_none() && self.length < SEGMENT
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line at its end: where it begins, and where it ends. None if the file takes no more.
    fn append(&self, line: &str) -> Result<Option<(Spot, u64)>, Trouble> {
        let mut progress = self.progress();
        if !progress.takes_more() {
            return Ok(None);
        }
        if let Err(trouble) = write_all(&self.file, line.as_bytes(), self.whose) {
            // What others wrote to it and wait for is in doubt: it is not synced again.
            progress.failed = Some(Trouble { step: Step::Sync, ..trouble });
            self.changed.notify_all();
            return Err(trouble);
        }
        let at = progress.length;
        progress.length += line.len() as u64;
        Ok(Some((Spot { file: self.name.clone(), at }, progress.length)))
    }

    /// Until all up to here is on the disk.
    fn wait(&self, end: u64) -> Result<(), Trouble> {
        let mut progress = self.progress();
        loop {
            if progress.synced >= end {
                return Ok(());
            }
            if let Some(trouble) = progress.failed {
                return Err(trouble);
            }
            if progress.syncing {
                progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.syncing = true;
            let target = progress.length;
            drop(progress);
            let done = self.file.sync_data();
            progress = self.progress();
            progress.syncing = false;
            match done {
                Ok(()) => progress.synced = target,
                Err(error) => progress.failed = Some(trouble(Step::Sync, self.whose)(error)),
            }
            self.changed.notify_all();
        }
    }
}
