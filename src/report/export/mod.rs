//! Operations as tables for other programs: one row each, as comma-separated values or as Parquet. The columns are
//! described in `docs/reports.md`. Where the bytes go is the caller's business.

mod csv;
mod parquet;

pub use csv::csv;
pub use parquet::{ParquetError, parquet};

use crate::event::RunStarted;
use crate::model::{Action, Found, Key, Mono, OpRecord, Ops, Outcome, WorkloadName};
use std::collections::BTreeMap;

/// The operations of some workloads of a run.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// The start record: the workloads in their order, and what counts as served.
    pub run: &'a RunStarted,
    /// When it was written; all times count from here.
    pub started: Mono,
    /// Operations by workload, in order of due time.
    pub ops: &'a BTreeMap<WorkloadName, Ops>,
    /// Only this workload, or all.
    pub only: Option<&'a WorkloadName>,
}

/// One row. Times are nanoseconds since the start record.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    workload: &'a str,
    action: &'static str,
    outcome: &'static str,
    due: i64,
    /// None if it never was.
    sent: Option<i64>,
    done: i64,
    latency: i64,
    served: bool,
    late: bool,
    key: Option<Key>,
    found: Option<&'static str>,
}

const COLUMNS: [&str; 12] = [
    "workload",
    "action",
    "outcome",
    "due_ns",
    "sent_ns",
    "done_ns",
    "latency_ns",
    "served",
    "late",
    "writer",
    "seq",
    "found",
];

impl<'a> Table<'a> {
    fn rows(self) -> impl Iterator<Item = Row<'a>> {
        let meant = move |name: &WorkloadName| self.only.is_none_or(|only| only == name);
        let seals = self.run.workloads.iter().filter(move |seal| meant(&seal.name));
        seals.flat_map(move |seal| {
            let deadline = i64::try_from(seal.service.deadline.as_nanos()).unwrap_or(i64::MAX);
            let ops = self.ops.get(&seal.name).into_iter().flat_map(Ops::iter);
            ops.map(move |op| row(seal.name.as_str(), &op, self.started, deadline))
        })
    }
}

fn row<'a>(workload: &'a str, op: &OpRecord, started: Mono, deadline: i64) -> Row<'a> {
    let since = |at: Mono| at.0.wrapping_sub(started.0);
    let sent = !matches!(op.outcome, Outcome::Missed | Outcome::Unsent);
    Row {
        workload,
        action: match op.action {
            Action::Write => "write",
            Action::Read => "read",
            Action::Visit => "visit",
        },
        outcome: match op.outcome {
            Outcome::Ok => "ok",
            Outcome::OkLocal => "ok_local",
            Outcome::Fail => "fail",
            Outcome::Unknown => "unknown",
            Outcome::Missed => "missed",
            Outcome::Unsent => "unsent",
        },
        due: since(op.due),
        sent: sent.then(|| since(op.sent)),
        done: since(op.done),
        latency: op.done.0.wrapping_sub(op.due.0),
        served: op.served(deadline),
        late: op.late(deadline),
        key: op.key,
        found: op.found.map(|found| match found {
            Found::Intact => "intact",
            Found::Corrupted => "corrupted",
            Found::Absent => "absent",
        }),
    }
}
