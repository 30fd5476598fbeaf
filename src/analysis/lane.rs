//! The operations of one schedule in order of their due time, each served, not served, or neither because the runner
//! itself could not see. Everything about availability is computed from a lane.

use super::story::sane;
use crate::model::{OpRecord, Outcome, Service, Span};

/// Stalls shorter than this are part of an operation's latency, not a blind span.
pub(super) const STALL: i64 = 5_000_000;

/// Operations that decide, by due time.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    ops: &'a [OpRecord],
    order: Vec<u32>,
    served: Vec<bool>,
    pub blind: Blind,
    pub service: Service,
    pub deadline: i64,
    pub rate: f64,
    pub period: i64,
}

/// Spans in which the runner could not see, merged and in order.
#[derive(Debug, Default)]
pub(super) struct Blind(Vec<(i64, i64)>);

impl Blind {
    /// Those of the stalls that matter at this period.
    pub fn new(stalls: impl Iterator<Item = Span>, period: i64) -> Self {
        let long = |span: &Span| sane(span.lo) && sane(span.hi) && span.width() > STALL.max(period);
        let mut spans: Vec<(i64, i64)> = stalls.filter(long).map(|span| (span.lo.0, span.hi.0)).collect();
        spans.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
        for (lo, hi) in spans {
            match merged.last_mut() {
                Some(last) if lo <= last.1 => last.1 = last.1.max(hi),
                _ => merged.push((lo, hi)),
            }
        }
        Self(merged)
    }

    fn covers(&self, at: i64) -> bool {
        let next = self.0.partition_point(|(_, hi)| *hi < at);
        self.0.get(next).is_some_and(|(lo, _)| *lo <= at)
    }

    /// How much of [from, to] nobody saw.
    pub fn overlap(&self, from: i64, to: i64) -> i64 {
        let first = self.0.partition_point(|(_, hi)| *hi < from);
        let touching = self.0[first..].iter().take_while(|(lo, _)| *lo <= to);
        touching.map(|(lo, hi)| (to.min(*hi) - from.max(*lo)).max(0)).sum()
    }

    /// Where the first blind span begins that touches [from, to].
    pub fn first(&self, from: i64, to: i64) -> Option<i64> {
        let next = self.0.partition_point(|(_, hi)| *hi < from);
        self.0.get(next).map(|(lo, _)| *lo).filter(|lo| *lo <= to)
    }

    pub fn touches(&self, from: i64, to: i64) -> bool {
        self.first(from, to).is_some()
    }
}

/// A duration in nanoseconds, bounded so that sums of a few cannot overflow.
pub(super) fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX).min(i64::MAX / 64)
}

/// 1/r, at least a nanosecond, at most a day.
pub(super) fn period(rate: f64) -> i64 {
    if rate > 0.0 && rate.is_finite() { ((1e9 / rate) as i64).clamp(1, 86_400_000_000_000) } else { 86_400_000_000_000 }
}

/// Places of the chosen operations in order of due time (ties in order of their end).
pub(super) fn by_due(ops: &[OpRecord], choose: impl Fn(&OpRecord) -> bool) -> Vec<u32> {
    let count = u32::try_from(ops.len()).unwrap_or(u32::MAX);
    let fits = |place: &u32| {
        let op = &ops[*place as usize];
        sane(op.due) && sane(op.sent) && sane(op.done) && choose(op)
    };
    let mut order: Vec<u32> = (0..count).filter(fits).collect();
    let key = |place: &u32| (ops[*place as usize].due, ops[*place as usize].done);
    if !order.is_sorted_by_key(key) {
        order.sort_by_key(key);
    }
    order
}

impl<'a> Lane<'a> {
    /// A lane of operations that are in order already.
    pub fn new(ops: &'a [OpRecord], order: &[u32], service: &Service, rate: f64, stalls: &[Span]) -> Self {
        let (deadline, period) = (nanos(service.deadline), period(rate));
        let blind = Blind::new(stalls.iter().copied(), period);
        let (mut kept, mut served) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        for place in order {
            if let Some(was_served) = decides(&ops[*place as usize], deadline, &blind) {
                kept.push(*place);
                served.push(was_served);
            }
        }
        Self { ops, order: kept, served, blind, service: service.clone(), deadline, rate, period }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn served(&self, i: usize) -> bool {
        self.served[i]
    }

    pub fn op(&self, i: usize) -> &OpRecord {
        &self.ops[self.order[i] as usize]
    }

    pub fn due(&self, i: usize) -> i64 {
        self.op(i).due.0
    }

    pub fn sent(&self, i: usize) -> i64 {
        self.op(i).sent.0
    }

    pub fn done(&self, i: usize) -> i64 {
        self.op(i).done.0
    }

    /// The first operation due at `at` or later.
    pub fn at(&self, at: i64) -> usize {
        self.order.partition_point(|place| self.ops[*place as usize].due.0 < at)
    }

    /// The first operation due after `at`.
    pub fn after(&self, at: i64) -> usize {
        self.order.partition_point(|place| self.ops[*place as usize].due.0 <= at)
    }

    /// The moment up to which the schedule asked.
    pub fn end(&self) -> i64 {
        self.len().checked_sub(1).map_or(0, |last| self.due(last) + self.period)
    }

    /// The moment by which it was settled that an operation is not served: it had failed, or its deadline had passed,
    /// or it had waited longer (`usual`) than any answer of the healthy service took.
    pub fn settled(&self, i: usize, usual: i64) -> i64 {
        let op = self.op(i);
        let by_now = op.done.0.min(op.due.0 + self.deadline);
        if op.outcome == Outcome::Missed { by_now } else { by_now.min(op.sent.0 + usual) }
    }

    /// The longest service time of a served operation that was over before `before` (of the last 20,000).
    pub fn usual(&self, before: i64) -> i64 {
        let end = self.at(before);
        let healthy = (end.saturating_sub(20_000)..end).filter(|i| self.served(*i) && self.done(*i) < before);
        healthy.map(|i| self.done(i) - self.sent(i)).max().map_or(self.deadline, |longest| longest.min(self.deadline))
    }
}

/// Served, not served, or nothing at all: what the runner could not send, what was due while it could not see, and
/// what is late only because it could not see.
fn decides(op: &OpRecord, deadline: i64, blind: &Blind) -> Option<bool> {
    if op.outcome == Outcome::Unsent || blind.covers(op.due.0) {
        return None;
    }
    if op.served(deadline) {
        return Some(true);
    }
    let waited = op.done - op.due;
    let unseen = blind.overlap(op.due.0, op.done.0.max(op.due.0));
    let doubtful = match op.outcome {
        Outcome::Ok | Outcome::OkLocal | Outcome::Unknown | Outcome::Missed => {
            waited > deadline && unseen > 0 && waited - unseen <= deadline
        }
        Outcome::Fail | Outcome::Unsent => false,
    };
    (!doubtful).then_some(false)
}
