//! What an analysis says: plain data, the only thing that reports render. All times are nanoseconds; moments are
//! relative to the run's start record unless said otherwise; what is unknown is `None`, never 0.

use crate::event::{Healer, Phase, RunStarted, StallCause, StepOutcome};
use crate::model::{FaultId, Interval, Objective, RunState, StepId, Verdict, WorkloadName};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A moment relative to the start record, with its error bar; may be negative only through its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Not before.
    pub low: i64,
    /// Best estimate.
    pub best: i64,
    /// Not after.
    pub high: i64,
}

/// Everything a report shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The start record.
    pub run: RunStarted,
    /// Wall clock at the start.
    pub started: DateTime<Utc>,
    /// Wall clock at the end, if the record has one.
    pub ended: Option<DateTime<Utc>>,
    /// Length of the record.
    pub length: i64,
    /// How it ended.
    pub state: RunState,
    /// How it is judged.
    pub verdict: Verdict,
    /// Why, most important first; never empty unless the verdict is pass.
    pub reasons: Vec<Reason>,
    /// Objective by objective.
    pub objectives: Vec<ObjectiveResult>,
    /// Workload by workload, in the playbook's order.
    pub workloads: Vec<WorkloadResult>,
    /// Marks on the time axis, in order.
    pub timeline: Vec<Mark>,
    /// Phases with start and end.
    pub phases: Vec<PhaseResult>,
    /// Steps in order of start.
    pub steps: Vec<StepResult>,
    /// Faults in order of intent.
    pub faults: Vec<FaultResult>,
    /// Spans in which the runner could not see.
    pub stalls: Vec<StallResult>,
    /// Ledgers with several sites, in the playbook's order.
    pub sites: Vec<super::SitesResult>,
    /// The user's own data before and after, in the playbook's order.
    pub fingerprints: Vec<super::FingerprintResult>,
    /// Restores that were timed part by part, in the order in which they ended.
    pub restores: Vec<super::RestoreResult>,
    /// Waivers, deviations, warnings: what a reader should know.
    pub notes: Vec<String>,
    /// SHA-256 of the journal's last line, hex.
    pub journal_head: String,
    /// Lines of the journal.
    pub journal_lines: u64,
    /// Was the journal cut (torn tail, missing end)?
    pub journal_cut: Option<String>,
}

/// Why a run is not simply a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What it does to the verdict.
    pub verdict: Verdict,
    /// In one sentence.
    pub text: String,
    /// Where in the playbook, `file:line`, if it has a place.
    pub place: Option<String>,
}

/// An objective and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveResult {
    /// The objective.
    pub objective: Objective,
    /// The fault whose clock it runs on.
    pub fault: Option<FaultId>,
    /// The actual: nanoseconds, or a count of writes.
    pub actual: Option<Interval>,
    /// Met, missed or not decided.
    pub verdict: Verdict,
    /// Why, in one sentence ("met with 12.3 s to spare", "no rate decides it").
    pub why: String,
}

/// What one workload's clients saw.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadResult {
    /// Its name.
    pub name: WorkloadName,
    /// Its kind.
    pub kind: String,
    /// For a ledger's own probe: that ledger.
    pub probe_of: Option<WorkloadName>,
    /// Counts of its writes or visits.
    pub operations: OpCounts,
    /// Counts of a ledger's reads, if it reads; they decide no outage.
    pub reads: Option<OpCounts>,
    /// Latency from due, of acknowledged operations.
    pub latency: Option<Percentiles>,
    /// The same of those that were answered before the first fault: what it costs in normal times.
    pub latency_before: Option<Percentiles>,
    /// sent − due of all sent operations: how punctual the schedule was.
    pub lateness: Option<Percentiles>,
    /// RTO and its parts, per fault; the first is the headline.
    pub recoveries: Vec<Recovery>,
    /// Outages, in order.
    pub outages: Vec<Outage>,
    /// The longest of them.
    pub longest: Option<Interval>,
    /// All of them together.
    pub downtime: Interval,
    /// ∫ (1 − ok share) dt, in nanoseconds.
    pub lost_time: i64,
    /// Time in which the service answered but below its `service`, in nanoseconds.
    pub degraded: i64,
    /// The ledger, for ledgers.
    pub ledger: Option<LedgerResult>,
    /// Per time bucket, for charts; equal width, from the workload's start.
    pub series: Series,
    /// From when to when its schedule asked; before and after that nothing was measured.
    pub measured: Option<(i64, i64)>,
}

/// Operations by outcome. `late` are acknowledged ones after the deadline, not in `ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpCounts {
    /// All that were due.
    pub due: u64,
    /// Acknowledged in time.
    pub ok: u64,
    /// Acknowledged in time, less durable than asked (also in `ok`).
    pub ok_local: u64,
    /// Acknowledged too late.
    pub late: u64,
    /// Definitely not done.
    pub fail: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Not sent because the service held all capacity.
    pub missed: u64,
    /// Not sent because of the runner itself.
    pub unsent: u64,
}

/// Nanoseconds at percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// 50 %.
    pub p50: i64,
    /// 95 %.
    pub p95: i64,
    /// 99 %.
    pub p99: i64,
    /// 100 %.
    pub max: i64,
}

/// How service came back after one fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The fault.
    pub fault: FaultId,
    /// Was no operation refused or late at all? Then the intervals are "below the resolution".
    pub unnoticed: bool,
    /// How long clients perceived the (first) outage.
    pub perceived: Option<Interval>,
    /// From the fault to the first restoration: the hard interval.
    pub first_restored: Option<Interval>,
    /// From the fault to sustained service: the headline.
    pub sustained: Option<Interval>,
    /// From the `declared` milestone to sustained service.
    pub sustained_from_declared: Option<Interval>,
    /// From the fault to the first not-served operation's due time.
    pub first_error: Option<Interval>,
    /// From the fault to the first served operation after the first error.
    pub first_ok: Option<Interval>,
    /// Did the service return by itself, because the drill restored something, or because the fault was removed?
    pub attribution: Attribution,
    /// When `sustained` is unknown: it takes at least so long from the fault, if even that is known. Above the target,
    /// the objective is missed though nobody knows by how much.
    pub at_least: Option<i64>,
    /// Outages from the fault until sustained service: more than one is flapping.
    pub outages: u32,
    /// Why `sustained` is unknown, if it is.
    pub why: Option<String>,
    /// The part of `sustained`'s width that is not due to the rate.
    pub fixed_width: i64,
}

/// Who brought the service back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// The system saved itself, the fault still being there.
    System,
    /// A step of the drill had begun to restore first, the fault still being there.
    Restore,
    /// The runner removed the fault first.
    Heal,
    /// It never went away, or never came back.
    None,
}

/// A maximal run of not-served operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Due time of its first not-served operation.
    pub from: At,
    /// Due time of its last not-served operation; none if it had not ended.
    pub to: Option<At>,
    /// How long clients perceived it.
    pub perceived: Option<Interval>,
    /// Not-served operations in it.
    pub operations: u64,
    /// Does a stall of the runner touch it?
    pub doubtful: bool,
}

/// The ledger's classes; every number is exact where it is `Some`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LedgerResult {
    /// Attempted writes.
    pub attempted: u64,
    /// Acknowledged as durable.
    pub acked: u64,
    /// Acknowledged as local only.
    pub acked_local: u64,
    /// Acknowledged, present, intact.
    pub kept: Option<u64>,
    /// Acknowledged, absent.
    pub lost: Option<u64>,
    /// Absent writes whose acknowledgement may have been received but is not logged: [lost, lost + u].
    pub lost_upper: Option<u64>,
    /// Acknowledged as local only, absent: never counted as loss, because nobody promised it.
    pub local_absent: Option<u64>,
    /// Unknown outcome, present.
    pub unknown_present: Option<u64>,
    /// Unknown outcome, absent.
    pub unknown_absent: Option<u64>,
    /// Definite fail, yet present.
    pub resurrected: Option<u64>,
    /// Keys present more than once.
    pub duplicated: Option<u64>,
    /// Of those, by the server (the same attempt twice).
    pub duplicated_by_server: Option<u64>,
    /// Present with a wrong checksum.
    pub corrupted: Option<u64>,
    /// Never attempted, or another run's.
    pub phantom: Option<u64>,
    /// Per-writer inversions in the server's order.
    pub reordered: Option<u64>,
    /// Reads that missed a record acknowledged before they began.
    pub stale: u64,
    /// Age of the stalest of them: since when the record it missed had been acknowledged.
    pub stale_age: Option<Interval>,
    /// Read as present once, absent at the end.
    pub observed_then_lost: Option<u64>,
    /// Absent early, present at the end.
    pub transiently_missing: Option<u64>,
    /// Present early, lost at the end: lost by healing.
    pub lost_by_healing: Option<u64>,
    /// Acknowledged later than the first lost one, yet present.
    pub holes: Option<u64>,
    /// RPO actual in time; with several faults the worst.
    pub rpo_time: Option<Interval>,
    /// What each fault cost, when the drill had several that came after one another.
    pub losses: Vec<FaultLoss>,
    /// The write period: the resolution of `rpo_time` when nothing is lost.
    pub resolution: i64,
    /// Lost writes as inclusive runs per writer, at most 1,000 runs.
    pub lost_runs: Vec<LostRun>,
    /// Ages of lost writes at the fault, for the histogram: (upper bound in nanoseconds, count).
    pub ages: Vec<(i64, u64)>,
    /// Writes around the fault in order of due time, for the strip: (due, class), at most 2,000 (min/max envelope beyond).
    pub strip: Vec<(i64, Class)>,
    /// Why something is `None`.
    pub why: Option<String>,
}

/// The part of a loss that belongs to one fault: writes sent before service was sustained again after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultLoss {
    /// The fault.
    pub fault: FaultId,
    /// Acknowledged writes that are gone.
    pub lost: u64,
    /// RPO actual in time.
    pub rpo_time: Option<Interval>,
}

/// A run of lost writes of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRun {
    /// The writer.
    pub writer: u16,
    /// First lost sequence number.
    pub from: u64,
    /// Last lost sequence number.
    pub to: u64,
    /// When the first was acknowledged.
    pub acked_first: i64,
    /// When the last was acknowledged.
    pub acked_last: i64,
}

/// What became of one write, for the strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Acknowledged and there.
    Kept,
    /// Definitely failed and not there.
    Failed,
    /// Nobody was told.
    Unknown,
    /// Present more than once, corrupted, or there though it failed.
    Odd,
    /// Acknowledged and gone.
    Lost,
}

/// Buckets of equal width for charts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Start of the first bucket.
    pub from: i64,
    /// Width of a bucket.
    pub width: i64,
    /// The buckets, at most 1,000.
    pub buckets: Vec<Bucket>,
}

/// One bucket, by due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Due operations.
    pub due: u32,
    /// Served.
    pub served: u32,
    /// Definite failures.
    pub fail: u32,
    /// Unknown.
    pub unknown: u32,
    /// Late, missed.
    pub other: u32,
    /// The lowest served share of any tenth of this bucket, in 1/10,000: an outage is never averaged away.
    pub worst_share: u16,
    /// p50 of acknowledged latency; 0 if none.
    pub p50: i64,
    /// p95.
    pub p95: i64,
    /// p99.
    pub p99: i64,
}

/// A mark on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// `fault`, `first_error`, `declared`, `detected`, `promoted`, `first_ok`, `restored`, `sustained`, `healed`, …
    pub name: String,
    /// What it belongs to (a workload, a fault, a step).
    pub of: String,
    /// When.
    pub at: At,
}

/// A phase on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseResult {
    /// Which.
    pub phase: Phase,
    /// Start.
    pub from: i64,
    /// End; the end of the record if it did not end.
    pub to: i64,
}

/// A step on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Its id.
    pub id: StepId,
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// Its verb.
    pub verb: String,
    /// Which round, from 0.
    pub round: u32,
    /// Start.
    pub from: i64,
    /// End, if it ended.
    pub to: Option<i64>,
    /// How it ended.
    pub outcome: Option<StepOutcome>,
    /// What that does to the verdict; a step skipped by its own `when:` passes.
    pub verdict: Verdict,
    /// `file:line`.
    pub place: String,
    /// Outputs.
    pub output: BTreeMap<String, String>,
}

/// A fault and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultResult {
    /// Its id.
    pub id: FaultId,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it touched.
    pub targets: Vec<String>,
    /// t_fault = [call, first look that saw the effect].
    pub at: Option<At>,
    /// Did it bite? None if nobody looked.
    pub effective: Option<bool>,
    /// What the look saw.
    pub effect: String,
    /// Is it healed (or acknowledged as irreversible)?
    pub healed: bool,
    /// When, from the heal call to its proof.
    pub healed_at: Option<At>,
    /// Who healed it in place of the runner, if somebody did.
    pub healed_by: Option<Healer>,
    /// The command that a person can run.
    pub by_hand: String,
}

/// A span in which the runner could not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StallResult {
    /// Start.
    pub from: i64,
    /// End.
    pub to: i64,
    /// Why.
    pub cause: StallCause,
    /// Whose schedule it was; all of the runner could not see if not given.
    pub workload: Option<WorkloadName>,
}

impl StallResult {
    /// Could this workload not see?
    #[must_use]
    pub fn concerns(&self, workload: &WorkloadName) -> bool {
        self.workload.as_ref().is_none_or(|own| own == workload)
    }
}
