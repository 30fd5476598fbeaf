//! `report.json`: the shape, schema `blackstart/report/v1`, and its JSON Schema. How an analysis becomes this shape is
//! in [`build`].
//!
//! Version 1. Written by this version; may be read by any program. Within v1 fields are only added; a field that is
//! removed, renamed or changes its meaning makes it v2. Times are seconds; moments count from the start record; an
//! unknown value is `null`, never 0.

mod build;
mod data;
mod lineage;

use crate::analysis::{Analysis, Attribution};
use crate::event::{Phase, StallCause};
use crate::model::{ClockBasis, ObjectiveKind, RunState, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The value of `schema`.
pub const VERSION: &str = "blackstart/report/v1";

/// `report.json`, pretty-printed, with a newline at the end.
#[must_use]
pub fn json(analysis: &Analysis, exit_code: u8) -> String {
    let report = build::report(analysis, exit_code);
    written(&report)
}

/// Pretty-printed, with a newline at the end.
pub(super) fn written(report: &impl Serialize) -> String {
    let value = serde_json::to_value(report).expect("numbers, texts, lists and text-keyed maps are JSON");
    let mut text = String::new();
    pretty(&value, 0, &mut text);
    text.push('\n');
    text
}

/// Indented, but a list of plain values stays on one line: a series of a thousand numbers is not a thousand lines.
fn pretty(value: &Value, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (i, (key, value)) in map.iter().enumerate() {
                out.push(if i == 0 { '{' } else { ',' });
                line(out, depth + 1);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_array()) => {
            for (i, value) in list.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                line(out, depth + 1);
                pretty(value, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The JSON Schema of [`json`].
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".to_owned(), VERSION.into());
    schema.to_value()
}

/// What a drill measured and how it is judged.
#[derive(Debug, Serialize, JsonSchema)]
struct Report {
    #[schemars(extend("const" = "blackstart/report/v1"))]
    schema: &'static str,
    run: Run,
    /// Objective by objective.
    objectives: Vec<Objective>,
    /// What each workload's clients saw, by name.
    workloads: BTreeMap<String, Workload>,
    /// Marks on the time axis, in order.
    timeline: Vec<Mark>,
    /// Steps in order of start.
    steps: Vec<Step>,
    /// Faults in order of intent.
    faults: Vec<Fault>,
    /// Phases in order of start.
    phases: Vec<Phases>,
    /// `run.reasons` with their place in the playbook.
    findings: Vec<Finding>,
    /// Spans in which the runner could not see: neither up nor down.
    stalls: Vec<Stall>,
    /// Waivers, deviations, warnings.
    notes: Vec<String>,
    /// Ledgers with several sites; left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sites: Vec<data::Sites>,
    /// The user's own data before and after; left out if the playbook asks for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fingerprints: Vec<data::Fingerprint>,
    /// Restores, part by part; left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    restores: Vec<data::Restore>,
    /// The run among others; left out if nothing was known of others when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lineage: Option<lineage::Lineage>,
    journal: Journal,
}

/// The run and its verdict.
#[derive(Debug, Serialize, JsonSchema)]
struct Run {
    id: String,
    drill: String,
    environment: String,
    /// RFC 3339, UTC.
    started: String,
    #[schemars(with = "String", extend("enum" = ["ended", "aborted", "dirty", "not_run", "held"]))]
    state: RunState,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    exit_code: u8,
    /// Why it is not simply a pass, most important first.
    reasons: Vec<String>,
    title: String,
    /// RFC 3339, UTC; null if the record has no end.
    ended: Option<String>,
    /// Length of the record.
    seconds: f64,
    playbook: Playbook,
    /// Parameters as run.
    params: BTreeMap<String, String>,
    /// `metadata:` of the playbook.
    metadata: BTreeMap<String, Vec<String>>,
    /// Guards that were waived, with reason and person.
    waivers: Vec<String>,
    /// Does the playbook expect the system to save itself?
    expects_failover: bool,
    host: Host,
}

/// Which text was run.
#[derive(Debug, Serialize, JsonSchema)]
struct Playbook {
    path: String,
    /// SHA-256 of the file's bytes, hex.
    digest: String,
    /// SHA-256 of the resolved playbook, hex.
    resolved_digest: String,
}

/// Where it ran, with what.
#[derive(Debug, Serialize, JsonSchema)]
struct Host {
    tool: String,
    host: String,
    system: String,
    boot: String,
    cores: u32,
    trigger: String,
}

/// A measurement with its error bar: the truth lies in [low, high].
#[derive(Debug, Serialize, JsonSchema)]
struct Bar {
    low: f64,
    best: f64,
    high: f64,
}

/// What an objective limits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    S,
    Writes,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Objective {
    #[schemars(with = "String", extend("enum" = ["rto", "rpo_time", "rpo_writes", "detect"]))]
    name: ObjectiveKind,
    workload: String,
    target: f64,
    unit: Unit,
    /// Which clock it counts from; null where there is none (writes).
    #[schemars(with = "Option<String>", extend("enum" = ["fault", "declared", null]))]
    basis: Option<ClockBasis>,
    /// The fault whose clock it runs on.
    fault: Option<String>,
    actual: Option<Bar>,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    why: String,
}

/// Where clients were.
#[derive(Debug, Serialize, JsonSchema)]
struct Vantage {
    name: String,
    /// The workload as the playbook calls it; the worst place decides its objectives.
    of: String,
    /// The network namespace as written; null for the runner's own.
    namespace: Option<String>,
    /// Its clock minus the runner's, in seconds; 0 on the same machine.
    clock_offset: f64,
    /// The error of that, either way.
    clock_error: f64,
}

/// One of the sites at which a ledger is written.
#[derive(Debug, Serialize, JsonSchema)]
struct Place {
    name: String,
    /// The ledger as the playbook calls it; the worst site decides its objectives.
    of: String,
}

/// What one workload's clients saw.
#[derive(Debug, Serialize, JsonSchema)]
struct Workload {
    kind: String,
    /// For the availability probe of a ledger: that ledger.
    probe_of: Option<String>,
    /// Where its clients were, if not in the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    vantage: Option<Vantage>,
    /// The site that it writes at, if its ledger is written at each.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<Place>,
    client: Option<String>,
    /// Operations a second.
    rate: Option<f64>,
    service: Option<Service>,
    /// Writes, or visits.
    operations: Operations,
    /// Reads of a ledger, if it reads; they decide no outage.
    reads: Option<Operations>,
    /// From due to done, of acknowledged operations.
    latency: Option<Percentiles>,
    /// The same of those that were answered before the first fault.
    latency_before: Option<Percentiles>,
    /// From due to sent: how punctual the schedule was.
    lateness: Option<Percentiles>,
    downtime: Downtime,
    /// How service came back, per fault; the first is the headline.
    recoveries: Vec<Recovery>,
    /// Null for a workload that writes no ledger.
    ledger: Option<Ledger>,
    series: Series,
}

/// What counts as working, sealed before the fault.
#[derive(Debug, Serialize, JsonSchema)]
struct Service {
    availability: f64,
    latency: Option<f64>,
    deadline: f64,
    stable: f64,
    merge: f64,
    timeout: f64,
}

/// Operations by outcome; `late` ones are not in `ok`, `ok_local` ones are.
#[derive(Debug, Serialize, JsonSchema)]
struct Operations {
    due: u64,
    ok: u64,
    late: u64,
    fail: u64,
    unknown: u64,
    missed: u64,
    unsent: u64,
    ok_local: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Downtime {
    outages: usize,
    /// Null if there was none.
    longest: Option<Bar>,
    total: Bar,
    /// ∫ (1 − served share) dt.
    lost: f64,
    /// Time in which the service answered, but below its `service`.
    degraded: f64,
    each: Vec<Outage>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Outage {
    from: Bar,
    /// Null if it had not ended.
    to: Option<Bar>,
    perceived: Option<Bar>,
    operations: u64,
    /// Does a stall of the runner touch it?
    doubtful: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Recovery {
    fault: String,
    /// No operation was refused or late: the values are "below the resolution".
    unnoticed: bool,
    perceived: Option<Bar>,
    first_error: Option<Bar>,
    first_ok: Option<Bar>,
    first_restored: Option<Bar>,
    sustained: Option<Bar>,
    sustained_from_declared: Option<Bar>,
    /// Where `sustained` is null: it takes at least so long.
    at_least: Option<f64>,
    /// Outages until service was sustained; more than one is flapping.
    outages: u32,
    #[schemars(with = "Option<String>", extend("enum" = ["system", "restore", "heal", null]))]
    restored_by: Option<&'static str>,
    why: Option<String>,
}

/// Every class of write; null is "not known", with the reason in `why`.
#[derive(Debug, Serialize, JsonSchema)]
struct Ledger {
    attempted: u64,
    acked: u64,
    acked_local: u64,
    /// Of those, absent: not loss, because nobody promised them.
    local_absent: Option<u64>,
    kept: Option<u64>,
    lost: Option<u64>,
    lost_upper: Option<u64>,
    corrupted: Option<u64>,
    duplicated: Option<u64>,
    duplicated_by_server: Option<u64>,
    resurrected: Option<u64>,
    unknown_present: Option<u64>,
    unknown_absent: Option<u64>,
    holes: Option<u64>,
    phantom: Option<u64>,
    reordered: Option<u64>,
    stale: u64,
    /// How long the record that the stalest read missed had been acknowledged.
    stale_age: Option<Bar>,
    observed_then_lost: Option<u64>,
    transiently_missing: Option<u64>,
    lost_by_healing: Option<u64>,
    rpo_time: Option<Bar>,
    /// The write period: how finely `rpo_time` is known.
    resolution: f64,
    /// What each fault cost, where several came after one another.
    losses: Vec<FaultLoss>,
    /// Lost writes as inclusive runs, at most 1,000.
    lost_runs: Vec<LostRun>,
    /// How old lost writes were at the fault.
    ages: Vec<Age>,
    /// Writes around the fault as runs of one class, in order of due time.
    strip: Vec<Strip>,
    why: Option<String>,
}

/// The part of a loss that belongs to one fault.
#[derive(Debug, Serialize, JsonSchema)]
struct FaultLoss {
    fault: String,
    lost: u64,
    rpo_time: Option<Bar>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LostRun {
    writer: u16,
    from: u64,
    to: u64,
    acked_first: f64,
    acked_last: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Age {
    /// Not older than this.
    up_to: f64,
    writes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Class {
    Kept,
    Failed,
    Unknown,
    Odd,
    Lost,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Strip {
    class: Class,
    from: f64,
    to: f64,
    writes: u64,
}

/// Columns of equal length, one entry for each bucket of `width` seconds, by due time.
#[derive(Debug, Serialize, JsonSchema)]
struct Series {
    from: f64,
    width: f64,
    due: Vec<u32>,
    served: Vec<u32>,
    fail: Vec<u32>,
    unknown: Vec<u32>,
    other: Vec<u32>,
    /// The lowest served share of any tenth of the bucket; null where nothing was due.
    worst_share: Vec<Option<f64>>,
    p50: Vec<Option<f64>>,
    p95: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Mark {
    mark: String,
    of: String,
    at: Bar,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Passed,
    Failed,
    Errored,
    Skipped,
    Aborted,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Step {
    id: String,
    name: String,
    #[schemars(with = "String")]
    phase: Phase,
    verb: String,
    /// What is under the verb (`process_kill`, `http`, …); empty if nothing is.
    kind: String,
    round: u32,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    /// Null if it did not end.
    outcome: Option<Outcome>,
    detail: String,
    started: f64,
    ended: Option<f64>,
    place: String,
    output: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Fault {
    id: String,
    name: String,
    kind: String,
    targets: Vec<String>,
    at: Option<Bar>,
    /// Null if nobody looked.
    effective: Option<bool>,
    effect: String,
    healed: bool,
    healed_at: Option<Bar>,
    /// `guardian` or `recover`, if somebody healed it in place of the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    healed_by: Option<&'static str>,
    by_hand: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Phases {
    #[schemars(with = "String")]
    phase: Phase,
    started: f64,
    ended: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Finding {
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    text: String,
    /// `file:line`
    place: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stall {
    from: f64,
    to: f64,
    #[schemars(with = "String", extend("enum" = ["schedule", "suspend", "clock_step", "resources", "paused", "starved"]))]
    cause: StallCause,
    /// The only workload that could not see; all of them if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<String>,
}

/// How the journal can be checked against this report.
#[derive(Debug, Serialize, JsonSchema)]
struct Journal {
    /// SHA-256 of its last line, hex.
    head: String,
    lines: u64,
    /// Why it was cut, if it was.
    cut: Option<String>,
}

fn restored_by(a: Attribution) -> Option<&'static str> {
    match a {
        Attribution::System => Some("system"),
        Attribution::Restore => Some("restore"),
        Attribution::Heal => Some("heal"),
        Attribution::None => None,
    }
}
