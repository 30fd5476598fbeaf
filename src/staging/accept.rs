//! What a node does with a write, a read or a visit: accepts, confirms, refuses, or tells a seeded lie.

use super::Replication;
use super::log::{self, Record, Store};
use super::node::{Node, Role};
use super::truth::{Fact, Name};
use super::violation::Deed;
use crate::clock::Clock;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A confirmation that takes longer than this leaves the write undecided.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// Why a write or a read was refused: it definitely did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("not primary")]
    NotPrimary,
    #[error("no standby is there to confirm")]
    NoStandby,
    #[error("the store is full")]
    Full,
    #[error("the disk refused: {0}")]
    Disk(std::io::Error),
    #[error("a seeded lie")]
    Lie,
}

/// What became of a write.
pub(super) enum Answer {
    Acknowledged,
    AcknowledgedLocally,
    Refused(Refusal),
    Undecided(&'static str),
}

/// A write as it came in.
pub(super) struct Put {
    pub run: String,
    pub writer: u16,
    pub seq: u64,
    pub attempt: u32,
    pub payload: Vec<u8>,
}

impl Node {
    /// Accepts a write: stores it, and under `sync` waits for the standby.
    pub(super) async fn accept(&self, put: Put) -> Answer {
        let name = Name { run: put.run.clone(), writer: put.writer, seq: put.seq };
        let attempt = put.attempt;
        let answer = match self.admit(put) {
            Ok(None) => Answer::Acknowledged,
            Ok(Some(place)) => self.settle(place).await,
            Err(refusal) => Answer::Refused(refusal),
        };
        let Name { run, writer, seq } = &name;
        let (writer, seq) = (*writer, *seq);
        match &answer {
            Answer::Acknowledged => self.truth.log(&Fact::Accepted { run, writer, seq, attempt, local: false }),
            Answer::AcknowledgedLocally => self.truth.log(&Fact::Accepted { run, writer, seq, attempt, local: true }),
            Answer::Refused(why) => self.truth.log(&Fact::Refused { run, writer, seq, reason: why.to_string() }),
            Answer::Undecided(reason) => self.truth.log(&Fact::Undecided { run, writer, seq, reason }),
        }
        answer
    }

    /// Stores a write; `None` if a seeded lie left it out.
    fn admit(&self, put: Put) -> Result<Option<usize>, Refusal> {
        let mut store = self.store();
        let status = self.now();
        if status.role != Role::Primary {
            return Err(Refusal::NotPrimary);
        }
        if self.must_refuse_alone() {
            return Err(Refusal::NoStandby);
        }
        if store.len() >= log::MAX_RECORDS {
            return Err(Refusal::Full);
        }
        let Put { run, writer, seq, attempt, payload } = put;
        let record = Record { term: status.term, run, writer, seq, attempt, payload };
        let deed = self.settings.violations.deed(self.writes.next());
        if deed != Deed::Honest {
            let run = &record.run;
            self.truth.log(&Fact::Violated { violation: deed.word(), run, writer, seq });
        }
        self.carry_out(&mut store, record, deed)
    }

    fn carry_out(&self, store: &mut Store, mut record: Record, deed: Deed) -> Result<Option<usize>, Refusal> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = held.iter().position(|h| h.writer == record.writer && h.run == record.run);
        let mut after: Vec<Record> = waits.map(|i| held.remove(i)).into_iter().collect();
        match deed {
            Deed::Corrupt => {
                if let Some(byte) = record.payload.last_mut() {
                    *byte ^= 1;
                }
            }
            Deed::Duplicate => after.push(record.clone()),
            Deed::Phantom => after.push(Record { seq: record.seq + 1_000_000_000, ..record.clone() }),
            Deed::Reorder => held.push(record.clone()),
            Deed::Hole | Deed::Honest | Deed::Resurrect => {}
        }
        let now = Clock::System.mono();
        let own = if matches!(deed, Deed::Hole | Deed::Reorder) {
            None
        } else {
            Some(store.append(record, now).map_err(Refusal::Disk)?)
        };
        for record in after {
            store.append(record, now).map_err(Refusal::Disk)?;
        }
        self.length.send_replace(store.len());
        if deed == Deed::Resurrect { Err(Refusal::Lie) } else { Ok(own) }
    }

    /// A `sync` primary without a standby refuses, unless it may acknowledge alone after a while.
    fn must_refuse_alone(&self) -> bool {
        let strict = self.settings.replication == Replication::Sync && self.settings.degrade_after.is_none();
        strict && !self.replica.borrow().connected
    }

    /// Waits until the write at `place` may be acknowledged.
    async fn settle(&self, place: usize) -> Answer {
        if self.settings.replication == Replication::Async {
            return Answer::Acknowledged;
        }
        let term = self.now().term;
        let (mut replica, mut status) = (self.replica.subscribe(), self.status.subscribe());
        tokio::select! {
            biased;
            _ = status.wait_for(|s| s.role == Role::Standby || s.term != term) => Answer::Undecided("deposed"),
            _ = replica.wait_for(|r| r.confirmed > place) => Answer::Acknowledged,
            () = self.patience() => Answer::AcknowledgedLocally,
            () = tokio::time::sleep(CONFIRM_LIMIT) => Answer::Undecided("not confirmed in time"),
        }
    }

    /// Resolves when this primary may acknowledge without its standby; never if it may not.
    async fn patience(&self) {
        let Some(limit) = self.settings.degrade_after else { return std::future::pending().await };
        let replica = *self.replica.borrow();
        let gone = if replica.connected { Clock::System.mono() } else { replica.since };
        Clock::System.sleep_until(gone.after(limit)).await;
    }

    /// A record for a reader; `None` if it is not there.
    pub(super) fn read(&self, run: &str, writer: u16, seq: u64) -> Result<Option<Arc<Record>>, Refusal> {
        let found = {
            let store = self.store();
            if self.now().role != Role::Primary {
                return Err(Refusal::NotPrimary);
            }
            store.get(run, writer, seq)
        };
        let lie = self.settings.violations.stale_every.is_some_and(|n| n > 0 && self.reads.next().is_multiple_of(n));
        let found = if lie && found.is_some() {
            self.truth.log(&Fact::Violated { violation: "stale", run, writer, seq });
            None
        } else {
            found
        };
        self.truth.log(&Fact::Read { run, writer, seq, found: found.is_some() });
        Ok(found)
    }

    /// Serves a visit.
    pub(super) fn visit(&self) -> Result<(), Refusal> {
        if self.now().role != Role::Primary {
            return Err(Refusal::NotPrimary);
        }
        self.truth.log(&Fact::Visited {});
        Ok(())
    }
}
