//! Several runs for programs: `blackstart/stats/v1`. Times are seconds, an unknown value is `null`.

use super::Shown;
use crate::analysis::Attribution;
use crate::analysis::stats::{self as a, Limit, Measured, Support};
use crate::model::{ClockBasis, ObjectiveKind, RunState, Verdict};
use crate::report::words::seconds;
use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The value of `schema`.
pub const VERSION: &str = "blackstart/stats/v1";

/// The JSON Schema of `stats --output json`.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".to_owned(), VERSION.into());
    schema.to_value()
}

/// What several runs say together.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    #[schemars(extend("const" = "blackstart/stats/v1"))]
    schema: &'static str,
    /// Runs of the same playbook with the same parameters.
    groups: Vec<Group>,
    /// Folders without a record that can be read.
    unreadable: Vec<Unreadable>,
    /// Runs that were given more than once and count once.
    given_twice: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Unreadable {
    path: String,
    why: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Group {
    drill: String,
    environment: String,
    params: BTreeMap<String, String>,
    /// SHA-256 of the resolved playbook, hex.
    resolved_digest: String,
    runs: Vec<Run>,
    measures: Vec<Measure>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Run {
    id: String,
    /// RFC 3339, UTC.
    started: String,
    host: String,
    tool: String,
    #[schemars(with = "String", extend("enum" = ["ended", "aborted", "dirty", "not_run", "held"]))]
    state: RunState,
    #[schemars(with = "String", extend("enum" = ["pass", "inconclusive", "fail"]))]
    verdict: Verdict,
    /// Does its record verify? If not, nothing that it measured is used.
    verified: bool,
    why: Option<String>,
    measured: Vec<Seen>,
}

/// What one run measured.
#[derive(Debug, Serialize, JsonSchema)]
struct Seen {
    #[serde(flatten)]
    subject: Subject,
    known: Known,
    low: Option<f64>,
    /// Null if nobody saw its end.
    high: Option<f64>,
    #[schemars(with = "Option<String>", extend("enum" = ["pass", "inconclusive", "fail", null]))]
    verdict: Option<Verdict>,
    restored_by: Option<RestoredBy>,
    outages: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Subject {
    #[schemars(with = "String", extend("enum" = ["rto", "rpo_time", "rpo_writes", "detect"]))]
    name: ObjectiveKind,
    workload: String,
    #[schemars(with = "String", extend("enum" = ["fault", "declared"]))]
    basis: ClockBasis,
    fault: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Known {
    /// Both ends.
    Whole,
    /// It was seen so far and no further.
    AtLeast,
    /// Nothing.
    Unknown,
    /// The fault never came: no sample.
    NotReached,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RestoredBy {
    System,
    Restore,
    Heal,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Measure {
    #[serde(flatten)]
    subject: Subject,
    target: Option<f64>,
    counts: Counts,
    /// Of the runs that were measured, whole or in part.
    spread: Option<Spread>,
    bounds: Vec<Bound>,
    /// The largest share for which the largest known figure is a bound.
    so_far: Option<SoFar>,
}

/// Runs.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    /// In which the fault came: the samples.
    runs: u64,
    met: u64,
    missed: u64,
    not_decided: u64,
    measured: u64,
    /// Seen so far and no further.
    at_least: u64,
    unknown: u64,
    /// In which the fault never came: no samples.
    not_reached: u64,
    restored_by_system: u64,
    restored_by_restore: u64,
    restored_by_heal: u64,
    flapping: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Ends {
    low: f64,
    /// Null if nobody saw its end.
    high: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Spread {
    least: Ends,
    lower_quartile: Ends,
    median: Ends,
    upper_quartile: Ends,
    most: Ends,
}

/// With this confidence this share of all runs is within the bound.
#[derive(Debug, Serialize, JsonSchema)]
struct Bound {
    confidence: f64,
    share: f64,
    /// The bound; null if the runs do not give one.
    within: Option<f64>,
    /// So many more clean runs would give one.
    more_runs: Option<u64>,
    /// Does the share meet the target?
    target: Option<Claimed>,
    /// So many more clean runs would support that.
    target_more_runs: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Claimed {
    Supported,
    MoreRuns,
    Refuted,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SoFar {
    share: f64,
    within: f64,
}

pub(super) fn report(shown: Shown<'_>) -> Report {
    let unreadable = |(path, why): &(String, String)| Unreadable { path: path.clone(), why: why.clone() };
    Report {
        schema: VERSION,
        groups: shown.statistics.groups.iter().map(group).collect(),
        unreadable: shown.unreadable.iter().map(unreadable).collect(),
        given_twice: shown.statistics.twice,
    }
}

fn group(group: &a::Group) -> Group {
    let first = group.runs.first();
    let text = |f: fn(&a::Sample) -> &str| first.map_or_else(String::new, |run| f(run).to_owned());
    Group {
        drill: text(|run| run.drill.as_str()),
        environment: text(|run| &run.environment),
        params: first.map(|run| run.params.clone()).unwrap_or_default(),
        resolved_digest: text(|run| &run.resolved),
        runs: group.runs.iter().map(run).collect(),
        measures: group.rows.iter().map(measure).collect(),
    }
}

fn run(run: &a::Sample) -> Run {
    Run {
        id: run.run.0.clone(),
        started: run.started.to_rfc3339_opts(SecondsFormat::Millis, true),
        host: run.host.clone(),
        tool: run.tool.clone(),
        state: run.state,
        verdict: run.verdict,
        verified: run.doubt.is_none(),
        why: run.doubt.clone(),
        measured: run.observations.iter().map(seen).collect(),
    }
}

fn unit(kind: ObjectiveKind, value: i64) -> f64 {
    if kind == ObjectiveKind::RpoWrites { value as f64 } else { seconds(value) }
}

fn subject(subject: &a::Subject) -> Subject {
    Subject {
        name: subject.kind,
        workload: subject.workload.0.clone(),
        basis: subject.basis,
        fault: subject.fault.as_ref().map(|fault| fault.0.clone()),
    }
}

fn seen(o: &a::Observation) -> Seen {
    let (known, low, high) = match o.measured {
        Measured::Within(i) => (Known::Whole, Some(i.low), Some(i.high)),
        Measured::AtLeast(low) => (Known::AtLeast, Some(low), None),
        Measured::Unknown => (Known::Unknown, None, None),
        Measured::NotReached => (Known::NotReached, None, None),
    };
    let figure = |value| unit(o.subject.kind, value);
    Seen {
        subject: subject(&o.subject),
        known,
        low: low.map(figure),
        high: high.map(figure),
        verdict: o.verdict(),
        restored_by: match o.attribution {
            Attribution::System => Some(RestoredBy::System),
            Attribution::Restore => Some(RestoredBy::Restore),
            Attribution::Heal => Some(RestoredBy::Heal),
            Attribution::None => None,
        },
        outages: o.outages,
    }
}

fn measure(row: &a::Row) -> Measure {
    let kind = row.subject.kind;
    let ends = |e: a::Ends| Ends { low: unit(kind, e.low), high: e.high.map(|high| unit(kind, high)) };
    let t = row.tally;
    Measure {
        subject: subject(&row.subject),
        target: row.target.map(|value| unit(kind, value)),
        counts: Counts {
            runs: t.runs,
            met: t.met,
            missed: t.missed,
            not_decided: t.undecided,
            measured: t.measured,
            at_least: t.censored,
            unknown: t.unknown,
            not_reached: t.not_reached,
            restored_by_system: t.by_system,
            restored_by_restore: t.by_restore,
            restored_by_heal: t.by_heal,
            flapping: t.flapping,
        },
        spread: row.spread.map(|s| Spread {
            least: ends(s.min),
            lower_quartile: ends(s.lower),
            median: ends(s.median),
            upper_quartile: ends(s.upper),
            most: ends(s.max),
        }),
        bounds: row.bounds.iter().map(|b| bound(kind, b)).collect(),
        // Rounded down: what the last digits are depends on the machine's logarithm.
        so_far: row
            .supported
            .map(|(share, value)| SoFar { share: (share * 1e6).floor() / 1e6, within: unit(kind, value) }),
    }
}

fn bound(kind: ObjectiveKind, bound: &a::Bound) -> Bound {
    let (within, more_runs) = match bound.within {
        Limit::Within(value) => (Some(unit(kind, value)), None),
        Limit::MoreRuns(more) | Limit::TooManyUnknown { more, .. } => (None, Some(more)),
    };
    let (target, target_more_runs) = match bound.target {
        None => (None, None),
        Some(Support::Supported) => (Some(Claimed::Supported), None),
        Some(Support::Refuted) => (Some(Claimed::Refuted), None),
        Some(Support::MoreRuns(more)) => (Some(Claimed::MoreRuns), Some(more)),
    };
    let claim = bound.claim;
    Bound { confidence: claim.confidence(), share: claim.share(), within, more_runs, target, target_more_runs }
}
