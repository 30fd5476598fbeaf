//! A service that refuses, drops, freezes, flaps and slows down at known times, and a client with an open-loop
//! schedule, a deadline, a time-out and stalls of its own. The truth is what the service did; the operations are
//! what the client saw; the analysis sees only those.

use super::random::Random;
use super::record::{MS, S, Setup, record};
use blackstart::analysis::{Recovery, analyze};
use blackstart::model::*;
use std::time::Duration;

/// How the service is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// Nobody listens: refused at once; whatever is being served is cut off.
    Refuses,
    /// Requests vanish; the client gives up at its time-out.
    Drops,
    /// Requests wait and are answered when it goes on.
    Freezes,
}

#[derive(Debug, Clone, Copy)]
struct Off {
    from: i64,
    to: i64,
    how: Gone,
}

#[derive(Debug)]
struct World {
    off: Vec<Off>,
    /// Service time is uniform in this range.
    takes: (i64, i64),
    deadline: i64,
    timeout: i64,
    stalls: Vec<(i64, i64)>,
}

impl World {
    /// What becomes of a request that reaches the service at `sent`: the answer's time and outcome.
    fn serve(&self, sent: i64, random: &mut Random) -> (i64, Outcome) {
        let mut left = random.within(self.takes.0, self.takes.1);
        let mut now = sent;
        for off in &self.off {
            if off.to <= now {
                continue;
            }
            if off.from > now && now + left <= off.from {
                break;
            }
            let begun = off.from > now;
            match off.how {
                Gone::Refuses if begun => return (off.from, Outcome::Unknown),
                Gone::Refuses => return (now + random.within(MS / 10, MS / 2), Outcome::Fail),
                Gone::Drops => return (i64::MAX, Outcome::Unknown),
                Gone::Freezes => {
                    left -= (off.from - now).max(0);
                    now = off.to;
                }
            }
        }
        (now + left, Outcome::Ok)
    }

    /// A stalled client does nothing: it sends late and reads late.
    fn awake(&self, at: i64) -> i64 {
        self.stalls.iter().find(|(from, to)| (*from..*to).contains(&at)).map_or(at, |(_, to)| *to)
    }

    fn operate(&self, due: i64, random: &mut Random) -> OpRecord {
        let sent = self.awake(due + random.within(20_000, 200_000));
        let (answered, outcome) = self.serve(sent, random);
        let limit = due.max(sent) + self.timeout;
        let (done, outcome) = if answered > limit { (limit, Outcome::Unknown) } else { (answered, outcome) };
        let (sent_at, done) = (Mono(sent), Mono(self.awake(done).max(sent)));
        OpRecord { due: Mono(due), sent: sent_at, done, action: Action::Visit, outcome, key: None, found: None }
    }
}

struct Case {
    world: World,
    setup: Setup,
    /// The moment of the fault, somewhere in the span that the runner knows.
    fault: i64,
    period: i64,
    ops: Vec<OpRecord>,
}

fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let rate = random.one_of(&[5, 10, 20, 50, 100, 250, 500]);
    let period = S / rate;
    let deadline = random.one_of(&[200 * MS, 500 * MS, S]);
    let timeout = deadline + random.within(0, 4 * S);
    let takes = random.one_of(&[(MS / 5, MS), (MS, 5 * MS), (MS, 80 * MS), (30 * MS, 150 * MS)]);
    let fault = random.within(4 * S, 6 * S);
    let span = (fault - random.within(0, 3 * MS), fault + random.within(0, 40 * MS));
    let mut off = Vec::new();
    let mut from = fault + if random.chance(30) { random.within(0, 800 * MS) } else { 0 };
    for _ in 0..random.one_of(&[1, 1, 1, 2, 3]) {
        let how = random.one_of(&[Gone::Refuses, Gone::Drops, Gone::Freezes]);
        // Long enough to be seen at this rate and with this deadline; shorter ones have their own property.
        let visible = 3 * period + takes.1 + if how == Gone::Freezes { deadline } else { 0 };
        let to = from + visible + random.within(0, 4 * S);
        off.push(Off { from, to, how });
        from = to + 4 * period + 2 * takes.1 + random.within(0, 2 * S);
    }
    let last = off.last().map_or(fault, |off| off.to);
    let hold = (2 * S).max(20 * period).max(S);
    let end = last + deadline + hold + 4 * period + 2 * S;
    let stalls = if random.chance(25) { stalls(random, end) } else { Vec::new() };
    let world = World { off, takes, deadline, timeout, stalls };
    let first = S + random.within(0, S);
    let mut ops: Vec<OpRecord> =
        (0..(end - first) / period).map(|k| world.operate(first + k * period, random)).collect();
    ops.sort_by_key(|op| op.done);
    let nanos = |n: i64| Duration::from_nanos(n as u64);
    let service = Service { deadline: nanos(deadline), stable: nanos(2 * S), ..Service::default() };
    let stalls = world.stalls.clone();
    let fault_span = Span::new(Mono(span.0), Mono(span.1));
    let setup = Setup { rate: rate as f64, service, timeout, writers: 0, fault: fault_span, healed: end, stalls };
    Case { world, setup, fault, period, ops }
}

fn stalls(random: &mut Random, end: i64) -> Vec<(i64, i64)> {
    let mut at = 2 * S;
    let mut stalls = Vec::new();
    while at < end {
        let to = at + random.within(10 * MS, 400 * MS);
        stalls.push((at, to));
        at = to + random.within(S, 6 * S);
    }
    stalls
}

fn recovery(case: &Case) -> Recovery {
    let record = record(&case.setup, case.ops.clone());
    let analysis = analyze(&record);
    assert!(analysis.reasons.iter().all(|r| !r.text.contains("internal")), "{:?}", analysis.reasons);
    analysis.workloads[0].recoveries[0].clone()
}

fn holds(interval: Option<Interval>, truth: i64) -> bool {
    interval.is_some_and(|i| i.low <= truth && truth <= i.high)
}

/// Is enough of every outage and every pause seen by a client that is awake?
fn all_seen(case: &Case) -> bool {
    let world = &case.world;
    let asleep =
        |from: i64, to: i64| -> i64 { world.stalls.iter().map(|(a, b)| (to.min(*b) - from.max(*a)).max(0)).sum() };
    let needed = |how| 3 * case.period + world.takes.1 + if how == Gone::Freezes { world.deadline } else { 0 };
    let off = world.off.iter().all(|off| off.to - off.from - asleep(off.from, off.to) >= needed(off.how));
    let mut pauses = world.off.windows(2).map(|pair| (pair[0].to, pair[1].from));
    off && pauses.all(|(from, to)| to - from - asleep(from, to) >= 3 * case.period + 2 * world.takes.1)
}

const SEEDS: u64 = 1_500;

#[test]
fn the_truth_lies_inside_the_interval_which_is_no_wider_than_it_may_be() {
    let (mut seen, mut lasting) = (0, 0);
    for seed in 0..SEEDS {
        let case = case(seed);
        let r = recovery(&case);
        let about = || format!("seed {seed}: {:?}\n{:?} at {}\n{r:?}", case.setup, case.world, case.fault);
        if all_seen(&case) {
            seen += 1;
            assert!(!r.unnoticed, "{}", about());
            assert!(holds(r.first_restored, case.world.off[0].to - case.fault), "first restored: {}", about());
        }
        // The first end after which the service stays long enough; undecided where the pause is about that long.
        let hold = (2 * S).max(20 * case.period);
        let slack = case.world.deadline + case.world.takes.1 + 4 * case.period;
        let pauses: Vec<i64> = case.world.off.windows(2).map(|pair| pair[1].from - pair[0].to).collect();
        if pauses.iter().all(|pause| *pause < hold - slack || *pause > hold + slack) {
            lasting += 1;
            let first = pauses.iter().position(|pause| *pause > hold).unwrap_or(pauses.len());
            assert!(holds(r.sustained, case.world.off[first].to - case.fault), "sustained: {}", about());
        }
        if case.world.stalls.is_empty() {
            widths(&case, &r, &about);
        }
    }
    assert!(seen > SEEDS * 8 / 10 && lasting > SEEDS * 7 / 10, "only {seen} and {lasting} cases say anything");
}

/// Two periods, the service time and what the fault's own moment is unsure by; and the deadline where requests wait
/// instead of being refused, because nothing can tell apart what is answered within it.
fn widths(case: &Case, r: &Recovery, about: &dyn Fn() -> String) {
    let waits = |off: &Off| if off.how == Gone::Refuses { 0 } else { case.world.deadline };
    let base = 2 * case.period + 200_000 + case.world.takes.1 + case.setup.fault.width();
    let first = base + waits(&case.world.off[0]);
    let any = base + case.world.off.iter().map(waits).max().unwrap_or(0);
    let fits = |interval: Option<Interval>, limit| interval.is_some_and(|i| i.width() <= limit);
    assert!(fits(r.first_restored, first), "first restored is wider than {first}: {}", about());
    assert!(fits(r.sustained, any), "sustained is wider than {any}: {}", about());
    if case.world.off.len() == 1 {
        assert!(fits(r.perceived, first), "perceived is wider than {first}: {}", about());
    }
}

#[test]
fn what_nobody_noticed_was_shorter_than_the_gap() {
    let mut unnoticed = 0;
    for seed in 0..SEEDS / 3 {
        let mut case = case(seed);
        let random = &mut Random::new(seed + 7_777);
        let off = &mut case.world.off;
        off.truncate(1);
        off[0].how = random.one_of(&[Gone::Freezes, Gone::Refuses]);
        let longest = if off[0].how == Gone::Freezes { case.world.deadline / 2 } else { case.period };
        off[0].to = off[0].from + random.within(MS / 10, longest);
        let length = off[0].to - off[0].from;
        let dues: Vec<i64> = case.ops.iter().map(|op| op.due.0).collect();
        case.ops = dues.into_iter().map(|due| case.world.operate(due, random)).collect();
        case.ops.sort_by_key(|op| op.done);
        let r = recovery(&case);
        if r.unnoticed {
            unnoticed += 1;
            let gap = r.sustained.unwrap();
            assert!(
                gap.low == 0 && gap.high > 0 && gap.high + 200_000 >= length,
                "seed {seed}: {length} above {gap:?}"
            );
        }
    }
    assert!(unnoticed > 100, "only {unnoticed} cases say anything");
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("rate", &self.rate).field("fault", &self.fault).finish_non_exhaustive()
    }
}
