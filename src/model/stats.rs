//! What a running workload can say about itself at any moment: for live views only, never for judging.

use super::WorkloadName;
use serde::{Deserialize, Serialize};

/// One workload, live. Counts are since its start; `recent_*` cover about the last second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Operations of about the last second that the runner itself came to late: it saw little of the service then.
    #[serde(default)]
    pub recent_late: u64,
    /// p50 of the recent acknowledged latency from due, in nanoseconds; none if nothing was acknowledged.
    pub recent_p50: Option<i64>,
    /// p99 of the same.
    pub recent_p99: Option<i64>,
    /// The longest of the same.
    pub recent_max: Option<i64>,
}

impl WorkloadStats {
    /// Of one that has said nothing yet.
    #[must_use]
    pub fn none(workload: WorkloadName) -> Self {
        let (recent_p50, recent_p99, recent_max) = (None, None, None);
        let (due, ok, fail, unknown, missed) = (0, 0, 0, 0, 0);
        let (recent_done, recent_ok, recent_late) = (0, 0, 0);
        Self {
            workload,
            due,
            ok,
            fail,
            unknown,
            missed,
            recent_done,
            recent_ok,
            recent_late,
            recent_p50,
            recent_p99,
            recent_max,
        }
    }

    /// The same with nothing known of the last second.
    #[must_use]
    pub fn without_recent(&self) -> Self {
        Self {
            due: self.due,
            ok: self.ok,
            fail: self.fail,
            unknown: self.unknown,
            missed: self.missed,
            ..Self::none(self.workload.clone())
        }
    }
}
