//! Where a lane keeps the level that its workload's `service` asks for: the sliding windows of sustained service.

use super::lane::{Lane, nanos};

/// Moments s (in whole nanoseconds, both ends included) at which the window (s, s + w] does not meet the level, in
/// order. The window of `docs/timing.md` that starts at t is the one at s = t − 1.
#[derive(Debug)]
pub(super) struct Level {
    bad: Vec<(i64, i64, Sight)>,
    /// Width of a window: max(1 s, 20/r).
    pub window: i64,
    /// How long service must hold: `stable`, and at least one window.
    pub hold: i64,
}

/// Was a window seen to be bad, or was too little of it seen?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Seen,
    Blind,
}

#[derive(Debug, Default)]
struct Window {
    all: u64,
    served: u64,
    slow: u64,
}

impl Window {
    fn add(&mut self, lane: &Lane, i: usize, limit: i64) {
        self.all += 1;
        if lane.served(i) {
            self.served += 1;
            self.slow += u64::from(lane.latency(i) > limit);
        }
    }

    fn drop(&mut self, lane: &Lane, i: usize, limit: i64) {
        self.all -= 1;
        if lane.served(i) {
            self.served -= 1;
            self.slow -= u64::from(lane.latency(i) > limit);
        }
    }

    /// Bad if share served < availability or p99 > latency (more than one served operation in a hundred is slower);
    /// blind if less than half of what should be in it was seen.
    fn fails(&self, availability: f64, expected: f64) -> Option<Sight> {
        let share = self.served as f64 >= availability * self.all as f64 - 1e-9;
        let quick = self.served - self.slow >= (self.served * 99).div_ceil(100);
        if !(share && quick) {
            return Some(Sight::Seen);
        }
        ((self.all as f64) < expected / 2.0).then_some(Sight::Blind)
    }
}

impl Level {
    pub fn of(lane: &Lane) -> Self {
        let window = (lane.period.saturating_mul(20)).max(1_000_000_000);
        let hold = nanos(lane.service.stable).max(window);
        Self { bad: bad(lane, window), window, hold }
    }

    /// The first bad range that is not over before `at`.
    pub fn next_bad(&self, at: i64) -> Option<(i64, i64, Sight)> {
        self.bad.get(self.bad.partition_point(|(_, end, _)| *end < at)).copied()
    }
}

/// The content of the window (s, s + w] changes where an operation leaves it (s = due) and where one enters it
/// (s = due − w); between two such moments it is the same.
fn bad(lane: &Lane, window: i64) -> Vec<(i64, i64, Sight)> {
    let limit = lane.service.latency.map_or(i64::MAX, nanos);
    let expected = (window as f64) / (lane.period as f64);
    let (n, mut leave, mut enter) = (lane.len(), 0, 0);
    let (mut content, mut ranges) = (Window::default(), Vec::<(i64, i64, Sight)>::new());
    if n == 0 {
        return ranges;
    }
    let (first, last) = (lane.due(0) - lane.period, lane.end() - window - 1);
    let due = |i: usize| if i < n { lane.due(i) } else { i64::MAX };
    let (mut leaves, mut enters) = (due(0), due(0) - window);
    while leave < n {
        let at = enters.min(leaves);
        while enters <= at {
            content.add(lane, enter, limit);
            enter += 1;
            enters = due(enter).saturating_sub(window);
        }
        while leaves <= at {
            content.drop(lane, leave, limit);
            leave += 1;
            leaves = due(leave);
        }
        if at > last {
            break;
        }
        let until = (leaves.min(enters) - 1).min(last);
        if let Some(sight) = content.fails(lane.service.availability, expected).filter(|_| until >= first) {
            match ranges.last_mut() {
                Some(range) if range.1 + 1 >= at && range.2 == sight => range.1 = until,
                _ => ranges.push((at.max(first), until, sight)),
            }
        }
    }
    ranges
}
