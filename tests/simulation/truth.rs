//! What is measured against what is true, in a thousand drills.

use super::drill::{Ran, analyze, run, run_in};
use super::scenario::{DEADLINE, STABLE, Scenario};
use blackstart::analysis::{Analysis, WorkloadResult};
use blackstart::event::{Event, What};
use blackstart::model::{Interval, Mono, RunState};
use blackstart::sim::Condition;

const MS: i64 = 1_000_000;

/// The parts of the thousand, so that they run side by side.
const PART: u64 = 250;

fn part(number: u64) {
    match std::env::var("BLACKSTART_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) if number == 0 => check(seed),
        Some(_) => {}
        None => (number * PART..(number + 1) * PART).for_each(check),
    }
}

#[test]
fn the_truth_lies_inside_the_intervals_of_the_first_quarter() {
    part(0);
}

#[test]
fn the_truth_lies_inside_the_intervals_of_the_second_quarter() {
    part(1);
}

#[test]
fn the_truth_lies_inside_the_intervals_of_the_third_quarter() {
    part(2);
}

#[test]
fn the_truth_lies_inside_the_intervals_of_the_last_quarter() {
    part(3);
}

fn check(seed: u64) {
    let scenario = Scenario::of(seed);
    let ran = run(&scenario);
    let what = || format!("BLACKSTART_SEED={seed}: {scenario:#?}");
    assert_eq!(ran.finished.state, RunState::Ended, "{:?} {}", ran.finished.error, what());
    let stored = ran.stored();
    assert!(stored.cut.is_none() && stored.problems.is_empty(), "{:?} {}", stored.problems, what());
    let fault = injected(&stored.events);
    let analysis = analyze(stored);
    let wrong = [outages(&scenario, &ran, &analysis, fault), books(&ran, &analysis)].concat();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", what());
}

/// When the fault really happened: simulated signals take no time.
fn injected(events: &[Event]) -> Mono {
    let at = |event: &Event| match &event.what {
        What::FaultInjected { span, .. } => Some(span.lo),
        _ => None,
    };
    events.iter().find_map(at).unwrap()
}

fn outages(scenario: &Scenario, ran: &Ran, analysis: &Analysis, fault: Mono) -> Vec<String> {
    let deadline = i64::try_from(DEADLINE.as_nanos()).unwrap();
    let spans: Vec<_> =
        ran.truth.outages(deadline).into_iter().filter(|(_, end)| end.is_none_or(|e| e > fault)).collect();
    let mut wrong = Vec::new();
    for workload in &analysis.workloads {
        let name = workload.name.as_str();
        // A slow spell keeps a ledger's connections busy longer than it lasts: its clients see more than the service did.
        if name == "orders" && scenario.is_slow() {
            continue;
        }
        let mut say = |problem: String| wrong.push(format!("{name}: {problem}"));
        let Some(recovery) = workload.recoveries.first() else {
            say("no recovery at all".to_owned());
            continue;
        };
        let period = period(scenario, workload);
        if spans.is_empty() {
            if !recovery.unnoticed {
                say(format!("an outage where there was none: {recovery:?}"));
            }
            continue;
        }
        let width = |end| allowed_width(scenario, ran, period, end);
        hold(&mut say, "first restored", recovery.first_restored, &first_restored(&spans, period), fault, width);
        hold(&mut say, "sustained", recovery.sustained, &sustained(&spans, period), fault, width);
    }
    wrong
}

/// The period of the workload's slowest lane: a ledger's own probe, 20/s, has its say too.
fn period(scenario: &Scenario, workload: &WorkloadResult) -> i64 {
    let rate = if workload.name.as_str() == "page" { scenario.page } else { scenario.orders.min(20) };
    1_000 * MS / i64::try_from(rate).unwrap()
}

type Outage = (Mono, Option<Mono>);

/// From the end of an outage to the start of the next.
fn gap(spans: &[Outage], index: usize) -> i64 {
    match (spans[index].1, spans.get(index + 1)) {
        (Some(end), Some((next, _))) => *next - end,
        _ => i64::MAX,
    }
}

/// When service was first restored: the end of the first outage, and as long as an outage or the gap after it is so
/// short that it may hold no operation, the end of the next one as well.
fn first_restored(spans: &[Outage], period: i64) -> Vec<Mono> {
    let unseen = 5 * period / 2;
    let hidden =
        |index: usize| spans[index].1.is_some_and(|end| end - spans[index].0 < unseen) || gap(spans, index) < unseen;
    let last = (0..spans.len()).find(|index| !hidden(*index)).unwrap_or(spans.len() - 1);
    spans[..=last].iter().filter_map(|(_, end)| *end).collect()
}

/// When service was back and held for long enough. A gap about as long as it must hold may count or not: it begins with
/// the due time of an operation, which waited for up to a deadline where requests were hanging.
fn sustained(spans: &[Outage], period: i64) -> Vec<Mono> {
    let nanos = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap();
    let slack = 200 * MS + 2 * period;
    let held = |index: &usize| gap(spans, *index) >= nanos(STABLE) + slack;
    let perhaps = |index: &usize| gap(spans, *index) >= nanos(STABLE) - nanos(DEADLINE) - slack;
    let last = (0..spans.len()).find(held).unwrap_or(spans.len() - 1);
    (0..=last).filter(perhaps).filter_map(|index| spans[index].1).collect()
}

/// Two periods, the slowest usual answer and the simulation's tick; the deadline too, where requests were hanging.
fn allowed_width(scenario: &Scenario, ran: &Ran, period: i64, end: Mono) -> i64 {
    let before = ran.truth.conditions.iter().take_while(|(at, _)| *at < end).last();
    let hanging = matches!(before, Some((_, Condition::Hanging)));
    let slow = scenario.is_slow();
    2 * period + 6 * MS + if hanging || slow { i64::try_from(DEADLINE.as_nanos()).unwrap() } else { 0 }
}

/// One of the possible truths lies inside what was found, which is no wider than is allowed there.
fn hold(
    say: &mut impl FnMut(String),
    what: &str,
    found: Option<Interval>,
    truths: &[Mono],
    fault: Mono,
    allowed: impl Fn(Mono) -> i64,
) {
    let took: Vec<i64> = truths.iter().map(|end| *end - fault).collect();
    let Some(found) = found else { return say(format!("{what} is unknown; it took {took:?} ns")) };
    let inside = truths.iter().find(|end| (found.low..=found.high).contains(&(**end - fault)));
    match inside {
        None => say(format!("{what} took {took:?} ns, of which none is inside {found:?}")),
        Some(end) if found.width() > allowed(*end) => {
            say(format!("{what}: {found:?} is wider than {} ns", allowed(*end)))
        }
        Some(_) => {}
    }
}

fn books(ran: &Ran, analysis: &Analysis) -> Vec<String> {
    let truth = ran.truth.books();
    let orders = analysis.workloads.iter().find(|w| w.name.as_str() == "orders").unwrap();
    let ledger = orders.ledger.as_ref().unwrap();
    let pairs = [
        ("acked", Some(ledger.acked), truth.acked),
        ("kept", ledger.kept, truth.kept),
        ("lost", ledger.lost, truth.lost),
        ("perhaps lost besides", ledger.lost_upper, 0),
        ("unknown, present", ledger.unknown_present, truth.unknown_present),
        ("unknown, absent", ledger.unknown_absent, truth.unknown_absent),
        ("resurrected", ledger.resurrected, truth.resurrected),
        ("duplicated", ledger.duplicated, truth.duplicated),
        ("corrupted", ledger.corrupted, truth.corrupted),
        ("phantom", ledger.phantom, 0),
    ];
    let differs = pairs.into_iter().filter(|(_, found, truth)| *found != Some(*truth));
    differs.map(|(what, found, truth)| format!("{what}: found {found:?}, true is {truth} ({:?})", ledger.why)).collect()
}

#[test]
fn the_same_seed_gives_the_same_drill() {
    for seed in [3, 8] {
        // In the same folder, because its name is in the record.
        let once = run(&Scenario::of(seed));
        let stored = once.stored();
        let twice = [stored, run_in(once.folder, &Scenario::of(seed)).stored()];
        let [first, second] = twice.map(|stored| {
            // How far a log had reached the disk is a matter of real time.
            let steady = |event: &Event| !matches!(event.what, What::OpsMark(_) | What::WorkloadStopped(_));
            (stored.events.into_iter().filter(steady).collect::<Vec<_>>(), stored.ops, stored.read_backs)
        });
        for (one, other) in first.0.iter().zip(&second.0) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(first.0.len(), second.0.len(), "seed {seed}");
        for (name, records) in &first.1 {
            for (one, other) in records.iter().zip(second.1[name].iter()) {
                assert_eq!(one, other, "seed {seed}: {name}");
            }
        }
        assert!(first.1 == second.1, "seed {seed}: other operations");
        assert_eq!(first.2, second.2, "seed {seed}");
    }
    assert_ne!(run(&Scenario::of(3)).truth.conditions, run(&Scenario::of(8)).truth.conditions);
}
