//! The lattice: what passes, what fails, what decides nothing, and how a run is said to have ended.

use super::builder::*;
use crate::analysis::{Analysis, Attribution, Record, analyze};
use crate::event::*;
use crate::model::*;

/// A drill whose RTO is in [2,830 ms, 2,960 ms].
fn drill(target_ms: i64) -> Builder {
    let mut b = Builder::new();
    b.objective(ObjectiveKind::Rto, target_ms * MS);
    b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", 15_000, 15_100);
    b
}

fn reason(a: &Analysis) -> &str {
    a.reasons.first().map_or("", |reason| &reason.text)
}

fn failed() -> StepOutcome {
    StepOutcome::Failed { detail: "0 above 1".to_owned() }
}

#[test]
fn met_missed_and_what_would_decide() {
    let mut met = drill(3_000);
    let a = met.end().analyze();
    assert_eq!((a.verdict, a.state, a.reasons.len()), (Verdict::Pass, RunState::Ended, 0));
    assert_eq!(a.objectives[0].why, "met with 40 ms to spare");
    assert_eq!(drill(2_960).end().analyze().objectives[0].why, "met exactly");

    let a = drill(2_800).end().analyze();
    assert_eq!((a.verdict, reason(&a)), (Verdict::Fail, "rto of `page`: missed by at least 30 ms"));

    // Best is 2,895, w₀ is 30 ms: r ≥ 2 / (50 ms − 30 ms) = 100/s. At 2,900, |target − best| is less than w₀.
    let a = drill(2_945).end().analyze();
    assert_eq!(a.verdict, Verdict::Inconclusive);
    assert!(a.objectives[0].why.ends_with("at least 100/s would decide it"), "{}", a.objectives[0].why);
    let a = drill(2_900).end().analyze();
    assert!(a.objectives[0].why.ends_with("no rate decides it"), "{}", a.objectives[0].why);
}

#[test]
fn not_back_in_time_is_missed_even_if_nobody_knows_by_how_much() {
    let mut b = Builder::new();
    b.objective(ObjectiveKind::Rto, 10 * S).objective(ObjectiveKind::Rto, 60 * S);
    b.schedule(0, 20_000, &[(5_100, 99_000)]).fault("f", 5_050, 5_060).healed("f", 20_000, 20_001).end();
    let a = b.analyze();
    assert_eq!(a.objectives[0].verdict, Verdict::Fail);
    assert!(a.objectives[0].why.contains("more than 14.8 s"), "{}", a.objectives[0].why);
    assert_eq!((a.objectives[1].verdict, a.objectives[1].actual), (Verdict::Inconclusive, None));
}

#[test]
fn a_fault_that_did_not_bite_proves_nothing() {
    for effective in [Some(false), None] {
        let mut b = Builder::new();
        b.objective(ObjectiveKind::Rto, 10 * S).schedule(0, 20_000, &[]).intent("f", 5_000);
        b.event(5_060, What::FaultInjected { fault: "f".into(), span: span(5_050, 5_060) });
        if effective.is_some() {
            b.effect("f", 5_060, 5_070, false);
        }
        let a = b.healed("f", 9_000, 9_001).end().analyze();
        assert_eq!((a.verdict, a.objectives[0].verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
        assert_eq!((a.objectives[0].actual, a.faults[0].effective), (None, effective));
        assert_eq!(a.reasons[0].place.as_deref(), Some("drill.yaml:10"));
    }
}

#[test]
fn a_fault_that_bit_and_was_not_noticed_passes_below_the_largest_gap() {
    let mut b = Builder::new();
    b.objective(ObjectiveKind::Rto, S).schedule(0, 20_000, &[]).fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    let a = b.end().analyze();
    assert_eq!((a.verdict, a.objectives[0].actual), (Verdict::Pass, Some(ms(0, 100))));
}

#[test]
fn no_fault_no_clock() {
    let mut b = Builder::new();
    b.objective(ObjectiveKind::Rto, S).schedule(0, 20_000, &[]).end();
    let a = b.analyze();
    assert_eq!((a.verdict, reason(&a)), (Verdict::Inconclusive, "rto of `page`: no fault was injected"));
}

#[test]
fn steps_decide_too_and_point_at_their_line() {
    let outcomes = [
        ("expect", Phase::Failover, failed(), Verdict::Fail),
        ("check", Phase::Verify, failed(), Verdict::Fail),
        ("restore", Phase::Restore, failed(), Verdict::Fail),
        ("run", Phase::Restore, failed(), Verdict::Fail),
        ("run", Phase::Outage, failed(), Verdict::Inconclusive),
        ("ask", Phase::Restore, failed(), Verdict::Inconclusive),
        ("check", Phase::Verify, StepOutcome::Errored { error: "refused".to_owned() }, Verdict::Inconclusive),
        ("check", Phase::Verify, skipped(true), Verdict::Pass),
        ("check", Phase::Verify, skipped(false), Verdict::Inconclusive),
        ("check", Phase::Verify, StepOutcome::Aborted, Verdict::Inconclusive),
    ];
    for (verb, phase, outcome, verdict) in outcomes {
        let mut b = drill(3_000);
        b.step("s", verb, phase, outcome.clone()).end();
        let a = b.analyze();
        assert_eq!(a.verdict, verdict, "{verb} in {phase:?}: {outcome:?}");
        if verdict != Verdict::Pass {
            assert_eq!(a.reasons[0].place.as_deref(), Some("drill.yaml:11"));
        }
    }
}

fn skipped(by_when: bool) -> StepOutcome {
    StepOutcome::Skipped { by_when, reason: "so".to_owned() }
}

#[test]
fn a_step_that_never_ran_decides_nothing() {
    let mut b = drill(3_000);
    b.step_seal("books", "check", Phase::Verify).end();
    let a = b.analyze();
    assert_eq!((a.verdict, reason(&a)), (Verdict::Inconclusive, "check did not run: step books"));
}

#[test]
fn the_worst_reason_comes_first() {
    let mut b = drill(2_800);
    b.step("s", "ask", Phase::Restore, failed()).end();
    let a = b.analyze();
    let verdicts: Vec<Verdict> = a.reasons.iter().map(|reason| reason.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fail, Verdict::Inconclusive]);
}

#[test]
fn recovery_by_the_heal_fails_an_expected_failover() {
    let mut b = Builder::new();
    b.start.expects_failover = true;
    b.objective(ObjectiveKind::Rto, 3 * S);
    b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", 7_000, 7_500).end();
    let a = b.analyze();
    assert_eq!((a.verdict, a.objectives[0].verdict), (Verdict::Fail, Verdict::Pass));
    assert!(reason(&a).starts_with("failover was expected"), "{}", reason(&a));
    b.start.expects_failover = false;
    assert_eq!(b.analyze().verdict, Verdict::Pass);
}

#[test]
fn recovery_by_what_the_drill_restored_is_judged_as_recovery_by_itself() {
    let drill = |restored: i64, healed: i64| {
        let mut b = Builder::new();
        b.start.expects_failover = true;
        b.objective(ObjectiveKind::Rto, 3 * S);
        b.schedule(0, 20_000, &[(5_100, 8_000)]).fault("f", 5_050, 5_070).healed("f", healed, healed + 1);
        b.step_at(restored, "s", "restore", Phase::Restore, StepOutcome::Passed { detail: String::new() }).end();
        b.analyze()
    };
    let judged = |a: &Analysis| (a.workloads[0].recoveries[0].attribution, a.verdict);
    let (itself, restored) = (drill(9_000, 15_000), drill(7_000, 15_000));
    assert_eq!(judged(&itself), (Attribution::System, Verdict::Pass));
    assert_eq!(judged(&restored), (Attribution::Restore, Verdict::Pass));
    assert_eq!((itself.objectives, itself.reasons), (restored.objectives, restored.reasons));
    assert_eq!(judged(&drill(6_500, 7_000)), (Attribution::Heal, Verdict::Fail));
    // A condition that the outage ends, and a fault that goes on: service came back in spite of that.
    let mut b = Builder::new();
    b.start.expects_failover = true;
    b.event(5_000, What::PhaseStarted { phase: Phase::Outage });
    b.schedule(0, 30_000, &[(6_100, 8_000)]).fault("condition", 5_050, 5_070).fault("rest", 6_050, 6_070);
    b.healed("condition", 6_500, 6_600).event(6_700, What::PhaseEnded { phase: Phase::Outage });
    b.step_at(7_000, "s", "restore", Phase::Restore, StepOutcome::Passed { detail: String::new() });
    b.healed("rest", 12_000, 12_010).end();
    let a = b.analyze();
    assert_eq!(
        a.workloads[0].recoveries.iter().map(|r| r.attribution).collect::<Vec<_>>(),
        [Attribution::Heal, Attribution::Restore]
    );
    assert_eq!(a.verdict, Verdict::Pass, "{:?}", a.reasons);
}

#[test]
fn a_condition_that_the_outage_ends_itself_does_not_stand_for_failover() {
    let drill = |rest_is_healed: i64, outage_ends: i64| {
        let mut b = Builder::new();
        b.start.expects_failover = true;
        b.event(5_000, What::PhaseStarted { phase: Phase::Outage });
        b.schedule(0, 30_000, &[(6_100, 8_000)]).fault("condition", 5_050, 5_070).fault("rest", 6_050, 6_070);
        b.healed("condition", 6_500, 6_600).event(outage_ends, What::PhaseEnded { phase: Phase::Outage });
        b.healed("rest", rest_is_healed, rest_is_healed + 10).end();
        b.analyze()
    };
    assert_eq!(drill(12_000, 6_700).verdict, Verdict::Pass);
    // Nothing that is still broken was survived.
    assert_eq!(drill(7_000, 6_700).verdict, Verdict::Fail);
    // Healed later, it may be what brought service back.
    assert_eq!(drill(12_000, 6_550).verdict, Verdict::Fail);
}

#[test]
fn a_record_that_stops_is_dirty_while_a_fault_is_open_and_aborted_otherwise() {
    let open = {
        let mut b = Builder::new();
        b.schedule(0, 6_000, &[]).fault("f", 5_050, 5_060);
        b.analyze()
    };
    assert_eq!((open.state, open.verdict), (RunState::Dirty, Verdict::Inconclusive));
    assert!(open.reasons.iter().any(|r| r.text.contains("by hand: start it")));
    assert!(open.journal_cut.is_some() && open.ended.is_none());
    let healed = drill(3_000).analyze();
    assert_eq!((healed.state, healed.verdict), (RunState::Aborted, Verdict::Inconclusive));
    let mut intent = Builder::new();
    intent.intent("f", 5_000);
    assert_eq!(intent.analyze().state, RunState::Dirty, "an intent alone may have been carried out");
}

#[test]
fn a_heal_that_failed_fails_the_run() {
    let mut b = Builder::new();
    b.schedule(0, 20_000, &[]).fault("f", 5_050, 5_060);
    b.event(9_000, What::HealStarted { fault: "f".into(), by: HealCause::Unwind });
    b.event(9_001, What::HealFailed { fault: "f".into(), attempt: 3, error: "no".to_owned(), last: true });
    b.event(9_002, What::RunEnded { state: RunState::Dirty, open: vec!["f".into()], error: None });
    let a = b.analyze();
    assert_eq!((a.state, a.verdict), (RunState::Dirty, Verdict::Fail));
    assert!(!a.faults[0].healed);
}

#[test]
fn what_stopped_the_run_is_said() {
    let stops = [
        (What::AbortRequested { cause: AbortCause::Signal("SIGINT".to_owned()) }, "stopped by SIGINT"),
        (
            What::GuardBroken { guard: "other".to_owned(), detail: "503".to_owned() },
            "the guard `other` was broken: 503",
        ),
        (What::PreflightFailed { reasons: vec!["no port".to_owned()], held: false }, "preflight: no port"),
        (What::StagingDown { error: Some("busy".to_owned()) }, "the staging could not be brought down: busy"),
    ];
    for (what, text) in stops {
        let mut b = Builder::new();
        b.event(100, what).event(200, What::RunEnded { state: RunState::Aborted, open: Vec::new(), error: None });
        let a = b.analyze();
        assert!(a.reasons.iter().any(|r| r.text == text), "{:?}", a.reasons);
        assert_eq!((a.verdict, a.state), (Verdict::Inconclusive, RunState::Aborted));
    }
}

#[test]
fn damage_and_internal_errors_never_pass() {
    let mut b = drill(3_000);
    b.end().record.problems.push("the operations log of `page` is damaged".to_owned());
    assert_eq!(b.analyze().verdict, Verdict::Inconclusive);
    let mut b = drill(3_000);
    b.end().record.cut = Some("torn".to_owned());
    let a = b.analyze();
    assert_eq!((a.verdict, a.journal_cut.as_deref()), (Verdict::Inconclusive, Some("torn")));
}

#[test]
fn corrupted_records_fail_a_drill_that_judges_its_loss() {
    let mut b = Builder::new();
    *b.seal() = seal("page", 10.0, 1);
    b.objective(ObjectiveKind::RpoWrites, 5).fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    b.ops((0..200).map(|seq| write(seq * 100, seq * 100 + 10, Outcome::Ok, 0, seq as u64)));
    let findings = WriterFindings { present: vec![(0, 199)], corrupted: vec![5], ..WriterFindings::default() };
    b.read_back(ReadBackStage::Final, &[(0, findings)]).end();
    let a = b.analyze();
    assert_eq!((a.objectives[0].verdict, a.verdict), (Verdict::Pass, Verdict::Fail));
}

#[test]
fn nothing_judged_is_no_pass() {
    let mut b = Builder::new();
    assert_eq!(b.end().analyze().verdict, Verdict::Inconclusive);
}

#[test]
fn garbage_is_analysed_without_a_panic() {
    let a = analyze(&Record::default());
    assert_eq!((a.verdict, a.state), (Verdict::Inconclusive, RunState::Aborted));
    let mut b = Builder::new();
    let wild = |t: i64| OpRecord { due: Mono(t), sent: Mono(-t), done: Mono(t), ..visit(0, 0, Outcome::Ok) };
    b.ops([i64::MAX, i64::MIN + 1, 0, -1].map(wild));
    b.fault("f", 5_050, 5_060);
    let far = Span::new(Mono(i64::MIN), Mono(i64::MAX));
    b.event(6_000, What::FaultInjected { fault: "f".into(), span: far });
    b.event(6_000, What::Stall { span: far, cause: StallCause::Suspend, workload: None });
    b.event(6_000, What::Milestone { name: "declared".to_owned(), step: "f".into(), span: far });
    b.seal().rate = 0.0;
    b.end();
    let a = b.analyze();
    assert!(a.notes.iter().any(|note| note.contains("impossible times")));
}

/// The fault is in [5,050 ms, 5,070 ms], and was noticed in [7,000 ms, 7,400 ms].
#[test]
fn the_time_to_detect_lies_between_two_looks() {
    let noticed = |target_ms: i64| {
        let mut b = drill(60_000);
        b.event(2_000, What::Milestone { name: "detected".into(), step: "early".into(), span: span(1_900, 2_000) });
        b.event(7_400, What::Milestone { name: "detected".into(), step: "seen".into(), span: span(7_000, 7_400) });
        b.event(9_400, What::Milestone { name: "detected".into(), step: "late".into(), span: span(9_000, 9_400) });
        b.start.objectives.push(Objective { workload: "".into(), ..objective(ObjectiveKind::Detect, target_ms * MS) });
        b.end().analyze()
    };
    let a = noticed(2_350);
    assert_eq!((a.objectives[1].actual, a.verdict), (Some(ms(1_930, 2_350)), Verdict::Pass), "{:?}", a.reasons);
    let a = noticed(1_000);
    assert_eq!((a.verdict, reason(&a)), (Verdict::Fail, "time to detect: missed by at least 930 ms"));
    let a = noticed(2_000);
    assert_eq!(a.verdict, Verdict::Inconclusive);
    assert!(reason(&a).contains("between 1.93 s and 2.35 s"), "{}", reason(&a));
}

#[test]
fn what_nobody_noticed_has_no_time() {
    let mut b = drill(60_000);
    b.start.objectives.push(Objective { workload: "".into(), ..objective(ObjectiveKind::Detect, S) });
    let a = b.end().analyze();
    assert_eq!((a.objectives[1].actual, a.verdict), (None, Verdict::Inconclusive));
    assert!(reason(&a).contains("nobody noticed"), "{}", reason(&a));
}
