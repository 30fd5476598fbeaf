//! One operation of a client, as it was due, sent and done, and what became of it.

use super::Mono;
use serde::{Deserialize, Serialize};

/// What became of an operation, as the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Acknowledged as asked.
    Ok,
    /// Acknowledged, but the answer itself says it is less durable than asked.
    OkLocal,
    /// Definitely did not happen.
    Fail,
    /// Bytes were sent and no answer decides.
    Unknown,
    /// Could not be sent because the service held all in-flight capacity (or all writers) until the deadline passed:
    /// not served. It took no sequence number.
    Missed,
    /// Could not be sent by the runner itself (its own stall, no ports left): neither up nor down.
    Unsent,
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Wrote a ledger record.
    Write,
    /// Read a ledger record back.
    Read,
    /// Visited the service (availability).
    Visit,
}

/// A ledger record's name within a run: writer and sequence number, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The writer, 0 ≤ writer < writers.
    pub writer: u16,
    /// The sequence number of this writer.
    pub seq: u64,
}

/// What a read of a ledger record found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Present and intact.
    Intact,
    /// Present, but its checksum differs or it is truncated.
    Corrupted,
    /// Not there.
    Absent,
}

/// One operation as the operations log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpRecord {
    /// When the schedule wanted it: t₀ + k/r.
    pub due: Mono,
    /// Right before the first byte; equals `due` for operations that were never sent.
    pub sent: Mono,
    /// Right after the answer, or when it was given up.
    pub done: Mono,
    /// What it did.
    pub action: Action,
    /// What became of it.
    pub outcome: Outcome,
    /// The ledger record it wrote or read; none for a visit and for a write that was never sent.
    pub key: Option<Key>,
    /// What a read that was answered found.
    pub found: Option<Found>,
}

impl OpRecord {
    /// Served: acknowledged, and no later than `deadline` nanoseconds after it was due.
    #[must_use]
    pub fn served(&self, deadline: i64) -> bool {
        matches!(self.outcome, Outcome::Ok | Outcome::OkLocal) && self.done - self.due <= deadline
    }

    /// Acknowledged, but after the deadline.
    #[must_use]
    pub fn late(&self, deadline: i64) -> bool {
        matches!(self.outcome, Outcome::Ok | Outcome::OkLocal) && self.done - self.due > deadline
    }
}
