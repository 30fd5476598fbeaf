//! The operations of one schedule in order of their due time, each served, not served, or neither because the runner
//! itself could not see. Everything about availability is computed from a lane.

use super::places::Places;
use super::story::sane;
use crate::model::{Ops, Outcome, Service, Span};

/// Stalls shorter than this are part of an operation's latency, not a blind span.
pub(super) const STALL: i64 = 5_000_000;

/// Operations that decide, by due time.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    ops: &'a Ops,
    order: Places,
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

impl<'a> Lane<'a> {
    /// A lane of these of the operations.
    pub fn new(ops: &'a Ops, places: &Places, service: &Service, rate: f64, stalls: &[Span]) -> Self {
        let (deadline, period) = (nanos(service.deadline), period(rate));
        let blind = Blind::new(stalls.iter().copied(), period);
        let mut served = Vec::with_capacity(places.len());
        let order = places.filtered(|place| {
            let decided = decides(ops, place, deadline, &blind);
            served.extend(decided);
            decided.is_some()
        });
        Self { ops, order, served, blind, service: service.clone(), deadline, rate, period }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn served(&self, i: usize) -> bool {
        self.served[i]
    }

    fn place(&self, i: usize) -> usize {
        self.order.get(i)
    }

    pub fn due(&self, i: usize) -> i64 {
        self.ops.due(self.place(i)).0
    }

    pub fn sent(&self, i: usize) -> i64 {
        self.ops.sent(self.place(i)).0
    }

    pub fn done(&self, i: usize) -> i64 {
        self.ops.done(self.place(i)).0
    }

    /// done − due.
    pub fn latency(&self, i: usize) -> i64 {
        self.ops.latency(self.place(i))
    }

    /// The first operation due at `at` or later.
    pub fn at(&self, at: i64) -> usize {
        self.order.partition_point(0, |place| self.ops.due(place).0 < at)
    }

    /// The first operation due after `at`.
    pub fn after(&self, at: i64) -> usize {
        self.order.partition_point(0, |place| self.ops.due(place).0 <= at)
    }

    /// The moment up to which the schedule asked.
    pub fn end(&self) -> i64 {
        self.len().checked_sub(1).map_or(0, |last| self.due(last) + self.period)
    }

    /// The moment by which it was settled that an operation is not served: it had failed, or its deadline had passed,
    /// or it had waited longer (`usual`) than any answer of the healthy service took.
    pub fn settled(&self, i: usize, usual: i64) -> i64 {
        let by_now = self.done(i).min(self.due(i) + self.deadline);
        let missed = self.ops.outcome(self.place(i)) == Outcome::Missed;
        if missed { by_now } else { by_now.min(self.sent(i) + usual) }
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
fn decides(ops: &Ops, place: usize, deadline: i64, blind: &Blind) -> Option<bool> {
    let (due, outcome) = (ops.due(place).0, ops.outcome(place));
    if outcome == Outcome::Unsent || blind.covers(due) {
        return None;
    }
    if ops.served(place, deadline) {
        return Some(true);
    }
    let waited = ops.latency(place);
    let unseen = blind.overlap(due, due + waited.max(0));
    let doubtful = match outcome {
        Outcome::Ok | Outcome::OkLocal | Outcome::Unknown | Outcome::Missed => {
            waited > deadline && unseen > 0 && waited - unseen <= deadline
        }
        Outcome::Fail | Outcome::Unsent => false,
    };
    (!doubtful).then_some(false)
}
