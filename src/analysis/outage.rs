//! Outages: maximal runs of not-served operations, those less than `merge` apart taken as one.

use super::lane::{Lane, nanos};
use super::{At, Outage};
use crate::model::Interval;

/// An outage as places in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Its first not-served operation.
    pub x: usize,
    /// Its last.
    pub y: usize,
    /// The served one before X, if there is one.
    pub l: Option<usize>,
    /// The served one after Y, if there is one.
    pub f: Option<usize>,
    /// Not-served operations in it.
    pub operations: u64,
}

/// All outages of a lane, in order.
pub(super) fn runs(lane: &Lane) -> Vec<Run> {
    let merge = nanos(lane.service.merge);
    let mut all: Vec<Run> = Vec::new();
    let mut i = 0;
    while i < lane.len() {
        if lane.served(i) {
            i += 1;
            continue;
        }
        let x = i;
        while i < lane.len() && !lane.served(i) {
            i += 1;
        }
        let (y, operations, f) = (i - 1, (i - x) as u64, (i < lane.len()).then_some(i));
        match all.last_mut() {
            Some(last) if lane.due(x) - lane.due(last.y) < merge => {
                (last.y, last.f) = (y, f);
                last.operations += operations;
            }
            _ => all.push(Run { x, y, l: x.checked_sub(1), f, operations }),
        }
    }
    all
}

impl Run {
    /// Perceived outage ∈ [Y.due − X.due, F.due − L.due], less at the low end what nobody saw in between; none while
    /// it has not ended.
    pub fn perceived(&self, lane: &Lane) -> Option<Interval> {
        let f = self.f?;
        Interval::between(self.low(lane), lane.due(f) - self.before(lane))
    }

    fn low(&self, lane: &Lane) -> i64 {
        let (x, y) = (lane.due(self.x), lane.due(self.y));
        y - x - lane.blind.overlap(x, y)
    }

    /// L.due; before the first operation nobody asked, so the outage is not looked for earlier than a period before.
    fn before(&self, lane: &Lane) -> i64 {
        self.l.map_or(lane.due(self.x) - lane.period, |l| lane.due(l))
    }

    /// Its share of the downtime, also when it had not ended with the schedule.
    pub fn downtime(&self, lane: &Lane) -> Option<Interval> {
        match self.f {
            Some(_) => self.perceived(lane),
            None => Interval::between(self.low(lane), lane.end() - self.before(lane)),
        }
    }

    /// As reports show it, relative to `t0`.
    pub fn shown(&self, lane: &Lane, t0: i64) -> Outage {
        let (x, y) = (lane.due(self.x) - t0, lane.due(self.y) - t0);
        let after = self.f.map_or(lane.end(), |f| lane.due(f));
        Outage {
            from: At { low: self.before(lane) - t0, best: x, high: x },
            to: self.f.map(|f| At { low: y, best: y, high: lane.due(f) - t0 }),
            perceived: self.perceived(lane),
            operations: self.operations,
            doubtful: lane.blind.touches(self.before(lane), after),
        }
    }
}

/// Sum of intervals.
pub(super) fn sum(parts: impl Iterator<Item = Interval>) -> Interval {
    parts.fold(Interval::exact(0), |a, b| Interval { low: a.low + b.low, best: a.best + b.best, high: a.high + b.high })
}
