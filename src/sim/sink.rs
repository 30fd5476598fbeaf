//! One workload alone, without a drill around it: a client of the caller's own, and a record that is kept in memory.

use crate::adapters::{AdapterError, Client, ClientSettings, Clients, Endpoint, Fut, Opened};
use crate::clock::Clock;
use crate::event::{OpsMark, What};
use crate::exec::sampler::{OpsSink, Recorder};
use crate::journal::JournalError;
use crate::model::OpRecord;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Opens this client, whatever the endpoint says.
pub struct Only(pub Arc<dyn Client>);

impl Clients for Only {
    fn open<'a>(
        &'a self,
        _: &'a Clock,
        _: &'a Endpoint,
        _: &'a ClientSettings,
    ) -> Fut<'a, Result<Opened, AdapterError>> {
        Box::pin(std::future::ready(Ok(Opened { client: Arc::clone(&self.0), store: None })))
    }
}

#[derive(Default)]
struct Kept {
    operations: Vec<OpRecord>,
    seen: Vec<What>,
}

/// Keeps what a sampler records; clones share it.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Kept>>);

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All operations so far, in the order in which they were due.
    #[must_use]
    pub fn records(&self) -> Vec<OpRecord> {
        let mut records = self.kept().operations.clone();
        records.sort_by_key(|record| record.due);
        records
    }

    /// Does anything still hold a clone?
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What the sampler saw of its runner.
    #[must_use]
    pub fn seen(&self) -> Vec<What> {
        self.kept().seen.clone()
    }
}

impl OpsSink for Memory {
    fn push(&self, record: OpRecord) {
        self.kept().operations.push(record);
    }

    fn mark(&self) -> Result<OpsMark, JournalError> {
        let operations = self.kept().operations.len() as u64;
        Ok(OpsMark { workload: "memory".into(), blocks: 1, operations, bytes: 0, head: String::new() })
    }

    fn finish(&self) -> Result<OpsMark, JournalError> {
        self.mark()
    }
}

impl Recorder for Memory {
    fn record(&self, what: What) {
        self.kept().seen.push(what);
    }
}
