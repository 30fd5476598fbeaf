//! The ledger's table row by row, and the RPO formula, computed by hand.

use super::builder::*;
use crate::analysis::{Class, LedgerResult};
use crate::event::*;
use crate::model::*;
use std::collections::BTreeMap;

/// Two writers of a ledger, a write every 100 ms in turn, the fault called at 5,050 and seen at 5,060.
fn ledger() -> Builder {
    let mut b = Builder::new();
    *b.seal() = seal("page", 10.0, 2);
    b.fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    b
}

/// Writer 0 writes seq 0 … at 0, 100, 200 … ms, acknowledged after 10 ms.
fn writes(count: u64) -> Vec<OpRecord> {
    (0..count).map(|seq| write(seq as i64 * 100, seq as i64 * 100 + 10, Outcome::Ok, 0, seq)).collect()
}

fn present(runs: &[(u64, u64)]) -> WriterFindings {
    WriterFindings { present: runs.to_vec(), ..WriterFindings::default() }
}

fn settled(b: &Builder) -> LedgerResult {
    b.analyze().workloads[0].ledger.clone().unwrap()
}

fn with_final(b: &mut Builder, findings: WriterFindings) -> LedgerResult {
    b.read_back(ReadBackStage::Final, &[(0, findings)]).end();
    settled(b)
}

#[test]
fn kept_and_lost() {
    let mut b = ledger();
    b.ops(writes(200));
    // Lost: acknowledged at 4,610 … 5,010, sent at 4,600 … 5,000.
    let l = with_final(&mut b, present(&[(0, 45), (51, 199)]));
    assert_eq!((l.attempted, l.acked, l.kept, l.lost, l.lost_upper), (200, 200, Some(195), Some(5), Some(0)));
    assert_eq!((l.unknown_present, l.unknown_absent, l.phantom), (Some(0), Some(0), Some(0)));
    // E = the fault: [5,050 − 4,610, 5,060 − 4,600].
    assert_eq!(l.rpo_time, Some(ms(440, 460)));
    assert_eq!(l.lost_runs.len(), 1);
    let run = l.lost_runs[0];
    assert_eq!((run.writer, run.from, run.to), (0, 46, 50));
    assert_eq!((run.acked_first, run.acked_last), (4_610 * MS, 5_010 * MS));
    // Ages 440, 340, 240, 140, 40 ms.
    assert_eq!(l.ages, [(50 * MS, 1), (100 * MS, 0), (200 * MS, 1), (500 * MS, 3)]);
    assert_eq!(l.holes, Some(0));
    assert_eq!(l.strip.iter().filter(|(_, class)| *class == Class::Lost).count(), 5);
    assert_eq!(l.resolution, 100 * MS);
}

#[test]
fn an_isolated_primary_acknowledges_what_is_lost_after_the_fault() {
    let mut b = ledger();
    b.ops(writes(200));
    // Lost: acknowledged at 5,110 … 5,510. E is the last of them, for both bounds.
    let l = with_final(&mut b, present(&[(0, 50), (56, 199)]));
    assert_eq!(l.rpo_time, Some(ms(5_510 - 5_110, 5_510 - 5_100)));
}

#[test]
fn nothing_lost_is_exactly_nothing_with_the_write_period_beside_it() {
    let mut b = ledger();
    b.ops(writes(200));
    let l = with_final(&mut b, present(&[(0, 199)]));
    assert_eq!((l.lost, l.rpo_time, l.resolution), (Some(0), Some(Interval::exact(0)), 100 * MS));
    assert!(l.lost_runs.is_empty() && l.ages.is_empty());
}

#[test]
fn unknown_may_be_there_or_not_and_is_never_loss() {
    let mut b = ledger();
    let mut ops = writes(200);
    (ops[100].outcome, ops[101].outcome) = (Outcome::Unknown, Outcome::Unknown);
    b.ops(ops);
    let l = with_final(&mut b, present(&[(0, 100), (102, 199)]));
    assert_eq!((l.unknown_present, l.unknown_absent, l.lost, l.kept), (Some(1), Some(1), Some(0), Some(198)));
    assert_eq!(l.rpo_time, Some(Interval::exact(0)));
}

#[test]
fn local_only_is_never_counted_as_durable() {
    let mut b = ledger();
    let mut ops = writes(200);
    (ops[100].outcome, ops[101].outcome) = (Outcome::OkLocal, Outcome::OkLocal);
    b.ops(ops);
    let l = with_final(&mut b, present(&[(0, 100), (102, 199)]));
    assert_eq!((l.acked, l.acked_local, l.local_absent), (198, 2, Some(1)));
    assert_eq!((l.lost, l.unknown_present, l.unknown_absent), (Some(0), Some(0), Some(0)));
}

#[test]
fn a_definite_failure_that_is_there_is_resurrected() {
    let mut b = ledger();
    let mut ops = writes(200);
    (ops[100].outcome, ops[101].outcome) = (Outcome::Fail, Outcome::Fail);
    b.ops(ops);
    let l = with_final(&mut b, present(&[(0, 100), (102, 199)]));
    assert_eq!((l.resurrected, l.lost, l.kept), (Some(1), Some(0), Some(198)));
}

#[test]
fn duplicates_are_told_apart_by_attempt() {
    let mut b = ledger();
    b.ops(writes(200));
    let findings = WriterFindings { duplicated: vec![(7, 2, 0), (9, 3, 2)], ..present(&[(0, 199)]) };
    let l = with_final(&mut b, findings);
    assert_eq!((l.duplicated, l.duplicated_by_server, l.kept), (Some(2), Some(1), Some(200)));
}

#[test]
fn corrupted_is_neither_kept_nor_lost() {
    let mut b = ledger();
    b.ops(writes(200));
    let l = with_final(&mut b, WriterFindings { corrupted: vec![3, 8], ..present(&[(0, 199)]) });
    assert_eq!((l.corrupted, l.kept, l.lost), (Some(2), Some(198), Some(0)));
}

#[test]
fn what_was_never_attempted_is_a_phantom() {
    let mut b = ledger();
    b.ops(writes(200));
    let strangers = [(0, present(&[(0, 202)])), (7, present(&[(4, 5)]))];
    b.read_back(ReadBackStage::Final, &strangers).end();
    let file = b.record.read_backs.values_mut().next().unwrap();
    (file.phantoms, file.phantom_count) = (vec!["another run's".to_owned()], 1);
    let l = settled(&b);
    assert_eq!((l.phantom, l.kept), (Some(3 + 2 + 1), Some(200)));
}

#[test]
fn inversions_in_the_servers_order_are_counted() {
    let mut b = ledger();
    b.ops(writes(200));
    let l = with_final(&mut b, WriterFindings { reordered: vec![4, 5, 6], ..present(&[(0, 199)]) });
    assert_eq!((l.reordered, l.kept), (Some(3), Some(200)));
}

#[test]
fn a_read_that_misses_what_was_acknowledged_is_stale() {
    let mut b = ledger();
    b.ops(writes(200));
    // Seq 10 was sent at 1,000 and acknowledged at 1,010.
    b.ops([read(1_200, 1_230, 0, 10, Found::Absent), read(1_400, 1_410, 0, 10, Found::Intact)]);
    // Sent before the acknowledgement: no promise yet. Missing what was never acknowledged: no promise at all.
    b.ops([read(1_005, 1_030, 0, 10, Found::Absent), read(1_200, 1_230, 0, 500, Found::Absent)]);
    let l = with_final(&mut b, present(&[(0, 199)]));
    assert_eq!((l.stale, l.stale_age), (1, Some(ms(1_200 - 1_010, 1_230 - 1_000))));
    let a = b.analyze();
    assert_eq!((a.workloads[0].operations.due, a.workloads[0].reads.unwrap().due), (200, 4));
}

#[test]
fn what_a_read_returned_and_is_gone_was_observed_then_lost() {
    let mut b = ledger();
    b.ops(writes(200));
    let seen = [read(4_900, 4_910, 0, 47, Found::Intact), read(4_950, 4_960, 0, 47, Found::Intact)];
    b.ops(seen).ops([read(4_900, 4_910, 0, 40, Found::Intact), read(4_900, 4_910, 0, 48, Found::Absent)]);
    let l = with_final(&mut b, present(&[(0, 45), (51, 199)]));
    assert_eq!((l.observed_then_lost, l.lost), (Some(1), Some(5)));
}

#[test]
fn the_early_look_tells_lost_by_healing_from_transiently_missing() {
    let mut b = ledger();
    b.ops(writes(200));
    // Early: 46…50 are missing, 60 and 61 are there, 100 is the highest. At the end it is the other way round.
    b.read_back(ReadBackStage::Early, &[(0, present(&[(0, 45), (51, 100)]))]);
    let l = with_final(&mut b, present(&[(0, 59), (62, 199)]));
    assert_eq!((l.transiently_missing, l.lost_by_healing, l.lost), (Some(5), Some(2), Some(2)));
}

#[test]
fn what_was_written_after_the_early_look_began_is_not_missing_in_it() {
    let mut b = ledger();
    b.ops(writes(200));
    b.read_back(ReadBackStage::Early, &[(0, present(&[(0, 45), (51, 100)]))]);
    for event in &mut b.record.events {
        if let What::ReadBack(done) = &mut event.what {
            done.began = Some(at(4_911));
        }
    }
    // Acknowledged before 4,911: up to seq 49.
    assert_eq!(with_final(&mut b, present(&[(0, 199)])).transiently_missing, Some(4));
}

#[test]
fn without_an_early_look_nobody_knows_what_healing_cost() {
    let mut b = ledger();
    b.ops(writes(200));
    let l = with_final(&mut b, present(&[(0, 199)]));
    assert_eq!((l.transiently_missing, l.lost_by_healing), (None, None));
}

#[test]
fn holes_mean_that_what_is_left_is_no_prefix() {
    let mut b = ledger();
    b.ops(writes(200));
    // Lost 40 and 45; present in between and up to the fault: 41…44, 46…50. What came after the fault is no hole.
    let l = with_final(&mut b, present(&[(0, 39), (41, 44), (46, 199)]));
    assert_eq!((l.lost, l.holes, l.lost_runs.len()), (Some(2), Some(9), 2));
    assert_eq!(l.rpo_time, Some(ms(5_050 - 4_010, 5_060 - 4_000)));
}

#[test]
fn writes_in_flight_together_are_no_holes() {
    let mut b = ledger();
    b.ops(writes(51));
    // Committed before seq 50 of writer 0 (which is lost), acknowledged a little later.
    b.ops([write(4_995, 5_015, Outcome::Ok, 1, 0)])
        .ops((60..200).map(|seq| write(seq * 100, seq * 100 + 10, Outcome::Ok, 0, seq as u64 - 9)));
    b.read_back(ReadBackStage::Final, &[(0, present(&[(0, 49), (51, 190)])), (1, present(&[(0, 0)]))]).end();
    let l = settled(&b);
    assert_eq!((l.lost, l.holes), (Some(1), Some(0)));
}

#[test]
fn acknowledgements_that_the_log_may_lack_make_an_interval() {
    let mut b = ledger();
    let mut ops = writes(200);
    // Three records of the log are gone; one of them is there, so it says nothing; two are absent.
    ops.retain(|op| !(50..53).contains(&op.key.unwrap().seq));
    b.ops(ops).objective(ObjectiveKind::RpoWrites, 2).objective(ObjectiveKind::RpoTime, S);
    let l = with_final(&mut b, present(&[(0, 45), (52, 199)]));
    assert_eq!((l.lost, l.lost_upper, l.phantom, l.rpo_time), (Some(4), Some(2), Some(1), None));
    let a = b.analyze();
    assert_eq!(a.objectives[0].actual, Some(Interval { low: 4, best: 4, high: 6 }));
    assert_eq!((a.objectives[0].verdict, a.objectives[1].verdict), (Verdict::Fail, Verdict::Inconclusive));
}

#[test]
fn a_silent_ledger_before_the_fault_decides_nothing() {
    let mut b = ledger();
    b.ops(writes(200).into_iter().filter(|op| !(3_000..5_060).contains(&((op.due.0 - T0) / MS))));
    b.objective(ObjectiveKind::RpoTime, S).objective(ObjectiveKind::RpoWrites, 5);
    let l = with_final(&mut b, present(&[(0, 29), (51, 199)]));
    assert_eq!(l.rpo_time, None);
    let a = b.analyze();
    assert!(a.objectives.iter().all(|o| o.verdict == Verdict::Inconclusive), "{:?}", a.objectives);
    assert!(a.objectives[0].why.contains("second before"), "{}", a.objectives[0].why);
}

#[test]
fn no_read_back_no_numbers() {
    let mut b = ledger();
    b.ops(writes(200)).objective(ObjectiveKind::RpoWrites, 0).end();
    let l = settled(&b);
    assert_eq!((l.acked, l.kept, l.lost, l.rpo_time, l.holes), (200, None, None, None, None));
    assert_eq!(b.analyze().verdict, Verdict::Inconclusive);
    let done = ReadBackDone {
        workload: "page".into(),
        stage: ReadBackStage::Final,
        site: "service".to_owned(),
        began: None,
        file: None,
        digest: None,
        error: Some("refused".to_owned()),
    };
    b.event(60_000, What::ReadBack(done));
    assert!(settled(&b).why.unwrap().contains("refused"));
}

#[test]
fn a_site_that_differs_is_noted_and_the_service_decides() {
    let mut b = ledger();
    b.ops(writes(200)).read_back(ReadBackStage::Final, &[(0, present(&[(0, 199)]))]);
    let file = "replica".to_owned();
    let behind = ReadBack { writers: BTreeMap::from([(0, present(&[(0, 189)]))]), ..ReadBack::default() };
    b.record.read_backs.insert(file.clone(), behind);
    let done = ReadBackDone {
        workload: "page".into(),
        stage: ReadBackStage::Final,
        site: "standby".to_owned(),
        began: None,
        file: Some(file),
        digest: None,
        error: None,
    };
    b.event(60_000, What::ReadBack(done)).end();
    let a = b.analyze();
    assert_eq!(a.workloads[0].ledger.as_ref().unwrap().lost, Some(0));
    assert!(a.notes.iter().any(|note| note.contains("`standby` lacks 10 records")), "{:?}", a.notes);
}

#[test]
fn each_fault_has_its_own_loss() {
    let mut b = Builder::new();
    *b.seal() = seal("page", 10.0, 1);
    b.event(5_000, What::PhaseStarted { phase: Phase::Outage }).fault("f", 5_050, 5_060).healed("f", 9_000, 9_001);
    b.event(14_000, What::PhaseEnded { phase: Phase::Outage })
        .event(14_000, What::PhaseStarted { phase: Phase::Restore });
    b.fault("back", 15_050, 15_060).healed("back", 16_000, 16_001);
    // Down from 5,100 to 5,500 and from 15,100 to 15,300; two writes lost before the first, three before the second.
    let off = |due: i64| (5_100..5_500).contains(&due) || (15_100..15_300).contains(&due);
    let op = |seq: u64| {
        let due = seq as i64 * 100;
        if off(due) { write(due, due + 1, Outcome::Fail, 0, seq) } else { write(due, due + 10, Outcome::Ok, 0, seq) }
    };
    b.ops((0..300).map(op)).read_back(ReadBackStage::Final, &[(0, present(&[(0, 48), (55, 147), (153, 299)]))]).end();
    let mut named = objective(ObjectiveKind::RpoWrites, 2);
    named.fault = Some("f".into());
    b.start.objectives.push(named);
    b.objective(ObjectiveKind::RpoWrites, 4);
    let a = b.analyze();
    let l = a.workloads[0].ledger.clone().unwrap();
    let losses: Vec<_> = l.losses.iter().map(|loss| (loss.fault.as_str(), loss.lost, loss.rpo_time)).collect();
    let (first, second) = (Some(ms(5_050 - 4_910, 5_060 - 4_900)), Some(ms(15_050 - 14_810, 15_060 - 14_800)));
    assert_eq!(losses, [("f", 2, first), ("back", 3, second)]);
    assert_eq!((l.lost, l.rpo_time), (Some(5), second));
    assert_eq!(a.objectives.iter().map(|o| o.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::Fail]);
}

#[test]
fn a_long_strip_keeps_the_worst_of_every_slice() {
    let mut b = Builder::new();
    *b.seal() = seal("page", 5_000.0, 1);
    let op = |seq: i64| {
        let due = T0 + seq * MS / 5;
        let key = Some(Key { writer: 0, seq: seq as u64 });
        OpRecord { due: Mono(due), sent: Mono(due), done: Mono(due + MS), key, ..write(0, 0, Outcome::Ok, 0, 0) }
    };
    b.ops((0..50_000).map(op)).fault("f", 5_000, 5_001).healed("f", 9_000, 9_001);
    let l = with_final(&mut b, present(&[(0, 24_899), (24_901, 49_999)]));
    assert!(l.strip.len() <= 2_000);
    assert_eq!(l.strip.iter().filter(|(_, class)| *class == Class::Lost).count(), 1);
    assert!(l.strip.is_sorted());
}
