//! What another process needs to heal a fault besides its parameters and undo; part of the journaled intent, so no
//! secret stands in it, only where secrets come from.

use crate::faults::kubernetes::Home;
use crate::model::ProcessIdentity;
use crate::plan::{SecretSource, TargetSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// References that are left in an intent are filled in from this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(super) struct HealContext {
    /// Where relative paths start from.
    pub base: PathBuf,
    /// The run's folder.
    pub dir: PathBuf,
    /// Where secrets come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The state directory, where bytes are kept that must be put back.
    #[serde(default)]
    pub state: PathBuf,
    /// How targets are found; everything but secrets is filled in.
    pub targets: BTreeMap<String, TargetSpec>,
    /// Where a run inside a cluster keeps what reaches out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Set if all that the fault touches is inside the drill's embedded staging, which ends with its runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
}

/// Processes of an embedded staging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Inside {
    /// The process that holds the staging together.
    pub staging: ProcessIdentity,
    /// Those of its processes that the fault touches.
    pub touched: Vec<ProcessIdentity>,
}
