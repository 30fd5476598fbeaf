//! The start record: everything that is sealed before anything is touched.

use super::{FingerprintSeal, Lineage, Phase, SitesSeal};
use crate::model::{ClientBehaviour, DrillName, Objective, RunId, Service, StepId, WorkloadName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The start record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// The drill.
    pub drill: DrillName,
    /// Its title.
    pub title: String,
    /// The environment's name.
    pub environment: String,
    /// Path of the playbook as given.
    pub playbook: String,
    /// SHA-256 of the playbook's bytes, hex.
    pub playbook_digest: String,
    /// SHA-256 of the resolved playbook's bytes, hex.
    pub resolved_digest: String,
    /// Parameters as run.
    pub params: BTreeMap<String, String>,
    /// `metadata:` as written (owner, every, controls, …), values as text or lists of text.
    pub metadata: BTreeMap<String, Vec<String>>,
    /// Judged by these.
    pub objectives: Vec<Objective>,
    /// Measured by these.
    pub workloads: Vec<WorkloadSeal>,
    /// All steps in order of phases.
    pub steps: Vec<StepSeal>,
    /// Fingerprints of the user's own data that are taken before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<FingerprintSeal>,
    /// Ledgers with several sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SitesSeal>,
    /// Waived guards, with reason and person.
    pub waivers: Vec<String>,
    /// Does the playbook expect the system to save itself before the fault is removed (it has a failover phase)?
    pub expects_failover: bool,
    /// Where it ran.
    pub host: HostSeal,
    /// The run among others; none if nothing is known of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Box<Lineage>>,
}

/// The machine and the tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSeal {
    /// `blackstart 0.1.0`
    pub tool: String,
    /// Host name.
    pub host: String,
    /// Operating system and kernel.
    pub system: String,
    /// Boot id.
    pub boot: String,
    /// Cores that the runner may use.
    pub cores: u32,
    /// Who or what started it (`user@host`, or the CI's name).
    pub trigger: String,
}

/// A workload as sealed before the fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadSeal {
    /// Its name.
    pub name: WorkloadName,
    /// Its kind (`ledger`, `http`, …).
    pub kind: String,
    /// Operations a second.
    pub rate: f64,
    /// An operation is given up after this.
    pub timeout: Duration,
    /// What counts as working.
    pub service: Service,
    /// How its client behaves.
    pub client: ClientBehaviour,
    /// Writers of a ledger; 0 otherwise.
    pub writers: u16,
    /// For the availability probe that a ledger brings along: that ledger.
    pub probe_of: Option<WorkloadName>,
    /// The operations log, relative to the run's folder.
    pub ops: String,
    /// Where its clients are, if not in the runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<VantageSeal>,
    /// The site that it writes at, if its ledger is written at each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteSeal>,
}

impl WorkloadSeal {
    /// The workload as the playbook calls it: that of all places that look, or of all sites that are written at.
    #[must_use]
    pub fn whole(&self) -> &WorkloadName {
        let vantage = self.vantage.as_ref().map(|vantage| &vantage.of);
        vantage.or(self.site.as_ref().map(|site| &site.of)).unwrap_or(&self.name)
    }
}

/// One of the sites at which a ledger is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSeal {
    /// Its name.
    pub name: String,
    /// The ledger as the playbook calls it.
    pub of: WorkloadName,
}

/// Where the clients of a workload are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageSeal {
    /// The place.
    pub name: String,
    /// The workload as the playbook calls it; of all that have the same, the worst decides.
    pub of: WorkloadName,
    /// Its network namespace as written; the runner's own if none.
    pub namespace: Option<String>,
    /// Its clock minus the runner's, in nanoseconds: 0 on the same machine.
    pub offset: i64,
    /// The error of that, either way: 0 on the same machine.
    pub offset_error: i64,
}

/// A step as sealed before the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSeal {
    /// Its id.
    pub id: StepId,
    /// Its name, for people.
    pub name: String,
    /// Its phase.
    pub phase: Phase,
    /// `inject`, `expect`, …
    pub verb: String,
    /// The kind under the verb (`process_kill`, `http`, …), if it has one.
    pub kind: String,
    /// Where it stands: file.
    pub file: String,
    /// Where it stands: line, from 1.
    pub line: u32,
}
