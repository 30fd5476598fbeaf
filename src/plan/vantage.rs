//! Where clients are when they are not in the runner: as written, and as planned. Who may stand where is in `allow`.

use super::Drill;
use crate::model::{PinnedTarget, Template, WorkloadName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place that clients can be at: a process of its own on this machine, in a network namespace or not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VantageSpec {
    /// The network namespace it is in, a name as `ip netns` has it or a path; the runner's own if not given. The
    /// environment must list it under `namespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Template>,
}

/// Where the clients of a workload are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VantagePlan {
    /// The place.
    pub name: String,
    /// The workload as the playbook calls it.
    pub of: WorkloadName,
    /// Its network namespace; the runner's own if none.
    pub namespace: Option<Template>,
}

impl Drill {
    /// May clients stand in this network namespace, found under this name? What the drill's own staging says it made is
    /// the drill's own.
    ///
    /// # Errors
    /// When they may not, with what to write.
    pub fn allows_vantage(&self, vantage: &VantagePlan, namespace: &str) -> Result<(), String> {
        let written = vantage.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
        if self.staging.is_some() && written.contains("${staging.") {
            return Ok(());
        }
        let fields = BTreeMap::from([("namespace".to_owned(), namespace.to_owned())]);
        let name = format!("vantage {}", vantage.name);
        self.allows(&PinnedTarget { name, kind: "network".to_owned(), fields, ..PinnedTarget::default() }, &[])
    }
}
