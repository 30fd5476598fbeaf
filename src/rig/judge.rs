//! Holds a drill's report and its operations against the truth of the rig that it broke. The report is read as any
//! other program would read `report.json`. Every check says whether the truth lies inside of what was reported, and how
//! wide that was against how wide it may be, so that an infinite interval cannot pass. Pure.

mod books;
mod stamps;
mod times;

pub use stamps::Gaps;

use super::truth::{Key, Moment, Truth};
use serde_json::Value;

/// An operation as the runner recorded it; nanoseconds of CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// When it was due.
    pub due: i64,
    /// Right before it was sent.
    pub sent: i64,
    /// Right after it was answered, or when it was given up.
    pub done: i64,
    /// Was it acknowledged?
    pub ok: bool,
    /// Of a write, which.
    pub key: Option<Key>,
}

/// Who asked the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Visits, on a new connection each time or not.
    Visitor,
    /// Writes records.
    Ledger,
    /// Writes records to a store whose lies make its times meaningless.
    Books,
}

/// A workload, and what was recorded of it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Operations a second of its slowest lane: a ledger brings a probe.
    pub rate: f64,
    /// Within which an answer counts, in nanoseconds.
    pub deadline: i64,
    /// After which it gives up, in nanoseconds.
    pub timeout: i64,
    /// How long service must hold, in nanoseconds.
    pub stable: i64,
    /// Visits or writes in order of their due time.
    pub ops: Vec<Op>,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From the fault to the first error.
    FirstError,
    /// From the fault to the first restoration: the hard interval.
    Restored,
    /// From the fault to sustained service: the headline.
    Sustained,
    /// How long clients perceived it.
    Perceived,
    /// That it was not noticed.
    Unnoticed,
    /// Operation by operation: acknowledged if and only if the rig answered.
    Outcomes,
    /// Operation by operation: the rig's moments lie between ours.
    Stamps,
    /// Every class of writes.
    Classes,
    /// The age of what is lost.
    Loss,
}

impl Measure {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstError => "first error",
            Self::Restored => "first restored (hard)",
            Self::Sustained => "sustained",
            Self::Perceived => "perceived",
            Self::Unnoticed => "too short to be noticed",
            Self::Outcomes => "outcome of each operation",
            Self::Stamps => "stamps of each operation",
            Self::Classes => "classes of writes",
            Self::Loss => "age of the loss (RPO)",
        }
    }
}

/// How wide an interval is, and how wide it may be, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// It is so wide.
    pub is: i64,
    /// So wide with the service time of 99 of 100 operations of this very run. One of a hundred takes longer.
    pub usual: i64,
    /// So wide with the worst service time of this very run. None may be wider.
    pub limit: i64,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Of which workload.
    pub of: String,
    /// What.
    pub measure: Measure,
    /// Does the truth lie inside?
    pub inside: bool,
    /// How wide, where it is an interval.
    pub width: Option<Width>,
    /// What was found and what is true, in words.
    pub said: String,
}

impl Check {
    /// Neither a truth outside nor an interval that is too wide.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.inside && self.width.is_none_or(|width| width.is <= width.limit)
    }
}

/// What the judge found in one run.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// Check by check.
    pub checks: Vec<Check>,
    /// What cannot be judged at all, and why: a truth that is not whole, a fault that is not there.
    pub broken: Vec<String>,
    /// What stamping costs.
    pub gaps: Gaps,
    /// How long the runner says that it could not see, in nanoseconds.
    pub stalled: i64,
}

impl Judged {
    /// Everything that is wrong, in words.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let wrong = self.checks.iter().filter(|check| !check.is_right());
        let worded = wrong.map(|c| format!("{}: {}: {} ({:?})", c.of, c.measure.word(), c.said, c.width));
        self.broken.iter().cloned().chain(worded).collect()
    }
}

/// A reported interval in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Not less.
    pub low: i64,
    /// Not more.
    pub high: i64,
}

impl Bar {
    /// An interval of a report; none if it has no end.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Some(Self { low: nanos(&value["low"])?, high: nanos(&value["high"])? })
    }

    /// From end to end.
    #[must_use]
    pub fn width(self) -> i64 {
        self.high - self.low
    }

    /// Can both be true?
    #[must_use]
    pub fn meets(self, truth: Moment) -> bool {
        self.low <= truth.hi && self.high >= truth.lo
    }
}

/// Seconds in a report, in nanoseconds.
#[must_use]
pub fn nanos(value: &Value) -> Option<i64> {
    value.as_f64().map(|s| (s * 1e9).round() as i64)
}

/// When the runner says that it could not see, on CLOCK_MONOTONIC, in order and apart: all of it, or what `concerned`
/// says of the workload that is named.
fn blind(report: &Value, zero: i64, concerned: impl Fn(&str) -> bool) -> Vec<(i64, i64)> {
    let stalls = report["stalls"].as_array().into_iter().flatten();
    let stalls = stalls.filter(|stall| stall["workload"].as_str().is_none_or(&concerned));
    let mut spans: Vec<(i64, i64)> =
        stalls.filter_map(|stall| Some((nanos(&stall["from"])? + zero, nanos(&stall["to"])? + zero))).collect();
    spans.sort_unstable();
    let mut apart: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match apart.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => apart.push((from, to)),
        }
    }
    apart
}

/// Holds everything against the truth. `zero` is CLOCK_MONOTONIC of the report's moment zero.
#[must_use]
pub fn judge(truth: &Truth, report: &Value, zero: i64, clients: &[Client]) -> Judged {
    let stalled = blind(report, zero, |_| true).iter().map(|(from, to)| to - from).sum();
    let mut judged = Judged { stalled, ..Judged::default() };
    if !truth.whole {
        judged.broken.push("the rig's own logs have no end".to_owned());
    }
    if report["run"]["state"] != "ended" {
        judged.broken.push(format!("the run is {}", report["run"]["state"]));
    }
    let Some(first) = truth.spells.first() else {
        judged.broken.push("the rig played nothing".to_owned());
        return judged;
    };
    let start = Moment { lo: first.start.lo - zero, hi: first.start.hi - zero };
    let fault = Bar::of(&report["faults"][0]["at"]);
    let Some(fault) = fault.filter(|at| at.meets(start)) else {
        judged.broken.push(format!("the fault is at {fault:?}, the rig began at {start:?}"));
        return judged;
    };
    for client in clients {
        if client.role != Role::Books {
            // A ledger's probe is a view of it, too.
            let own = |of: &str| of == client.name || report["workloads"][of]["probe_of"] == client.name.as_str();
            let blind = blind(report, zero, own);
            times::judge(&times::Case::of(truth, report, (fault.width(), &blind), client), &mut judged);
        }
        stamps::judge(truth, client, &mut judged);
        if client.role != Role::Visitor {
            books::judge(truth, report, client, &mut judged);
        }
    }
    judged
}
