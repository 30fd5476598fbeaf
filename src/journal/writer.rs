//! Appends events to a journal. Each line reaches the kernel before `append` returns; the ones that safety rests on
//! reach the disk. What may follow what is in `transitions`.

use super::format::{self, FILE, GENESIS};
use super::reserve::{Released, Reserve};
use super::transitions::State;
use super::{JournalError, Stored, reader};
use crate::clock::Clock;
use crate::event::{Event, What};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A journal that is open for appending. While it is, an advisory lock on the file tells that its run is alive.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    seq: u64,
    head: String,
    length: u64,
    state: State,
    reserve: Reserve,
    full: bool,
}

impl Journal {
    /// Starts the journal of a new run in its folder, which is made if it is not there.
    ///
    /// # Errors
    /// `Exists` if there is a journal already, `Io` if the folder cannot be written.
    pub fn create(dir: &Path, clock: Clock) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let path = dir.join(FILE);
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
            let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
            if exists { JournalError::Exists(path.clone()) } else { JournalError::io("create", &path)(error) }
        })?;
        lock(&file, &path)?;
        sync_dir(dir)?;
        let reserve = Reserve::keep(dir).map_err(JournalError::io("keep space back in", dir))?;
        let (head, state) = (GENESIS.to_owned(), State::default());
        let inner = Inner { file, seq: 0, head, length: 0, state, reserve, full: false };
        Ok(Self { path, clock, inner: Mutex::new(inner) })
    }

    /// Continues the journal of a run that died: a torn tail is cut off and noted with its digest.
    ///
    /// # Errors
    /// `Busy` if the run is still alive, `Unreadable` if something in the middle does not verify.
    pub fn reopen(dir: &Path, clock: Clock) -> Result<(Self, Stored), JournalError> {
        let path = dir.join(FILE);
        let open = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = open.map_err(JournalError::io("open", &path))?;
        lock(&file, &path)?;
        let stored = super::read_events(dir)?;
        if let Some(cut) = stored.cut.as_ref().filter(|cut| !cut.torn) {
            return Err(JournalError::Unreadable(path, cut.to_string()));
        }
        if stored.events.is_empty() {
            return Err(JournalError::Unreadable(path, "it is empty".to_owned()));
        }
        let length = stored.bytes;
        file.set_len(length).map_err(JournalError::io("cut the torn tail of", &path))?;
        file.seek(SeekFrom::Start(length)).map_err(JournalError::io("seek in", &path))?;
        let state = reader::fold(&stored.events, &mut Vec::new());
        let (seq, head, reserve) = (stored.lines, stored.head.clone(), Reserve::none(dir));
        let inner = Inner { file, seq, head, length, state, reserve, full: false };
        let journal = Self { path, clock, inner: Mutex::new(inner) };
        if let Some(cut) = &stored.cut {
            journal.append(What::Note { text: format!("the journal had a torn tail: {cut}") })?;
        }
        Ok((journal, stored))
    }

    /// Appends an event, stamped now. It has reached the kernel when this returns; a start record, an intent, a
    /// `Healed` and an end have reached the disk.
    ///
    /// # Errors
    /// `Io` if it could not be written, in which case the journal is as before; `Illegal` (debug builds only, release
    /// builds leave it to the reader) if it may not follow the events before it.
    pub fn append(&self, what: What) -> Result<Event, JournalError> {
        let sync = must_sync(&what);
        self.write(what, sync)
    }

    /// Appends an event and waits until it has reached the disk.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_synced(&self, what: What) -> Result<Event, JournalError> {
        self.write(what, Sync::Disk)
    }

    /// Number of lines so far, and the digest of the last one.
    #[must_use]
    pub fn head(&self) -> (u64, String) {
        let inner = self.lock();
        (inner.seq, inner.head.clone())
    }

    /// Did the disk become full? What was kept back still lets the record end; nothing new should begin.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().full
    }

    fn write(&self, what: What, sync: Sync) -> Result<Event, JournalError> {
        let mut inner = self.lock();
        let event = Event { at: self.clock.stamp(), what };
        if cfg!(debug_assertions) {
            inner.state.check(&event.what).map_err(JournalError::Illegal)?;
        }
        let line = format::encode(inner.seq, &inner.head, &event)?;
        inner.put(&line).map_err(JournalError::io("append to", &self.path))?;
        if sync == Sync::Disk {
            inner.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        }
        inner.state.apply(&event.what);
        Ok(event)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A line that was written in part is taken back, so that a full disk that gets space again leaves no garbage.
    fn put(&mut self, line: &[u8]) -> std::io::Result<()> {
        match self.put_once(line) {
            Err(error) if error.kind() == ErrorKind::StorageFull && self.reserve.release() == Released::Now => {
                self.full = true;
                self.put_once(line)?;
            }
            other => other?,
        }
        self.seq += 1;
        self.head = format::digest(line);
        self.length += line.len() as u64;
        Ok(())
    }

    fn put_once(&mut self, line: &[u8]) -> std::io::Result<()> {
        let written = self.file.write_all(line);
        if written.is_err() {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
        }
        written
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Kernel,
    Disk,
}

fn must_sync(what: &What) -> Sync {
    match what {
        What::RunStarted(_)
        | What::FaultIntent(_)
        | What::StagingBegun { .. }
        | What::Healed { .. }
        | What::RunEnded { .. } => Sync::Disk,
        _ => Sync::Kernel,
    }
}

/// Is the run that writes the journal in this folder alive?
#[must_use]
pub fn alive(dir: &Path) -> bool {
    File::open(dir.join(FILE)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The right to act on a record that cannot be written.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// Takes a record in hand without writing it, so that nobody else does at the same time.
///
/// # Errors
/// `Busy` if somebody has it in hand, `Io` if it cannot be opened.
pub fn hold(dir: &Path) -> Result<Held, JournalError> {
    let path = dir.join(FILE);
    let file = File::open(&path).map_err(JournalError::io("open", &path))?;
    lock(&file, &path)?;
    Ok(Held { _file: file })
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::Busy(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(JournalError::io("lock", path)(error)),
    }
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(JournalError::io("sync", dir))
}
