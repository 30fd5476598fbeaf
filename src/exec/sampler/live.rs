//! What the workload says about itself while it runs: counts, and the last second. For live views only. Pure.

use crate::model::{Mono, OpRecord, Outcome, WorkloadName, WorkloadStats};
use std::collections::VecDeque;

const WINDOW: i64 = 1_000_000_000;
const LIMIT: usize = 20_000;

/// Counts so far, and the operations of about the last second.
#[derive(Debug)]
pub(super) struct Live {
    total: WorkloadStats,
    /// Done, and the latency from due if it was acknowledged.
    recent: VecDeque<(Mono, Option<i64>)>,
}

impl Live {
    /// Nothing yet.
    pub fn new(workload: WorkloadName) -> Self {
        let total = WorkloadStats {
            workload,
            due: 0,
            ok: 0,
            fail: 0,
            unknown: 0,
            missed: 0,
            recent_done: 0,
            recent_ok: 0,
            recent_p50: None,
            recent_p99: None,
        };
        Self { total, recent: VecDeque::new() }
    }

    /// An operation is due.
    pub fn due(&mut self) {
        self.total.due += 1;
    }

    /// An operation ended.
    pub fn ended(&mut self, record: &OpRecord) {
        let count = match record.outcome {
            Outcome::Ok | Outcome::OkLocal => &mut self.total.ok,
            Outcome::Fail => &mut self.total.fail,
            Outcome::Unknown => &mut self.total.unknown,
            Outcome::Missed => &mut self.total.missed,
            Outcome::Unsent => return,
        };
        *count += 1;
        let acked = matches!(record.outcome, Outcome::Ok | Outcome::OkLocal);
        if self.recent.len() == LIMIT {
            self.recent.pop_front();
        }
        self.recent.push_back((record.done, acked.then(|| record.done - record.due)));
    }

    /// As of now.
    pub fn stats(&mut self, now: Mono) -> WorkloadStats {
        while self.recent.front().is_some_and(|(done, _)| now - *done > WINDOW) {
            self.recent.pop_front();
        }
        let mut latencies: Vec<i64> = self.recent.iter().filter_map(|(_, latency)| *latency).collect();
        latencies.sort_unstable();
        WorkloadStats {
            recent_done: self.recent.len() as u64,
            recent_ok: latencies.len() as u64,
            recent_p50: percentile(&latencies, 50),
            recent_p99: percentile(&latencies, 99),
            ..self.total.clone()
        }
    }
}

/// The smallest value that at least `share` percent of all do not exceed.
fn percentile(sorted: &[i64], share: usize) -> Option<i64> {
    sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Action;

    fn record(due: i64, done: i64, outcome: Outcome) -> OpRecord {
        let (due, done) = (Mono(due), Mono(done));
        OpRecord { due, sent: due, done, action: Action::Visit, outcome, key: None, found: None }
    }

    #[test]
    fn the_recent_part_forgets_and_the_totals_do_not() {
        let mut live = Live::new("w".into());
        for k in 0..100 {
            live.due();
            live.ended(&record(k * 10_000_000, k * 10_000_000 + k, Outcome::Ok));
        }
        live.ended(&record(0, 1_000_000_000, Outcome::Fail));
        let stats = live.stats(Mono(1_000_000_000));
        assert_eq!((stats.due, stats.ok, stats.fail), (100, 100, 1));
        assert_eq!((stats.recent_done, stats.recent_ok), (101, 100));
        assert_eq!((stats.recent_p50, stats.recent_p99), (Some(49), Some(98)));
        let later = live.stats(Mono(5_000_000_000));
        assert_eq!((later.ok, later.recent_done, later.recent_p99), (100, 0, None));
    }
}
