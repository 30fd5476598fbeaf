//! What the workload says about itself while it runs: counts, and the last second. For live views only. Pure.

use crate::model::{Mono, OpRecord, Outcome, WorkloadName, WorkloadStats};

/// The last second is counted in so many parts, and one that goes on.
const PARTS: i64 = 20;
const PART: i64 = 1_000_000_000 / PARTS;
/// Latencies below this have a count of their own; above, there are so many counts for each doubling.
const FINE: u64 = 128;
const COUNTS: usize = ((64 - FINE.ilog2() as usize) + 1) * FINE as usize / 2 + FINE as usize / 2;

/// Counts so far, and the operations of about the last second.
#[derive(Debug)]
pub(super) struct Live {
    total: WorkloadStats,
    parts: Vec<Part>,
}

/// What ended in a twentieth of a second. Its size does not depend on the rate.
#[derive(Debug, Clone)]
struct Part {
    /// Which twentieth.
    number: i64,
    done: u64,
    ok: u64,
    late: u64,
    /// Acknowledged operations by their latency from due.
    latencies: Box<[u32]>,
    /// The places at which something is counted, each once.
    used: Vec<usize>,
}

impl Part {
    fn begin(&mut self, number: i64) {
        for place in self.used.drain(..) {
            if let Some(count) = self.latencies.get_mut(place) {
                *count = 0;
            }
        }
        (self.number, self.done, self.ok, self.late) = (number, 0, 0, 0);
    }

    fn acknowledged(&mut self, place: usize) {
        self.ok += 1;
        if let Some(count) = self.latencies.get_mut(place) {
            if *count == 0 {
                self.used.push(place);
            }
            *count = count.saturating_add(1);
        }
    }

    fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.used.iter().filter_map(|place| Some((*place, (*self.latencies.get(*place)?).into())))
    }
}

impl Live {
    /// Nothing yet.
    pub fn new(workload: WorkloadName) -> Self {
        let total = WorkloadStats::none(workload);
        let latencies = vec![0; COUNTS].into_boxed_slice();
        let part = Part { number: i64::MIN, done: 0, ok: 0, late: 0, latencies, used: Vec::new() };
        Self { total, parts: vec![part; PARTS as usize + 1] }
    }

    /// So many more operations are due.
    pub fn due(&mut self, more: u64) {
        self.total.due += more;
    }

    /// So many operations the runner came to late, and only now.
    pub fn late(&mut self, more: u64, now: Mono) {
        if let Some(part) = self.part(now) {
            part.late += more;
        }
    }

    /// The part that this moment belongs to; none if it is over.
    fn part(&mut self, at: Mono) -> Option<&mut Part> {
        let number = at.0.div_euclid(PART);
        let part = self.parts.get_mut(number.rem_euclid(PARTS + 1) as usize)?;
        if part.number < number {
            part.begin(number);
        }
        (part.number == number).then_some(part)
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
        let Some(part) = self.part(record.done) else { return };
        part.done += 1;
        if matches!(record.outcome, Outcome::Ok | Outcome::OkLocal) {
            part.acknowledged(place((record.done - record.due).max(0).unsigned_abs()));
        }
    }

    /// As of now.
    pub fn stats(&self, now: Mono) -> WorkloadStats {
        let last = now.0.div_euclid(PART);
        let recent = || self.parts.iter().filter(|part| part.number >= last - PARTS);
        let ok: u64 = recent().map(|part| part.ok).sum();
        let [recent_p50, recent_p99, recent_max] = shares(recent().flat_map(Part::counts).collect(), ok);
        WorkloadStats {
            recent_done: recent().map(|part| part.done).sum(),
            recent_ok: ok,
            recent_late: recent().map(|part| part.late).sum(),
            recent_p50,
            recent_p99,
            recent_max,
            ..self.total.clone()
        }
    }
}

/// The latencies that half, 99 % and all of so many operations stayed at or below.
fn shares(mut counts: Vec<(usize, u64)>, ok: u64) -> [Option<i64>; 3] {
    counts.sort_unstable();
    [50, 99, 100].map(|percent| {
        let wanted = (ok * percent).div_ceil(100);
        let mut seen = 0;
        let reached = |(_, count): &&(usize, u64)| {
            seen += count;
            seen >= wanted
        };
        counts.iter().find(reached).map(|(place, _)| highest(*place))
    })
}

/// Which count a latency belongs to: exact below `FINE` nanoseconds, to a 64th above.
fn place(latency: u64) -> usize {
    if latency < FINE {
        return latency as usize;
    }
    let doublings = latency.ilog2() - FINE.ilog2();
    let half = FINE / 2;
    (FINE + u64::from(doublings) * half + ((latency >> (doublings + 1)) - half)) as usize
}

/// The highest latency of a count.
fn highest(place: usize) -> i64 {
    let (place, half) = (place as u64, FINE / 2);
    if place < FINE {
        return place.cast_signed();
    }
    let (doublings, rest) = ((place - FINE) / half, (place - FINE) % half);
    ((u128::from(half + rest + 1) << (doublings + 1)) - 1).try_into().unwrap_or(i64::MAX)
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
            live.due(1);
            live.ended(&record(k * 10_000_000, k * 10_000_000 + k, Outcome::Ok));
        }
        live.ended(&record(0, 1_000_000_000, Outcome::Fail));
        let stats = live.stats(Mono(1_000_000_000));
        assert_eq!((stats.due, stats.ok, stats.fail), (100, 100, 1));
        assert_eq!((stats.recent_done, stats.recent_ok), (101, 100));
        assert_eq!((stats.recent_p50, stats.recent_p99, stats.recent_max), (Some(49), Some(98), Some(99)));
        let later = live.stats(Mono(5_000_000_000));
        assert_eq!((later.ok, later.recent_done, later.recent_p99), (100, 0, None));
        // Where the old ones were counted, the new ones are.
        for k in 0..100 {
            let due = 6_000_000_000 + k * 10_000_000;
            live.ended(&record(due, due + k * 77, Outcome::Ok));
        }
        let again = live.stats(Mono(7_000_000_000));
        assert_eq!((again.ok, again.recent_ok), (200, 100));
        assert_eq!((again.recent_p50, again.recent_max), (Some(3_775), Some(7_679)), "3,773 and 7,623, and a 64th");
    }

    #[test]
    fn what_the_runner_came_to_late_is_counted_for_a_second() {
        let mut live = Live::new("w".into());
        live.late(3, Mono(1_000_000_000));
        live.late(4, Mono(1_500_000_000));
        assert_eq!(live.stats(Mono(1_600_000_000)).recent_late, 7);
        assert_eq!(live.stats(Mono(2_200_000_000)).recent_late, 4);
        assert_eq!(live.stats(Mono(3_000_000_000)).recent_late, 0);
    }

    #[test]
    fn a_latency_is_counted_to_a_sixty_fourth() {
        let mut before = 0;
        for latency in (0..63).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3, (2 << bit) - 1]) {
            let (place, top) = (place(latency), highest(place(latency)).unsigned_abs());
            assert!(place < COUNTS && place >= before.min(place), "{latency}");
            assert!(top >= latency && top - latency <= latency / 64, "{latency}: {top}");
            before = place;
        }
    }

    #[test]
    fn a_high_rate_is_counted_whole() {
        let mut live = Live::new("w".into());
        (0..200_000).for_each(|k| live.ended(&record(k * 5_000, k * 5_000 + 1_000_000, Outcome::Ok)));
        let stats = live.stats(Mono(1_000_999_999));
        assert_eq!((stats.recent_done, stats.recent_ok), (200_000, 200_000));
        let p50 = stats.recent_p50.unwrap();
        assert!((1_000_000..1_016_000).contains(&p50), "{p50}");
    }
}
