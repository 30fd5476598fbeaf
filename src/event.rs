//! What a run can say happened: the contract of `exec`, `journal`, `analysis` and `report`.
//! Plain data, serializable, with no secrets in it; how it is stored and chained is `journal`'s business.
//!
//! Invariant: everything a report shows follows from these events and the operations logs they name.

use crate::model::{
    Expectation, FaultId, Fingerprint, Mono, Named, PinnedTarget, ProcessIdentity, Restored, RunState, Span, Stamp,
    StepId, WorkloadName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

mod lineage;
mod start;

pub use lineage::{ChainSeal, EARLIER, EarlierFigure, EarlierRun, Lineage, OpenAction, Previous, Subject};
pub use start::{HostSeal, RunStarted, SiteSeal, StepSeal, VantageSeal, WorkloadSeal};

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the runner noted it. Events that have a span of their own carry it besides.
    pub at: Stamp,
    /// What it was.
    pub what: What,
}

/// The parts of a drill, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Targets reachable, permissions held, tools there, no open intent.
    Preflight,
    /// A staging of the drill's own comes up.
    StagingUp,
    /// Steady state must hold while clients work.
    Baseline,
    /// What is broken.
    Outage,
    /// How the system should save itself.
    Failover,
    /// How people bring it back.
    Restore,
    /// How we know.
    Verify,
    /// Whatever is still open is healed, newest first.
    Unwind,
    /// Redundancy comes back.
    Converge,
    /// Steady state again, under load.
    Steady,
    /// Load stops and in-flight operations end.
    Drain,
    /// The final look at what was written.
    ReadBack,
    /// The staging goes down.
    StagingDown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Always the first event: everything that is sealed before anything is touched.
    RunStarted(Box<RunStarted>),
    /// A phase began.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// A phase ended.
    PhaseEnded {
        /// Which.
        phase: Phase,
    },
    /// A guardian watches over the run from now on: it confirmed that it can be reached.
    Guarded {
        /// The guardian's process; none in a world without processes.
        guardian: Option<ProcessIdentity>,
        /// The runner's process; whoever takes over makes sure that it is gone.
        runner: Option<ProcessIdentity>,
    },
    /// Written before a staging is brought up by commands: what brings it down, also in another process.
    StagingBegun {
        /// The command, secrets by reference.
        down: serde_json::Value,
        /// What another process needs besides, as in [`FaultIntent::context`].
        context: serde_json::Value,
    },
    /// The staging is up; `fields` is what `${staging.NAME}` can name.
    StagingUp {
        /// Name to value.
        fields: BTreeMap<String, String>,
    },
    /// The staging is down (or was found gone).
    StagingDown {
        /// Why it could not be brought down, if so.
        error: Option<String>,
    },
    /// The targets are resolved; before the outage they are pinned for the whole drill.
    TargetsResolved {
        /// All of them.
        targets: Vec<PinnedTarget>,
        /// True for the resolution that counts.
        pinned: bool,
    },
    /// A workload's schedule started: operation k is due at `origin` + k/rate.
    WorkloadStarted {
        /// Which.
        workload: WorkloadName,
        /// t₀ of its schedule.
        origin: Mono,
    },
    /// The operations log of a workload up to here.
    OpsMark(OpsMark),
    /// A workload's schedule ended, all its operations are done and its log is complete.
    WorkloadStopped(OpsMark),
    /// A step began.
    StepStarted {
        /// Which; its seal is in the start record.
        step: StepId,
        /// 0 for the first time, then 1, … with `repeat`.
        round: u32,
    },
    /// A step ended.
    StepEnded {
        /// Which.
        step: StepId,
        /// The same as at its start.
        round: u32,
        /// How.
        outcome: StepOutcome,
        /// For a condition that became true: it happened between the last look that saw it false and the first that
        /// saw it true. For others: from the call to the return.
        span: Span,
        /// Declared outputs.
        output: BTreeMap<String, String>,
        /// How often the condition was looked at.
        looks: u32,
    },
    /// A milestone was reached.
    Milestone {
        /// `declared`, `detected`, `promoted`, …
        name: String,
        /// The step that marks it.
        step: StepId,
        /// When, as in `StepEnded`.
        span: Span,
    },
    /// Written and fsynced before a fault is injected.
    FaultIntent(Box<FaultIntent>),
    /// The injection call returned.
    FaultInjected {
        /// Which.
        fault: FaultId,
        /// From the call to the return.
        span: Span,
    },
    /// The injection failed, perhaps half-way; the fault counts as open.
    FaultInjectFailed {
        /// Which.
        fault: FaultId,
        /// Why.
        error: String,
    },
    /// The independent look after an injection.
    FaultEffect {
        /// Which.
        fault: FaultId,
        /// Did it bite?
        effective: bool,
        /// The look that decided: [began, ended].
        span: Span,
        /// What was seen.
        detail: String,
    },
    /// Healing begins.
    HealStarted {
        /// Which.
        fault: FaultId,
        /// On whose behalf.
        by: HealCause,
    },
    /// Healed, and the independent look confirmed it.
    Healed {
        /// Which.
        fault: FaultId,
        /// From the heal call to the look that confirmed.
        span: Span,
        /// What was seen.
        detail: String,
    },
    /// An attempt to heal failed, or the look did not confirm it.
    HealFailed {
        /// Which.
        fault: FaultId,
        /// 1 for the first attempt.
        attempt: u32,
        /// Why.
        error: String,
        /// Whether it will be tried again.
        last: bool,
    },
    /// A guard was broken.
    GuardBroken {
        /// Its name.
        guard: String,
        /// What was seen.
        detail: String,
    },
    /// The run was asked to stop.
    AbortRequested {
        /// Why.
        cause: AbortCause,
    },
    /// The runner is gone; somebody else makes sure of that, heals what is open, and ends the record.
    TakenOver {
        /// Who.
        by: Healer,
        /// Why, in plain words.
        why: String,
    },
    /// A span in which the runner's own view cannot be trusted: neither up nor down.
    Stall {
        /// When.
        span: Span,
        /// Why.
        cause: StallCause,
        /// Whose schedule it was; if not given, all of the runner could not see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<WorkloadName>,
    },
    /// A vantage could not see in this span: neither up nor down for whoever looks from there.
    VantageStalled {
        /// Which.
        vantage: String,
        /// When.
        span: Span,
        /// Why.
        cause: StallCause,
        /// Whose schedule it was; if not given, nobody saw anything from there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<WorkloadName>,
    },
    /// A pod is about to be made for a vantage. It ends with its runner; what is left of it is removed by whoever heals.
    VantagePlaced(Box<VantagePlaced>),
    /// A look at a vantage's clock.
    VantageClock {
        /// Which.
        vantage: String,
        /// When, on the runner's clock: between a question and its answer.
        span: Span,
        /// What the vantage's clock said then, which was set by the runner's when it began.
        said: Mono,
    },
    /// A vantage is gone before the load ended: from here on nobody looked from there.
    VantageLost {
        /// Which.
        vantage: String,
        /// When that was noticed.
        at: Mono,
        /// Why, in plain words.
        why: String,
    },
    /// A read-back of a ledger ended; its findings are in `file`.
    ReadBack(ReadBackDone),
    /// The sites of a ledger were looked at, to see when they hold the same.
    Sites(SitesLook),
    /// A fingerprint of the user's own data was taken, or could not be.
    Fingerprint(Box<FingerprintTaken>),
    /// A restore ended, or was given up.
    Restored(Box<Restored>),
    /// Something that a reader of the evidence should know (a waiver, a retry, a torn tail).
    Note {
        /// In plain words.
        text: String,
    },
    /// A preflight check failed; nothing was touched.
    PreflightFailed {
        /// In plain words, with what to do.
        reasons: Vec<String>,
        /// Nothing is wrong: another drill has a target, or the kill switch is engaged.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        held: bool,
    },
    /// Always the last event.
    RunEnded {
        /// The life cycle's end.
        state: RunState,
        /// Faults that are not healed.
        open: Vec<FaultId>,
        /// An internal error, if that ended it.
        error: Option<String>,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It held, or it was done.
    Passed {
        /// What was seen or done.
        detail: String,
    },
    /// It was false, or the command said no: data, not an error.
    Failed {
        /// What was seen, actual above expected.
        detail: String,
    },
    /// It could not be decided (a probe's or a tool's error): inconclusive.
    Errored {
        /// Why.
        error: String,
    },
    /// Not run: its own `when:` (which does not count against the run), or an earlier step of its phase failed.
    Skipped {
        /// True when its own `when:` was false.
        by_when: bool,
        /// Why.
        reason: String,
    },
    /// The run was asked to stop meanwhile.
    Aborted,
}

/// All that is needed to heal a fault, also in another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultIntent {
    /// Which.
    pub fault: FaultId,
    /// For people.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its parameters, secrets by reference.
    pub spec: serde_json::Value,
    /// What `prepare` found.
    pub undo: serde_json::Value,
    /// What another process needs besides: where secrets come from, how targets are found, the playbook's folder.
    #[serde(default)]
    pub context: serde_json::Value,
    /// Targets by name and identity, for people.
    pub targets: Vec<String>,
    /// Healed at the latest after this time from the injection, by the guardian or by `recover`.
    pub deadline: Option<Duration>,
    /// CLOCK_BOOTTIME nanoseconds of that deadline, valid for the boot in the start record.
    pub deadline_boot: Option<i64>,
    /// The command that a person can run to heal it.
    pub by_hand: String,
    /// Does nobody have to heal it (irreversible and acknowledged)?
    pub irreversible: bool,
}

/// On whose behalf a fault is healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealCause {
    /// A `heal` step.
    Step(StepId),
    /// A step marked `closes:` took the heal over.
    Closes(StepId),
    /// The end of the drill, or of an aborted one.
    Unwind,
    /// Its deadline passed.
    Deadline,
    /// `blackstart recover`.
    Recover,
    /// The guardian, after the runner died or fell silent.
    Guardian,
}

/// Who heals in place of the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Healer {
    /// The run's guardian.
    Guardian,
    /// `blackstart recover`.
    Recover,
}

impl Healer {
    /// What a heal by it is noted as.
    #[must_use]
    pub fn cause(self) -> HealCause {
        match self {
            Self::Guardian => HealCause::Guardian,
            Self::Recover => HealCause::Recover,
        }
    }
}

/// Why a run was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// Ctrl-C, SIGTERM or SIGHUP.
    Signal(String),
    /// A guard was broken.
    Guard(String),
    /// The drill took longer than it may.
    MaxDuration,
    /// A step marked `on_fail: abort` failed.
    Step(StepId),
    /// The journal cannot be written any more.
    Journal(String),
    /// A workload was not healthy at baseline, or the steady state did not hold.
    NotSteady(String),
    /// The kill switch was engaged; the reason that stands there.
    KillSwitch(String),
    /// The guardian died or fell silent: nobody would heal if the runner died too.
    Guardian(String),
    /// The Lease on a part of a cluster was lost: another drill may be at the same objects.
    Lease(String),
}

/// Why the runner's own view cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StallCause {
    /// The schedule's thread woke late.
    Schedule,
    /// The machine slept.
    Suspend,
    /// The wall clock was stepped.
    ClockStep,
    /// The runner had no descriptors or ports left.
    Resources,
    /// The runner was stopped (by a signal, a frozen cgroup), or the machine that it runs on was.
    Paused,
    /// The runner was ready to run, and got no processor (a busy machine, a quota that is used up).
    Starved,
}

/// The sites of a ledger as sealed before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitesSeal {
    /// Which ledger.
    pub workload: WorkloadName,
    /// Its sites.
    pub sites: Vec<String>,
    /// They must hold the same so soon after the heal.
    pub within: Option<Duration>,
    /// Where the ledger stands: file.
    pub file: String,
    /// Where the ledger stands: line, from 1.
    pub line: u32,
}

/// One look at all sites of a ledger. Of all looks after a heal the first is noted, and those at which it changes whether
/// they hold the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitesLook {
    /// Which ledger.
    pub workload: WorkloadName,
    /// When that began which heals: convergence counts from here.
    pub since: Mono,
    /// From the first question to the last answer.
    pub span: Span,
    /// Did all answer, and have the same counts up to the records that any of them had when the heal began?
    pub same: bool,
    /// Rows by site, of those records; why, if it did not answer.
    pub sites: BTreeMap<String, Result<u64, String>>,
}

/// A fingerprint of the user's own data as sealed before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FingerprintSeal {
    /// Its name.
    pub name: String,
    /// Its kind (`postgres`, `directory`, …).
    pub kind: String,
    /// What the playbook expects at the end.
    pub expect: Expectation,
    /// Where it stands: file.
    pub file: String,
    /// Where it stands: line, from 1.
    pub line: u32,
}

/// Which fingerprint it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// In the steady state, before the outage.
    Before,
    /// At the end, when the load has stopped.
    After,
}

/// A fingerprint that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FingerprintTaken {
    /// Its name; its seal is in the start record.
    pub name: String,
    /// Which one.
    pub moment: Moment,
    /// From the call to the return.
    pub span: Span,
    /// What was found; none if it could not be taken.
    pub found: Option<Fingerprint>,
    /// For the later one of what has names and is not too much: what differs from the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Named>,
    /// Why it could not be taken, if so.
    pub error: Option<String>,
}

/// How far an operations log has got, and the digest chain's head there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpsMark {
    /// Which workload.
    pub workload: WorkloadName,
    /// Blocks so far.
    pub blocks: u64,
    /// Operations so far.
    pub operations: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// SHA-256 chain head after the last block, hex.
    pub head: String,
}

/// Where the pod of a vantage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantagePlaced {
    /// Which.
    pub vantage: String,
    /// The kubeconfig that leads to its cluster, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The context in it, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The API server's URL.
    pub server: String,
    /// The namespace.
    pub namespace: String,
    /// The name of its Job.
    pub job: String,
}

/// Which read-back it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBackStage {
    /// Before the heal.
    Early,
    /// The one that decides, after the load stopped.
    Final,
}

/// A read-back that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBackDone {
    /// Which ledger.
    pub workload: WorkloadName,
    /// Which read-back.
    pub stage: ReadBackStage,
    /// The replica or site it was read from; `service` for what clients see.
    pub site: String,
    /// When it began; records acknowledged before then must be there. None if nobody noted it.
    #[serde(default)]
    pub began: Option<Mono>,
    /// The findings ([`ReadBack`] as JSON), relative to the run's folder; none if it failed.
    pub file: Option<String>,
    /// SHA-256 of that file, hex.
    pub digest: Option<String>,
    /// Why it failed, if it did: the ledger is then inconclusive.
    pub error: Option<String>,
}

/// What a read-back found: the content of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ReadBack {
    /// Per writer, what is there.
    pub writers: BTreeMap<u16, WriterFindings>,
    /// Rows that are no record of this run's ledger (another run's, unreadable names), at most the first 1,000 as text.
    pub phantoms: Vec<String>,
    /// All of them.
    pub phantom_count: u64,
}

/// What is there of one writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct WriterFindings {
    /// Inclusive runs of sequence numbers that are present, intact or not, ascending, disjoint.
    pub present: Vec<(u64, u64)>,
    /// Present with a wrong checksum or truncated, ascending.
    pub corrupted: Vec<u64>,
    /// Present more than once: sequence number, number of rows, and how many of them are of the same attempt
    /// (the server's doing) rather than of a retry.
    pub duplicated: Vec<(u64, u32, u32)>,
    /// Sequence numbers that stand after a larger one of the same writer in the server's order.
    pub reordered: Vec<u64>,
}
