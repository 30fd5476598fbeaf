//! What the rig did, written down as it happens: one JSON object a line, with nanoseconds of CLOCK_MONOTONIC, the clock
//! that a runner on this machine uses too. Nothing here interprets anything.

use super::script::Play;
use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Answered as it should be.
    Served,
    /// Answered with an error that says that nothing was done.
    Refused,
    /// Read, and never answered.
    Swallowed,
    /// Read, and the connection was reset.
    Cut,
}

/// What a store did to a record that it should not have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Forgot it.
    Lost,
    /// Kept it twice.
    Duplicated,
    /// Damaged it.
    Corrupted,
    /// Refused it, and kept it.
    Resurrected,
    /// Made it up.
    Phantom,
    /// Said that it is not there, to a reader.
    Stale,
}

/// Something that happened. What happened somewhere between two moments has both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names say, and each variant is documented")]
pub enum Fact {
    /// It is up.
    Started { t: i64, pid: u32 },
    /// Between these moments it began to play this.
    Plays { from: i64, to: i64, play: Play },
    /// A visit: read at `t`; `out` is right before the answer was written, or the connection cut.
    Visit { t: i64, out: i64, of: String, n: u64, fate: Fate },
    /// A write: as a visit; `stored` says whether it was kept.
    Write { t: i64, out: i64, run: String, writer: u16, seq: u64, fate: Fate, stored: bool },
    /// A read of one record.
    Read { t: i64, out: i64, writer: u16, seq: u64, found: bool, fate: Fate },
    /// The store lied about this record.
    Lied { t: i64, lie: Lie, run: String, writer: u16, seq: u64 },
    /// It ends.
    Ended { t: i64 },
}

/// The log of one process. It is complete once this is dropped.
#[derive(Debug)]
pub struct Log(Mutex<BufWriter<File>>);

impl Log {
    /// A new file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 16, File::create(path)?))))
    }

    /// Writes it down.
    pub fn note(&self, fact: &Fact) {
        if let Ok(mut line) = serde_json::to_vec(fact) {
            line.push(b'\n');
            // A truth with a gap is noticed: a request that is in no log.
            let _gap = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        }
    }

    /// Hands everything to the system.
    pub fn flush(&self) {
        let _gap = self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(super) fn now() -> i64 {
    Clock::System.mono().0
}

/// Where the server writes.
#[must_use]
pub fn server(dir: &Path) -> PathBuf {
    dir.join("server.jsonl")
}

/// Where the controller writes.
#[must_use]
pub fn control(dir: &Path) -> PathBuf {
    dir.join("control.jsonl")
}
