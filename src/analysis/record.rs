//! What an analysis is made from: a run's record as `journal::read` gives it back, without the files.

use crate::event::{Event, ReadBack};
use crate::model::{Ops, WorkloadName};
use std::collections::BTreeMap;

/// A run's record. The fields are those of `journal::Stored`; `cli` hands them over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Events, in order.
    pub events: Vec<Event>,
    /// Operations of each workload, in any order.
    pub ops: BTreeMap<WorkloadName, Ops>,
    /// Read-backs by the file name in their event.
    pub read_backs: BTreeMap<String, ReadBack>,
    /// SHA-256 of the journal's last line, hex.
    pub head: String,
    /// Lines of the journal.
    pub lines: u64,
    /// What of the journal is not used, and why.
    pub cut: Option<String>,
    /// Whatever else does not verify; any of it makes the run inconclusive.
    pub problems: Vec<String>,
}
