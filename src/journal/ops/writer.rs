//! Appends blocks of operations from a thread of its own, so that the sampler never waits for a disk.

use super::codec::Codec;
use super::{BLOCK_MAX, Head, file_name, first_head, header, next_head};
use crate::event::OpsMark;
use crate::journal::format::hex;
use crate::journal::{JournalError, writer::sync_dir};
use crate::model::{Action, OpRecord, WorkloadName};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Nothing waits longer than this in memory, plus the time of one write and sync.
const FLUSH: Duration = Duration::from_millis(200);
/// Acknowledgements of a ledger's writes wait no longer than this: what a dead runner had heard and not written down is
/// in doubt afterwards. Together with the sync that follows it stays under 100 ms on a disk that is well.
const FLUSH_ACKNOWLEDGED: Duration = Duration::from_millis(75);
/// The thread is woken earlier when this many wait.
const WAKE: usize = 1 << 14;
/// More than this never wait: a disk that cannot keep up is an error, not a reason to run out of memory.
const LIMIT: usize = 1 << 20;

/// The operations log of one workload, open for writing.
#[derive(Debug)]
pub struct OpsWriter {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Debug)]
struct Pending {
    records: Vec<OpRecord>,
    /// How long they wait: less from the first write of a ledger on.
    flush: Duration,
    mark: OpsMark,
    finishing: bool,
    error: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpsWriter {
    /// Creates the log of a workload in the run's folder and starts its thread.
    ///
    /// # Errors
    /// If the file exists already or cannot be written, or no thread can be started.
    pub fn create(dir: &Path, workload: &WorkloadName) -> Result<Self, JournalError> {
        let path = dir.join(file_name(workload));
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent).map_err(JournalError::io("create", parent))?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
            let exists = error.kind() == ErrorKind::AlreadyExists;
            if exists { JournalError::Exists(path.clone()) } else { JournalError::io("create", &path)(error) }
        })?;
        let header = header(workload);
        file.write_all(&header).map_err(JournalError::io("write", &path))?;
        file.sync_data().map_err(JournalError::io("sync", &path))?;
        sync_dir(parent)?;
        let head = first_head(&header);
        let (workload, bytes) = (workload.clone(), header.len() as u64);
        let mark = OpsMark { workload, blocks: 0, operations: 0, bytes, head: hex(&head) };
        let pending = Pending { records: Vec::new(), flush: FLUSH, mark, finishing: false, error: None };
        let shared = Arc::new(Shared { pending: Mutex::new(pending), wake: Condvar::new() });
        let appender = Appender { file, path: path.clone(), codec: Codec::default(), head };
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ops-log".to_owned()).spawn(move || appender.run(&ours));
        let thread = thread.map_err(JournalError::io("start the writing thread of", &path))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Hands an operation over: some nanoseconds, never a wait for a disk. Whether it arrived, [`OpsWriter::mark`] and
    /// [`OpsWriter::finish`] tell.
    pub fn push(&self, record: OpRecord) {
        self.push_all(&[record]);
    }

    /// Hands several over, in this order.
    pub fn push_all(&self, records: &[OpRecord]) {
        let mut pending = self.shared.lock();
        if pending.error.is_some() || pending.finishing {
            return;
        }
        let before = pending.records.len();
        if before + records.len() > LIMIT {
            pending.error = Some(format!("the disk does not keep up: {LIMIT} operations wait"));
            return;
        }
        if records.iter().any(|record| record.action == Action::Write) {
            pending.flush = FLUSH_ACKNOWLEDGED;
        }
        pending.records.extend_from_slice(records);
        if before < WAKE && pending.records.len() >= WAKE {
            self.shared.wake.notify_one();
        }
    }

    /// How far the log has reached the disk. Does not wait.
    ///
    /// # Errors
    /// If operations could not be written: the record is no longer complete, and the run must end.
    pub fn mark(&self) -> Result<OpsMark, JournalError> {
        outcome(&self.shared.lock())
    }

    /// Writes what is left, waits until it has reached the disk and ends the thread. Operations that are pushed later
    /// are dropped. Calling it again returns the same.
    ///
    /// # Errors
    /// As [`OpsWriter::mark`].
    pub fn finish(&self) -> Result<OpsMark, JournalError> {
        self.shared.lock().finishing = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.shared.lock().error.get_or_insert_with(|| "its thread ended early".to_owned());
        }
        outcome(&self.shared.lock())
    }
}

impl Drop for OpsWriter {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

fn outcome(pending: &Pending) -> Result<OpsMark, JournalError> {
    match &pending.error {
        None => Ok(pending.mark.clone()),
        Some(why) => {
            let workload = pending.mark.workload.to_string();
            Err(JournalError::Ops { workload, why: why.clone() })
        }
    }
}

struct Appender {
    file: File,
    path: PathBuf,
    codec: Codec,
    head: Head,
}

impl Appender {
    fn run(mut self, shared: &Shared) {
        loop {
            let mut pending = shared.lock();
            if !pending.finishing && pending.records.len() < WAKE {
                let flush = pending.flush;
                let waited = shared.wake.wait_timeout(pending, flush);
                pending = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let (finishing, failed) = (pending.finishing, pending.error.is_some());
            let records = std::mem::take(&mut pending.records);
            drop(pending);
            if !records.is_empty() && !failed {
                self.flush(&records, shared);
            }
            if finishing {
                return;
            }
        }
    }

    fn flush(&mut self, records: &[OpRecord], shared: &Shared) {
        let mut bytes = Vec::new();
        let blocks = records.chunks(BLOCK_MAX).map(|block| self.encode(block, &mut bytes)).count();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        let mut pending = shared.lock();
        match written {
            Ok(()) => {
                pending.mark.blocks += blocks as u64;
                pending.mark.operations += records.len() as u64;
                pending.mark.bytes += bytes.len() as u64;
                pending.mark.head = hex(&self.head);
            }
            Err(error) => pending.error = Some(format!("cannot write `{}`: {error}", self.path.display())),
        }
    }

    fn encode(&mut self, records: &[OpRecord], out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(records.len() * 16);
        for record in records {
            self.codec.put(record, &mut payload);
        }
        let mut sizes = [0_u8; 8];
        sizes[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        sizes[4..].copy_from_slice(&(records.len() as u32).to_le_bytes());
        self.head = next_head(&self.head, &sizes, &payload);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&sizes);
        crc.update(&payload);
        out.extend(sizes);
        out.extend(crc.finalize().to_le_bytes());
        out.extend(self.head);
        out.extend(payload);
    }
}
