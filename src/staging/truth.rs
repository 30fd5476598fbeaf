//! What a process of the staging really did, written down by itself as it happens: one JSON object per line with the
//! nanoseconds of CLOCK_MONOTONIC, the clock that a runner on this machine uses too. A process that is killed cannot
//! write down its own end; its supervisor does (`child_exited`). Nothing here interprets anything.

use crate::clock::Clock;
use crate::model::Mono;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of a record: run, writer, sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Name {
    /// The run it belongs to.
    pub run: String,
    /// Its writer.
    pub writer: u16,
    /// Its sequence number.
    pub seq: u64,
}

/// Something that happened. `event` in the line is the variant in snake case.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names say, and each variant is documented")]
pub enum Fact<'a> {
    /// A node is up.
    Started { pid: u32, role: &'a str, term: u64, records: usize },
    /// A write is about to be acknowledged; `local` if no standby has it although that was asked for.
    Accepted { run: &'a str, writer: u16, seq: u64, attempt: u32, local: bool },
    /// A write was refused before anything was stored.
    Refused { run: &'a str, writer: u16, seq: u64, reason: String },
    /// A write was stored, but not confirmed in time or not before the node was deposed.
    Undecided { run: &'a str, writer: u16, seq: u64, reason: &'a str },
    /// A read was answered.
    Read { run: &'a str, writer: u16, seq: u64, found: bool },
    /// The page was served.
    Visited {},
    /// This node is the primary now, with so many records.
    Promoted { term: u64, records: usize },
    /// This node is no longer the primary, because it saw `term`.
    Demoted { term: u64, records: usize },
    /// A standby follows from this record on.
    StandbyJoined { from: usize },
    /// The standby is gone; it had confirmed so many records.
    StandbyLeft { confirmed: usize },
    /// A standby has stored a record of the primary.
    Stored { run: &'a str, writer: u16, seq: u64 },
    /// Records were discarded so that this node can follow the new primary.
    Truncated { from: usize, records: Vec<Name> },
    /// A seeded violation was carried out.
    Violated { violation: &'a str, run: &'a str, writer: u16, seq: u64 },
    /// The supervisor started a node.
    Spawned { node: &'a str, pid: u32, role: &'a str, term: u64 },
    /// The system told the supervisor that a node's process ended.
    ChildExited { node: &'a str, pid: u32, status: String },
    /// The system told the supervisor that a node's process was stopped by a signal.
    ChildStopped { node: &'a str, pid: u32 },
    /// The system told the supervisor that a stopped node goes on.
    ChildContinued { node: &'a str, pid: u32 },
    /// A health check of the leader failed, the n-th in a row.
    CheckFailed { node: &'a str, count: u32, error: String },
    /// From now on the router sends requests there.
    RoutedTo { node: &'a str, term: u64 },
    /// The router hands an answer to a ledger request to its client.
    Relayed { method: &'a str, path: &'a str, attempt: u32, status: u16, outcome: &'a str },
}

#[derive(Serialize)]
struct Line<'a> {
    t: Mono,
    by: &'a str,
    #[serde(flatten)]
    fact: &'a Fact<'a>,
}

/// The truth log of one process.
#[derive(Debug)]
pub struct Truth {
    by: String,
    file: Mutex<File>,
    failures: AtomicU64,
}

impl Truth {
    /// Opens `dir/truth/NAME.jsonl` for appending.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(dir: &Path, name: &str) -> io::Result<Self> {
        let path = path(dir, name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { by: name.to_owned(), file: Mutex::new(file), failures: AtomicU64::new(0) })
    }

    /// Writes down `fact` as of now.
    pub fn log(&self, fact: &Fact<'_>) {
        self.log_at(Clock::System.mono(), fact);
    }

    /// Writes down `fact` as of `at`.
    pub fn log_at(&self, at: Mono, fact: &Fact<'_>) {
        let line = Line { t: at, by: &self.by, fact };
        let written = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.file.lock().map_err(|_| io::Error::other("poisoned"))?.write_all(&bytes)
        });
        if written.is_err() {
            // The service goes on; its health says that the truth has gaps.
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many facts could not be written.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Where the truth of `name` is kept.
#[must_use]
pub fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join("truth").join(format!("{name}.jsonl"))
}
