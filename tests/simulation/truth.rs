//! What is measured against what is true, in a thousand drills.

use super::drill::{Ran, analyze, run};
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
        let Some((_, Some(end))) = spans.first() else {
            if !recovery.unnoticed {
                say(format!("an outage where there was none: {recovery:?}"));
            }
            continue;
        };
        let allowed = allowed_width(scenario, ran, workload, *end);
        hold(&mut say, "first restored", recovery.first_restored, *end - fault, allowed);
        match sustained(&spans) {
            Some(end) => {
                let allowed = allowed_width(scenario, ran, workload, end);
                hold(&mut say, "sustained", recovery.sustained, end - fault, allowed);
            }
            None => say(format!("the scenario never sustains: {spans:?}")),
        }
    }
    wrong
}

/// The end of the first outage after which service held for long enough.
fn sustained(spans: &[(Mono, Option<Mono>)]) -> Option<Mono> {
    let stable = i64::try_from(STABLE.as_nanos()).unwrap();
    let held = |index: usize, end: Mono| spans.get(index + 1).is_none_or(|(next, _)| *next - end >= stable);
    spans.iter().enumerate().find_map(|(index, (_, end))| end.filter(|end| held(index, *end)))
}

/// Two periods, the slowest usual answer and the simulation's tick; the deadline too, where requests were hanging.
fn allowed_width(scenario: &Scenario, ran: &Ran, workload: &WorkloadResult, end: Mono) -> i64 {
    let rate = match workload.name.as_str() {
        "page" => scenario.page,
        "orders" => scenario.orders,
        _ => 20,
    };
    let before = ran.truth.conditions.iter().take_while(|(at, _)| *at < end).last();
    let hanging = matches!(before, Some((_, Condition::Hanging)));
    let slow = scenario.is_slow();
    let period = 1_000 * MS / i64::try_from(rate).unwrap();
    2 * period + 6 * MS + if hanging || slow { i64::try_from(DEADLINE.as_nanos()).unwrap() } else { 0 }
}

fn hold(say: &mut impl FnMut(String), what: &str, found: Option<Interval>, truth: i64, allowed: i64) {
    match found {
        None => say(format!("{what} is unknown; it took {} ms", truth / MS)),
        Some(found) => {
            if truth < found.low || truth > found.high {
                say(format!("{what} took {truth} ns, which is not inside {found:?}"));
            }
            if found.width() > allowed {
                say(format!("{what}: {found:?} is wider than {allowed} ns"));
            }
        }
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
        ("lost at most", ledger.lost_upper, truth.lost),
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
        let twice = [(); 2].map(|()| run(&Scenario::of(seed)).stored());
        let [first, second] = twice.map(|stored| {
            // How far a log had reached the disk is a matter of real time.
            let steady = |event: &Event| !matches!(event.what, What::OpsMark(_) | What::WorkloadStopped(_));
            (stored.events.into_iter().filter(steady).collect::<Vec<_>>(), stored.ops, stored.read_backs)
        });
        assert_eq!(first.0, second.0, "seed {seed}");
        assert_eq!(first.1, second.1, "seed {seed}");
        assert_eq!(first.2, second.2, "seed {seed}");
    }
    assert_ne!(run(&Scenario::of(3)).truth.conditions, run(&Scenario::of(8)).truth.conditions);
}
