//! The intervals of availability, computed by hand.

use super::builder::*;
use crate::analysis::{Attribution, Recovery};
use crate::event::{Phase, StallCause, StepOutcome, What};
use crate::model::*;
use std::time::Duration;

/// Down for visits due in [5.1 s, 8.0 s); the fault was called at 5.05 s and seen at 5.07 s.
fn outage() -> Builder {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", 15_000, 15_100).end();
    b
}

fn recovery(b: &Builder) -> Recovery {
    b.analyze().workloads[0].recoveries[0].clone()
}

#[test]
fn an_outage_by_hand() {
    let a = outage().analyze();
    let (w, r) = (&a.workloads[0], &a.workloads[0].recoveries[0]);
    // X = 5,100, Y = 7,900, L = 5,000, F = 8,000 (done 8,010).
    assert_eq!(r.perceived, Some(ms(7_900 - 5_100, 8_000 - 5_000)));
    assert_eq!(r.first_restored, Some(ms(7_900 - 5_070, 8_010 - 5_050)));
    assert_eq!(r.sustained, Some(ms(7_900 - 5_070, 8_010 - 5_050)));
    assert_eq!(r.first_error, Some(ms(5_100 - 5_070, 5_100 - 5_050)));
    assert_eq!(r.first_ok, Some(ms(8_010 - 5_070, 8_010 - 5_050)));
    assert_eq!(r.fixed_width, 30 * MS, "20 ms of the fault and 10 ms of the answer are not due to the rate");
    assert_eq!((r.attribution, r.outages, r.unnoticed), (Attribution::System, 1, false));
    assert_eq!(r.sustained_from_declared, None);
    assert_eq!(w.outages.len(), 1);
    assert_eq!((w.outages[0].operations, w.outages[0].doubtful), (29, false));
    assert_eq!((w.longest, w.downtime), (Some(ms(2_800, 3_000)), ms(2_800, 3_000)));
    assert_eq!(w.lost_time, 2_900 * MS);
    assert_eq!((w.operations.due, w.operations.ok, w.operations.fail), (200, 171, 29));
    assert_eq!(w.latency.unwrap().p50, 10 * MS);
    let worst: Vec<u16> = w.series.buckets.iter().map(|b| b.worst_share).collect();
    assert!(worst.contains(&0) && worst.contains(&10_000));
    assert_eq!(w.series.buckets.iter().map(|b| b.due).sum::<u32>(), 200);
}

#[test]
fn a_freeze_is_seen_though_every_visit_ends_ok() {
    let mut b = Builder::new();
    // Frozen in [5,050, 8,050): whatever is due in it is answered at 8,051; the client waits up to 5 s.
    let done = |due| if (5_050..8_050).contains(&due) { 8_051 } else { due + 10 };
    b.ops((0..20_000).step_by(100).map(|due| visit(due, done(due), Outcome::Ok)));
    b.fault("f", 5_050, 5_055).healed("f", 8_050, 8_052).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries[0];
    // Served again: due 7,100 (8,051 − 7,100 ≤ 1 s). The deadline is the larger part of the width.
    assert_eq!(r.first_restored, Some(ms(7_000 - 5_055, 8_051 - 5_050)));
    assert_eq!(r.sustained, r.first_restored);
    assert_eq!(a.workloads[0].operations.late, 20);
    assert_eq!(a.workloads[0].latency_before.unwrap().max, 10 * MS, "what came after the fault is none of it");
    assert_eq!(r.attribution, Attribution::System, "it was asked for before the heal; it cannot be told apart");
}

#[test]
fn a_visit_in_flight_at_the_fault_is_the_first_of_the_outage_and_proves_nothing() {
    let mut b = Builder::new();
    b.schedule(0, 5_000, &[]).schedule(5_100, 20_000, &[(5_100, 8_000)]);
    // Due at 5,000 and cut off at 5,060; a quick one, due at 5,030, was answered before that.
    b.ops([visit(5_000, 5_060, Outcome::Unknown), visit(5_030, 5_052, Outcome::Ok)]);
    b.fault("f", 5_050, 5_070).healed("f", 15_000, 15_001).end();
    let r = recovery(&b);
    assert_eq!(r.first_restored, Some(ms(7_900 - 5_070, 8_010 - 5_050)));
    assert_eq!(r.first_error, Some(ms(0, 0)), "it was due before the fault");
    assert_eq!(r.perceived, Some(ms(7_900 - 5_000, 8_000 - 4_900)));
}

#[test]
fn flapping_counts_to_its_last_end() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 6_000), (7_500, 8_000), (8_400, 9_000)]);
    b.fault("f", 5_050, 5_060).healed("f", 15_000, 15_001).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries[0];
    assert_eq!(r.first_restored, Some(ms(5_900 - 5_060, 6_010 - 5_050)));
    assert_eq!(r.sustained, Some(ms(8_900 - 5_060, 9_010 - 5_050)));
    // The last two are less than a second apart: one outage, up in the middle for 400 ms.
    assert_eq!((r.outages, a.workloads[0].outages.len()), (2, 2));
    assert_eq!(a.workloads[0].degraded, 400 * MS);
    assert_eq!(a.workloads[0].downtime, ms(800 + 1_400, 1_000 + 1_600));
}

#[test]
fn nothing_failed_means_below_the_largest_gap() {
    let mut b = Builder::new();
    b.schedule(0, 9_000, &[]).schedule(9_000, 20_000, &[]).fault("f", 5_050, 5_060).healed("f", 9_000, 9_001).end();
    b.ops([visit(9_050, 9_060, Outcome::Ok)]);
    let r = recovery(&b);
    assert!(r.unnoticed);
    assert_eq!((r.sustained, r.first_restored, r.perceived), (Some(ms(0, 100)), Some(ms(0, 100)), Some(ms(0, 100))));
    assert_eq!((r.first_error, r.attribution), (None, Attribution::None));
}

#[test]
fn the_load_must_go_on_for_stable() {
    let mut b = Builder::new();
    b.schedule(0, 9_900, &[(5_100, 8_000)]).fault("f", 5_050, 5_060).healed("f", 15_000, 15_001).end();
    let r = recovery(&b);
    assert_eq!((r.sustained, r.at_least), (None, Some((7_900 - 5_060) * MS)));
    assert!(r.why.unwrap().contains("1.90 s after service had come back"));
    assert!(r.first_restored.is_some());
}

#[test]
fn what_never_comes_back_takes_at_least_until_the_end() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 99_000)]).fault("f", 5_050, 5_060).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries[0];
    assert_eq!((r.sustained, r.first_restored, r.perceived), (None, None, None));
    assert_eq!(r.at_least, Some((19_900 - 5_060) * MS));
    assert_eq!((r.attribution, a.workloads[0].outages[0].to), (Attribution::None, None));
    assert_eq!(a.workloads[0].downtime, ms(19_900 - 5_100, 20_000 - 5_000));
}

#[test]
fn the_share_served_must_reach_the_availability() {
    let mut b = Builder::new();
    b.seal().service.availability = 0.9;
    b.seal().service.merge = Duration::from_millis(50);
    // After the outage every third visit fails until 10 s (too many), then every twentieth (few enough).
    let off = |due: i64| {
        (5_100..8_000).contains(&due)
            || ((8_000..10_000).contains(&due) && due % 300 == 0)
            || (due > 10_000 && due % 2_000 == 0)
    };
    let op = |due| if off(due) { visit(due, due + 1, Outcome::Fail) } else { visit(due, due + 10, Outcome::Ok) };
    b.ops((0..30_000).step_by(100).map(op)).fault("f", 5_050, 5_060).healed("f", 15_000, 15_001).end();
    let r = recovery(&b);
    assert_eq!(r.first_restored, Some(ms(7_900 - 5_060, 8_010 - 5_050)));
    let sustained = r.sustained.unwrap();
    // Two of 20 may fail. Windows that start after 9.0 s hold 9.3, 9.6 and 9.9 until 9.3 s has left them.
    assert_eq!(sustained, ms(9_300 - 5_060, 9_410 - 5_050));
    assert_eq!(r.outages, 6, "8.1, 8.4, 8.7, 9.0 and 9.3 are outages of their own");
}

#[test]
fn slow_service_is_not_sustained() {
    let mut b = Builder::new();
    b.seal().service.latency = Some(Duration::from_millis(200));
    let done = |due| if (8_000..10_000).contains(&due) { due + 400 } else { due + 10 };
    let off = |due: &i64| !(5_100..8_000).contains(due);
    b.ops(
        (0..5_100)
            .step_by(100)
            .chain((8_000..20_000).step_by(100))
            .filter(off)
            .map(|due| visit(due, done(due), Outcome::Ok)),
    );
    b.ops((5_100..8_000).step_by(100).map(|due| visit(due, due + 1, Outcome::Fail)));
    b.fault("f", 5_050, 5_060).healed("f", 15_000, 15_001).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries[0];
    assert_eq!(r.first_restored, Some(ms(7_900 - 5_060, 8_200 + 10 - 5_050 + 190)));
    assert_eq!(r.sustained, Some(ms(9_900 - 5_060, 10_010 - 5_050)));
    assert_eq!(a.workloads[0].degraded, 2_000 * MS);
}

#[test]
fn a_stall_of_the_runner_widens_and_never_counts() {
    let mut b = outage();
    let before = recovery(&b);
    // Nobody saw [7.85 s, 8.25 s]: the last refusals and the first answers say nothing.
    b.event(8_300, What::Stall { span: span(7_850, 8_250), cause: StallCause::Schedule, workload: None });
    let a = b.analyze();
    let r = &a.workloads[0].recoveries[0];
    assert_eq!(r.first_restored, Some(ms(7_800 - 5_070, 8_310 - 5_050)));
    assert!(r.first_restored.unwrap().low < before.first_restored.unwrap().low);
    assert!(a.workloads[0].outages[0].doubtful);
    assert_eq!(a.stalls.len(), 1);
    // A stall within the outage is not downtime that anyone saw.
    let mut b = outage();
    b.event(8_300, What::Stall { span: span(6_050, 6_450), cause: StallCause::Suspend, workload: None });
    assert_eq!(recovery(&b).perceived, Some(ms(2_800 - 400, 3_000)));
}

#[test]
fn a_late_schedule_widens_the_figures_of_its_own_workload_alone() {
    let (mut own, mut other) = (outage(), outage());
    let before = recovery(&own);
    let stall =
        |of: &str| What::Stall { span: span(7_850, 8_250), cause: StallCause::Schedule, workload: Some(of.into()) };
    own.event(8_300, stall("page"));
    assert_eq!(recovery(&own).first_restored, Some(ms(7_800 - 5_070, 8_310 - 5_050)));
    other.event(8_300, stall("orders"));
    assert_eq!(recovery(&other), before);
    let a = other.analyze();
    assert!(!a.workloads[0].outages[0].doubtful);
    assert_eq!(a.stalls.len(), 1, "it is told nevertheless");
}

#[test]
fn what_the_runner_could_not_send_is_no_downtime() {
    let mut b = Builder::new();
    let unsent = |due| visit(due, due, Outcome::Unsent);
    b.schedule(0, 6_000, &[]).ops((6_000..7_000).step_by(100).map(unsent)).schedule(7_000, 20_000, &[]);
    b.fault("f", 5_050, 5_060).healed("f", 9_000, 9_001).end();
    let a = b.analyze();
    assert!(a.workloads[0].outages.is_empty());
    assert_eq!(a.workloads[0].operations.unsent, 10);
    assert_eq!(a.workloads[0].recoveries[0].sustained, Some(ms(0, 1_100)), "the gap is what nobody saw");
}

#[test]
fn missed_is_not_served() {
    let mut b = Builder::new();
    let missed = |due| visit(due, due + 1_000, Outcome::Missed);
    b.schedule(0, 6_000, &[]).ops((6_000..7_000).step_by(100).map(missed)).schedule(7_000, 20_000, &[]);
    b.fault("f", 5_950, 5_960).healed("f", 9_000, 9_001).end();
    let a = b.analyze();
    assert_eq!(a.workloads[0].operations.missed, 10);
    assert_eq!(a.workloads[0].recoveries[0].perceived, Some(ms(900, 1_100)));
}

#[test]
fn the_clock_can_start_at_the_declaration() {
    let mut b = outage();
    b.event(6_000, What::Milestone { name: "declared".to_owned(), step: "f".into(), span: span(5_900, 6_000) });
    assert_eq!(recovery(&b).sustained_from_declared, Some(ms(7_900 - 6_000, 8_010 - 5_900)));
    let marks: Vec<String> = b.analyze().timeline.into_iter().map(|mark| mark.name).collect();
    assert_eq!(marks, ["fault", "first_error", "declared", "restored", "sustained", "first_ok", "healed"]);
}

#[test]
fn each_fault_has_its_own_clock() {
    let mut b = outage();
    b.record.events.retain(|e| !matches!(e.what, What::RunEnded { .. }));
    b.event(15_200, What::PhaseStarted { phase: crate::event::Phase::Restore });
    b.schedule(20_000, 40_000, &[(25_000, 25_500)]).fault("back", 24_950, 24_960).healed("back", 35_000, 35_001).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries;
    assert_eq!(r[0].sustained, Some(ms(7_900 - 5_070, 8_010 - 5_050)));
    assert_eq!(r[1].sustained, Some(ms(25_400 - 24_960, 25_510 - 24_950)));
}

#[test]
fn a_later_fault_that_comes_too_soon_leaves_the_first_undecided() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 8_000), (9_000, 9_500)]).fault("f", 5_050, 5_070);
    b.event(8_900, What::PhaseStarted { phase: crate::event::Phase::Restore });
    b.fault("back", 8_950, 8_960).healed("back", 15_000, 15_001).healed("f", 15_000, 15_001).end();
    let a = b.analyze();
    let r = &a.workloads[0].recoveries;
    assert_eq!((r[0].sustained, r[0].at_least), (None, Some((7_900 - 5_070) * MS)));
    assert!(r[0].why.as_ref().unwrap().contains("the next fault came"));
    assert_eq!(r[1].sustained, Some(ms(9_400 - 8_960, 9_510 - 8_950)));
}

#[test]
fn faults_of_one_phase_are_one_disaster() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 8_000), (9_000, 9_500)]).fault("f", 5_050, 5_070).fault("g", 8_950, 8_960);
    b.healed("f", 15_000, 15_001).healed("g", 15_000, 15_001).end();
    assert_eq!(recovery(&b).sustained, Some(ms(9_400 - 5_070, 9_510 - 5_050)));
}

#[test]
fn a_heal_before_the_return_is_what_brought_it_back() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", 7_000, 7_500).end();
    assert_eq!(recovery(&b).attribution, Attribution::Heal);
}

/// The first answer is the one asked for at 8,000.
#[test]
fn what_the_drill_restored_before_the_return_is_what_brought_it_back() {
    let passed = || StepOutcome::Passed { detail: String::new() };
    let skipped = || StepOutcome::Skipped { by_when: true, reason: "not wanted".to_owned() };
    let by = |healed: i64, steps: &[(i64, &str, StepOutcome)]| {
        let mut b = Builder::new();
        b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070);
        for (at, verb, outcome) in steps {
            b.step_at(*at, &format!("{verb}_{at}"), verb, Phase::Restore, outcome.clone());
        }
        recovery(b.healed("f", healed, healed + 1).end()).attribution
    };
    assert_eq!(by(15_000, &[(8_001, "restore", passed())]), Attribution::System, "it was back before");
    assert_eq!(by(15_000, &[(5_049, "restore", passed())]), Attribution::System, "it was restored before the fault");
    assert_eq!(by(15_000, &[(7_000, "run", passed())]), Attribution::System);
    assert_eq!(by(15_000, &[(7_000, "restore", skipped())]), Attribution::System, "nothing was restored");
    assert_eq!(by(15_000, &[(5_050, "restore", passed())]), Attribution::Restore);
    assert_eq!(by(15_000, &[(8_000, "restore", passed())]), Attribution::Restore);
    assert_eq!(by(15_000, &[(8_500, "restore", passed()), (7_000, "restore", passed())]), Attribution::Restore);
    assert_eq!(by(8_001, &[(7_000, "restore", passed())]), Attribution::Restore);
    assert_eq!(by(8_000, &[(7_000, "restore", passed())]), Attribution::Heal, "the fault was gone too");
    assert_eq!(by(7_000, &[(7_500, "restore", passed())]), Attribution::Heal);
}

#[test]
fn a_ledgers_probe_counts_too_and_the_worse_decides() {
    let mut b = Builder::new();
    b.start.workloads.push(WorkloadSealExt::probe());
    b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", 15_000, 15_001).end();
    let down = |due: &i64| (5_100..8_400).contains(due);
    let op = |due: i64| if down(&due) { visit(due, due + 1, Outcome::Fail) } else { visit(due, due + 4, Outcome::Ok) };
    b.record.ops.insert("page.probe".into(), (0..20_000).step_by(50).map(op).collect());
    let a = b.analyze();
    assert_eq!(a.workloads[0].recoveries[0].sustained, Some(ms(8_350 - 5_070, 8_404 - 5_050)));
    assert_eq!(a.workloads[0].recoveries[0].fixed_width, 24 * MS, "of the view that decides");
    assert_eq!(a.workloads[1].recoveries[0].sustained, a.workloads[0].recoveries[0].sustained);
    b.record.ops.remove(&WorkloadName::from("page.probe"));
    let blind = b.analyze();
    assert_eq!(blind.workloads[0].recoveries[0].sustained, None, "a view that is missing is not a good one");
}

struct WorkloadSealExt;

impl WorkloadSealExt {
    fn probe() -> crate::event::WorkloadSeal {
        crate::event::WorkloadSeal { probe_of: Some("page".into()), ..seal("page.probe", 20.0, 0) }
    }
}

#[test]
fn long_runs_have_at_most_a_thousand_buckets() {
    let mut b = Builder::new();
    b.schedule(0, 900_000, &[(300_000, 300_200)]).fault("f", 299_950, 299_960).healed("f", 310_000, 310_001).end();
    let series = &b.analyze().workloads[0].series;
    assert!(series.buckets.len() <= 1_000 && series.buckets.len() > 500);
    assert_eq!(series.buckets.iter().filter(|b| b.worst_share == 0).count(), 1, "a short outage is not averaged away");
}
