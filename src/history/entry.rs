//! What an index keeps of a run. Everything in it follows from the run's folder: its report, its manifest, its addenda.

use crate::event::{ChainSeal, EarlierFigure, OpenAction, Subject};
use crate::model::{DrillName, RunId, RunState, Verdict};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A run in the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Its drill.
    pub drill: DrillName,
    /// Its title.
    pub title: String,
    /// Its environment.
    pub environment: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Its length in seconds.
    pub seconds: f64,
    /// How it ended.
    pub state: RunState,
    /// What it came to.
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why, most important first.
    pub reasons: Vec<String>,
    /// SHA-256 of the playbook as written, hex.
    pub playbook: String,
    /// SHA-256 of the playbook as run, hex.
    pub resolved: String,
    /// Two runs are comparable if this is the same: the playbook as written, its environment, and the load.
    pub class: String,
    /// `metadata:` of the playbook, controls and frequency among it.
    pub metadata: BTreeMap<String, Vec<String>>,
    /// What was under test.
    pub subjects: Vec<Subject>,
    /// Objective by objective.
    pub figures: Vec<EarlierFigure>,
    /// Its place in the chain of runs.
    pub chain: Option<ChainSeal>,
    /// SHA-256 of its manifest, hex; none: it is not sealed.
    pub manifest: Option<String>,
    /// Fingerprint of the key that signed it.
    pub signer: Option<String>,
    /// Actions of its reviews that are open in it.
    pub actions: Vec<OpenAction>,
    /// Its folder, relative to the folder of runs.
    pub folder: String,
    /// Parameters as run.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The runner's machine.
    #[serde(default)]
    pub host: String,
    /// The tool's version.
    #[serde(default)]
    pub tool: String,
    /// Where its playbook was, as it was given.
    #[serde(default)]
    pub path: String,
    /// The last decision of its reviews: `accepted`, `accepted_with_actions` or `rejected`.
    #[serde(default)]
    pub decision: Option<String>,
}

impl Entry {
    /// Was anything touched?
    #[must_use]
    pub fn ran(&self) -> bool {
        !matches!(self.state, RunState::NotRun | RunState::Held)
    }

    /// Did it run to its end, healed, and pass?
    #[must_use]
    pub fn passed(&self) -> bool {
        self.state == RunState::Ended && self.verdict == Verdict::Pass
    }

    /// When it ended, to the millisecond.
    #[must_use]
    pub fn ended(&self) -> DateTime<Utc> {
        let length = TimeDelta::try_milliseconds((self.seconds.max(0.0) * 1e3) as i64).unwrap_or_default();
        self.started.checked_add_signed(length).unwrap_or(self.started)
    }
}

/// Oldest first, each run once: of two that are the same run, the one that is sealed.
#[must_use]
pub fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    let key = |e: &Entry| (e.started, e.drill.clone(), e.environment.clone(), e.run.clone(), e.manifest.is_none());
    entries.sort_by_key(key);
    entries.dedup_by(|b, a| {
        a.run == b.run && a.drill == b.drill && a.environment == b.environment && a.started == b.started
    });
    entries
}

/// What an objective of a run is about: runs are compared figure by figure.
#[must_use]
pub fn same_figure(a: &EarlierFigure, b: &EarlierFigure) -> bool {
    (&a.objective, &a.workload, &a.fault, &a.basis) == (&b.objective, &b.workload, &b.fault, &b.basis)
}
