//! Sustained service, counted the slow way: every candidate, every window, every operation.

use super::random::Random;
use super::record::{MS, S, Setup, record};
use blackstart::analysis::analyze;
use blackstart::model::*;
use std::time::Duration;

struct Naive {
    /// (due, served, latency), by due time.
    ops: Vec<(i64, bool, i64)>,
    availability: f64,
    limit: Option<i64>,
    window: i64,
    hold: i64,
    merge: i64,
    end: i64,
}

impl Naive {
    /// Does (from, from + window] meet the level?
    fn meets(&self, from: i64) -> bool {
        let inside: Vec<_> = self.ops.iter().filter(|op| op.0 > from && op.0 <= from + self.window).collect();
        let served: Vec<_> = inside.iter().filter(|op| op.1).collect();
        let slow = self.limit.map_or(0, |limit| served.iter().filter(|op| op.2 > limit).count());
        // The nearest-rank p99 is within the limit.
        let rank = (served.len() as f64 * 0.99).ceil() as usize;
        served.len() as f64 >= self.availability * inside.len() as f64 - 1e-9 && served.len() - slow >= rank
    }

    /// In the middle of an outage: not-served operations at most `merge` apart on both sides.
    fn in_outage(&self, t: i64) -> bool {
        let bad: Vec<i64> = self.ops.iter().filter(|op| !op.1).map(|op| op.0).collect();
        let mut open = false;
        for (i, due) in bad.iter().enumerate() {
            let joined = i > 0 && due - bad[i - 1] < self.merge && !self.all_bad_between(bad[i - 1], *due);
            open |= i > 0 && joined && bad[i - 1] < t && t < *due;
        }
        open || bad.contains(&t)
    }

    fn all_bad_between(&self, a: i64, b: i64) -> bool {
        !self.ops.iter().any(|op| op.0 > a && op.0 < b)
    }

    fn sustained(&self, from: i64) -> Option<i64> {
        let starts: Vec<i64> = self.ops.iter().flat_map(|op| [op.0, op.0 - self.window]).collect();
        let holds = |t: i64| {
            let last = t + self.hold - self.window;
            self.meets(t - 1) && starts.iter().filter(|s| **s >= t && **s < last).all(|s| self.meets(*s))
        };
        let candidates = self.ops.iter().filter(|op| op.1 && op.0 >= from && op.0 + self.hold <= self.end);
        candidates.map(|op| op.0).find(|t| !self.in_outage(*t) && holds(*t))
    }
}

#[test]
fn sliding_windows_are_as_if_counted_one_by_one() {
    let mut found = 0;
    for seed in 0..1_000 {
        let random = &mut Random::new(seed);
        let period = 50 * MS;
        let availability = random.one_of(&[1.0, 0.95, 0.9, 0.5]);
        let limit = random.one_of(&[None, Some(100 * MS)]);
        let (fault, count) = (3 * S, random.within(150, 300));
        let noise = random.within(0, 12) as u64;
        let down = (fault, fault + random.within(100, 3_000) * MS);
        let quiet = random.within(down.1, down.1 + 4 * S);
        let mut ops = Vec::new();
        for k in 0..count {
            let due = 1 + k * period;
            let bad = due > fault && (due < down.1 || (due < quiet && random.chance(noise)));
            let slow = due > fault && due < quiet && random.chance(noise / 4);
            let takes = if slow { 150 * MS } else { MS };
            let outcome = if bad { Outcome::Fail } else { Outcome::Ok };
            let (due, done) = (Mono(due), Mono(due + takes));
            ops.push(OpRecord { due, sent: due, done, action: Action::Visit, outcome, key: None, found: None });
        }
        let merge = random.one_of(&[100 * MS, 500 * MS, S]);
        let nanos = |n: i64| Duration::from_nanos(n as u64);
        let service = Service {
            availability,
            latency: limit.map(nanos),
            deadline: nanos(S),
            stable: nanos(2 * S),
            merge: nanos(merge),
        };
        let end = 1 + count * period;
        let naive = Naive {
            ops: ops.iter().map(|op| (op.due.0, op.outcome == Outcome::Ok, op.done - op.due)).collect(),
            availability,
            limit,
            window: S,
            hold: 2 * S,
            merge,
            end,
        };
        let at = Span::point(Mono(fault));
        let setup = Setup { rate: 20.0, service, timeout: S, writers: 0, fault: at, healed: end, stalls: Vec::new() };
        let recovery = analyze(&record(&setup, ops)).workloads[0].recoveries[0].clone();
        // Nothing failed: then the first slow answer is what breaks the level, and `formulas` counts it by hand.
        let Some((first_bad, _, _)) = naive.ops.iter().find(|op| !op.1) else { continue };
        let expected = naive.sustained(*first_bad);
        found += u32::from(expected.is_some());
        let low = recovery.sustained.map(|i| i.low);
        assert_eq!(low, expected.map(|t| (t - period - fault).max(0)), "seed {seed}: {recovery:?}");
    }
    assert!(found > 500, "only {found} cases say anything");
}
