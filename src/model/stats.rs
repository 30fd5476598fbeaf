//! What a running workload can say about itself at any moment: for live views only, never for judging.

use super::WorkloadName;

/// One workload, live. Counts are since its start; `recent_*` cover about the last second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadStats {
    /// Which.
    pub workload: WorkloadName,
    /// Operations that were due.
    pub due: u64,
    /// Acknowledged, however late.
    pub ok: u64,
    /// Definitely not done.
    pub fail: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Not sent because the service held all capacity.
    pub missed: u64,
    /// Operations that ended in about the last second.
    pub recent_done: u64,
    /// Of those, acknowledged.
    pub recent_ok: u64,
    /// p50 of the recent acknowledged latency from due, in nanoseconds; none if nothing was acknowledged.
    pub recent_p50: Option<i64>,
    /// p99 of the same.
    pub recent_p99: Option<i64>,
}
