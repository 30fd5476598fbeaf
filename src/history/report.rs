//! The core of `report.json` as a reader sees it: the names that other programs rely on, and nothing else. It has structs of
//! its own, so that a report of an earlier or later build of the same version can be read.

use crate::model::{DrillName, RunId, RunState, Verdict};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The only version that is read.
pub const VERSION: &str = "blackstart/report/v1";

/// Why a report cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// It is no JSON, or a name that must be there is not.
    #[error("report.json cannot be read: {0}")]
    Unreadable(String),
    /// Another version.
    #[error("report.json is of version `{0}`, and only `{VERSION}` is known here")]
    Version(String),
}

/// The core of a report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Objective by objective.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    /// Workload by workload.
    #[serde(default)]
    pub workloads: BTreeMap<String, Workload>,
    /// Faults.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The record that it was made from.
    #[serde(default)]
    pub journal: Journal,
}

/// What a report says of its run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Its length.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// How it ended.
    pub state: RunState,
    /// What it came to.
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The playbook.
    #[serde(default)]
    pub playbook: Playbook,
    /// Parameters as run.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// `metadata:` of the playbook.
    #[serde(default)]
    pub metadata: BTreeMap<String, Vec<String>>,
    /// The machine and the tool.
    #[serde(default)]
    pub host: Host,
}

/// The playbook of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Playbook {
    /// Where it was.
    #[serde(default)]
    pub path: String,
    /// SHA-256 as written, hex.
    #[serde(default)]
    pub digest: String,
    /// SHA-256 as run, hex.
    #[serde(default)]
    pub resolved_digest: String,
}

/// The machine and the tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Host {
    /// Name and version.
    #[serde(default)]
    pub tool: String,
    /// The machine.
    #[serde(default)]
    pub host: String,
    /// Its system.
    #[serde(default)]
    pub system: String,
}

/// An objective and its result.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Objective {
    /// `rto`, `rpo_time`, `rpo_writes`, `detect`
    pub name: String,
    /// Whose clients.
    #[serde(default)]
    pub workload: Option<String>,
    /// In its unit.
    pub target: f64,
    /// `s` or `writes`
    #[serde(default)]
    pub unit: String,
    /// Its clock.
    #[serde(default)]
    pub basis: Option<String>,
    /// The fault it counts from.
    #[serde(default)]
    pub fault: Option<String>,
    /// What was measured.
    pub actual: Option<Interval>,
    /// Met, missed, or not decided.
    pub verdict: Verdict,
}

/// A figure with its error.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Interval {
    /// Not less.
    pub low: f64,
    /// Most likely.
    pub best: f64,
    /// Not more.
    pub high: f64,
}

/// What clients of a workload saw.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Workload {
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// Operations a second.
    #[serde(default)]
    pub rate: f64,
    /// Counts by name; null where not known.
    #[serde(default)]
    pub operations: BTreeMap<String, Option<u64>>,
    /// How long it was not served.
    #[serde(default)]
    pub downtime: Option<Downtime>,
    /// Counts of writes by name, among what else a report says of them.
    #[serde(default)]
    pub ledger: Option<BTreeMap<String, serde_json::Value>>,
}

/// How long a workload was not served.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Downtime {
    /// How often.
    #[serde(default)]
    pub outages: Option<u64>,
    /// All of it.
    #[serde(default)]
    pub total: Option<Interval>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// Did it bite?
    #[serde(default)]
    pub effective: Option<bool>,
}

/// The record that a report was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Journal {
    /// SHA-256 of its last line, hex.
    #[serde(default)]
    pub head: String,
}

#[derive(Deserialize)]
struct Versioned {
    schema: String,
}

impl Report {
    /// Reads the text of a `report.json`.
    ///
    /// # Errors
    /// When it is no report of this version.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let wrong = |e: serde_json::Error| ReportError::Unreadable(e.to_string());
        let Versioned { schema } = serde_json::from_str(text).map_err(wrong)?;
        if schema != VERSION {
            return Err(ReportError::Version(schema.chars().take(60).collect()));
        }
        serde_json::from_str(text).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"schema":"blackstart/report/v1","run":{"id":"r","drill":"d","environment":"e",
        "started":"2026-11-20T12:00:00.000Z","state":"ended","verdict":"pass","exit_code":0},"objectives":[]}"#;

    #[test]
    fn the_names_that_are_promised_are_enough() {
        let report = Report::parse(LEAST).unwrap();
        assert_eq!((report.run.drill.as_str(), report.run.verdict), ("d", Verdict::Pass));
    }

    #[test]
    fn another_version_is_named_and_a_missing_name_too() {
        let next = LEAST.replace("report/v1", "report/v2");
        assert_eq!(Report::parse(&next), Err(ReportError::Version("blackstart/report/v2".to_owned())));
        let error = Report::parse(&LEAST.replace("\"verdict\"", "\"verdikt\"")).unwrap_err().to_string();
        assert!(error.contains("verdict"), "{error}");
        assert!(Report::parse("").is_err());
    }
}
