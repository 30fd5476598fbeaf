//! Counts, percentiles, and the time series that charts are drawn from.

use super::lane::{Lane, nanos};
use super::places::Places;
use super::quantiles;
use super::{Bucket, OpCounts, Percentiles, Series};
use crate::model::{Ops, Outcome};

/// Operations by outcome.
pub(super) fn counts(ops: &Ops, places: &Places, deadline: i64) -> OpCounts {
    let mut counts = OpCounts::default();
    for place in places.iter() {
        counts.due += 1;
        match ops.outcome(place) {
            Outcome::Ok | Outcome::OkLocal if !ops.served(place, deadline) => counts.late += 1,
            Outcome::Ok => counts.ok += 1,
            Outcome::OkLocal => {
                counts.ok += 1;
                counts.ok_local += 1;
            }
            Outcome::Fail => counts.fail += 1,
            Outcome::Unknown => counts.unknown += 1,
            Outcome::Missed => counts.missed += 1,
            Outcome::Unsent => counts.unsent += 1,
        }
    }
    counts
}

fn acknowledged(ops: &Ops, place: usize) -> bool {
    matches!(ops.outcome(place), Outcome::Ok | Outcome::OkLocal)
}

/// p50, p95, p99 and the largest, by nearest rank. Reorders the values.
fn percentiles(values: &mut [i64]) -> Option<Percentiles> {
    if values.is_empty() {
        return None;
    }
    let mut rank = |percent: usize| {
        let place = (values.len() * percent).div_ceil(100).max(1) - 1;
        *values.select_nth_unstable(place).1
    };
    let (p50, p95, p99, max) = (rank(50), rank(95), rank(99), rank(100));
    Some(Percentiles { p50, p95, p99, max })
}

/// Latency from due, of acknowledged operations.
pub(super) fn latency(ops: &Ops, places: &Places) -> Option<Percentiles> {
    quantiles::percentiles(|| places.iter().filter(|place| acknowledged(ops, *place)).map(|place| ops.latency(place)))
}

/// The same of those that were answered before a moment.
pub(super) fn latency_before(ops: &Ops, places: &Places, moment: i64) -> Option<Percentiles> {
    let before = |place: &usize| acknowledged(ops, *place) && ops.done(*place).0 < moment;
    quantiles::percentiles(|| places.iter().filter(before).map(|place| ops.latency(place)))
}

/// sent − due, of operations that were sent.
pub(super) fn lateness(ops: &Ops, places: &Places) -> Option<Percentiles> {
    let sent = |place: &usize| !matches!(ops.outcome(*place), Outcome::Missed | Outcome::Unsent);
    quantiles::percentiles(|| places.iter().filter(sent).map(|place| ops.lateness(place)))
}

/// Time without service: each operation that was not served stands for one period.
pub(super) fn lost_time(lane: &Lane) -> i64 {
    let count = (0..lane.len()).filter(|i| !lane.served(*i)).count() as i64;
    count.saturating_mul(lane.period)
}

/// Time in which service answered, but not well: what was served inside outages, and windows outside them whose p99
/// is above the limit.
pub(super) fn degraded(lane: &Lane, runs: &[super::outage::Run], window: i64) -> i64 {
    let inside = runs.iter().map(|run| (run.x..run.y).filter(|i| lane.served(*i)).count() as i64).sum::<i64>();
    let Some(limit) = lane.service.latency.map(nanos) else { return inside.saturating_mul(lane.period) };
    let (mut slow_windows, mut i, mut run) = (0_i64, 0, 0);
    while i < lane.len() {
        let end = lane.due(i) + window;
        let (mut served, mut slow) = (0_usize, 0_usize);
        while i < lane.len() && lane.due(i) < end {
            while run < runs.len() && runs[run].y < i {
                run += 1;
            }
            let outside = runs.get(run).is_none_or(|r| i < r.x);
            if outside && lane.served(i) {
                served += 1;
                slow += usize::from(lane.latency(i) > limit);
            }
            i += 1;
        }
        slow_windows += if served - slow < (served * 99).div_ceil(100) { served as i64 } else { 0 };
    }
    (inside + slow_windows).saturating_mul(lane.period)
}

const BUCKETS: i64 = 1_000;
/// A bucket holds at least so many operations of a steady schedule, so that its share means something.
const AT_LEAST: i64 = 5;

/// Buckets of equal width over all operations in order of due time; times relative to `t0`.
pub(super) fn series(ops: &Ops, places: &Places, lane: &Lane, t0: i64) -> Series {
    let Some(last) = places.len().checked_sub(1) else { return Series::default() };
    let due = |i: usize| ops.due(places.get(i)).0;
    let (from, to) = (due(0), due(last));
    let width = ((to - from) / BUCKETS + 1).max(lane.period.saturating_mul(AT_LEAST)).max(1);
    let count = usize::try_from((to - from) / width + 1).unwrap_or(1);
    let mut buckets = vec![Bucket::default(); count];
    let mut start = 0;
    let mut latencies = Vec::new();
    for (number, bucket) in buckets.iter_mut().enumerate() {
        let end_at = from + width * (number as i64 + 1);
        let end = places.partition_point(start, |place| ops.due(place).0 < end_at);
        latencies.clear();
        for place in (start..end).map(|i| places.get(i)) {
            put(bucket, ops, place, lane.deadline);
            if acknowledged(ops, place) {
                latencies.push(ops.latency(place));
            }
        }
        if let Some(p) = percentiles(&mut latencies) {
            (bucket.p50, bucket.p95, bucket.p99) = (p.p50, p.p95, p.p99);
        }
        start = end;
    }
    worst_shares(&mut buckets, lane, from, width);
    Series { from: from - t0, width, buckets }
}

fn put(bucket: &mut Bucket, ops: &Ops, place: usize, deadline: i64) {
    let outcome = ops.outcome(place);
    if outcome == Outcome::Unsent {
        return;
    }
    bucket.due += 1;
    match outcome {
        _ if ops.served(place, deadline) => bucket.served += 1,
        Outcome::Fail => bucket.fail += 1,
        Outcome::Unknown => bucket.unknown += 1,
        _ => bucket.other += 1,
    }
}

/// The lowest served share of any tenth of a bucket; only operations that decide count.
fn worst_shares(buckets: &mut [Bucket], lane: &Lane, from: i64, width: i64) {
    for bucket in buckets.iter_mut() {
        bucket.worst_share = 10_000;
    }
    let tenth = (width / 10).max(1);
    let mut i = 0;
    while i < lane.len() {
        let slot = (lane.due(i) - from) / tenth;
        let end = from + (slot + 1) * tenth;
        let (mut all, mut served) = (0_u64, 0_u64);
        while i < lane.len() && lane.due(i) < end {
            all += 1;
            served += u64::from(lane.served(i));
            i += 1;
        }
        let place = usize::try_from(slot * tenth / width).unwrap_or(usize::MAX);
        let share = u16::try_from(served * 10_000 / all).unwrap_or(10_000);
        if let Some(bucket) = buckets.get_mut(place) {
            bucket.worst_share = bucket.worst_share.min(share);
        }
    }
}
