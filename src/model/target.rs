//! What a drill may touch, once it is resolved and pinned.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A process that cannot be mistaken for another: pids are reused, start times repeat after a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The pid.
    pub pid: i32,
    /// Start time in clock ticks since boot, from /proc/PID/stat.
    pub started: u64,
    /// /proc/sys/kernel/random/boot_id.
    pub boot: String,
    /// The short command name, for people.
    pub name: String,
}

/// A target as resolved just before the outage; it stays this for the whole drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PinnedTarget {
    /// The name in the playbook.
    pub name: String,
    /// The kind (`process`, `http`, `postgres`, …).
    pub kind: String,
    /// The processes it is, for a process target; at least one then.
    pub processes: Vec<ProcessIdentity>,
    /// The objects of a cluster that it is, for a kubernetes target; at least one then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<super::ObjectRef>,
    /// What `${targets.NAME.FIELD}` can name; never a secret.
    pub fields: BTreeMap<String, String>,
}
