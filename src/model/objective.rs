//! What a drill is judged by, and what "working" means for a workload.

use super::{FaultId, WorkloadName};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which clock an RTO counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ClockBasis {
    /// From the fault itself (the default, as NIST SP 800-34 and ISO 22300 count).
    #[default]
    Fault,
    /// From the `declared` milestone: a person or a monitor said "this is a disaster".
    Declared,
}

/// What an objective limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// Time to sustained service.
    Rto,
    /// Age of the oldest lost acknowledged write at the fault.
    RpoTime,
    /// Number of acknowledged writes that are gone.
    RpoWrites,
    /// Time from the fault to the milestone `detected`.
    Detect,
}

impl ObjectiveKind {
    /// Is it about the drill as a whole, and about no workload?
    #[must_use]
    pub fn is_of_the_drill(self) -> bool {
        self == Self::Detect
    }
}

/// One objective, for one workload; the short form of a playbook becomes one of these per workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// What is limited.
    pub kind: ObjectiveKind,
    /// Whose clients; an empty name where it is about the drill as a whole.
    pub workload: WorkloadName,
    /// Nanoseconds for times, a count for writes.
    pub target: i64,
    /// Which clock (RTO only).
    pub basis: ClockBasis,
    /// Which fault starts the clock; the first injected if none is named.
    pub fault: Option<FaultId>,
}

/// What counts as working, sealed before the fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Share of operations that must be served in every window, 0 < availability ≤ 1.
    pub availability: f64,
    /// p99 latency from due that a window may have, if limited.
    pub latency: Option<Duration>,
    /// An answer later than this after it was due does not count as served.
    pub deadline: Duration,
    /// How long service must hold to count as sustained.
    pub stable: Duration,
    /// Outages less than this apart are one.
    pub merge: Duration,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            availability: 1.0,
            latency: None,
            deadline: Duration::from_secs(1),
            stable: Duration::from_secs(10),
            merge: Duration::from_secs(1),
        }
    }
}

/// How a client behaves; part of the experiment, so always named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientBehaviour {
    /// A new connection (and a fresh name resolution) for each operation.
    Fresh,
    /// Keeps connections, as an application's driver does.
    Pooled,
    /// Tries again after a failure; the logical outcome is ok if any attempt is.
    Retrying(RetryPolicy),
}

/// When a retrying client tries again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, at least 2.
    pub attempts: u32,
    /// Wait before the second attempt; doubles each time.
    pub backoff: Duration,
    /// The wait never exceeds this.
    pub max_backoff: Duration,
    /// Limit of one attempt.
    pub attempt_timeout: Duration,
}
