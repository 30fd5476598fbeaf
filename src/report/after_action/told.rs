//! What an after-action report takes from a run's `report.json`. Lenient: fields that are not there are not known.

use crate::model::{RunState, Verdict};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A run, as its report tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    /// `blackstart/report/v1`
    pub schema: String,
    /// The run itself.
    pub run: Run,
    /// Objective by objective.
    #[serde(default)]
    pub objectives: Vec<Objective>,
    #[serde(default)]
    workloads: BTreeMap<String, Workload>,
    #[serde(default)]
    steps: Vec<Phased>,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    restores: Vec<serde_json::Value>,
    #[serde(default)]
    fingerprints: Vec<serde_json::Value>,
}

/// A run and its verdict.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its drill.
    pub drill: String,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How it ended.
    pub state: RunState,
    /// What it came to.
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why it is not simply a pass.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The drill's title.
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    ended: Option<DateTime<Utc>>,
    /// Length of the record in seconds.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// `metadata:` of the playbook.
    #[serde(default)]
    pub metadata: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    host: Host,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Host {
    #[serde(default)]
    trigger: String,
}

/// An objective and what was measured.
#[derive(Debug, Clone, Deserialize)]
pub struct Objective {
    /// `rto`, `rpo_time`, `rpo_writes`, `detect`
    pub name: String,
    /// Whose clients; empty if it is about the drill.
    #[serde(default)]
    pub workload: String,
    /// In its unit.
    pub target: f64,
    /// `s` or `writes`
    #[serde(default)]
    pub unit: String,
    /// The fault whose clock it runs on.
    #[serde(default)]
    pub fault: Option<String>,
    /// What was measured.
    #[serde(default)]
    pub actual: Option<Bar>,
    /// How that is judged.
    pub verdict: Verdict,
}

/// A measurement with its error bar.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Bar {
    /// Lower end.
    pub low: f64,
    /// Best value.
    pub best: f64,
    /// Upper end.
    pub high: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct Workload {
    #[serde(default)]
    recoveries: Vec<Recovery>,
    #[serde(default)]
    ledger: Option<Ledger>,
}

#[derive(Debug, Clone, Deserialize)]
struct Recovery {
    #[serde(default)]
    sustained: Option<Bar>,
    #[serde(default)]
    restored_by: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Ledger {
    #[serde(default)]
    kept: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Phased {
    phase: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Fault {
    #[serde(default)]
    healed: bool,
}

impl Told {
    /// Values of a key of the playbook's metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> &[String] {
        self.run.metadata.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Which of the fields E1 to E32 the run itself fills, before anybody reviews it; `sealed` is not asked here.
    #[must_use]
    pub fn filled(&self) -> BTreeSet<u8> {
        let has = |keys: &[&str]| keys.iter().any(|key| !self.metadata(key).is_empty());
        let measured =
            |names: &[&str]| self.objectives.iter().any(|o| names.contains(&o.name.as_str()) && o.actual.is_some());
        let recoveries = || self.workloads.values().flat_map(|w| &w.recoveries);
        let ledger = self.workloads.values().any(|w| w.ledger.as_ref().is_some_and(|l| l.kept.is_some()));
        let phase = |name: &str| self.steps.iter().any(|step| step.phase == name);
        let healed = !self.faults.is_empty() && self.faults.iter().all(|fault| fault.healed);
        let fields = [
            (1, true),
            (2, true),
            (3, !self.objectives.is_empty()),
            (4, has(&["kind"])),
            (5, has(&["scope", "systems"])),
            (6, has(&["scenario", "why"])),
            (7, has(&["third_parties"])),
            (8, has(&["participants"])),
            (10, self.run.ended.is_some() && !self.run.host.trigger.is_empty()),
            (11, phase("baseline") && (phase("steady") || phase("converge"))),
            (12, !self.steps.is_empty()),
            (13, measured(&["rto"]) || recoveries().any(|r| r.sustained.is_some())),
            (14, measured(&["rpo_time", "rpo_writes"]) || ledger),
            (15, !self.workloads.is_empty()),
            (16, recoveries().any(|r| matches!(r.restored_by.as_deref(), Some("system" | "restore")))),
            (17, !self.restores.is_empty()),
            (18, ledger || !self.fingerprints.is_empty() || phase("verify")),
            (19, healed),
            (20, has(&["security"])),
            (21, measured(&["detect"])),
            (26, !self.objectives.is_empty() || !self.steps.is_empty()),
            (27, has(&["every"])),
            (28, true),
            (30, has(&["classification"]) && has(&["retention"])),
            (31, !self.faults.is_empty()),
            (32, has(&["controls"])),
        ];
        fields.into_iter().filter(|(_, filled)| *filled).map(|(number, _)| number).collect()
    }
}
